"""Who a node's table lets in: whole tables compared, and each kind of node and deploy host."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from components.firewall.render import Rules, entries, plain, rules_of, table
from components.lib.host_files.bundle import render as bundle
from components.load_balancer import render as balancer
from config import naming, stackfile
from config.model.stack import Settings
from config.paths import ROOT
from tests.golden import assert_golden


def settings(stack: str = "prod", **changes: Any) -> Settings:
    document = stackfile.read(ROOT / f"Pulumi.{stack}.yaml")
    document["config"].update({f"berth:{key}": value for key, value in changes.items()})
    return stackfile.parse(stack, document)


def rules(node: str, stack: str = "prod", **changes: Any) -> Rules | None:
    known = settings(stack, **changes)
    return rules_of(known, next(one for one in known.nodes if one.name == node))


def sources(node: str, chain: str, stack: str = "prod", **changes: Any) -> list[str]:
    found = rules(node, stack, **changes)
    assert found is not None
    return next(list(one.sources) for one in found.chains if one.name == chain)


@pytest.mark.parametrize(
    ("node", "name"), [("berth1", "balancer"), ("berth3", "registry-and-store"), ("berth4", "store")]
)
def test_a_nodes_table_is_the_one_that_was_read_by_a_person(node: str, name: str) -> None:
    found = rules(node)
    assert found is not None
    assert_golden(f"firewall-{name}.nft", table(found))


def test_a_whole_nodes_bundle_is_the_one_that_was_read_by_a_person() -> None:
    found = rules("node1", "dev", objectStore={"allow": ["10.1.0.0/16", "10.77.0.200"]})
    assert found is not None
    assert_golden("firewall.bundle", bundle(entries(found)))


def test_nodes_without_services_or_with_another_firewall_have_no_table() -> None:
    assert rules("berth1", firewall="external") is None
    known = settings("dev")
    idle = known.nodes[3].model_copy(update={"roles": ("swarm-manager", "etcd")})
    assert rules_of(known, idle) is None


def test_the_store_lets_in_who_talks_to_it_and_nobody_else() -> None:
    found = sources("berth4", "object-store")
    assert found == [f"192.0.2.{number}" for number in (11, 12, 13, 14, 15, 16, 20)]
    assert "192.0.2.10" not in found, "the deploy host has the balancers for that"


def test_a_replica_lets_in_the_balancers_and_nobody_else() -> None:
    assert sources("berth3", "behind-balancer") == ["192.0.2.11", "192.0.2.12", "192.0.2.20"]


def test_caches_are_on_two_nodes_only_and_so_are_their_ports() -> None:
    third = [*stackfile.read(ROOT / "Pulumi.prod.yaml")["config"]["berth:nodes"]]
    third[3] = {**third[3], "roles": ["registry"]}
    third.append({**third[4], "name": "berth7", "address": "192.0.2.17", "roles": ["object-store"]})
    third[6]["ssh"] = {**third[6]["ssh"], "hostKey": HOST_KEY}
    for node, ports in (("berth3", [4010, 4020, 4021]), ("berth4", [4010])):
        found = rules(node, nodes=third)
        assert found is not None
        assert next(list(one.ports) for one in found.chains if one.name == "behind-balancer") == ports


HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAH example"


@pytest.mark.parametrize(
    ("stack", "node", "hosts"),
    [
        ("dev", "node1", {"10.77.0.1", "10.77.0.2"}),
        ("staging", "node1", {"10.78.0.1", "10.78.0.2"}),
        ("prod", "berth1", {"192.0.2.10"}),
    ],
)
def test_the_endpoint_lets_in_nodes_and_deploy_host_and_who_is_named(stack: str, node: str, hosts: set[str]) -> None:
    own = {one.address for one in settings(stack).nodes} | {settings(stack).load_balancer.address}
    assert set(sources(node, "store-endpoint", stack)) == own | hosts
    more = sources(node, "store-endpoint", stack, objectStore={"allow": ["10.1.0.0/16"]})
    assert set(more) == own | hosts | {"10.1.0.0/16"}


def test_who_is_named_by_hand_goes_at_once_when_the_name_goes() -> None:
    found = rules("berth1", objectStore={"allow": ["198.51.100.7"]})
    assert found is not None and "198.51.100.7" not in found.peers and "192.0.2.16" in found.peers


def test_overlapping_sources_are_written_once() -> None:
    assert plain(["10.1.2.3", "10.1.0.0/16", "10.1.2.0/24", "10.0.0.9", "10.1.2.3"]) == ["10.0.0.9", "10.1.0.0/16"]


def test_all_clients_together_leave_room_in_each_of_nginxs_workers() -> None:
    text = (Path(balancer.__file__).parent / "templates" / "nginx.conf.j2").read_text(encoding="utf-8")
    connections = int(re.findall(r"worker_connections (\d+);", text)[0])
    assert connections - 100 >= 2 * naming.FRONT_CONNECTIONS
    # Whoever asks too much is told so with 429 before he gets no answer at all.
    asked = int(re.findall(r"limit_conn addresses (\d+);", text)[0])
    assert settings().load_balancer.connections_per_address > asked
