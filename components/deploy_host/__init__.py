"""What the deploy host itself needs: the way into the nodes, trust in the registry, its name."""
