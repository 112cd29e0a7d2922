"""What an object store has to do before Berth trusts it with the registry's blobs: one check per promise."""

from __future__ import annotations

from operations.store_contract.checks import CHECKS
from operations.store_contract.store import Broken, Store

__all__ = ["CHECKS", "Broken", "Store"]
