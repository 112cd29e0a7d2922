"""The registry's bucket and the keys that may use parts of it."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_minio as minio
import pulumi_random as random

from components.deploy_host.component import DeployHost
from components.load_balancer.component import LoadBalancer
from components.nodes.component import Nodes
from components.object_store.component import ObjectStore
from components.object_store.render import (
    ACCESS_KEY_LENGTH,
    Storage,
    collector_policy,
    directory_policy,
    excluded_prefixes,
)
from config import naming
from config.model.stack import Settings


@dataclass(frozen=True)
class RegistryBucketArgs:
    """Inputs of `RegistryBucket`."""

    settings: Settings
    nodes: Nodes
    store: ObjectStore
    balancer: LoadBalancer
    deploy_host: DeployHost


@dataclass(frozen=True)
class BucketKey:
    """The key of a user of the bucket."""

    access: pulumi.Output[str]
    secret: pulumi.Output[str]
    granted: pulumi.Resource
    """Done when the key may do what it is for."""


class RegistryBucket(pulumi.ComponentResource):
    """Bucket, users and least-privilege policies; registries and caches never see MinIO's root key."""

    versioned: pulumi.Resource
    """Done when the bucket keeps versions."""

    def __init__(self, name: str, args: RegistryBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:object-store:RegistryBucket", name, None, opts)
        settings = args.settings
        self._name, self._settings = name, settings
        self._servers = [node.address for node in args.nodes.with_role("object-store")]
        # The provider is asked for nothing before the store has its quorum and the balancer answers.
        waits_for = [args.store.ready, args.balancer.ready, args.deploy_host.files]
        provider = minio.Provider(
            f"{name}-minio",
            # Settings, not outputs: a provider configured from an unknown value is not asked in a preview.
            minio_server=settings.store_from_deploy_host,
            minio_user=args.store.root_user,
            minio_password=args.store.root_password,
            minio_ssl=True,
            minio_cacert_file=args.deploy_host.ca_file,
            opts=pulumi.ResourceOptions(parent=self, depends_on=waits_for),
        )
        self._child = pulumi.ResourceOptions(
            parent=self,
            provider=provider,
            # In a lab the bucket goes with the nodes; everywhere else it stays, with all that is in it.
            deleted_with=args.nodes.with_role("object-store")[0].deleted_with,
            retain_on_delete=None if settings.lab else True,
            depends_on=waits_for,
        )
        bucket = settings.object_store.bucket
        self._kept = pulumi.ResourceOptions(parent=self, protect=settings.lab is None or None)
        self._made = minio.S3Bucket(f"{name}-bucket", bucket=bucket, acl="private", opts=self._child)
        # What is deleted or overwritten stays for a while: only the collector's key can destroy a version.
        self.versioned = minio.S3BucketVersioning(
            f"{name}-versioning",
            bucket=self._made.bucket,
            versioning_configuration=minio.S3BucketVersioningVersioningConfigurationArgs(
                status="Enabled", excluded_prefixes=excluded_prefixes()
            ),
            opts=self._child,
        )
        self.register_outputs({"bucket": bucket})

    def storage(self, directory: str) -> Storage:
        """Where a process keeps what it has below `directory`."""
        store = self._settings.object_store
        servers = [naming.endpoint(address, store.port) for address in self._servers]
        return Storage(self._settings.store_endpoint, servers, store.bucket, directory)

    def key(self, name: str, directory: str) -> BucketKey:
        """A user of its own for `directory` and what is below it, and for nothing else."""
        return self._user(name, directory.strip("/"), directory_policy(self._settings.object_store.bucket, directory))

    def collector_key(self) -> BucketKey:
        """The only user that may see and destroy what was deleted."""
        return self._user("collector", "collector", collector_policy(self._settings.object_store.bucket))

    def _user(self, name: str, policy_name: str, document: str) -> BucketKey:
        """Not a service account: MinIO lets each of them see and remove the others of its user."""
        name = f"{self._name}-{name}"
        access = random.RandomPassword(
            f"{name}-access-key", length=ACCESS_KEY_LENGTH, special=False, opts=self._kept
        ).result
        secret = random.RandomPassword(f"{name}-secret-key", length=40, special=False, opts=self._kept).result
        user = minio.IamUser(f"{name}-user", name=access, secret=secret, opts=self._child)
        policy = minio.IamPolicy(f"{name}-policy", name=f"berth-{policy_name}", policy=document, opts=self._child)
        granted = minio.IamUserPolicyAttachment(
            f"{name}-grant",
            user_name=user.name,
            policy_name=policy.name,
            opts=pulumi.ResourceOptions.merge(self._child, pulumi.ResourceOptions(depends_on=[self._made])),
        )
        return BucketKey(access, secret, granted)
