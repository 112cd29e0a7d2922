"""What is refused about Kolla, at which path, with which words, in the committed stack with three control nodes."""

from __future__ import annotations

from typing import Any

import pytest

from config import stackfile
from config.kolla_release import release
from tests.unit.config.stacks import REMOVED, document

CONTROL = ["control", "network"]
UPSTREAM = {"name": "mirror", "url": "https://mirror.example.com", "prefix": "mirror"}
QUAY = {"name": "quay", "url": "https://quay.io", "prefix": "quay.io"}

REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("a release that nobody knows", {"kolla.release": "wallaby"}, "release", "not one of"),
    ("a service unknown to the release", {"kolla.services.redis": True}, "services.redis", "no service of 2026.1"),
    ("a service that is neither on nor off", {"kolla.services.nova": "on"}, "services.nova", "must be true or false"),
    ("no internal address", {"kolla.internalAddress": REMOVED}, "internalAddress", "is missing"),
    (
        "a node's own address that keepalived is to move",
        {"kolla.internalAddress": "10.78.0.12"},
        "internalAddress",
        "the address of the node control2",
    ),
    (
        "the registry's address",
        {"kolla.internalAddress": "10.78.0.10"},
        "internalAddress",
        "the registry's own address",
    ),
    (
        "an address that nobody has, without haproxy",
        {"kolla.services.haproxy": False},
        "internalAddress",
        "no control node's address",
    ),
    (
        "a node's address for the public API",
        {"kolla.externalAddress": "10.78.0.14"},
        "externalAddress",
        "the address of the node data1",
    ),
    (
        "a cache without saying which",
        {"kolla.images": {"source": "cache"}},
        "images.upstream",
        "is missing: images come through a cache",
    ),
    (
        "a cache that is none",
        {"kolla.images": {"source": "cache", "upstream": "quai"}},
        "images.upstream",
        "no upstream of the registry",
    ),
    (
        "quay.io as what is deployed from",
        {"registry.upstreams": [QUAY], "kolla.images": {"source": "cache", "upstream": "quay"}},
        "images.upstream",
        "for tests only",
    ),
    (
        "an upstream beside built images",
        {"registry.upstreams": [UPSTREAM], "kolla.images": {"upstream": "mirror"}},
        "images.upstream",
        "images are built",
    ),
    ("a group that is none", {"kolla.groups": {"kibana": ["control1"]}}, "groups.kibana", "no group of 2026.1"),
    (
        "a group's member that is nobody",
        {"kolla.groups": {"keystone": ["contro1"]}},
        "groups.keystone[0]",
        "neither a node nor a group",
    ),
    (
        "variables of a node that there is not",
        {"kolla.hostVariables": {"compute1": {"a": 1}}},
        "hostVariables.compute1",
        "no node of this stack",
    ),
    (
        "an insecure registry, which would forget the login",
        {"kolla.globals": {"docker_registry_insecure": True}},
        "globals.docker_registry_insecure",
        "pull without login",
    ),
    (
        "an insecure registry for one node",
        {"kolla.hostVariables": {"control1": {"docker_registry_insecure": "yes"}}},
        "hostVariables.control1.docker_registry_insecure",
        "pull without login",
    ),
    (
        "another registry",
        {"kolla.globals": {"docker_registry": "quay.io"}},
        "globals.docker_registry",
        "always this stack's own",
    ),
    (
        "a second owner of daemon.json",
        {"kolla.globals": {"docker_custom_config": {}}},
        "globals.docker_custom_config",
        "Berth owns daemon.json",
    ),
    (
        "a service among the globals",
        {"kolla.globals": {"enable_horizon": True}},
        "globals.enable_horizon",
        "has its own setting",
    ),
    (
        "a global with a wrong type",
        {"kolla.globals": {"haproxy_max_connections": "many"}},
        "globals.haproxy_max_connections",
        "must be a whole number",
    ),
    (
        "a node's variable with a wrong type",
        {"kolla.hostVariables": {"control1": {"kolla_dev_mode": 3}}},
        "hostVariables.control1.kolla_dev_mode",
        "must be true or false",
    ),
    ("overrides outside of the checkout", {"kolla.overrides": "/etc/kolla"}, "overrides", "not a folder"),
    ("an interface that can't be one", {"kolla.interface": "eth0; reboot"}, "interface", "not the name of an"),
]


