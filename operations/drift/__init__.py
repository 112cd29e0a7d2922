"""Drift: what nodes and services are like, beside what the stack's state says; nothing is changed by looking."""

from operations.differences import Finding, Unknown
from operations.drift.report import DriftReport
from operations.drift.search import drift_in, look_for_drift

__all__ = ["DriftReport", "Finding", "Unknown", "drift_in", "look_for_drift"]
