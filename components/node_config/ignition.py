"""A node's configuration as Ignition reads it on Flatcar; a pure function."""

from __future__ import annotations

import json
import re
from typing import Any

from components.node_config.machine import Machine
from components.node_config.pieces import File, Unit, files, units

# The first one that every Flatcar with Ignition 2 takes.
SPEC = "3.3.0"
# What may not stand in a data URL as it is (RFC 2397 and 3986); a person can read most of the rest.
_ESCAPED = re.compile(rb"[^A-Za-z0-9_.~/:=,;@!$&'()*+?-]")


def ignition(machine: Machine) -> str:
    """The Ignition configuration of a Flatcar node."""
    config = machine.config
    users: list[dict[str, Any]] = [
        {
            "name": user.name,
            "passwordHash": machine.password(user),
            "groups": [*user.groups],
            "sshAuthorizedKeys": [*user.ssh_keys],
            "shell": user.shell,
        }
        for user in config.users
    ]
    if config.ssh_keys:
        users.insert(0, {"name": "core", "sshAuthorizedKeys": [*config.ssh_keys]})
    every = units(machine)
    networks = [file for unit in every if unit.of_networkd for file in unit.files()]
    written = [File("/etc/hostname", f"{machine.name}\n"), *files(machine), *networks]
    document = {
        "ignition": {"version": SPEC},
        "passwd": {"users": [{key: value for key, value in user.items() if value} for user in users]},
        "storage": {"files": [_file(file) for file in written]},
        "systemd": {"units": [_unit(unit) for unit in every if not unit.of_networkd]},
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _file(file: File) -> dict[str, Any]:
    user, _, group = file.owner.partition(":")
    return {
        "path": file.path,
        "user": {"name": user},
        "group": {"name": group},
        "mode": int(file.mode, 8),
        "overwrite": True,
        "contents": {"source": f"data:,{_ESCAPED.sub(_escape, file.content.encode()).decode()}"},
    }


def _escape(found: re.Match[bytes]) -> bytes:
    return b"%%%02X" % found[0][0]


def _unit(unit: Unit) -> dict[str, Any]:
    found: dict[str, Any] = {"name": unit.name}
    # There is no "start": what is enabled starts with the first boot.
    if unit.enable or unit.start:
        found["enabled"] = True
    if unit.content is not None:
        found["contents"] = unit.content
    if unit.drop_ins:
        found["dropins"] = [{"name": name, "contents": text} for name, text in unit.drop_ins]
    return found
