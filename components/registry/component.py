"""The replicas, rolled one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import pulumi
import pulumi_random as random

from components.object_store.render import Storage
from components.registry.args import RegistryArgs
from components.registry.distribution import Distribution, Process
from components.registry.render import STAGE, Key, Listener, config, environment
from config import naming


class Registry(pulumi.ComponentResource):
    """The writable store: any replica answers any request, the balancer picks one."""

    ready: list[pulumi.Resource]
    """Done when each replica reports healthy storage and is back behind the balancers."""

    def __init__(self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:registry:Registry", name, None, opts)
        secret = random.RandomPassword(
            f"{name}-http-secret", length=40, special=False, opts=pulumi.ResourceOptions(parent=self)
        ).result
        storage = args.bucket.storage(naming.STORE_DIRECTORY)
        key = args.bucket.key("store", naming.STORE_DIRECTORY)
        image = args.images.on_nodes("registry")
        pool = args.balancer.pool
        self.ready = []
        before: list[pulumi.Resource] = []
        for on in args.daemons.on(args.nodes.with_role("registry")):
            node = on.node
            listener = Listener(STAGE, node.address, naming.REGISTRY_REPLICA_PORT, naming.REGISTRY_HEALTH_PORT)
            replica = Distribution(
                f"{name}-{node.name}",
                on,
                args.settings,
                args.authority,
                args.balancer.client_ca,
                Process(
                    listener=listener,
                    image=image,
                    config=pulumi.Output.all(key.access, key.secret, secret).apply(partial(_config, listener, storage)),
                    environment=environment(listener, storage),
                    limits=args.settings.limits.registry,
                    own_image=args.images.is_own("registry"),
                ),
                parent=self,
            )
            identity: list[pulumi.Input[str]] = [image, replica.start_digest]
            # One replica after the other, each out of the balancers while it is replaced, so that one always serves.
            out = pool.take_out(
                f"{name}-{node.name}-out",
                node.address,
                triggers=identity,
                parent=self,
                depends_on=before,
            )
            replica.start(key.granted, args.balancer.ready, args.seed.container, *out)
            before = pool.put_back(
                f"{name}-{node.name}-in",
                node.address,
                # Also after each way out, or one that the user took back half-way would leave the replica out for good.
                triggers=[replica.container.id, *identity],
                parent=self,
                depends_on=[replica.ready],
            )
            self.ready += before
        self.register_outputs({})


def _config(listener: Listener, storage: Storage, known: Sequence[str]) -> str:
    access, secret, http_secret = known
    return config(listener, storage, Key(access, secret), http_secret)
