"""A cache's configuration; pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from components.lib.host_files.bundle import Directory, Entry, File
from components.object_store.render import Storage
from components.registry.render import USER, Key, Listener, document, environment
from config import naming
from config.fields.common import size_in_bytes
from config.model.base import ProxySettings
from config.model.registry import CacheSettings, UpstreamSettings

# The node's own trust: the upstreams' certificates come from public CAs, or from those that the site put there.
SYSTEM_CERTIFICATES = "/etc/ssl/certs"
SPOOL = "/spool"


def config(
    listener: Listener,
    storage: Storage,
    key: Key,
    http_secret: str,
    upstream: UpstreamSettings,
    password: str | None,
    *,
    own_image: bool = True,
) -> str:
    """distribution's configuration of one cache. It never forgets: both processes of an upstream share one storage."""
    wanted = document(listener, storage, key, http_secret)
    proxy: dict[str, Any] = {"remoteurl": upstream.url, "ttl": 0}
    if upstream.user and password is not None:
        proxy |= {"username": upstream.user, "password": password}
    if own_image:
        # The cache's bound on what is stored; and distribution writes a tag's link on each pull: not the same again, or
        # pulls need a store that takes writes.
        wanted["middleware"] = {"storage": [{"name": "berth-unchanged"}]}
    # No cache of descriptors: what was purged would be served from a process's memory.
    return yaml.safe_dump({**wanted, "proxy": proxy}, sort_keys=False)


def environment_of(
    listener: Listener,
    storage: Storage,
    upstream: UpstreamSettings,
    limits: CacheSettings,
    proxies: ProxySettings | None,
    direct: Sequence[str],
) -> Mapping[str, str]:
    """What a cache is started with: as a replica, its bounds, and the way out of the site."""
    return {
        **environment(listener, storage),
        "BERTH_SPOOL": SPOOL,
        "BERTH_SPOOL_SIZE": str(size_in_bytes(limits.spool)),
        "BERTH_SPOOL_RESERVE": str(size_in_bytes(limits.reserve)),
        "BERTH_FETCHES": str(limits.fetches),
        "BERTH_ABANDON_AFTER": str(limits.abandon_after),
        "BERTH_MAX_SIZE": str(size_in_bytes(upstream.max_size)),
        "SSL_CERT_DIR": f"{listener.directory}/ca:{SYSTEM_CERTIFICATES}",
        **({} if proxies is None else proxies.variables([*direct, *proxies.no_proxy])),
    }


def more_entries(listener: Listener, upstream: UpstreamSettings) -> list[Entry]:
    """What a cache has beside a replica's files."""
    found: list[Entry] = [
        Directory(f"{listener.directory}/ca", mode="0755"),
        Directory(naming.spool_directory(upstream.name), mode="0700", owner=USER),
    ]
    if upstream.ca:
        found.append(File(f"{listener.directory}/ca/upstream.crt", upstream.ca))
    return found
