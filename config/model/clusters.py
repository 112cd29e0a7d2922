"""etcd and Docker Swarm."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from config.fields import common as v
from config.model.base import Model


class EtcdClusterSettings(Model):
    """etcd, a key-value store, on all nodes with the role etcd."""

    client_port: v.Port = 2379
    """Port for etcd's clients on each member (TLS, client certificate)."""

    peer_port: v.Port = 2380
    """Port for the other members (TLS, client certificate)."""

    data_dir: v.Directory = "/var/lib/etcd/berth"
    """Directory on the members that holds the data; best on a disk that writes fast."""

    heartbeat_interval: Annotated[int, Field(strict=True, ge=10, le=5000)] = 100
    """Milliseconds between the leader's heartbeats; when ten of them are missing, another leader is elected."""


class OverlaySettings(Model):
    """A network between containers of several nodes."""

    name: v.Label = Field(examples=["backend"])
    """Name of the network, as services name it."""

    subnet: v.Cidr = Field(examples=["10.20.1.0/24"])
    """The network's addresses: a part of `addressPool`."""

    encrypted: v.Flag = True
    """Encrypt what goes from node to node (IPsec)."""

    attachable: v.Flag = False
    """Containers outside of services (`docker run --network`) may use it too."""


class SwarmSettings(Model):
    """Docker Swarm, on the nodes with the roles swarm-manager and swarm-worker."""

    address_pool: v.Cidr = "10.20.0.0/16"
    """Where Swarm's networks have their addresses, /24 each; chosen once, for it is fixed when the swarm is made."""

    networks: tuple[OverlaySettings, ...] = Field(
        default=(), examples=[[{"name": "backend", "subnet": "10.20.1.0/24"}]]
    )
    """Overlay networks."""

    labels: dict[v.NodeName, dict[v.SwarmLabel, v.Text]] = Field(default={}, examples=[{"node3": {"zone": "a"}}])
    """Labels of the swarm's nodes, by node, for placement constraints (`node.labels.zone==a`)."""

    token_version: Annotated[int, Field(strict=True, ge=1)] = 1
    """Raise it to make the tokens anew with which nodes join; who is in the swarm stays in."""
