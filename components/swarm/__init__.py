"""Docker Swarm: managers and workers by role, their labels, and the networks between them."""
