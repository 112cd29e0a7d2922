"""MinIO's side of drift: buckets, users, policies and keys, read as a refresh reads them."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from typing import Any

from operations.inspect.compare import MISSING, Difference, Finding, Unknown
from operations.inspect.expected import Desired
from operations.pulumi.state import GONE

PROVIDER = "pulumi:providers:minio"
SECONDS = 5.0
KINDS = {
    "minio:index/s3Bucket:S3Bucket": "bucket",
    "minio:index/s3BucketVersioning:S3BucketVersioning": "versioning",
    "minio:index/iamUser:IamUser": "user",
    "minio:index/iamPolicy:IamPolicy": "policy",
    "minio:index/iamUserPolicyAttachment:IamUserPolicyAttachment": "grant",
    "minio:index/iamServiceAccount:IamServiceAccount": "key",
}
LOGINS = {"user": ("name", "secret"), "key": ("accessKey", "secretKey")}
"""Outputs with which one who has the secret logs in."""


def differences(desired: Desired) -> Iterator[Difference]:
    """Each resource of each MinIO server in the state; a server that does not answer is unknown with all it has."""
    from plugins.interface import ProviderError

    for provider in desired.resources:
        if provider.get("type") != PROVIDER or provider.get("delete"):
            continue
        reference = f"{provider['urn']}::{provider['id']}"
        address = str(provider["inputs"]["minioServer"])
        try:
            # What does not listen at all is given up sooner than the client would.
            host, _, port = address.rpartition(":")
            socket.create_connection((host, int(port)), SECONDS).close()
            for resource in desired.resources:
                if resource.get("provider") == reference and not resource.get("delete"):
                    yield from _of_resource(dict(provider["inputs"]), resource, address)
        except OSError as error:
            yield Unknown(address, f"the object store can't be reached: {error.strerror or error}")
        except ProviderError as error:
            yield Unknown(address, str(error))


def _of_resource(login: Mapping[str, Any], resource: Mapping[str, Any], address: str) -> Iterator[Difference]:
    from plugins.providers import minio

    asked = minio.package().configure(dict(login))
    type_, id_, urn = str(resource["type"]), str(resource["id"]), str(resource["urn"])
    inputs, outputs = dict(resource["inputs"]), dict(resource["outputs"])
    kind = KINDS.get(type_, type_)
    name = str(inputs.get("bucket") or inputs.get("name") or urn.rpartition("::")[2])
    found = asked.read(type_, id_, inputs, outputs)
    if found is None:
        yield Finding(address, kind, name, "there", MISSING, urn, GONE)
        return
    diff = asked.diff(type_, id_, inputs, found.outputs, inputs)
    for key in diff.changed:
        mark = {"outputs": {key: found.outputs.get(key)}}
        yield Finding(address, kind, name, f"with the {key} of the state", f"with another {key}", urn, mark)
    if kind in LOGINS and not diff.changed and not _lets_in(login, *(str(outputs[key]) for key in LOGINS[kind])):
        mark = {"outputs": {LOGINS[kind][1]: ""}}
        yield Finding(address, kind, name, "let in with the state's secret", "refused with it", urn, mark)


def _lets_in(login: Mapping[str, Any], user: str, secret: str) -> bool:
    """Whether the server knows this user by this secret; what the user may do is another matter."""
    from minio.error import S3Error

    from plugins.providers.minio_connection import Server

    ssl, ca_file, region = (login.get(key) for key in ("minioSsl", "minioCacertFile", "minioRegion"))
    server = Server(str(login["minioServer"]), user, secret, ssl in (True, "true"), ca_file, str(region or ""))
    with server.doing(f"login of {user}: cannot be tried"):
        try:
            server.store.list_buckets()
        except S3Error as error:
            if error.code in ("InvalidAccessKeyId", "SignatureDoesNotMatch"):
                return False
            if error.code != "AccessDenied":
                raise
    return True
