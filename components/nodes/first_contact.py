"""What a machine must be told to be reached, added to its configuration; pure functions."""

from __future__ import annotations

from dataclasses import dataclass, replace

from components.node_config import Machine, Secrets, cloud_config, ignition
from config import NodeConfig
from config.node_config import FileSettings, InterfaceSettings

HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"


@dataclass(frozen=True)
class FirstContact:
    """A machine's place on a network without DHCP, and the keys by which both sides know each other."""

    address: str
    """With the length of its network's prefix."""
    gateway: str
    mac: str
    """As VirtualBox writes it: twelve hex digits."""
    host_key: str
    """Private: the machine shows it from its first start, so that it is pinned from the first contact."""
    host_key_public: str
    authorized_key: str


def live(name: str, contact: FirstContact) -> str:
    """What the live system reads from its configuration drive: CoreOS's and Flatcar's both know `#cloud-config`."""
    bare = NodeConfig.model_validate({"operatingSystem": "flatcar"})
    address = contact.address.partition("/")[0]
    return cloud_config(_reachable(Machine(name, address, bare, (), {}, Secrets()), contact))


def installed(machine: Machine, contact: FirstContact) -> str:
    """What the machine is installed with."""
    render = cloud_config if machine.system == "coreos" else ignition
    return render(_reachable(machine, contact))


def _reachable(machine: Machine, contact: FirstContact) -> Machine:
    """The settings' own network stays as it is; where they name none, the machine's one card has its address."""
    mac = ":".join(contact.mac[at : at + 2] for at in range(0, 12, 2)).lower()
    card = {"mac": mac, "addresses": [contact.address], "gateway": contact.gateway, "dns": [contact.gateway]}
    own = machine.config
    files = [
        # Not judged as settings are, in which no private key may stand.
        FileSettings.model_construct(path=HOST_KEY, content=contact.host_key, mode="0600"),
        FileSettings.model_construct(path=f"{HOST_KEY}.pub", content=contact.host_key_public),
    ]
    changed = {
        "ssh_keys": (*own.ssh_keys, contact.authorized_key.strip()),
        "interfaces": own.interfaces or (InterfaceSettings.model_validate(card),),
        "files": (*own.files, *files),
    }
    return replace(machine, config=own.model_copy(update=changed))
