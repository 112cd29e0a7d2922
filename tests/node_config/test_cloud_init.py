"""A lab node that cloud-init has set up from a NoCloud seed is what the settings say."""

from __future__ import annotations

import yaml

from components.node_config.cloud_init import user_data
from components.node_config.machine import Machine
from components.node_config.pieces import files, units
from tests.front.certificates import Authority
from tests.node_config.conftest import Box
from tests.unit.components.node_stack import HASH, KEY


def test_cloud_init_ends_without_error_or_warning(box: Box) -> None:
    status = box.run("cloud-init", "status", "--long").stdout
    assert "status: done" in status and "errors: []" in status, status
    assert "recoverable_errors: {}" in status, status


def test_every_file_and_unit_is_there_with_its_owner_and_mode(box: Box, machine: Machine) -> None:
    for file in [*files(machine), *(file for unit in units(machine) for file in unit.files())]:
        assert box.out("cat", file.path) == file.content
        assert box.out("stat", "-c", "%U:%G 0%a", file.path).split() == [file.owner, file.mode], file.path


def test_the_accounts_are_there_with_groups_hash_keys_and_rights(box: Box) -> None:
    assert set(box.out("id", "-nG", "usera").split()) == {"usera", "sudo", "docker"}
    assert box.out("getent", "shadow", "usera").split(":")[1] == HASH
    assert box.out("getent", "shadow", "userb").split(":")[1].startswith("!"), "no password opens it"
    assert KEY in box.out("cat", "/home/userb/.ssh/authorized_keys")
    assert KEY in box.out("cat", "/home/debian/.ssh/authorized_keys"), "the system's own account"
    assert box.out("su", "usera", "-c", "sudo -n id -u").strip() == "0"
    assert box.run("su", "userb", "-c", "sudo -n id -u").returncode != 0


def test_name_zone_and_time_servers_are_the_nodes(box: Box) -> None:
    assert box.out("hostname").strip() == "coreos1"
    assert box.out("readlink", "-f", "/etc/localtime").strip() == "/usr/share/zoneinfo/Europe/Berlin"
    servers = [line for line in box.out("cat", "/etc/chrony/chrony.conf").splitlines() if line.startswith("server ")]
    assert servers == ["server time.example.com iburst", "server 192.0.2.3 iburst"]


def test_the_units_are_in_force(box: Box) -> None:
    assert box.out("systemctl", "is-enabled", "scrub.timer", "docker-tcp.socket").split() == ["enabled"] * 2
    active = ("scrub.timer", "docker-tcp.socket", "docker.service", "docker.socket")
    assert box.out("systemctl", "is-active", *active).split() == ["active"] * 4
    assert "LimitCORE=0" in box.out("systemctl", "show", "docker.service", "--property=LimitCORE")


def test_dockers_port_asks_for_a_clients_certificate(box: Box, authority: Authority) -> None:
    client = authority.issue("client", client=True)
    box.put("/root/cert.pem", client.certificate)
    box.put("/root/key.pem", client.key)
    docker = ("docker", "-H", "tcp://127.0.0.1:2376")
    server = ("--tls", "--tlscacert=/etc/docker/tls/ca.pem")
    assert "HTTP request to an HTTPS server" in box.run(*docker, "version").stderr
    assert box.run(*docker, *server, "version").returncode != 0, "without a certificate nobody gets in"
    box.out(*docker, *server, "--tlsverify", "--tlscert=/root/cert.pem", "--tlskey=/root/key.pem", "version")
    box.out("docker", "version")


def test_the_daemon_has_the_proxies_and_options(box: Box) -> None:
    assert box.out("docker", "info", "--format", "{{.HTTPSProxy}}").strip() == "http://proxy.example.com:3128"
    assert "--max-concurrent-downloads=2" in box.out("sh", "-c", "tr '\\0' ' ' </proc/$(pidof dockerd)/cmdline")


def test_netplan_made_the_interface_and_the_vlan(box: Box, machine: Machine) -> None:
    made = yaml.safe_load(box.out("sh", "-c", "cat /etc/netplan/*.yaml"))["network"]
    assert made["ethernets"]["eth0"]["addresses"] == ["192.0.2.11/24"]
    assert made["ethernets"]["eth0"]["mtu"] == 9000
    device = box.out("sh", "-c", "cat /run/systemd/network/*storage.netdev")
    assert "Kind=vlan" in device and "Id=4094" in device
    network = box.out("sh", "-c", "cat /run/systemd/network/*storage.network")
    assert "Address=198.51.100.11/26" in network


def test_aliases_work_in_a_login_shell(box: Box) -> None:
    assert "CONTAINER ID" in box.out("bash", "-lc", "dps")


def test_the_seed_with_its_secrets_is_roots_alone(box: Box, machine: Machine) -> None:
    assert HASH in user_data(machine)
    kept = box.out("sh", "-c", f"grep -rlF -- '{HASH}' /var/lib/cloud/instances /var/log /run/cloud-init || true")
    for path in kept.split():
        assert box.run("su", "userb", "-s", "/bin/sh", "-c", f"cat {path}").returncode != 0, path
