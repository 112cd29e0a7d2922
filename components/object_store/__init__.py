"""Distributed MinIO: one server with one drive on each node of the role, and the registry's share of it."""
