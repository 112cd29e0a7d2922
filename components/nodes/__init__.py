"""The machines: lab containers made here, or hosts that are there already."""
