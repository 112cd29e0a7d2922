"""Pull-through caches: for each upstream a distribution process of its own, on two nodes."""
