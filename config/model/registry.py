"""The registry: its users, the upstreams it caches, and itself."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from config import naming
from config.fields import common as v
from config.model.base import Model


class UserSettings(Model):
    """A user of the registry."""

    name: v.UserName = Field(examples=["alice"])
    """Name for `docker login`: at most 64 characters, no colon."""

    role: Literal["push", "pull", "admin"]
    """pull: may read. push: may read and write. admin: may delete too."""

    password: Literal["generated", "configured"] = "generated"
    """generated: Berth makes it and keeps it in the state. configured: it is in `berth:secrets`."""

    versions: v.Versions = Field(default=(1,), examples=[[1, 2]])
    """Generated passwords that are valid, at most two; the last one is handed out. [1, 2], then [2] replaces one."""


class UpstreamSettings(Model):
    """A registry elsewhere that is read through a cache."""

    name: v.Label = Field(examples=["quay"])
    """Name of the cache, chosen once: at most 32 lower-case letters, digits and hyphens."""

    url: v.UpstreamUrl = Field(examples=["https://quay.io"])
    """Where the upstream answers: https, host and port, nothing behind it. Docker Hub: https://registry-1.docker.io."""

    prefix: v.Repository = Field(examples=["quay.io"])
    """Path under which its images are read: `quay.io` makes quay.io/a/b of the upstream <registry>/quay.io/a/b."""

    mirror: v.Flag = False
    """Serve it at the root of the mirror port too, for the daemons' registry-mirrors. Default: true for Docker Hub."""

    user: v.UserName | None = Field(default=None, examples=["robot"])
    """Account at the upstream; its password is in `berth:secrets.upstreams`. Default: none, anonymous."""

    ca: v.Certificates | None = None
    """Certificate of a private CA that signed the upstream's, as PEM. Default: the CAs that every system trusts."""

    max_size: v.Size = "50GiB"
    """What the object store keeps of this upstream, in MiB, GiB or TiB. More is handed out and not kept."""

    port: v.CachePort = naming.CACHE_FIRST_PORT
    """Port of the cache on its nodes (TLS); its health page is 500 above. Default: 4020 and on, in the list's order."""

    @property
    def host(self) -> str:
        """Host of the URL, with the port if one is written there."""
        return self.url.removeprefix("https://")


class CacheSettings(Model):
    """What each cache may use of its node: there is one for each upstream on each of two nodes."""

    spool: v.Size = "10GiB"
    """Blobs on their way from the upstream, below /var/cache/berth; the largest layer has to fit. With N upstreams a
    node's disk holds at most N times as much."""

    reserve: v.Size = "2GiB"
    """What stays free on that disk, whoever fills it: a cache begins no fetch, and ends those it has, before that."""

    fetches: Annotated[int, Field(strict=True, ge=1, le=1024)] = 16
    """Blobs that a cache fetches at once, each with about 20 MB of memory. More wait ten seconds, then 503."""

    abandon_after: Annotated[int, Field(strict=True, ge=1, le=86400)] = 30
    """Seconds after which a fetch without readers is cancelled."""


_Percent = Annotated[int, Field(strict=True, ge=1, le=100)]


class GarbageCollectionSettings(Model):
    """What is removed of the blobs that no manifest needs, while the registry serves; it can be undone for a while."""

    enabled: v.Flag = True
    """Collect by the timetable, in a container on each registry node, one of them at a time."""

    at: v.TimeOfDay = "02:30"
    """When a day's run begins, in UTC."""

    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = ()
    """Days of the week with a run. Default: every day."""

    minimum_age: v.Duration = "24h"
    """How long ago a blob was uploaded before it can be removed: longer than a push takes."""

    grace_period: v.Duration = "24h"
    """How long no manifest may have needed a blob before it is removed."""

    purge_after: v.Duration = "7d"
    """How long a removed blob can be brought back; its bytes are freed by the next run after that."""

    settle: v.Duration = "2m"
    """What a run waits for requests under way before it checks what it removed: longer than a push of a manifest."""

    max_shrink_percent: _Percent = 10
    """How much smaller the list of repositories or manifests may be than in the run before. More needs --confirm."""

    max_condemned_percent: _Percent = 50
    """How much of all bytes one run may remove. More needs --confirm."""


class RegistrySettings(Model):
    """The one name under which images are pushed and pulled."""

    name: v.HostName = Field(examples=["registry.example.com"])
    """Host name of the registry, as it stands in image names."""

    port: v.Port = 4000
    """Port of the registry (TLS). 4000 and not 5000, which is Keystone's."""

    mirror_port: v.Port = 4001
    """Port for nodes that use the caches as mirrors (TLS, client certificate, reads only)."""

    names: Literal["hosts", "external"] = "hosts"
    """hosts: Berth keeps a marked block in /etc/hosts of the nodes and the deploy host. external: your DNS knows it."""

    insecure: v.Flag = False
    """Also write the registry to insecure-registries of every daemon. TLS stays on."""

    users: tuple[UserSettings, ...] = Field(examples=[[{"name": "push", "role": "push"}]])
    """Who may log in; at least one who can push. Reading needs a login too."""

    node_user: v.Text = Field(default="", examples=["nodes"])
    """User with the role pull that the nodes log in with. Default: the first one; "" keeps nodes logged out."""

    upstreams: tuple[UpstreamSettings, ...] = Field(
        default=(), examples=[[{"name": "quay", "url": "https://quay.io", "prefix": "quay.io"}]]
    )
    """Registries elsewhere that are read through caches; each owns the paths that begin with its prefix."""

    cache: CacheSettings = CacheSettings()
    """What each of these caches may use of its node."""

    garbage_collection: GarbageCollectionSettings = GarbageCollectionSettings()
    """How blobs that no manifest needs are removed from the object store."""

    @property
    def mirror_endpoint(self) -> str:
        """host:port of the mirror port."""
        return naming.endpoint(self.name, self.mirror_port)

    @property
    def mirrored(self) -> UpstreamSettings | None:
        """The upstream at the root of the mirror port, if there is one."""
        return next((upstream for upstream in self.upstreams if upstream.mirror), None)
