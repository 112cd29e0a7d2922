"""MinIO resources against a real server where an image of one is at hand."""

from __future__ import annotations

import io
import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest
from minio import Minio
from minio.error import S3Error

from plugins.interface import UNKNOWN, Provider, ProviderError
from tests.plugins.providers.conftest import Made, context, make

BUCKET = "minio:index/s3Bucket:S3Bucket"
VERSIONING = "minio:index/s3BucketVersioning:S3BucketVersioning"
USER = "minio:index/iamUser:IamUser"
POLICY = "minio:index/iamPolicy:IamPolicy"
ATTACHMENT = "minio:index/iamUserPolicyAttachment:IamUserPolicyAttachment"
SERVICE = "minio:index/iamServiceAccount:IamServiceAccount"
LOGIN = {"minioUser": "tester", "minioPassword": "tester-password"}
TEXT = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": "arn:aws:s3:::b/*"}]}
)
Configured = Callable[..., Provider]


@pytest.fixture(scope="module")
def address(daemon: docker.APIClient) -> Iterator[str]:
    """A MinIO server of one's own."""
    images = [tag for image in daemon.images() for tag in image["RepoTags"] or [] if tag.startswith("berth/minio:")]
    if not images:
        pytest.skip("no image berth/minio on this machine (./berth up builds it)")
    container = daemon.create_container(
        images[0],
        ["server", "/data"],
        name=f"berth-test-{uuid.uuid4().hex[:8]}",
        environment={"MINIO_ROOT_USER": LOGIN["minioUser"], "MINIO_ROOT_PASSWORD": LOGIN["minioPassword"]},
        host_config=daemon.create_host_config(tmpfs={"/data": "uid=65532"}),
    )
    daemon.start(container)
    try:
        where = daemon.inspect_container(container)["NetworkSettings"]["IPAddress"] + ":9000"
        client = Minio(where, LOGIN["minioUser"], LOGIN["minioPassword"], secure=False)
        for _ in range(100):
            try:
                client.list_buckets()
                break
            except Exception:
                time.sleep(0.2)
        yield where
    finally:
        daemon.remove_container(container, force=True, v=True)


@pytest.fixture
def minio(provider: Configured, address: str) -> Provider:
    return provider("minio", minioServer=address, minioSsl="false", **LOGIN)


def test_a_bucket_is_made_read_and_removed(minio: Provider, address: str) -> None:
    bucket = make(minio, BUCKET, "b", bucket="first")
    assert bucket.outputs["acl"] == "private"
    assert bucket.outputs["arn"] == "arn:aws:s3:::first"
    assert bucket.outputs["bucketDomainName"] == f"http://{address}/minio/first"
    assert bucket.diff().is_empty
    bucket.delete()
    assert bucket.read() is None
    bucket.delete()


def test_a_bucket_with_objects_is_kept_unless_force_destroy_says_otherwise(minio: Provider, address: str) -> None:
    client = Minio(address, LOGIN["minioUser"], LOGIN["minioPassword"], secure=False)
    kept = make(minio, BUCKET, "b", bucket="second")
    client.put_object("second", "x", io.BytesIO(b"1"), 1)
    with pytest.raises(ProviderError, match="not empty"):
        kept.delete()
    kept.inputs["forceDestroy"] = True
    kept.delete()
    assert kept.read() is None


@pytest.fixture
def versions(minio: Provider) -> Iterator[Made]:
    """The versioning of a bucket of its own."""
    bucket = make(minio, BUCKET, "b", bucket="kept", forceDestroy=True)
    yield make(minio, VERSIONING, "v", bucket="kept", versioningConfiguration=WITHOUT_UPLOADS)
    bucket.delete()


WITHOUT_UPLOADS = {"status": "Enabled", "excludedPrefixes": ["*/_uploads/", "cache/"]}


