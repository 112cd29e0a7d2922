"""The collectors, one on each registry node."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pulumi

from components.garbage_collection.args import GarbageCollectionArgs
from components.garbage_collection.render import DIRECTORY, STAGE, command, config, entries, start_digest
from components.lib.host_files.bundle import Entry
from components.lib.service.confinement import Confinement, go_environment
from components.lib.service.container import ServiceContainer
from components.lib.service.stage import service
from components.object_store.render import Storage
from components.registry.render import USER, Key, reaching
from config import naming
from config.model.registry import GarbageCollectionSettings

# It gives its lock back, for which it waits ten seconds.
GRACE_SECONDS = 20


class GarbageCollection(pulumi.ComponentResource):
    """One collects at a time, whichever takes the lock in the bucket: all of them may be replaced at once."""

    def __init__(self, name: str, args: GarbageCollectionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:garbage-collection:GarbageCollection", name, None, opts)
        settings, limits = args.settings.registry.garbage_collection, args.settings.limits.collector
        if not settings.enabled or not args.images.is_own("registry"):
            self.register_outputs({})
            return
        storage = args.bucket.storage(naming.STORE_DIRECTORY)
        key = args.bucket.collector_key()
        for on in args.daemons.on(args.nodes.with_role("registry")):
            rendered = pulumi.Output.all(key.access, key.secret).apply(
                partial(_config, settings, storage, on.node.name)
            )
            known = pulumi.Output.all(rendered, args.authority.certificate)
            service(
                f"{name}-{on.node.name}",
                on,
                args.settings.stack,
                ServiceContainer(
                    service=STAGE,
                    image=args.images.on_nodes("registry"),
                    command=command("schedule"),
                    volumes={DIRECTORY: DIRECTORY},
                    environment={**reaching(storage), **go_environment(limits)},
                    confinement=Confinement(limits),
                    user=USER,
                    grace_seconds=GRACE_SECONDS,
                    config_digest=pulumi.Output.unsecret(known.apply(lambda both: start_digest(*both))),
                ),
                known.apply(_entries),
                parent=self,
                depends_on=[key.granted, args.bucket.versioned, args.after],
            )
        self.register_outputs({})


def _config(settings: GarbageCollectionSettings, storage: Storage, holder: str, known: Sequence[str]) -> str:
    return config(settings, storage, Key(*known), holder)


def _entries(known: Sequence[str]) -> list[Entry]:
    return entries(*known)
