"""The nodes' Docker daemons."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, JsonValue

from config.fields import common as v
from config.model.base import Model, ProxySettings


class DockerRolloutSettings(Model):
    """How a change reaches the daemons of many nodes."""

    batch_size: Annotated[int, Field(strict=True, ge=1, le=1000)] = 10
    """Nodes whose daemons change together, of those that carry no service of Berth's, of Swarm or of Kolla's control
    plane; the first of them changes alone, before all other nodes. A batch that fails stops those that follow."""


class DockerSettings(Model):
    """The Docker daemon of every node. Berth owns daemon.json as a whole."""

    adopt: v.Flag = False
    """Take over a daemon.json with foreign keys: they are dropped (the original is kept and comes back on destroy)."""

    extra: dict[str, JsonValue] = Field(default={}, examples=[{"max-concurrent-downloads": 6}])
    """Further keys of daemon.json, as Docker names them, that have no setting of their own here."""

    options: tuple[v.DaemonFlag, ...] = Field(default=(), examples=[["--host-gateway-ip=10.0.0.1"]])
    """Flags of dockerd that daemon.json has no key for, as --name=value; they go to /etc/default/docker, on Red Hat's
    family to /etc/sysconfig/docker. A change restarts the daemon."""

    insecure_registries: tuple[v.RegistryHost, ...] = Field(default=(), examples=[["old-registry.example.com:5000"]])
    """Other registries that have no valid certificate: host:port or network."""

    registry_mirrors: tuple[v.Mirror, ...] = Field(default=(), examples=[["https://mirror.example.com"]])
    """Further mirrors of Docker Hub, as https URLs (http only if the host is in insecureRegistries)."""

    proxies: ProxySettings | None = None
    """Proxies that the daemon uses to pull images."""

    log_driver: v.LogDriver = "json-file"
    """Log driver of new containers."""

    log_options: dict[v.OptionName, v.Text] = Field(default={"max-size": "10m", "max-file": "3"})
    """Options of the log driver; every value is text. Replaces the default options as a whole."""

    live_restore: v.Flag | None = Field(default=None, examples=[False])
    """Keep containers running while the daemon restarts. Default: true, on Swarm's nodes false, where it cannot be."""

    no_new_privileges: v.Flag | None = Field(default=None, examples=[False])
    """No process in a new container gains rights by setuid programs such as sudo. Default: true; false on Kolla's
    nodes, whose images use sudo, and on Swarm's, whose services cannot be given another rule."""

    userland_proxy: v.Flag | None = Field(default=None, examples=[True])
    """A process for each published port, beside the rules of the kernel. Default: false; true on Kolla's nodes and
    where `extra` turns the daemon's `iptables` off, which leaves ports to these processes."""

    icc: v.Flag | None = Field(default=None, examples=[True])
    """Containers on Docker's default bridge reach each other. Default: false; true on Kolla's nodes and where `extra`
    turns the daemon's `iptables` off. User-defined networks are not affected."""

    mtu: Annotated[int, Field(strict=True, ge=576, le=65535)] | None = Field(default=None, examples=[1450])
    """MTU of Docker's default bridge in bytes. Default: Docker's own."""

    rollout: DockerRolloutSettings = DockerRolloutSettings()
    """How a change reaches many nodes. Nodes with a service of Berth's always change one at a time."""

    restart_timeout: Annotated[int, Field(strict=True, ge=5, le=900)] = 60
    """Seconds that a restarted daemon may take to answer before the old settings are put back."""
