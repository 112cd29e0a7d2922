"""Stack files for tests: a committed one with some values changed."""

from __future__ import annotations

import copy
import re
from functools import cache
from typing import Any

from config import stackfile
from config.paths import ROOT

STACKS = ("dev", "staging", "prod", "kolla")
REMOVED = object()


@cache
def _read(stack: str) -> dict[str, Any]:
    """Without etcd and Swarm: a member less, when a case takes a node's roles, would be a problem of its own."""
    found = stackfile.read(ROOT / f"Pulumi.{stack}.yaml")
    found["config"].pop("berth:swarm", None)
    for node in found["config"]["berth:nodes"]:
        node["roles"] = [role for role in node["roles"] if role not in ("etcd", "swarm-manager", "swarm-worker")]
    return found


def document(stack: str, changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """The stack file, with values at paths such as `nodes[1].address` changed, added or removed."""
    changed = copy.deepcopy(_read(stack))
    for place, value in (changes or {}).items():
        _put(changed["config"], place, value)
    return changed


def _put(settings: dict[str, Any], place: str, value: object) -> None:
    first, *rest = re.findall(r"[^.\[\]]+", place)
    keys: list[Any] = [f"berth:{first}", *(int(part) if part.isdigit() else part for part in rest)]
    *above, last = keys
    here: Any = settings
    for key in above:
        here = here.setdefault(key, {}) if isinstance(here, dict) else here[key]
    if value is REMOVED:
        del here[last]
    elif isinstance(here, list) and last == len(here):
        here.append(value)
    else:
        here[last] = value
