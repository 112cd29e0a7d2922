"""Each rule about the whole program: it lets the right pass, and names what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from components.lib.host_files.bundle import File, render
from config import stackfile
from config.model.stack import StackSettings
from operations.preview import policies
from operations.preview.plan import Resource
from tests.program.recorder import ROOT

STACK = "urn:pulumi:x::berth::pulumi:pulumi:Stack::berth-x"
PARENT = "urn:pulumi:x::berth::berth:registry:Registry::registry"
CONTAINER = "docker:index/container:Container"
COMMAND = "command:remote:Command"
CONFINED: dict[str, Any] = {"securityOpts": ["no-new-privileges"], "readOnly": True, "memory": 512}
SERVICE = [{"label": "berth.service", "value": "registry"}]
SAFE: dict[str, Any] = {"image": "r/registry:v3", "capabilities": {"drops": ["ALL"]}, **CONFINED}
NGINX = (ROOT / "tests/golden/nginx.conf").read_text()
REGISTRY = (ROOT / "tests/golden/registry-config.yml").read_text()
NGINX_PATH = "/etc/berth/load-balancer/nginx.conf"
REGISTRY_PATH = "/etc/berth/registry/config.yml"


def settings(stack: str = "prod", roles: tuple[str, ...] = ()) -> StackSettings:
    document = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())
    found = stackfile.parse(stack, document)
    nodes = tuple(node.model_copy(update={"roles": (*node.roles, *roles)}) for node in found.nodes)
    return found.model_copy(update={"nodes": nodes})


def resource(type_: str = CONTAINER, parent: str = PARENT, name: str = "it", **inputs: Any) -> Resource:
    return Resource(f"urn:pulumi:x::berth::berth:registry:Registry${type_}::{name}", inputs or SAFE, parent)


def files(path: str, body: str, client_ca: str = "BALANCERS") -> Resource:
    folder = path.rpartition("/")[0]
    beside = [File(f"{folder}/ca.crt", "STACK"), File(f"{folder}/balancers.crt", client_ca)]
    return resource(COMMAND, stdin=render([File(path, body), *beside]), connection={"hostKey": "k"})


def broken(*resources: Resource, stack: str = "prod", roles: tuple[str, ...] = ()) -> list[str]:
    return [f"{found.rule} {found.resource}" for found in policies.violations(resources, settings(stack, roles))]


GOOD = [
    resource(),
    resource(**SAFE, labels=SERVICE),
    resource("pulumi:providers:minio", minioSsl="true"),
    resource("berth:registry:Registry", STACK),
    files(NGINX_PATH, NGINX),
    files(REGISTRY_PATH, REGISTRY),
    resource(image="10.0.0.2:4999/berth/registry@sha256:abc", capabilities={"drops": ["ALL"], "adds": ["CAP_CHOWN"]}),
]
BAD = {
    "parent it": [resource(parent=""), resource(parent=STACK), resource("berth:registry:Registry", PARENT)],
    "privileged it": [
        resource(**SAFE, privileged=True),
        resource(image="r/a:1"),
        resource(**{**SAFE, "capabilities": {}}),
    ],
    "confined it": [
        *(resource(**{**SAFE, name: None}, labels=SERVICE) for name in CONFINED),
        resource(**{**SAFE, "securityOpts": ["seccomp=unconfined"]}, labels=SERVICE),
    ],
    "latest it": [resource(**{**SAFE, "image": image}) for image in ("r/a:latest", "r/a", "10.0.0.2:4999/a")],
    "host-key it": [
        resource(COMMAND, connection={"host": "h", "hostKey": ""}),
        resource(COMMAND, connection={"host": "h"}),
    ],
    "plain-http it": [
        resource("pulumi:providers:minio", minioServer="a:1"),
        files(NGINX_PATH, NGINX.replace("listen 4000 ssl;", "listen 4000;")),
        files(NGINX_PATH, NGINX.replace("listen 4001 ssl;", "listen 192.0.2.1:4001;")),
        files(REGISTRY_PATH, REGISTRY.replace("https://192.0.2.10", "http://192.0.2.10")),
        files(REGISTRY_PATH, REGISTRY.replace("    certificate: ", "    other: ")),
    ],
    "anonymous-push it": [
        files(NGINX_PATH, NGINX.replace("auth_request /password;", "")),
        files(REGISTRY_PATH, REGISTRY.replace("clientcas", "others")),
        files(REGISTRY_PATH, REGISTRY.replace("/balancers.crt", "/ca.crt")),
        files(REGISTRY_PATH, REGISTRY, client_ca="STACK"),
    ],
}


def test_what_is_right_breaks_no_rule() -> None:
    assert broken(*GOOD) == []


@pytest.mark.parametrize(("name", "one"), [(name, one) for name, many in BAD.items() for one in many])
def test_each_rule_fires_alone_and_names_the_resource(name: str, one: Resource) -> None:
    assert broken(*GOOD, one) == [name]


def test_only_a_labs_nodes_may_have_more_than_they_need() -> None:
    machine = resource(
        parent="urn:pulumi:x::berth::berth:nodes:Nodes::nodes", image="berth/lab-node:1", privileged=True
    )
    assert broken(machine, stack="dev") == []
    assert broken(machine) == ["privileged it"]


def test_a_violation_says_what_to_do() -> None:
    for many in BAD.values():
        for found in policies.violations(many, settings()):
            assert ":" in found.text, found