@pytest.mark.parametrize(("sentence", "changes", "place", "words"), REFUSED, ids=[case[0] for case in REFUSED])
def test_refused_with_one_problem_that_says_where(
    sentence: str, changes: dict[str, Any], place: str, words: str
) -> None:
    (problem,) = stackfile.check("kolla", document("kolla", changes))
    assert problem.path == f"berth:kolla.{place}"
    assert words in problem.wrong and problem.fix


def test_a_role_without_nodes_is_refused_once_something_runs_there() -> None:
    def wrong(**changes: Any) -> list[str]:
        return [problem.wrong for problem in stackfile.check("kolla", document("kolla", changes))]

    nobody = {f"nodes[{index}].roles": ["object-store", "control", "registry", "load-balancer"] for index in (0, 1)}
    assert wrong(**nobody, **{"nodes[2].roles": ["object-store", "control"]}) == [
        "has none with the role network, and Kolla needs it."
    ]
    assert wrong(**{"kolla.services.nova": True}) == ["has none with the role compute, and nova runs there."]
    assert wrong(**{"kolla.services.openstack_core": True}) == ["has none with the role compute, and nova runs there."]
    assert wrong(**{"kolla.services.grafana": True}) == ["has none with the role monitoring, and grafana runs there."]


@pytest.mark.parametrize("system", ["flatcar", "coreos"])
def test_a_system_that_kolla_cannot_deploy_to_is_refused_for_its_roles(system: str) -> None:
    plain = {"operatingSystem": system, "sshKeys": ["ssh-ed25519 " + KEY]}
    (problem,) = stackfile.check("kolla", document("kolla", {"nodes[1].config": plain}))
    assert problem.path == "berth:nodes[1].roles" and f"runs {system}" in problem.wrong
    assert stackfile.check("kolla", document("kolla", {"nodes[3].config": plain})) == []


KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIBkaoheYG/vv93tZ242H7dHWU2RWJCfB8xDJrNXcNm0s"


@pytest.mark.parametrize(
    "changes",
    [
        {"kolla.services": {"openstack_core": False, "haproxy": False}, "kolla.internalAddress": "10.78.0.12"},
        {"registry.upstreams": [UPSTREAM], "kolla.images": {"source": "cache", "upstream": "mirror"}},
        {"kolla.globals": {"haproxy_max_connections": "{{ 4 * 1000 }}", "keystone_admin_project": "admin"}},
        {"kolla.globals": {"kolla_dev_mode": "no", "haproxy_max_connections": "4000"}},
        {"kolla.groups": {"keystone": ["control1", "network"]}, "kolla.groupVariables": {"control": {"a": [1]}}},
        {"kolla.enabled": False, "kolla.services": {"nonsense": True}},
    ],
)
def test_accepted(changes: dict[str, Any]) -> None:
    assert stackfile.check("kolla", document("kolla", changes)) == []


def test_an_etcd_of_ones_own_is_refused_beside_kollas() -> None:
    changes = {"nodes[3].roles": ["object-store", "etcd"]}
    (problem,) = stackfile.check("kolla", document("kolla", changes))
    assert "Kolla runs its own etcd" in problem.wrong


def test_a_release_knows_its_services_groups_and_types() -> None:
    known = release("2026.1")
    assert {"keystone", "nova", "haproxy"} <= known.services and {"loadbalancer", "tls-backend"} <= known.groups
    assert known.expected_type("kolla_dev_mode", 3) == "true or false"
    assert known.expected_type("a_variable_of_ones_own", object()) is None
