"""Drift: nodes and services compared with the stack's state; read-only."""