def test_a_versioned_bucket_keeps_all_but_the_excluded_prefixes(versions: Made, address: str) -> None:
    client = Minio(address, LOGIN["minioUser"], LOGIN["minioPassword"], secure=False)
    for name in ("app/_uploads/b", "app/a", "cache/c"):
        for content in (b"1", b"2"):
            client.put_object("kept", name, io.BytesIO(content), 1)
    kept = [one.object_name for one in client.list_objects("kept", recursive=True, include_version=True)]
    assert kept == ["app/_uploads/b", "app/a", "app/a", "cache/c"]
    read = versions.read()
    assert read is not None and read.outputs == versions.outputs, "a refresh shows no difference"
    assert versions.diff().is_empty and versions.imported().diff().is_empty
    assert versions.diff(bucket="other").replace == ("bucket",)


def test_a_buckets_versioning_changes_in_place_and_ends_suspended(
    minio: Provider, versions: Made, address: str
) -> None:
    client = Minio(address, LOGIN["minioUser"], LOGIN["minioPassword"], secure=False)
    news = {"bucket": "kept", "versioningConfiguration": {"status": "Enabled", "excludeFolders": True}}
    assert versions.diff(**news).changed == ("versioningConfiguration",)
    minio.update(VERSIONING, "kept", versions.inputs, versions.outputs, news, context("v"))
    assert not client.get_bucket_versioning("kept").excluded_prefixes
    read = versions.read()
    assert read is not None and read.outputs["versioningConfiguration"] == news["versioningConfiguration"]
    versions.delete()
    assert client.get_bucket_versioning("kept").status == "Suspended"


def test_the_versioning_of_a_bucket_that_never_had_one_is_not_there(minio: Provider) -> None:
    bucket = make(minio, BUCKET, "b", bucket="plain")
    assert minio.read(VERSIONING, "plain", {}, {}) is None
    bucket.delete()
    with pytest.raises(ProviderError, match=r"bucket plain is not on .*make the bucket first"):
        make(minio, VERSIONING, "v", bucket="plain", versioningConfiguration=WITHOUT_UPLOADS)
    minio.delete(VERSIONING, "plain", {"bucket": "plain"}, {"bucket": "plain"}, context("v"))


def test_a_user_has_the_given_secret_and_a_new_one_after_an_update(minio: Provider, address: str) -> None:
    bucket = make(minio, BUCKET, "b", bucket="third")
    policy = make(minio, POLICY, "p", policy=TEXT.replace("b/*", "third"))
    user = make(minio, USER, "u", name="alice", secret="first-secret")
    held = make(minio, ATTACHMENT, "a", userName="alice", policyName=policy.created.id)
    assert Minio(address, "alice", "first-secret", secure=False).bucket_exists("third")
    news = {**user.inputs, "secret": "second-secret"}
    assert user.diff(secret="second-secret").changed == ("secret",)
    minio.update(USER, "alice", user.inputs, user.outputs, news, context("u"))
    assert Minio(address, "alice", "second-secret", secure=False).bucket_exists("third")
    for one in (held, user, policy, bucket):
        one.delete()
        assert one.read() is None


@pytest.fixture
def bob(minio: Provider) -> Iterator[str]:
    """A user who may do everything in the bucket `bobs`."""
    made = [make(minio, BUCKET, "b", bucket="bobs", forceDestroy=True)]
    made.append(make(minio, POLICY, "p", name="bobs", policy=TEXT.replace("b/*", "*")))
    made.append(make(minio, USER, "u", name="bob", secret="bobs-secret"))
    made.append(make(minio, ATTACHMENT, "a", userName="bob", policyName="bobs"))
    yield "bob"
    for one in reversed(made):
        one.delete()


def may_write(address: str, account: Any, name: str) -> bool:
    outputs = account.outputs
    client = Minio(address, outputs["accessKey"], outputs["secretKey"], secure=False, region="us-east-1")
    try:
        client.put_object("bobs", name, io.BytesIO(b"1"), 1)
    except S3Error:
        return False
    return True


def below(directory: str) -> str:
    """A policy for one directory, as one text."""
    return TEXT.replace("b/*", f"bobs/{directory}/*")


