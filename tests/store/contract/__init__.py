"""What an object store has to do before Berth trusts it with the registry's blobs: one check per promise."""

from __future__ import annotations

from tests.store.contract.checks import CHECKS
from tests.store.contract.store import Broken, Store

__all__ = ["CHECKS", "Broken", "Store"]
