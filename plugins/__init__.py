"""Pulumi plugins for machines that cannot fetch the published ones: a language host and five providers, in one process.

Pulumi's CLI runs a provider that has no program of its own through the language host that its `PulumiPlugin.yaml`
names. Here that is `berth`: one process serves every provider instance of a run, each on a port of its own, and so all
instances share one SSH connection to each node.
"""
