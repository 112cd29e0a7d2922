"""The caches of all upstreams."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pulumi
import pulumi_random as random

from components.cache.args import CachesArgs
from components.cache.render import SPOOL, SYSTEM_CERTIFICATES, config, environment_of, more_entries
from components.lib import names
from components.object_store.render import Storage
from components.registry.distribution import Distribution, Process
from components.registry.render import Key, Listener
from config import naming
from config.model.registry import UpstreamSettings


class Caches(pulumi.ComponentResource):
    """Two processes per upstream share what they keep; the balancers use the second when the first is gone."""

    def __init__(self, name: str, args: CachesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:cache:Caches", name, None, opts)
        settings = args.settings
        if not settings.registry.upstreams:
            self.register_outputs({})
            return
        secret = random.RandomPassword(
            f"{name}-http-secret", length=40, special=False, opts=pulumi.ResourceOptions(parent=self)
        ).result
        key = args.bucket.key("cache", naming.CACHE_DIRECTORY)
        for upstream in settings.registry.upstreams:
            storage = args.bucket.storage(f"{naming.CACHE_DIRECTORY}/{upstream.name}")
            before: list[pulumi.Resource] = []
            for on in args.daemons.on(args.nodes.caching()):
                listener = Listener(
                    naming.cache_stage(upstream.name),
                    on.node.address,
                    upstream.port,
                    upstream.port + naming.CACHE_HEALTH_ABOVE,
                )
                cache = Distribution(
                    f"{name}-{upstream.name}-{on.node.name}",
                    on,
                    settings,
                    args.authority,
                    args.balancer.client_ca,
                    Process(
                        listener=listener,
                        image=args.images.on_nodes("cache"),
                        config=pulumi.Output.all(
                            key.access, key.secret, secret, settings.upstream_passwords.get(upstream.name)
                        ).apply(partial(_config, listener, storage, upstream, args.images.is_own("cache"))),
                        environment=environment_of(
                            listener,
                            storage,
                            upstream,
                            settings.registry.cache,
                            settings.docker.proxies,
                            names.own_hosts(settings),
                        ),
                        limits=settings.limits.cache,
                        own_image=args.images.is_own("cache"),
                        volumes={
                            SYSTEM_CERTIFICATES: SYSTEM_CERTIFICATES,
                            SPOOL: naming.spool_directory(upstream.name),
                        },
                        writable=frozenset({SPOOL}),
                        entries=more_entries(listener, upstream),
                    ),
                    parent=self,
                )
                # The second one only when the first is there again.
                cache.start(key.granted, args.balancer.ready, args.seed.container, *before)
                before = [cache.ready]
        self.register_outputs({})


def _config(
    listener: Listener, storage: Storage, upstream: UpstreamSettings, own_image: bool, known: Sequence[Any]
) -> str:
    access, secret, http_secret, password = known
    return config(listener, storage, Key(access, secret), http_secret, upstream, password, own_image=own_image)
