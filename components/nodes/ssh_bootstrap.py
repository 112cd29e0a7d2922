"""What a machine's configuration needs so that SSH reaches it, added to its configuration; pure functions."""

from __future__ import annotations

from dataclasses import dataclass, replace

from components.node_config.cloud_config import cloud_config
from components.node_config.ignition import ignition
from components.node_config.machine import Machine, Secrets
from config.model.node_os import FileSettings, InterfaceSettings, NodeConfig

HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"
HIDDEN = "(secret)"


@dataclass(frozen=True)
class Nic:
    """A machine's place on a network without DHCP."""

    address: str
    """With the length of its network's prefix."""
    gateway: str
    mac: str
    """As VirtualBox writes it: twelve hex digits."""


@dataclass(frozen=True)
class SshBootstrap:
    """The keys by which a machine and the deploy host know each other, and its one interface where that is known."""

    host_key: str
    """Private: the machine shows it from its first start, so that it is pinned from the first contact."""
    host_key_public: str
    authorized_key: str
    nic: Nic | None = None


def live(name: str, contact: SshBootstrap) -> str:
    """What the live system reads from its configuration drive: CoreOS's and Flatcar's both know `#cloud-config`."""
    bare = NodeConfig.model_validate({"operatingSystem": "flatcar"})
    address = contact.nic.address.partition("/")[0] if contact.nic else ""
    return cloud_config(_reachable(Machine(name, address, bare, (), {}, Secrets()), contact))


def installed(machine: Machine, contact: SshBootstrap) -> str:
    """What the machine is installed with."""
    return rendered(_reachable(machine, contact))


def rendered(machine: Machine) -> str:
    """The configuration in the words of the machine's system."""
    return cloud_config(machine) if machine.system == "coreos" else ignition(machine)


def without_secrets(machine: Machine) -> str:
    """The configuration as the settings have it, for people: every secret and key is left open."""
    config = machine.config
    hidden = Secrets(
        {user.name: HIDDEN for user in config.users},
        {file.secret: f"{HIDDEN}\n" for file in config.files if file.secret},
    )
    return rendered(replace(machine, secrets=hidden))


def _reachable(machine: Machine, contact: SshBootstrap) -> Machine:
    """The settings' own network stays as it is; where they name none, the machine's one interface has its address."""
    own = machine.config
    files = [
        # Not validated as settings are, in which no private key may stand.
        FileSettings.model_construct(path=HOST_KEY, content=contact.host_key, mode="0600"),
        FileSettings.model_construct(path=f"{HOST_KEY}.pub", content=contact.host_key_public),
    ]
    keys = dict.fromkeys((*own.ssh_keys, contact.authorized_key.strip()))
    changed = {
        # A preview does without the private key that this one belongs to.
        "ssh_keys": tuple(key for key in keys if key),
        "interfaces": own.interfaces or _interfaces(contact.nic),
        "files": (*own.files, *files),
    }
    return replace(machine, config=own.model_copy(update=changed))


def _interfaces(nic: Nic | None) -> tuple[InterfaceSettings, ...]:
    if nic is None:
        return ()
    mac = ":".join(nic.mac[at : at + 2] for at in range(0, 12, 2)).lower()
    known = {"mac": mac, "addresses": [nic.address], "gateway": nic.gateway, "dns": [nic.gateway]}
    return (InterfaceSettings.model_validate(known),)
