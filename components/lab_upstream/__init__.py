"""The lab's stand-in for public registries: on the lab's network, with faults that tests and drills set."""
