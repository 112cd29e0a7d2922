"""What a stack's state says about its nodes: files, daemon settings, services, questions of readiness."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from config.naming import NODE_LABEL
from operations.errors import BerthError
from operations.recovery import CONTAINER

SIGNATURE = "4dabf18193072939515e22adb298388d"
HEADER = "berth-bundle 1"
COMMANDS = ("command:remote:Command", "command:local:Command")
DEPLOY_HOST = "deploy host"


@dataclass(frozen=True)
class Readiness:
    """A question over HTTP that `up` waited for, and still expects to be answered so."""

    service: str
    status: str
    url: str
    ca_file: str
    resolve: str

    @property
    def line(self) -> str:
        return "\t".join([self.status, self.url, self.ca_file, self.resolve])


@dataclass(frozen=True)
class Service:
    """A container that belongs on a node."""

    name: str
    service: str
    image: str


@dataclass
class Machine:
    """What one machine should be like."""

    files: dict[str, tuple[str, str]] = field(default_factory=dict)
    """path -> (mode, sha256)"""
    blocks: dict[str, str] = field(default_factory=dict)
    info: dict[str, str] = field(default_factory=dict)
    """format for `docker info` -> what it should say"""
    readiness: list[Readiness] = field(default_factory=list)
    services: list[Service] = field(default_factory=list)


@dataclass(frozen=True)
class Desired:
    """The whole stack as its state has it."""

    outputs: Mapping[str, Any]
    machines: dict[str, Machine]
    """By node name, the deploy host included."""

    @property
    def address(self) -> str:
        """The one at which registry and object store answer."""
        return urlsplit(str(self.outputs["object_store"])).hostname or ""


def read(export: Mapping[str, Any], stack: str) -> Desired:
    """From `stack export --show-secrets`. The secrets stay in memory, files are kept as checksums only."""
    resources = [_plain(resource) for resource in (export.get("deployment") or {}).get("resources") or []]
    outputs: Mapping[str, Any] = next(
        (r.get("outputs") or {} for r in resources if r.get("type") == "pulumi:pulumi:Stack"), {}
    )
    if not outputs.get("node_access"):
        raise BerthError(f"Stack {stack} was never deployed to its end: ./berth up --stack {stack} does that.")
    by_door = {(str(n["host"]), int(n.get("port", 22))): str(n["name"]) for n in outputs["node_access"]}
    machines = {DEPLOY_HOST: Machine(), **{name: Machine() for name in by_door.values()}}
    for resource in resources:
        inputs = resource.get("inputs") or {}
        if resource.get("delete"):
            continue
        if resource.get("type") in COMMANDS:
            machine = machines.get(_machine_of(inputs, by_door))
            if machine is not None:
                _take_command(machine, inputs, str(resource["urn"]))
        elif resource.get("type") == CONTAINER:
            labels = {entry.get("label"): entry.get("value") for entry in inputs.get("labels") or []}
            if "berth.service" in labels and labels.get(NODE_LABEL) in machines:
                service = Service(str(inputs["name"]), str(labels["berth.service"]), str(inputs["image"]))
                machines[str(labels[NODE_LABEL])].services.append(service)
    return Desired(outputs, machines)


def _machine_of(inputs: Mapping[str, Any], by_door: Mapping[tuple[str, int], str]) -> str:
    connection = inputs.get("connection")
    if not connection:
        return DEPLOY_HOST
    return by_door.get((str(connection.get("host")), int(connection.get("port") or 22)), "")


def _take_command(machine: Machine, inputs: Mapping[str, Any], urn: str) -> None:
    text = str(inputs.get("stdin") or "")
    if text.startswith(HEADER):
        _take_bundle(machine, text)
        return
    for line in text.splitlines():
        parts = line.split("\t")
        if len(parts) == 4 and parts[0].isdigit() and parts[1].startswith("http"):
            machine.readiness.append(Readiness(_stage(urn), *parts))


def _stage(urn: str) -> str:
    """The component's own word: `registry` of `...::berth:registry:Registry$command:...`."""
    for type_ in urn.split("::")[2].split("$"):
        if type_.startswith("berth:"):
            return type_.split(":")[1]
    return "stack"


def _take_bundle(machine: Machine, text: str) -> None:
    lines = iter(text.splitlines()[1:])
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "file":
            mode, _, path = rest.split(" ", 2)
            machine.files[path] = (mode.lstrip("0") or "0", _sum(_body(lines)))
        elif word == "block":
            machine.blocks[rest] = _sum(_body(lines))
        elif line.startswith("expect\t"):
            _, format_, wanted = line.split("\t", 2)
            machine.info[format_] = wanted


def _body(lines: Iterator[str]) -> str:
    body = []
    for line in lines:
        if line.startswith("|"):
            body.append(line[1:])
        else:
            return "\n".join(body) + ("\n" if line == "end" else "")
    raise BerthError("A bundle in the stack's state is damaged; ./berth up writes it anew.")


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """The value with each secret replaced by what is in it."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if SIGNATURE in value and "plaintext" in value:
        return _plain(json.loads(value["plaintext"]))
    if SIGNATURE in value and "value" in value:
        return _plain(value["value"])
    return {key: _plain(item) for key, item in value.items()}