def test_a_service_account_may_do_what_its_policy_says_and_no_more(minio: Provider, address: str, bob: str) -> None:
    account = make(minio, SERVICE, "s", targetUser=bob, policy=below("cache"))
    assert (account.outputs["status"], account.outputs["disableUser"], account.outputs["updateSecret"]) == (
        "on",
        False,
        False,
    )
    assert account.created.id == account.outputs["accessKey"]
    assert may_write(address, account, "cache/x") and not may_write(address, account, "store/x")
    assert account.diff().is_empty
    assert account.diff(policy=json.dumps(json.loads(below("cache")), indent=3)).is_empty
    assert account.diff(targetUser="alice").replace == ("targetUser",)
    read = account.read()
    assert read is not None and read.outputs == account.outputs, "a refresh shows no difference"
    account.delete()
    assert account.read() is None
    account.delete()


def test_a_service_account_without_policy_may_do_what_its_user_may(minio: Provider, address: str, bob: str) -> None:
    account = make(minio, SERVICE, "s", targetUser=bob)
    assert may_write(address, account, "store/x")
    assert account.diff().is_empty
    account.delete()


def test_a_service_account_is_changed_in_place(minio: Provider, address: str, bob: str) -> None:
    account = make(minio, SERVICE, "s", targetUser=bob, policy=below("cache"))

    def change(**more: Any) -> None:
        news = {**account.inputs, **more}
        outputs = minio.update(SERVICE, account.created.id, account.inputs, account.outputs, news, context("s"))
        account.inputs, account.created = news, replace(account.created, outputs=outputs)

    secret = account.outputs["secretKey"]
    change(policy=below("store"))
    assert may_write(address, account, "store/x") and not may_write(address, account, "cache/x")
    assert account.outputs["secretKey"] == secret
    change(updateSecret=True)
    assert account.outputs["secretKey"] != secret and may_write(address, account, "store/x")
    change(disableUser=True)
    assert account.outputs["status"] == "off" and not may_write(address, account, "store/x")
    account.delete()
    with pytest.raises(ProviderError, match=r"is no longer on .*run `refresh`"):
        change(disableUser=False)


def test_a_service_account_of_nobody_is_refused_by_name(minio: Provider) -> None:
    with pytest.raises(ProviderError, match="user nobody is not on"):
        make(minio, SERVICE, "s", targetUser="nobody")


def test_a_policy_in_another_spelling_is_no_difference(minio: Provider) -> None:
    policy = make(minio, POLICY, "p", policy=TEXT)
    assert policy.diff(
        policy=json.dumps(json.loads(TEXT.replace('"arn:aws:s3:::b/*"', '["arn:aws:s3:::b/*"]')))
    ).is_empty
    assert policy.diff(policy=TEXT.replace("b/*", "c/*")).changed == ("policy",)
    read = policy.read()
    assert read is not None
    assert read.outputs["policy"] == TEXT
    policy.delete()


@pytest.mark.parametrize(
    ("type_", "known"),
    [
        (BUCKET, {}),
        (VERSIONING, {"bucket": "x"}),
        (USER, {}),
        (POLICY, {"policy": TEXT}),
        (ATTACHMENT, {"userName": "u", "policyName": "p"}),
        (SERVICE, {"targetUser": "u"}),
    ],
)
def test_a_server_that_does_not_answer_is_no_resource_that_is_gone(
    provider: Configured, type_: str, known: dict[str, Any]
) -> None:
    minio = provider("minio", minioServer="127.0.0.1:1", **LOGIN)
    with pytest.raises(ProviderError, match=r"127\.0\.0\.1:1 does not answer"):
        minio.read(type_, "x", known, known)


