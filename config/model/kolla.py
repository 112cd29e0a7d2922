"""OpenStack Kolla's settings: what is deployed, where, from which images."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from config.fields import common as v
from config.fields import node_os as n
from config.model.base import Model


class KollaImageSettings(Model):
    """Where Kolla's images come from. All of them are pulled from the stack's own registry."""

    source: Literal["built", "archive", "cache"] = "built"
    """built: made on the deploy host by `berth kolla build`. archive: copied into the registry from a file. cache: read
    through the cache `upstream`."""

    upstream: v.Label | None = Field(default=None, examples=["mirror"])
    """Name of the cache in `registry.upstreams` that has them; only with the source cache, and not quay.io."""

    namespace: v.Repository = "kolla"
    """Path of the images in the registry, or at the upstream: kolla makes <registry>/kolla/keystone."""

    tag: v.Tag | None = Field(default=None, examples=["2026.1"])
    """Tag of all images. Default: the release."""


class KollaSettings(Model):
    """OpenStack Kolla on the nodes with the roles control, network, compute, monitoring and storage."""

    enabled: v.Flag = False
    """Deploy it."""

    release: Literal["2026.1"] = "2026.1"
    """OpenStack's release."""

    services: dict[v.Variable, v.Flag] = Field(default={}, examples=[{"keystone": True, "fluentd": False}])
    """Services on or off, by the name behind Kolla's `enable_`. Default: as the release has it."""

    internal_address: v.Address | None = Field(default=None, examples=["10.78.0.20"])
    """Address of the internal API: with haproxy a free one of the nodes' network, otherwise that of a control node."""

    external_address: v.Address | None = None
    """Address of the public API. Default: the internal one."""

    interface: n.LinkName = "eth0"
    """Network interface of the nodes for everything that has no other interface."""

    external_interface: n.LinkName | None = Field(default=None, examples=["eth1"])
    """Interface without address that Neutron gives to its bridges; network nodes need it once Neutron is on."""

    time_servers: tuple[v.Host, ...] = Field(default=(), examples=[["ntp.example.com"]])
    """NTP servers of the nodes. Default: the first control node, whose own clock the others then follow."""

    base: Literal["debian", "ubuntu", "rocky", "centos"] = "debian"
    """Distribution inside the images."""

    images: KollaImageSettings = KollaImageSettings()
    """Where the images come from."""

    globals: dict[v.Variable, JsonValue] = Field(default={}, examples=[{"haproxy_max_connections": 4000}])
    """Further variables of globals.yml, by Kolla's names."""

    groups: dict[v.GroupName, tuple[v.Text, ...]] = Field(default={}, examples=[{"keystone": ["control1"]}])
    """Groups of the inventory with other members than the release gives them: names of nodes or of groups."""

    host_variables: dict[v.NodeName, dict[v.Variable, JsonValue]] = Field(
        default={}, examples=[{"control1": {"network_interface": "bond0"}}]
    )
    """Variables of single nodes."""

    group_variables: dict[v.GroupName, dict[v.Variable, JsonValue]] = Field(
        default={}, examples=[{"compute": {"tunnel_interface": "eth2"}}]
    )
    """Variables of groups of the inventory."""

    overrides: v.Folder | None = Field(default=None, examples=["kolla/prod"])
    """Folder in the checkout with files that are merged into the services' own (Kolla's node_custom_config)."""

    allow_destroy: v.Flag = False
    """Let `berth down` remove the services and their data; otherwise it refuses. A lab goes in any case."""

    @property
    def tag(self) -> str:
        """Tag of all images."""
        return self.images.tag or self.release

    def has(self, service: str, default: bool) -> bool:
        """Whether a service is on; `default` where the settings do not name it."""
        return self.services.get(service, default)
