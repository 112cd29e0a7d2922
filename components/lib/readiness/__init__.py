"""Readiness as a step of its own: asked from a node, bounded in time, saying what the last answer was."""
