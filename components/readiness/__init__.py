"""Readiness as a step of its own: asked from a node, bounded in time, saying what the last answer was."""

from components.readiness.component import ASK, WAIT, Probe, ready

__all__ = ["ASK", "WAIT", "Probe", "ready"]
