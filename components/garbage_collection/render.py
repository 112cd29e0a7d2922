"""The collector's files and command line; pure functions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

from components.lib.host_files.bundle import Entry, File
from components.lib.service.directives import service_directives
from components.object_store.render import Storage
from components.registry.render import USER, Key
from config import naming
from config.fields.common import duration_in_seconds
from config.model.registry import GarbageCollectionSettings

STAGE = naming.COLLECTOR_STAGE
DIRECTORY = naming.node_directory(STAGE)


def config(settings: GarbageCollectionSettings, storage: Storage, key: Key, holder: str) -> str:
    """The collector's configuration on one node, which is what holds the lock there."""
    durations = {
        "minimumAge": settings.minimum_age,
        "gracePeriod": settings.grace_period,
        "settle": settings.settle,
        "purgeAfter": settings.purge_after,
    }
    return json.dumps(
        {
            "endpoint": f"https://{storage.endpoint}",
            "bucket": storage.bucket,
            "root": storage.directory,
            "accessKey": key.access,
            "secretKey": key.secret,
            "caFile": f"{DIRECTORY}/ca.crt",
            "holder": holder,
            "at": settings.at,
            "days": list(settings.days),
            # Go's durations have no days.
            **{name: f"{duration_in_seconds(value)}s" for name, value in durations.items()},
            "maxShrinkPercent": settings.max_shrink_percent,
            "maxCondemnedPercent": settings.max_condemned_percent,
        },
        indent=2,
    )


def command(*words: str) -> Sequence[str]:
    """Arguments of the registry's program."""
    return ["collect", "--config", f"{DIRECTORY}/config.json", *words]


def entries(rendered: str, ca: str) -> list[Entry]:
    """The files of one node."""
    return [
        File(f"{DIRECTORY}/config.json", rendered, mode="0600", owner=USER),
        File(f"{DIRECTORY}/ca.crt", ca, owner=USER),
        *service_directives(STAGE),
    ]


def start_digest(rendered: str, ca: str) -> str:
    """Digest of what the collector reads only at its start; its secret is forty random characters."""
    return hashlib.sha256((rendered + ca).encode()).hexdigest()
