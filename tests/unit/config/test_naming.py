"""Names that Berth decides: two stacks on one machine never meet, and everything stays below its own directory."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from config import naming, paths
from config.paths import ROOT


def test_two_stacks_on_one_deploy_host_share_no_name() -> None:
    for decide in (naming.lab_network, naming.seed_container, paths.stack_directory, naming.hosts_marker):
        assert decide("dev") != decide("test"), decide.__name__
    assert naming.lab_container("dev", "node1") != naming.lab_container("test", "node1")
    assert naming.lab_volume("dev", "node1", "docker") != naming.lab_volume("test", "node1", "docker")


def test_lab_nodes_are_found_by_their_labels() -> None:
    assert naming.labels("dev", "node1") == {"berth.stack": "dev", "berth.node": "node1"}
    assert naming.labels("dev") == {"berth.stack": "dev"}


def test_gateway_and_seed_registry_have_the_first_two_addresses_of_a_lab() -> None:
    subnet = IPv4Network("10.77.0.0/24")
    assert (naming.lab_gateway(subnet), naming.seed_address(subnet)) == ("10.77.0.1", "10.77.0.2")


def test_files_on_the_deploy_host_live_below_berth_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BERTH_HOME", str(tmp_path))
    for decide in (paths.ssh_key_file, paths.known_hosts_file, paths.ca_file):
        assert decide("dev").parent == tmp_path / "stacks" / "dev"


def test_without_berth_home_files_stay_in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BERTH_HOME", raising=False)
    assert paths.home() == ROOT / ".berth"


def test_the_ca_goes_where_docker_looks_for_it() -> None:
    name = naming.endpoint("registry.example.com", 4000)
    assert naming.certs_directory(name) == "/etc/docker/certs.d/registry.example.com:4000"
