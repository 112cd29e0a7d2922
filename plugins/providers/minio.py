"""`minio`: buckets, users and policies of a MinIO server."""

from __future__ import annotations

import json
import secrets
import threading
from collections import defaultdict
from datetime import UTC, datetime

from minio.deleteobjects import DeleteObject
from minio.error import S3Error

from plugins.interface import Context, Created, Imported, Properties, ProviderError
from plugins.providers.base import ResourceType, TypedPackage, TypedProvider
from plugins.providers.minio_base import OnServer, WithPolicy, drawn_secret
from plugins.providers.minio_connection import Gone, Server
from plugins.providers.minio_service_account import IamServiceAccount
from plugins.providers.minio_versioning import S3BucketVersioning
from plugins.providers.schema import ANY, FLAG, TEXT, WHOLE, Prop


class S3Bucket(OnServer):
    """A bucket; it is only removed with its content if `forceDestroy` is set."""

    type = ResourceType(
        "minio:index/s3Bucket:S3Bucket",
        {
            "bucket": Prop(required=True, replace=True),
            "acl": Prop(default="private", allowed=("private",)),
            "forceDestroy": FLAG,
            "objectLocking": Prop("flag", replace=True),
            "quota": WHOLE,
        },
        computed=("arn", "bucketDomainName"),
    )

    def create(self, inputs: Properties, context: Context) -> Created:
        name = inputs["bucket"]
        with self._server.doing(f"bucket {name}: cannot be created"):
            if self._server.store.bucket_exists(name):
                raise ProviderError(f"bucket {name} is already on {self._server.url}; choose another name or remove it")
            self._server.store.make_bucket(name, object_lock=bool(inputs.get("objectLocking")))
            if inputs.get("quota"):
                self._server.admin.bucket_quota_set(name, int(inputs["quota"]))
        return Created(name, self._known(name, inputs))

    def _known(self, name: str, known: Properties) -> Properties:
        domain = f"{self._server.url}/minio/{name}"
        return self._outputs(known, bucket=name, arn=f"arn:aws:s3:::{name}", bucketDomainName=domain)

    def update(
        self, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties, context: Context
    ) -> Properties:
        if old_inputs.get("quota") != news.get("quota"):
            with self._server.doing(f"bucket {id_}: its quota cannot be set"):
                self._server.admin.bucket_quota_set(id_, int(news.get("quota") or 0))
        return super().update(id_, old_inputs, old_outputs, news, context)

    def read(self, id_: str, inputs: Properties, outputs: Properties) -> Created | None:
        with self._server.doing(f"bucket {id_}: cannot be read"):
            if not self._server.store.bucket_exists(id_):
                return None
        return Created(id_, self._known(id_, outputs))

    def import_(self, id_: str) -> Imported | None:
        """By name."""
        try:
            with self._server.doing(f"bucket {id_}: cannot be read"):
                if not self._server.store.bucket_exists(id_):
                    return None
                quota = json.loads(self._server.admin.bucket_quota_get(id_)).get("quota")
        except Gone:
            return None
        known: Properties = {"bucket": id_, **({"quota": quota} if quota else {})}
        if self._locks_objects(id_):
            known["objectLocking"] = True
        inputs = self.imported_inputs(known)
        return Imported(id_, inputs, self._known(id_, inputs.inputs))

    def _locks_objects(self, name: str) -> bool:
        with self._server.doing(f"bucket {name}: cannot be read"):
            try:
                self._server.store.get_object_lock_config(name)
            except S3Error as error:
                if error.code == "ObjectLockConfigurationNotFoundError":
                    return False
                raise
        return True

    def delete(self, id_: str, inputs: Properties, outputs: Properties, context: Context) -> None:
        store = self._server.store
        try:
            with self._server.doing(f"bucket {id_}: cannot be removed"):
                found = store.list_objects(id_, recursive=True, include_version=True)
                objects = (DeleteObject(str(item.object_name), item.version_id) for item in found)
                first = next(objects, None)
                if first is not None and not inputs.get("forceDestroy"):
                    raise ProviderError(
                        f"bucket {id_} on {self._server.url} is not empty; empty it, or set forceDestroy "
                        "and run `up` first"
                    )
                if first is not None:
                    for error in store.remove_objects(id_, [first, *objects], bypass_governance_mode=True):
                        raise ProviderError(f"bucket {id_}: {error.name} cannot be removed: {error.message}")
                store.remove_bucket(id_)
        except Gone:
            return


