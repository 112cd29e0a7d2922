"""Rules over the resources that the program declares, as pure functions: each names what is wrong and what to do.

Tests apply them to every committed stack, and each preview to its stack.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import yaml

from components.lib.host_files import parse
from config import naming
from config.model.stack import StackSettings
from operations.pulumi.state import CONTAINER, REMOTE_COMMAND

SERVICE_LABEL = "berth.service"
MINIO_PROVIDER = "pulumi:providers:minio"
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Declared(Protocol):
    """A resource as the program declares it, secrets without marks."""

    @property
    def type(self) -> str: ...

    @property
    def name(self) -> str: ...

    @property
    def parent(self) -> str: ...

    @property
    def open(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Violation:
    """A rule that a resource breaks."""

    rule: str
    resource: str
    text: str

    def __str__(self) -> str:
        return f"{self.resource}: {self.text} (rule {self.rule})"

    def as_json(self) -> dict[str, str]:
        return {"rule": self.rule, "resource": self.resource, "text": self.text}


def violations(resources: Iterable[Declared], settings: StackSettings) -> list[Violation]:
    """Every rule over every resource."""
    found: list[Violation] = []
    for resource in resources:
        for rule in (parent, privileged, confined, latest, host_key, plain_http, anonymous_push):
            name = rule.__name__.replace("_", "-")
            found += [Violation(name, resource.name, text) for text in rule(resource, settings)]
    return found


def parent(resource: Declared, settings: StackSettings) -> Iterator[str]:
    """Every child has a component as its parent, every component the stack."""
    if resource.type.startswith("pulumi:pulumi:") or re.search(r"::pulumi:providers:\w+::default", _urn(resource)):
        return
    above = resource.parent.split("::")[-2].rsplit("$", 1)[-1] if resource.parent else ""
    expected = "pulumi:pulumi:Stack" if resource.type.startswith("berth:") else "berth:"
    if not above.startswith(expected):
        yield "has no component as its parent: pass opts=ResourceOptions(parent=self) in its component"


def privileged(resource: Declared, settings: StackSettings) -> Iterator[str]:
    """No container gets more than it needs; a lab's nodes are machines, not services."""
    if resource.type != CONTAINER or (settings.lab and "berth:nodes:Nodes::" in resource.parent):
        return
    if resource.open.get("privileged"):
        yield "is privileged: only a lab's nodes may be; name the capabilities it needs instead"
    elif (resource.open.get("capabilities") or {}).get("drops") != ["ALL"]:
        yield "keeps capabilities that it may not need: drop ALL and add the ones it needs"


def confined(resource: Declared, settings: StackSettings) -> Iterator[str]:
    """A service's container cannot gain privileges, write to its root or exhaust the node's memory."""
    labels = resource.open.get("labels") or []
    if resource.type != CONTAINER or not any(one.get("label") == SERVICE_LABEL for one in labels):
        return
    missing = [
        what
        for what, there in (
            ("no-new-privileges", "no-new-privileges" in (resource.open.get("securityOpts") or [])),
            ("a read-only root", resource.open.get("readOnly") is True),
            ("a memory limit", bool(resource.open.get("memory"))),
        )
        if not there
    ]
    if missing:
        yield f"is without {', '.join(missing)}: give it the options of components.lib.service.Confinement"


def latest(resource: Declared, settings: StackSettings) -> Iterator[str]:
    """An image has a version or a digest."""
    image = resource.open.get("image") if resource.type == CONTAINER else None
    if isinstance(image, str) and "@sha256:" not in image:
        tag = image.rpartition("/")[2].partition(":")[2]
        if tag in ("", "latest"):
            yield f"runs {image}, which is another image tomorrow: name a version or a digest"


def host_key(resource: Declared, settings: StackSettings) -> Iterator[str]:
    """Every remote command pins the machine's host key."""
    if resource.type != REMOTE_COMMAND:
        return
    connection = resource.open.get("connection")
    if isinstance(connection, Mapping) and not connection.get("hostKey"):
        yield "has no pinned host key: take its connection from components.lib.host_files.SshEndpoint"


