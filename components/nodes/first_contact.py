"""What a machine must be told to be reached: name, address, keys; a pure rendering for its first start."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import yaml

HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"


@dataclass(frozen=True)
class FirstContact:
    """One machine on a network without DHCP, and the keys by which both sides know each other."""

    name: str
    address: str
    prefix_length: int
    gateway: str
    mac: str
    """As VirtualBox writes it: twelve hex digits."""
    host_key: str
    """Private: the machine shows it from its first start, so that it is pinned from the first contact."""
    host_key_public: str
    authorized_key: str


Configuration = Callable[[FirstContact], str]
"""From there to the text that a machine is installed with: `#cloud-config`, or Ignition's JSON."""


def cloud_config(machine: FirstContact) -> str:
    """The `#cloud-config` of a live system, as CoreOS and Flatcar read it from a configuration drive."""
    mac = ":".join(machine.mac[at : at + 2] for at in range(0, 12, 2)).lower()
    network = f"""[Match]
MACAddress={mac}

[Network]
Address={machine.address}/{machine.prefix_length}
Gateway={machine.gateway}
DNS={machine.gateway}
"""
    document = {
        "hostname": machine.name,
        "ssh_authorized_keys": [machine.authorized_key.strip()],
        "write_files": [
            {"path": HOST_KEY, "permissions": "0600", "owner": "root:root", "content": machine.host_key},
            {
                "path": f"{HOST_KEY}.pub",
                "permissions": "0644",
                "owner": "root:root",
                "content": machine.host_key_public,
            },
        ],
        "coreos": {"units": [{"name": "00-berth.network", "runtime": True, "content": network}]},
    }
    return "#cloud-config\n" + yaml.safe_dump(document, sort_keys=False)
