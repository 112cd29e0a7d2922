"""Pulumi's CLI as `berth` uses it: which one, what it is told, how its runs are followed."""
