"""This machine: what a deploy host needs, and whether it is there."""