class IamUser(OnServer):
    """A user; without a given secret one is drawn."""

    type = ResourceType(
        "minio:index/iamUser:IamUser",
        {
            "name": Prop(replace=True),
            "secret": Prop(secret=True),
            "disableUser": FLAG,
            "forceDestroy": FLAG,
        },
        computed=("secret", "status"),
        secret_outputs=frozenset({"secret"}),
        auto_name=True,
    )

    def create(self, inputs: Properties, context: Context) -> Created:
        name = inputs["name"]
        secret = inputs.get("secret") or drawn_secret()
        return Created(name, self._set(name, secret, inputs))

    def _set(self, name: str, secret: str, known: Properties) -> Properties:
        with self._server.doing(f"user {name}: cannot be set"):
            self._server.admin.user_add(name, secret)
            if known.get("disableUser"):
                self._server.admin.user_disable(name)
        return self._outputs(known, secret=secret, status="disabled" if known.get("disableUser") else "enabled")

    def update(
        self, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties, context: Context
    ) -> Properties:
        outputs = super().update(id_, old_inputs, old_outputs, news, context)
        secret = news.get("secret") or old_outputs.get("secret")
        if secret:
            return self._set(id_, secret, outputs)
        # Nobody here knows the secret of a user that was imported, and it stays as it is.
        off = bool(outputs.get("disableUser"))
        with self._server.doing(f"user {id_}: cannot be changed"):
            (self._server.admin.user_disable if off else self._server.admin.user_enable)(id_)
        return self._outputs(outputs, status="disabled" if off else "enabled")

    def read(self, id_: str, inputs: Properties, outputs: Properties) -> Created | None:
        try:
            with self._server.doing(f"user {id_}: cannot be read"):
                status = json.loads(self._server.admin.user_info(id_)).get("status", "")
        except Gone:
            return None
        known = self._outputs(outputs, name=id_, status=status)
        if bool(outputs.get("disableUser")) != (status == "disabled"):
            known["disableUser"] = status == "disabled"
        return Created(id_, known)

    def import_(self, id_: str) -> Imported | None:
        """By name; the secret cannot be read."""
        found = self.read(id_, {}, {})
        if found is None:
            return None
        inputs = self.imported_inputs({name: value for name, value in found.outputs.items() if name != "status"})
        return Imported(id_, inputs, {**inputs.inputs, **found.outputs})

    def delete(self, id_: str, inputs: Properties, outputs: Properties, context: Context) -> None:
        try:
            with self._server.doing(f"user {id_}: cannot be removed"):
                self._server.admin.user_remove(id_)
        except Gone:
            return


class IamPolicy(WithPolicy):
    """A policy that users can have."""

    type = ResourceType(
        "minio:index/iamPolicy:IamPolicy",
        {"name": Prop(replace=True), "policy": Prop(required=True)},
        auto_name=True,
    )

    def create(self, inputs: Properties, context: Context) -> Created:
        with self._server.doing(f"policy {inputs['name']}: cannot be set"):
            self._server.admin.policy_add(inputs["name"], policy=json.loads(inputs["policy"]))
        return Created(inputs["name"], self._outputs(inputs))

    def update(
        self, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties, context: Context
    ) -> Properties:
        with self._server.doing(f"policy {id_}: cannot be set"):
            self._server.admin.policy_add(id_, policy=json.loads(news["policy"]))
        return super().update(id_, old_inputs, old_outputs, news, context)

    def read(self, id_: str, inputs: Properties, outputs: Properties) -> Created | None:
        try:
            with self._server.doing(f"policy {id_}: cannot be read"):
                answer = json.loads(self._server.admin.policy_info(id_))
        except Gone:
            return None
        there = json.dumps(answer.get("Policy", answer), separators=(",", ":"))
        known = self._outputs(outputs, name=id_)
        if not self.same("policy", TEXT, there, outputs.get("policy")):
            known["policy"] = there
        return Created(id_, known)

    def import_(self, id_: str) -> Imported | None:
        """By name."""
        return self._import_as_read(id_)

    def delete(self, id_: str, inputs: Properties, outputs: Properties, context: Context) -> None:
        try:
            with self._server.doing(f"policy {id_}: cannot be removed"):
                self._server.admin.policy_remove(id_)
        except Gone:
            return