def test_a_ca_file_need_not_exist_before_the_server_is_asked(provider: Configured, tmp_path: Path) -> None:
    minio = provider("minio", minioServer="127.0.0.1:1", minioSsl="true", minioCacertFile=f"{tmp_path}/ca.pem", **LOGIN)
    inputs = minio.check(BUCKET, "urn::b", None, {"bucket": "b1"}).inputs
    assert minio.create(BUCKET, inputs, context("b", preview=True)).id == ""
    with pytest.raises(ProviderError, match=r"minioCacertFile: .*ca\.pem does not exist"):
        minio.create(BUCKET, inputs, context("b"))


def test_secrets_are_declared_and_what_is_missing_is_named(provider: Configured) -> None:
    minio = provider("minio", minioServer="127.0.0.1:1", **LOGIN)
    assert minio.secret_outputs(USER) == {"secret"}
    assert minio.secret_outputs(SERVICE) == {"secretKey"}
    assert minio.check(USER, "urn::u", None, {"secret": UNKNOWN}).secrets == {"secret"}
    failures = minio.check(BUCKET, "urn::b", None, {"acl": "public", "tags": {}}).failures
    assert {failure.property for failure in failures} == {"acl", "bucket", "tags"}


def test_what_is_on_a_server_is_imported_without_a_difference(minio: Provider) -> None:
    bucket = make(minio, BUCKET, "b", bucket="there", quota=1 << 20, objectLocking=True)
    plain = make(minio, BUCKET, "c", bucket="there-too")
    policy = make(minio, POLICY, "p", name="there", policy=TEXT)
    user = make(minio, USER, "u", name="there", secret="first-secret")
    off = make(minio, USER, "o", name="off", secret="first-secret", disableUser=True)
    held = make(minio, ATTACHMENT, "a", userName="there", policyName="there")
    made = [bucket, plain, policy, user, off, held]
    try:
        for one in (bucket, plain, policy):
            assert one.imported().diff().is_empty
            assert one.imported().outputs.keys() == one.outputs.keys()
        imported = held.imported("there/there")
        assert imported.diff().is_empty
        assert imported.read() is not None
        for one in (user, off):
            assert one.imported().diff(secret=None).is_empty
        assert user.imported().diff().changed == ("secret",), "which cannot be read back"
    finally:
        for one in reversed(made):
            one.delete()


def test_an_imported_user_keeps_a_secret_that_is_not_known(minio: Provider, address: str) -> None:
    user = make(minio, USER, "u", name="kept", secret="first-secret")
    policy = make(minio, ATTACHMENT, "a", userName="kept", policyName="readwrite")
    imported = user.imported()
    news = {"name": "kept", "forceDestroy": True}
    outputs = minio.update(USER, "kept", imported.inputs, imported.outputs, news, context("u"))
    assert outputs["status"] == "enabled" and "secret" not in outputs
    assert not Minio(address, "kept", "first-secret", secure=False).bucket_exists("nothing-here")
    policy.delete()
    user.delete()


@pytest.mark.parametrize("own", [{}, {"policy": TEXT.replace("b/*", "bobs")}])
def test_a_service_account_is_imported_by_its_access_key(minio: Provider, bob: str, own: dict[str, str]) -> None:
    account = make(minio, SERVICE, "s", targetUser=bob, **own)
    imported = account.imported()
    assert imported.diff().is_empty
    assert imported.inputs.keys() - {"__defaults"} == {"targetUser", *own}
    assert "secretKey" not in imported.outputs
    account.delete()


@pytest.mark.parametrize(
    ("type_", "id_"),
    [
        (BUCKET, "nothing"),
        (VERSIONING, "nothing"),
        (USER, "nothing"),
        (POLICY, "nothing"),
        (ATTACHMENT, "nobody/nothing"),
        (SERVICE, "nothing"),
    ],
)
def test_what_is_not_on_a_server_cannot_be_imported(minio: Provider, type_: str, id_: str) -> None:
    assert minio.import_(type_, id_) is None


def test_an_attachment_is_imported_by_user_and_policy(minio: Provider) -> None:
    with pytest.raises(ProviderError, match="imported by USER/POLICY"):
        minio.import_(ATTACHMENT, "alice")
