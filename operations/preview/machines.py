"""Which machine a resource is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from config.naming import NODE_LABEL
from operations.inspect.expected import COMMANDS, DEPLOY_HOST
from operations.preview.plan import Change, Resource
from operations.pulumi.state import CONTAINER


class Machines:
    """Nodes by the SSH address and port of their commands: as they were, and as the settings have them now."""

    def __init__(self, before: Iterable[Mapping[str, Any]], now: Iterable[tuple[str, str, int]]) -> None:
        self._names = {(str(node["host"]), int(node.get("port", 22))): str(node["name"]) for node in before}
        self._names |= {(host, port): name for name, host, port in now}

    def of(self, change: Change) -> str:
        """The machine's name; empty for what is not on a machine."""
        return next((found for r in (change.new, change.old) if r and (found := self._of(r))), "")

    def _of(self, resource: Resource) -> str:
        inputs = resource.open
        if resource.type in COMMANDS:
            connection = inputs.get("connection")
            if not isinstance(connection, dict):
                return "" if connection else DEPLOY_HOST
            host, port = str(connection.get("host")), int(connection.get("port") or 22)
            return self._names.get((host, port), host)
        if resource.type == CONTAINER:
            for entry in inputs.get("labels") or []:
                if isinstance(entry, dict) and entry.get("label") == NODE_LABEL:
                    return str(entry["value"])
        return ""
