"""Drift: what nodes and services are like, beside what the stack's state says; nothing is changed by looking."""
