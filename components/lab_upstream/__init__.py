"""The lab's stand-in for public registries: on the lab's network, with faults that tests and drills set."""

from components.lab_upstream.component import LabUpstream, LabUpstreamArgs

__all__ = ["LabUpstream", "LabUpstreamArgs"]