class IamUserPolicyAttachment(OnServer):
    """A policy that a user has."""

    type = ResourceType(
        "minio:index/iamUserPolicyAttachment:IamUserPolicyAttachment",
        {"userName": Prop(required=True, replace=True), "policyName": Prop(required=True, replace=True)},
    )

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        # The server replaces a user's whole list of policies: two changes at once would lose one.
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def _policies(self, user: str) -> list[str]:
        with self._server.doing(f"user {user}: cannot be read"):
            answer = json.loads(self._server.admin.user_info(user))
        return [name for name in str(answer.get("policyName") or "").split(",") if name]

    def create(self, inputs: Properties, context: Context) -> Created:
        user, policy = inputs["userName"], inputs["policyName"]
        try:
            with self._locks[user]:
                if policy not in self._policies(user):
                    with self._server.doing(f"policy {policy}: cannot be given to user {user}"):
                        self._server.admin.attach_policy([policy], user=user)
        except Gone:
            raise ProviderError(f"policy {policy} or user {user} is not on {self._server.url}") from None
        return Created(_attachment_id(user), self._outputs(inputs))

    def read(self, id_: str, inputs: Properties, outputs: Properties) -> Created | None:
        try:
            held = outputs["policyName"] in self._policies(outputs["userName"])
        except Gone:
            return None
        return Created(id_, self._outputs(outputs)) if held else None

    def import_(self, id_: str) -> Imported | None:
        """By user and policy, with a slash between them, as the published provider has it."""
        user, _, policy = id_.partition("/")
        if not user or not policy:
            raise ProviderError(f"{id_}: an IamUserPolicyAttachment is imported by USER/POLICY")
        inputs = self.imported_inputs({"userName": user, "policyName": policy})
        found = self.read(_attachment_id(user), {}, inputs.inputs)
        return None if found is None else Imported(found.id, inputs, found.outputs)

    def delete(self, id_: str, inputs: Properties, outputs: Properties, context: Context) -> None:
        user, policy = outputs["userName"], outputs["policyName"]
        try:
            with self._locks[user]:
                if policy in self._policies(user):
                    with self._server.doing(f"policy {policy}: cannot be taken from user {user}"):
                        self._server.admin.detach_policy([policy], user=user)
        except Gone:
            return


def _attachment_id(user: str) -> str:
    return f"{user}-{datetime.now(UTC):%Y%m%d%H%M%S}{secrets.token_hex(6)}"


_RESOURCES: tuple[type[OnServer], ...] = (
    S3Bucket,
    S3BucketVersioning,
    IamUser,
    IamPolicy,
    IamUserPolicyAttachment,
    IamServiceAccount,
)
_CONFIG = {
    "minioServer": Prop(required=True),
    "minioUser": Prop(required=True),
    "minioPassword": Prop(required=True),
    "minioSsl": ANY,
    "minioCacertFile": TEXT,
    "minioRegion": TEXT,
}


def package() -> TypedPackage:
    """The `minio` package."""

    def make(config: Properties) -> TypedProvider:
        server = Server(
            config["minioServer"],
            config["minioUser"],
            config["minioPassword"],
            # A provider's booleans travel as JSON text.
            config.get("minioSsl") in (True, "true"),
            config.get("minioCacertFile"),
            config.get("minioRegion", ""),
        )
        return TypedProvider([resource(server) for resource in _RESOURCES])

    return TypedPackage("minio", make, tuple(item.type for item in _RESOURCES), _CONFIG)