def plain_http(resource: Declared, settings: StackSettings) -> Iterator[str]:
    """Everything served beyond loopback uses TLS."""
    if resource.type == MINIO_PROVIDER and resource.open.get("minioSsl") not in (True, "true"):
        yield "speaks to MinIO without TLS: set minio_ssl"
    for path, body in _files(resource):
        if path.endswith("nginx.conf"):
            http = body[body.find("\nhttp {") :] if "\nhttp {" in body else body
            for address in re.findall(r"^\s*listen ([^;]+);", http, re.MULTILINE):
                if not _is_local(address.split()[0]) and "ssl" not in address.split()[1:]:
                    yield f"{path} listens on {address} without TLS: add ssl"
        local = _local_upstreams(body)
        for host in re.findall(r"http://([^/\s\"';]+)", body) if path.startswith("/etc/berth/") else ():
            if host not in local and not _is_local(host):
                yield f"{path} names http://{host}: use https"
        http_of_registry = _registry_http(path, body)
        if http_of_registry is not None and not (http_of_registry.get("tls") or {}).get("certificate"):
            yield f"{path} serves without TLS: give http.tls a certificate"


def anonymous_push(resource: Declared, settings: StackSettings) -> Iterator[str]:
    """Writes need a password at the balancer, and a balancer's client certificate at the registries."""
    files = dict(_files(resource))
    for path, body in files.items():
        if path.endswith("/load-balancer/nginx.conf"):
            for block in _servers(body, f"listen {settings.registry.port} "):
                if "auth_request" not in block:
                    yield f"{path} asks nobody at port {settings.registry.port} for a password: add auth_request"
        document = _registry_http(path, body)
        if document is not None and not _is_read_only(body) and not _only_balancers(path, document, files):
            yield f"{path} takes writes from others than the balancers: clientcas must name {naming.CLIENT_CA} alone"


def _urn(resource: Declared) -> str:
    return f"::{resource.type}::{resource.name}"


def _files(resource: Declared) -> Iterator[tuple[str, str]]:
    text = resource.open.get("stdin")
    if isinstance(text, str) and parse.is_bundle(text):
        for entry in parse.parse(text).entries.values():
            if entry.kind == "file":
                yield entry.path, entry.body


def _is_local(address: str) -> bool:
    host = address.rsplit(":", 1)[0]
    return host in ("127.0.0.1", "localhost") or address.startswith("unix:")


def _local_upstreams(body: str) -> set[str]:
    """nginx's names for what listens on sockets of the machine itself."""
    blocks = re.findall(r"^\s*upstream (\S+) \{([^}]*)\}", body, re.MULTILINE)
    return {name for name, block in blocks if set(re.findall(r"server (\w+):", block)) == {"unix"}}


def _registry_http(path: str, body: str) -> dict[str, Any] | None:
    """The `http` section of a registry's configuration, if the file is one."""
    if not path.endswith("/config.yml"):
        return None
    document = _document(body)
    return document.get("http") or {} if "storage" in document else None


def _only_balancers(path: str, http: Mapping[str, Any], files: Mapping[str, str]) -> bool:
    """Whether a registry accepts clients of the balancers' CA and no others: not those of the stack's CA, either."""
    folder = path.rpartition("/")[0]
    trusted = f"{folder}/{naming.CLIENT_CA}"
    same_as_the_stacks = files.get(trusted) == files.get(f"{folder}/ca.crt")
    return (http.get("tls") or {}).get("clientcas") == [trusted] and not same_as_the_stacks


def _is_read_only(body: str) -> bool:
    storage = _document(body)["storage"]
    return bool(((storage.get("maintenance") or {}).get("readonly") or {}).get("enabled"))


@cache
def _document(body: str) -> dict[str, Any]:
    found = yaml.load(body, Loader=_Loader)
    return found if isinstance(found, dict) else {}


def _servers(body: str, listens: str) -> Iterator[str]:
    """The server blocks that listen so."""
    for block in re.split(r"^    server \{$", body, flags=re.MULTILINE)[1:]:
        text = block.split("\n    }\n", 1)[0]
        if listens in text:
            yield text
