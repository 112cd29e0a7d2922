"""Pulumi's CLI as `berth` uses it: which one, its environment, and how its runs are followed."""
