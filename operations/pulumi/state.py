"""A stack's state as Pulumi exports it: type tokens, and the marks by which Berth makes `up` act on a resource."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

CONTAINER = "docker:index/container:Container"
NETWORK = "docker:index/network:Network"
REMOTE_COMMAND = "command:remote:Command"
GONE: Mapping[str, Any] = {"gone": True}
"""Not in the state either, so that it is made again and nothing is deleted for it."""
UNAPPLIED: Mapping[str, Any] = {"inputs": {"create": ""}, "outputs": {"create": ""}}
"""Never applied, so that the same command is run again. What its removal reads, such as stdin, stays."""
_RAW_STATE = ("__pulumi_raw_state_delta", "__meta")
"""What the published providers keep beside their outputs; it is wrong once an output is changed."""


def mark(resource: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Write values over those of a resource of an exported state: whole ones, or single inputs and outputs."""
    for key, value in values.items():
        resource[key] = {**resource.get(key, {}), **value} if isinstance(value, dict) else value
    for key in _RAW_STATE:
        resource.get("outputs", {}).pop(key, None)
