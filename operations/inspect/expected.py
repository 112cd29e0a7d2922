"""What the nodes should be like by the stack's state: files, daemon settings, services, readiness checks."""

from __future__ import annotations

import hashlib
import json
import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from components.lib.host_files import parse
from config.naming import NODE_LABEL
from operations.errors import BerthError
from operations.pulumi.state import CONTAINER
from operations.pulumi.values import SIGNATURE

COMMANDS = ("command:remote:Command", "command:local:Command")
DEPLOY_HOST = "deploy host"
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True)
class Readiness:
    """A readiness check over HTTP that `up` waited for and that must still pass."""

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
    """A container that must run on a node."""

    name: str
    service: str
    image: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """All that it was made from."""
    resource: str = ""
    """URN."""


@dataclass(frozen=True)
class DesiredFile:
    """A file that Berth wrote whole."""

    mode: str
    """As `stat` prints it."""
    owner: str
    """user:group, each as a name or a number."""
    checksum: str
    resource: str
    """URN of what writes it."""
    instead: frozenset[str] = frozenset()
    """Other valid checksums: the machine decides which of several texts it gets."""
    optional: bool = False
    """The machine decides whether it has it."""


@dataclass(frozen=True)
class DesiredBlock:
    """Berth's lines in a file that others own too."""

    checksum: str
    resource: str


@dataclass(frozen=True)
class Listener:
    """Where a service presents a certificate to other machines."""

    container: str
    address: str
    port: int


@dataclass
class Machine:
    """What one machine should be like."""

    files: dict[str, DesiredFile] = field(default_factory=dict)
    blocks: dict[str, DesiredBlock] = field(default_factory=dict)
    info: dict[str, str] = field(default_factory=dict)
    """format for `docker info` -> expected output"""
    daemon: str = ""
    """URN of what writes the daemon's settings."""
    listeners: list[Listener] = field(default_factory=list)
    certificates: set[str] = field(default_factory=set)
    """sha256 of each certificate of the stack; a balancer passes through those of others."""
    readiness: list[Readiness] = field(default_factory=list)
    services: list[Service] = field(default_factory=list)
    firewall: str = ""
    """URN of what writes the node's table of rules, where there is one."""
    asks: list[str] = field(default_factory=list)
    """A stage's own queries, as lines for the probe script."""


@dataclass(frozen=True)
class Desired:
    """The whole stack as its state has it."""

    outputs: Mapping[str, Any]
    machines: dict[str, Machine]
    """By node name, the deploy host included."""
    resources: Sequence[Mapping[str, Any]] = ()
    """Everything in the state, secrets in plain text: never to be shown."""
    pending: Sequence[str] = ()
    """Names of resources whose operations have begun and not ended."""

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
        raise BerthError(f"Stack {stack} was never deployed completely: run ./berth up --stack {stack}.")
    by_address = {(str(n["host"]), int(n.get("port", 22))): str(n["name"]) for n in outputs["node_access"]}
    machines = {DEPLOY_HOST: Machine(), **{name: Machine() for name in by_address.values()}}
    for resource in resources:
        inputs = resource.get("inputs") or {}
        if resource.get("delete"):
            continue
        if resource.get("type") in COMMANDS:
            machine = machines.get(_machine_of(inputs, by_address))
            if machine is not None:
                _add_command(machine, inputs, str(resource["urn"]))
        elif resource.get("type") == CONTAINER:
            labels = {entry.get("label"): entry.get("value") for entry in inputs.get("labels") or []}
            machine = machines.get(str(labels.get(NODE_LABEL, DEPLOY_HOST)))
            if "berth.service" in labels and machine is not None:
                name, image, urn = str(inputs["name"]), str(inputs["image"]), str(resource["urn"])
                machine.services.append(Service(name, str(labels["berth.service"]), image, inputs, urn))
    issued = set[str]().union(*(machine.certificates for machine in machines.values()))
    for machine in machines.values():
        machine.certificates = issued
    begun = (export.get("deployment") or {}).get("pending_operations") or []
    pending = [str(one["resource"]["urn"]).rpartition("::")[2] for one in begun]
    return Desired(outputs, machines, resources, pending)


def _machine_of(inputs: Mapping[str, Any], by_address: Mapping[tuple[str, int], str]) -> str:
    connection = inputs.get("connection")
    if not connection:
        return DEPLOY_HOST
    return by_address.get((str(connection.get("host")), int(connection.get("port") or 22)), "")


def _add_command(machine: Machine, inputs: Mapping[str, Any], urn: str) -> None:
    text = str(inputs.get("stdin") or "")
    if parse.is_bundle(text):
        add_bundle(machine, text, urn)
        return
    for line in text.splitlines():
        parts = line.split("\t")
        if len(parts) == 4 and parts[0].isdigit() and parts[1].startswith("http"):
            machine.readiness.append(Readiness(_stage(urn), *parts))
        elif parts[0] == "ask":
            machine.asks.append("\t".join(parts[1:]))


def _stage(urn: str) -> str:
    """The component's package: `registry` of `...::berth:registry:Registry$command:...`."""
    for type_ in urn.split("::")[2].split("$"):
        if type_.startswith("berth:"):
            return type_.split(":")[1]
    return "stack"


def add_bundle(machine: Machine, text: str, urn: str) -> None:
    """Add a bundle's files, blocks and directives; `urn` is the resource that it belongs to."""
    bundle = parse.parse(text)
    has_certificate = False
    for entry in bundle.entries.values():
        if entry.kind == "file":
            before = machine.files.get(entry.path) if entry.when else None
            machine.files[entry.path] = DesiredFile(
                mode=entry.mode.lstrip("0") or "0",
                owner=entry.owner,
                checksum=_sum(entry.body),
                resource=urn,
                instead=before.instead | {before.checksum} if before else frozenset(),
                optional=bool(entry.when),
            )
            found = {fingerprint(pem) for pem in CERTIFICATE.findall(entry.body)}
            machine.certificates |= found
            has_certificate |= bool(found)
        elif entry.kind == "block":
            machine.blocks[entry.path] = DesiredBlock(_sum(entry.body), urn)
    container, ports = "", []
    for fact in bundle.directives:
        match fact:
            case "expect", format_, wanted:
                machine.info[format_] = wanted
                machine.daemon = urn
            case "ask", "firewall":
                machine.firewall = urn
            case "ask", *question:
                machine.asks.append("\t".join(question))
            case "container", name, *_:
                container = name
            case "port", address, port, *_:
                ports.append((address, int(port)))
    # What listens on loopback alone speaks plain HTTP.
    machine.listeners += [
        Listener(container, address, port)
        for address, port in ports
        if container and has_certificate and address != "127.0.0.1"
    ]


def fingerprint(certificate: str | bytes) -> str:
    """sha256 of a certificate, PEM or DER."""
    der = ssl.PEM_cert_to_DER_cert(certificate) if isinstance(certificate, str) else certificate
    return hashlib.sha256(der).hexdigest()


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
