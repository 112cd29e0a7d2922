"""The NAT network of a stack: its range, no DHCP, and exactly the forwarded ports that the settings ask for."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from components.nodes.vboxmanage.programs import ask, change, need_virtualbox
from operations.errors import BerthError


@dataclass(frozen=True)
class Network:
    """What is wanted."""

    name: str
    subnet: str
    loopback: str
    """The deploy host as the machines see it, in VBoxManage's words."""
    forwards: Sequence[str]
    """The rules by which the deploy host gets into the network, in VBoxManage's words."""


def apply(network: Network) -> None:
    """Make or change it, while machines run on it."""
    need_virtualbox()
    known = _described(network)
    options = ("--network", network.subnet, "--enable", "--dhcp", "off")
    if not known:
        _natnetwork("add", network, *options)
    elif not (_says(known, "Network", network.subnet) and _says(known, "DHCP Server", "No")):
        _natnetwork("modify", network, *options)
    known = _described(network)
    # A new network has this one already.
    if network.loopback not in map(str.strip, known.splitlines()):
        _natnetwork("modify", network, "--loopback-4", network.loopback)
    there = re.findall(r"^\s*(\S+:tcp:\[.*\]:\d+:\[.*\]:\d+)$", known, re.MULTILINE)
    for rule in there:
        if rule not in network.forwards:
            _natnetwork("modify", network, "--port-forward-4", "delete", rule.partition(":")[0])
    for rule in network.forwards:
        if rule not in there:
            _need_free_port(rule)
            _natnetwork("modify", network, "--port-forward-4", rule)
    print(_described(network))


def remove(network: Network) -> None:
    """Take it away, if it is there."""
    need_virtualbox()
    if _described(network):
        _natnetwork("remove", network)


def _natnetwork(verb: str, network: Network, *options: str) -> None:
    change("natnetwork", verb, "--netname", network.name, *options)


def _described(network: Network) -> str:
    """VirtualBox's own lines on it; nothing where there is no such network."""
    parts = re.split(r"^(?=Name: )", ask("VBoxManage", "natnetwork", "list"), flags=re.MULTILINE)
    return next((part for part in parts if _says(part, "Name", network.name)), "")


def _says(text: str, key: str, value: str) -> bool:
    return re.search(rf"^{key}: *{re.escape(value)}$", text, re.MULTILINE) is not None


def _need_free_port(rule: str) -> None:
    """VirtualBox takes a rule for a port that somebody else listens on, and says nothing."""
    name, address, port = re.findall(r"^([^:]*):tcp:\[(.*?)\]:(\d+):", rule)[0]
    with socket.socket() as probe:
        # What has just been closed is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, int(port)))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                taken = f"port {port} of this machine, which is to be forwarded ({name}), is taken by another program"
                raise BerthError(taken) from None
