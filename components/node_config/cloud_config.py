"""A node's configuration as CoreOS's coreos-cloudinit reads it; a pure function."""

from __future__ import annotations

from typing import Any

from components.node_config.machine import Machine
from components.node_config.pieces import Unit, etcd, files, flannel, fleet, units
from components.node_config.text import yaml_text


def cloud_config(machine: Machine) -> str:
    """The #cloud-config of a CoreOS node."""
    config = machine.config
    users = [
        {
            "name": user.name,
            "passwd": machine.password(user),
            "groups": [*user.groups],
            "ssh_authorized_keys": [*user.ssh_keys],
            "shell": user.shell,
        }
        for user in config.users
    ]
    written = [
        {"path": file.path, "owner": file.owner, "permissions": file.mode, "content": file.content}
        for file in files(machine)
    ]
    coreos = {
        "etcd2": _etcd2(machine) if config.etcd_version == 2 else {},
        "fleet": fleet(machine),
        "flannel": {name.replace("-", "_"): value for name, value in flannel(machine).items()},
        "units": [_unit(unit) for unit in units(machine)],
    }
    document = {
        "hostname": machine.name,
        "ssh_authorized_keys": [*config.ssh_keys],
        "users": [_without_nothing(user) for user in users],
        "coreos": _without_nothing(coreos),
        "write_files": written,
    }
    return "#cloud-config\n" + yaml_text(_without_nothing(document))


def _etcd2(machine: Machine) -> dict[str, str | bool]:
    return {name: True if value == "true" else value for name, value in etcd(machine).items()}


def _unit(unit: Unit) -> dict[str, Any]:
    return _without_nothing(
        {
            "name": unit.name,
            # networkd's are written anew at every boot, before what was there is read.
            "runtime": unit.of_networkd,
            "command": "start" if unit.start else None,
            "enable": unit.enable,
            "content": unit.content,
            "drop-ins": [{"name": name, "content": text} for name, text in unit.drop_ins],
        }
    )


def _without_nothing(section: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if value not in (None, False, [], {})}
