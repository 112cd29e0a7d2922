"""The registry that exists before the registry: serves Berth's own images to the nodes, read-only."""
