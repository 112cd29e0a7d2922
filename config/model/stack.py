"""Every setting of a stack, typed and frozen. Rules across settings are in `config/rules`."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic.json_schema import SkipJsonSchema

from config import naming
from config.fields.base import refused
from config.model.base import Model
from config.model.clusters import EtcdClusterSettings, SwarmSettings
from config.model.docker import DockerSettings
from config.model.images import ImageSettings, PinSettings
from config.model.kolla import KollaSettings
from config.model.limits import (
    LimitsSettings,
)
from config.model.load_balancer import LoadBalancerSettings
from config.model.node_os import NodeConfig, resolve
from config.model.nodes import (
    LabSettings,
    NodeSettings,
    Role,
    VirtualBoxSettings,
)
from config.model.registry import RegistrySettings
from config.model.storage import ObjectStoreSettings

if TYPE_CHECKING:
    from pulumi import Output

    SecretText = Output[str]
else:
    SecretText = Any  # pulumi is slow to import, and `berth` reads settings in every command


KOLLA_ROLES: tuple[Role, ...] = ("control", "network", "compute", "monitoring", "storage")
"""Roles whose nodes Kolla puts containers on, by the names of its inventory's own groups."""


def _lab(value: object) -> object:
    """`true` is a lab with all defaults, `false` none; `pulumi config set` writes either as text."""
    if value is True or value == "true":
        return {}
    if value is False or value == "false":
        return None
    if not isinstance(value, dict):
        raise refused("is neither true, false nor an object.", "Write `true` for a lab, or leave the key out.")
    return value


class StackSettings(Model):
    """The settings that stand in a stack file, each as `berth:<key>` under `config:`."""

    lab: Annotated[LabSettings | None, BeforeValidator(_lab, json_schema_input_type=bool | LabSettings | None)] = None
    """true: Berth makes the nodes itself, as containers on the deploy host, and `berth down` removes all of them."""

    virtualbox: VirtualBoxSettings | None = None
    """Berth makes the nodes whose provider is virtualbox, with VBoxManage on the deploy host."""

    registry: RegistrySettings
    """The registry: its name, ports and users."""

    nodes: tuple[NodeSettings, ...]
    """The machines, in the order in which they are changed."""

    load_balancer: LoadBalancerSettings
    """Where the registry answers."""

    object_store: ObjectStoreSettings = ObjectStoreSettings()
    """Where the registry's blobs are kept."""

    etcd: EtcdClusterSettings = EtcdClusterSettings()
    """etcd on its nodes."""

    swarm: SwarmSettings = SwarmSettings()
    """Docker Swarm on its nodes."""

    docker: DockerSettings = DockerSettings()
    """The Docker daemons of the nodes."""

    images: ImageSettings = ImageSettings()
    """Where the services' images come from."""

    limits: LimitsSettings = LimitsSettings()
    """Limits of the services' containers."""

    kolla: KollaSettings = KollaSettings()
    """OpenStack Kolla."""

    firewall: Literal["berth", "external"] = "berth"
    """berth: a table of nftables on each node lets in who is meant to reach the ports of Berth's services. external:
    you restrict access yourself, and Berth writes no rules."""

    pins: SkipJsonSchema[PinSettings | None] = None
    """Images that were verified in another stack: not in the stack file, but in pins/STACK.yaml."""

    node_defaults: NodeConfig | None = None
    """Configuration of the nodes' operating systems; a node's own `config` overrides it."""

    @property
    def store_endpoint(self) -> str:
        """host:port at which the nodes reach any running server of the object store."""
        return naming.endpoint(self.load_balancer.address, self.object_store.endpoint_port)

    @property
    def front_address(self) -> str:
        """The balancer's address as the deploy host reaches it: a NAT network is reachable at forwarded ports only."""
        return naming.FORWARDED_HOST if self.virtualbox else self.load_balancer.address

    @property
    def store_from_deploy_host(self) -> str:
        """host:port at which the deploy host reaches the object store."""
        return naming.endpoint(self.front_address, self.object_store.endpoint_port)

    @property
    def deploy_host_addresses(self) -> tuple[str, ...]:
        """The deploy host's addresses as the nodes see them, as far as they are known."""
        found = [self.images.seed.address]
        if self.lab is not None:
            found.append(self.lab.gateway)
        if self.virtualbox is not None:
            # VirtualBox sends what comes by a forwarded port from one of the two, depending on its version.
            found.append(naming.lab_gateway(IPv4Network(self.virtualbox.subnet)))
        return tuple(address for address in found if address)

    def uses_store(self, node: NodeSettings) -> bool:
        """Whether a service on the node connects to the object store's servers directly."""
        return bool({"object-store", "load-balancer", "registry"} & set(node.roles))

    def with_role(self, role: Role) -> tuple[NodeSettings, ...]:
        """The nodes that have this role, in the file's order."""
        return tuple(node for node in self.nodes if role in node.roles)

    def has_own_etcd(self, node: NodeSettings) -> bool:
        """Whether the node's system is installed with an etcd that Berth leaves alone."""
        config = resolve(self.node_defaults, node.config)
        return config is not None and config.etcd is not None

    def docker_on(self, node: NodeSettings) -> DockerSettings:
        """The daemon's settings on one node: some defaults depend on its roles."""
        kolla = not set(KOLLA_ROLES).isdisjoint(node.roles)
        # Without its own packet filter rules dockerd publishes ports by processes and cannot isolate containers.
        own_rules = self.docker.extra.get("iptables", True) is not False
        here = {
            "live_restore": not node.in_swarm,
            "no_new_privileges": not kolla and not node.in_swarm,
            "userland_proxy": kolla or not own_rules,
            "icc": kolla or not own_rules,
        }
        return self.docker.model_copy(
            update={name: value for name, value in here.items() if getattr(self.docker, name) is None}
        )


class Settings(StackSettings):
    """The program's input: the stack file's settings, the stack's name, the configured passwords."""

    stack: str
    """Name of the stack, such as dev."""

    user_passwords: dict[str, tuple[SecretText, ...]] = Field(default_factory=dict, repr=False, exclude=True)
    """Passwords of the users whose `password` is `configured`: one, or the old and the new one."""

    upstream_passwords: dict[str, SecretText] = Field(default_factory=dict, repr=False, exclude=True)
    """Passwords at the upstreams that have a `user`."""

    node_secrets: tuple[SecretText, ...] = Field(default=(), repr=False, exclude=True)
    """Hashed passwords of the nodes' accounts, and texts of their secret files, by name."""
