"""Readiness as a step of its own: asked from a node, bounded in time, saying what the last answer was."""

from components.readiness.component import Probe, ready

__all__ = ["Probe", "ready"]
