"""A service on a node: one container with host networking, its image pinned by digest."""
