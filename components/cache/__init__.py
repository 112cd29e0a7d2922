"""Pull-through caches: for each upstream a distribution process of its own, on two nodes."""

from components.cache.component import Caches, CachesArgs

__all__ = ["Caches", "CachesArgs"]
