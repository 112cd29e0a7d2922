"""One node as its renderers see it: settings, what it must know of the others, and its secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from components.lib.names import own_hosts
from config.model.node_os import FileSettings, NodeConfig, NodeUser, System, resolve
from config.model.stack import Settings


@dataclass(frozen=True)
class Secrets:
    """The nodes' part of `berth:secrets`, decrypted."""

    hashes: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Hashed passwords by account."""
    files: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Texts of secret files by name."""


@dataclass(frozen=True)
class Machine:
    """What is known of a node before it is installed."""

    name: str
    address: str
    config: NodeConfig
    direct: tuple[str, ...]
    """Hosts of the stack, which no proxy is asked for."""
    members: Mapping[str, str]
    """etcd's members: addresses by name, this node perhaps among them."""
    secrets: Secrets

    @property
    def system(self) -> System:
        """The node's operating system; there is one, for the settings were validated."""
        assert self.config.operating_system is not None
        return self.config.operating_system

    @property
    def of_coreos(self) -> bool:
        """Whether it is CoreOS or its heir Flatcar: networkd, a read-only /usr, the account core."""
        return self.system in ("coreos", "flatcar")

    @property
    def is_member(self) -> bool:
        """Whether etcd runs on it."""
        return self.config.etcd is not None and self.name in self.members

    def password(self, user: NodeUser) -> str | None:
        """The account's hashed password, if it has one."""
        return self.secrets.hashes[user.name] if user.password == "configured" else None

    def content(self, file: FileSettings) -> str:
        """The text of a file."""
        return self.secrets.files[file.secret] if file.secret else file.content or ""

    @property
    def has_secrets(self) -> bool:
        """Whether what is rendered holds something that not everybody may read."""
        configured = any(user.password == "configured" for user in self.config.users)
        return configured or any(file.secret for file in self.config.files)


def machines(settings: Settings, secrets: Secrets | None = None) -> Iterator[Machine]:
    """Every node that has a configuration, in the order of the settings."""
    own = own_hosts(settings)
    members = {node.name: node.address for node in settings.with_role("etcd")}
    names = [node.name for node in settings.nodes]
    in_domains: dict[tuple[str, ...], tuple[str, ...]] = {}
    for node in settings.nodes:
        config = resolve(settings.node_defaults, node.config)
        if config is None:
            continue
        if config.domains not in in_domains:
            longer = (f"{name}.{domain}" for domain in config.domains for name in names)
            loopback = ("localhost", "127.0.0.1", "::1", "/var/run/docker.sock")
            in_domains[config.domains] = tuple(dict.fromkeys([*loopback, *own, *longer]))
        yield Machine(node.name, node.address, config, in_domains[config.domains], members, secrets or Secrets())
