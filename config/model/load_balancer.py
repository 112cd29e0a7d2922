"""The load balancers and their virtual address."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from config import naming
from config.fields import common as v
from config.model.base import Model


class LoadBalancerSettings(Model):
    """The address at which the registry answers."""

    address: v.Address = Field(examples=["10.77.0.11"])
    """The registry's IPv4 address. With one load-balancer node: that node's address; with more: a free one of their
    network, which keepalived moves."""

    prefix_length: Annotated[int, Field(strict=True, ge=8, le=30)] = 24
    """Length of the network prefix around that address, in bits."""

    router_id: Annotated[int, Field(strict=True, ge=1, le=255)] = 77
    """VRRP router id, alone on its network. Not 51, which is Kolla's."""

    connections_per_address: Annotated[int, Field(strict=True, ge=16, le=naming.FRONT_CONNECTIONS_OF_CLIENTS)] = 1024
    """Connections that one address may have at once to a balancer, half-open ones included; more have to wait."""
