"""The registry's bucket and the one key that may use it."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_minio as minio
import pulumi_random as random

from components.deploy_host import DeployHost
from components.load_balancer import LoadBalancer
from components.nodes import Nodes
from components.object_store.component import ObjectStore
from components.object_store.render import registry_policy
from config import Settings

ACCESS_KEY = "berth-registry"


@dataclass(frozen=True)
class RegistryBucketArgs:
    """Inputs of `RegistryBucket`."""

    settings: Settings
    nodes: Nodes
    store: ObjectStore
    balancer: LoadBalancer
    deploy_host: DeployHost


class RegistryBucket(pulumi.ComponentResource):
    """Bucket, user and least-privilege policy; the registry never sees MinIO's root key."""

    bucket: str
    access_key: str
    secret_key: pulumi.Output[str]
    granted: pulumi.Resource
    """Done when the key may use the bucket."""

    def __init__(self, name: str, args: RegistryBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:object-store:RegistryBucket", name, None, opts)
        settings = args.settings
        bucket_name = settings.object_store.bucket
        # The provider is asked for nothing before the store has its quorum and the balancer answers.
        waits_for = [args.store.ready, args.balancer.ready, args.deploy_host.files]
        provider = minio.Provider(
            f"{name}-minio",
            # Settings, not outputs: a provider configured from an unknown value is not asked in a preview.
            minio_server=f"{settings.load_balancer.address}:{settings.object_store.endpoint_port}",
            minio_user=args.store.root_user,
            minio_password=args.store.root_password,
            minio_ssl=True,
            minio_cacert_file=args.deploy_host.ca_file,
            opts=pulumi.ResourceOptions(parent=self, depends_on=waits_for),
        )
        child = pulumi.ResourceOptions(
            parent=self,
            provider=provider,
            # In a lab the bucket goes with the nodes; everywhere else it stays, with all that is in it.
            deleted_with=args.nodes.with_role("object-store")[0].machine,
            retain_on_delete=None if settings.lab else True,
            depends_on=waits_for,
        )
        secret = random.RandomPassword(
            f"{name}-secret-key",
            length=40,
            special=False,
            opts=pulumi.ResourceOptions(parent=self, protect=settings.lab is None or None),
        )
        bucket = minio.S3Bucket(f"{name}-bucket", bucket=bucket_name, acl="private", opts=child)
        user = minio.IamUser(f"{name}-user", name=ACCESS_KEY, secret=secret.result, opts=child)
        policy = minio.IamPolicy(f"{name}-policy", name=ACCESS_KEY, policy=registry_policy(bucket_name), opts=child)
        self.bucket = bucket_name
        self.access_key = ACCESS_KEY
        self.secret_key = secret.result
        self.granted = minio.IamUserPolicyAttachment(
            f"{name}-grant",
            user_name=user.name,
            policy_name=policy.name,
            opts=pulumi.ResourceOptions.merge(child, pulumi.ResourceOptions(depends_on=[bucket])),
        )
        self.register_outputs({"bucket": bucket_name})
