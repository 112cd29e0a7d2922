"""A node's configuration as cloud-init reads it on Debian and Ubuntu: the three texts of a NoCloud seed."""

from __future__ import annotations

import hashlib
from typing import Any

from components.node_config import network
from components.node_config.machine import Machine
from components.node_config.pieces import File, Unit, files, units
from components.node_config.text import yaml_text
from config.model.node_os import NodeUser


def user_data(machine: Machine) -> str:
    """The user data of a Debian or Ubuntu node."""
    config, every = machine.config, units(machine)
    written = [*files(machine), *(file for unit in every for file in unit.files())]
    document: dict[str, Any] = {
        "hostname": machine.name,
        "ssh_authorized_keys": [*config.ssh_keys],
        # Berth pins host keys: those that are there stay, missing ones are made.
        "ssh_deletekeys": False,
        "users": ["default", *(_user(machine, user) for user in config.users)] if config.users else [],
        "timezone": config.timezone,
        "ntp": {"enabled": True, "servers": [*config.time_servers]} if config.time_servers else None,
        "package_update": True if config.packages else None,
        "packages": [*config.packages],
        "write_files": [_file(file) for file in written],
        "runcmd": _commands(every),
    }
    return "#cloud-config\n" + yaml_text({key: value for key, value in document.items() if value not in (None, [])})


def network_config(machine: Machine) -> str:
    """The network configuration of a Debian or Ubuntu node; empty where nothing is said about it."""
    return yaml_text(network.network_config(machine.config.interfaces)) if machine.config.interfaces else ""


def meta_data(machine: Machine) -> str:
    """Name and identity: cloud-init sets a node up once for each identity, so another text is another one."""
    digest = hashlib.sha256((user_data(machine) + network_config(machine)).encode()).hexdigest()
    return yaml_text({"instance-id": f"{machine.name}-{digest[:12]}", "local-hostname": machine.name})


def _user(machine: Machine, user: NodeUser) -> dict[str, Any]:
    found = {
        "name": user.name,
        "groups": [*user.groups],
        "shell": user.shell,
        "passwd": machine.password(user),
        # As on CoreOS; and without a password there would be none to type.
        "sudo": "ALL=(ALL) NOPASSWD:ALL" if "sudo" in user.groups else None,
        "ssh_authorized_keys": [*user.ssh_keys],
    }
    return {key: value for key, value in found.items() if value} | {"lock_passwd": user.password == "none"}


def _file(file: File) -> dict[str, Any]:
    found = {"path": file.path, "owner": file.owner, "permissions": file.mode, "content": file.content}
    # Accounts are made after the first files are written.
    return found if file.owner == "root:root" else {**found, "defer": True}


def _commands(every: list[Unit]) -> list[list[str]]:
    """What puts the units in force: a socket cannot be opened while its service is running."""
    systemctl = [unit for unit in every if not unit.of_networkd]
    if not systemctl:
        return []
    enable = [unit.name for unit in systemctl if unit.enable]
    start = [unit.name for unit in systemctl if unit.start]
    docker = any(unit.name == "docker.service" for unit in systemctl) or "docker-tcp.socket" in start
    commands = [["daemon-reload"]]
    commands += [["enable", *enable]] if enable else []
    commands += [["stop", "docker.socket", "docker.service"]] if docker else []
    commands += [["restart", *start]] if start else []
    commands += [["start", "docker.socket", "docker.service"]] if docker else []
    return [["systemctl", *command] for command in commands]
