"""Pulumi's SDK on mocks: keeps what a program registers, with no CLI, no state and no plugin behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from google.protobuf import empty_pb2
from pulumi.runtime import mocks, settings
from pulumi.runtime.proto import engine_pb2, resource_pb2

from plugins import urns
from plugins.interface import Properties
from plugins.values import from_struct, to_json, to_struct

SEVERITIES = {engine_pb2.WARNING: "warning", engine_pb2.ERROR: "error"}


@dataclass(frozen=True)
class Registered:
    """One resource as the program asked for it."""

    urn: str
    type: str
    name: str
    inputs: dict[str, Any]
    """As JSON, with Pulumi's marks of secrecy."""
    parent: str
    dependencies: tuple[str, ...]
    deleted_with: str
    provider: str
    secrets: tuple[str, ...]
    """Outputs that the program declares secret."""


class Recorder(mocks.MockMonitor):
    """The monitor that a program registers its resources with."""

    def __init__(self) -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self.registered: list[Registered] = []
        self.outputs: dict[str, Any] = {}
        """The stack's, as JSON."""

    def outcome(self, request: Any, urn: str) -> tuple[str, Properties]:
        """Id (empty: not known yet) and properties that the program sees."""
        raise NotImplementedError

    def make_urn(self, parent: str, type_: str, name: str) -> str:
        """As the CLI makes it: with the whole chain of types, which the SDK's own mocks cut short."""
        return urns.make(settings.get_stack(), settings.get_project(), parent, type_, name)

    def RegisterResource(self, request: Any) -> Any:
        urn = self.make_urn(request.parent, request.type, request.name)
        self.registered.append(
            Registered(
                urn=urn,
                type=request.type,
                name=request.name,
                inputs=to_json(from_struct(request.object)),
                parent=request.parent,
                dependencies=tuple(request.dependencies),
                deleted_with=request.deletedWith,
                provider=request.provider,
                secrets=tuple(request.additionalSecretOutputs),
            )
        )
        id_, seen = self.outcome(request, urn)
        return resource_pb2.RegisterResourceResponse(urn=urn, id=id_, object=to_struct(seen))

    def RegisterResourceOutputs(self, request: Any) -> Any:
        if urns.type_of(request.urn) == urns.STACK_TYPE:
            self.outputs.update(to_json(from_struct(request.outputs)))
        return empty_pb2.Empty()


class Messages:
    """The engine that a program logs to."""

    def __init__(self) -> None:
        self.messages: list[dict[str, str]] = []
        """Warnings and errors as the CLI's events have them."""

    def Log(self, request: Any) -> Any:
        severity = SEVERITIES.get(request.severity)
        if severity:
            self.messages.append({"severity": severity, "message": request.message, "urn": request.urn})
        return empty_pb2.Empty()
