"""The NAT network and its forwarded ports, with a VBoxManage that is a fake."""

from __future__ import annotations

import socket

from components.nodes.vboxmanage.network import Network
from tests.virtualbox.conftest import VirtualBox

SSH = "ssh-node1:tcp:[127.0.0.1]:42011:[10.78.0.11]:22"
REGISTRY = "registry:tcp:[127.0.0.1]:44000:[10.78.0.10]:4000"


def wanted(*rules: str) -> Network:
    return Network("berth-t", "10.78.0.0/24", "127.0.0.1=2", rules)


def apply(virtualbox: VirtualBox, *rules: str) -> list[str]:
    """What was changed for these rules."""
    virtualbox.forget()
    done = virtualbox.run("apply", wanted(*rules))
    assert done.returncode == 0, done.stderr
    return virtualbox.commands


def test_a_network_has_no_dhcp_and_the_ports_that_were_asked_for(virtualbox: VirtualBox) -> None:
    assert apply(virtualbox, SSH, REGISTRY) == [
        "natnetwork add --netname berth-t --network 10.78.0.0/24 --enable --dhcp off",
        f"natnetwork modify --netname berth-t --port-forward-4 {SSH}",
        f"natnetwork modify --netname berth-t --port-forward-4 {REGISTRY}",
    ]
    assert apply(virtualbox, SSH, REGISTRY) == []


def test_a_changed_rule_is_taken_out_before_its_successor_comes(virtualbox: VirtualBox) -> None:
    apply(virtualbox, SSH, REGISTRY)
    moved = SSH.replace("42011", "42019")
    assert apply(virtualbox, moved, REGISTRY) == [
        "natnetwork modify --netname berth-t --port-forward-4 delete ssh-node1",
        f"natnetwork modify --netname berth-t --port-forward-4 {moved}",
    ]


def test_a_port_that_another_program_listens_on_is_refused(virtualbox: VirtualBox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = virtualbox.run("apply", wanted(SSH.replace("42011", str(port))))
    assert done.returncode == 1
    assert f"port {port} of this machine, which is to be forwarded (ssh-node1), is taken" in done.stderr


def test_a_network_is_taken_away_once(virtualbox: VirtualBox) -> None:
    apply(virtualbox, SSH)
    for _ in range(2):
        assert virtualbox.run("remove", wanted(SSH)).returncode == 0
    assert virtualbox.commands[-1] == "natnetwork remove --netname berth-t"
    assert virtualbox.state["networks"] == {}
