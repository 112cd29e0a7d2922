"""What is read from where: the store first, a cache only where the path and the request allow it, blobs from MinIO."""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.front.fake import Answer, Asked
from tests.front.world import ADDRESS, World

BLOB = b"0123456789" * 100
DIGEST = "sha256:" + hashlib.sha256(BLOB).hexdigest()
ONE = "application/vnd.oci.image.manifest.v1+json"
MANY = f"application/vnd.docker.distribution.manifest.v2+json, {ONE}, application/vnd.oci.image.index.v1+json"
CONTAINERD_PULL, CONTAINERD_PUSH = f"{MANY}, */*", f"{ONE}, */*"
CRANE_OR_ORAS = MANY
DOCKER_20 = MANY.replace(", ", "\n")


def holding(front: World) -> None:
    """Every cache has everything, the store nothing."""

    def cache(asked: Asked) -> Answer:
        return Answer(200, b"cached", {"Docker-Content-Digest": DIGEST, "Content-Type": ONE})

    for several in front.caches.values():
        for one in several:
            one.reset(cache)


def asked_of_caches(front: World) -> list[str]:
    return [line for several in front.caches.values() for one in several for line in one.methods()]


@pytest.mark.parametrize(
    ("method", "path", "user", "accept", "beyond"),
    [
        ("GET", "library/a/manifests/1", "bob", ONE, True),
        ("GET", f"library/a/manifests/{DIGEST}", "alice", ONE, True),
        ("GET", f"library/a/blobs/{DIGEST}", "alice", "", True),
        ("HEAD", "library/a/manifests/1", "bob", CONTAINERD_PULL, True),
        ("HEAD", "library/a/manifests/1", "bob", DOCKER_20, True),
        ("HEAD", "library/a/manifests/1", "bob", ONE, True),
        ("HEAD", "library/a/manifests/1", "alice", CONTAINERD_PULL, True),
        ("HEAD", f"library/a/manifests/{DIGEST}", "alice", CONTAINERD_PULL, True),
        ("HEAD", f"library/a/manifests/{DIGEST}", "alice", CONTAINERD_PULL.replace(", ", "\n"), True),
        ("HEAD", "library/a/manifests/1", "alice", CONTAINERD_PUSH, False),
        ("HEAD", f"library/a/manifests/{DIGEST}", "alice", CONTAINERD_PUSH, False),
        ("HEAD", "library/a/manifests/1", "alice", CRANE_OR_ORAS, False),
        ("HEAD", f"library/a/manifests/{DIGEST}", "root", CRANE_OR_ORAS, False),
        ("HEAD", "library/a/manifests/1", "alice", DOCKER_20, False),
        ("HEAD", "library/a/manifests/1", "alice", "", False),
        ("HEAD", f"library/a/blobs/{DIGEST}", "bob", "", False),
        ("HEAD", f"library/a/blobs/{DIGEST}", "alice", CONTAINERD_PULL, False),
        ("GET", "library/a/tags/list", "bob", "", False),
        ("GET", f"library/a/referrers/{DIGEST}", "bob", "", False),
        ("GET", "library/a/blobs/uploads/4f2", "alice", "", False),
        ("POST", "library/a/blobs/uploads/", "alice", "", False),
        ("PUT", "library/a/manifests/1", "alice", MANY, False),
        ("PATCH", "library/a/blobs/uploads/4f2", "alice", "", False),
        ("DELETE", "library/a/manifests/1", "root", MANY, False),
    ],
)
def test_a_404_of_the_store_leads_to_the_cache_for_pulls_only(
    front: World, method: str, path: str, user: str, accept: str, beyond: bool
) -> None:
    holding(front)
    body = b"x" if method in ("PUT", "PATCH") else None
    got = front.ask(method, f"/v2/docker.io/{path}", user=user, headers={"Accept": accept} if accept else {}, body=body)
    assert got.status == (200 if beyond else 404)
    assert asked_of_caches(front) == ([f"{method} /v2/{path}"] if beyond else [])
    stores = [line for one in front.replicas for line in one.methods()]
    assert stores == [f"{method} /v2/docker.io/{path}"], "the store is always asked first, once, by the whole path"


def test_who_could_push_gets_no_digest_of_a_tag_that_only_the_upstream_has(front: World) -> None:
    holding(front)
    accept = {"Accept": CONTAINERD_PULL}
    path = "/v2/docker.io/library/a/manifests/"
    assert front.ask("HEAD", f"{path}1", user="alice", headers=accept).headers["Docker-Content-Digest"] is None
    assert front.ask("HEAD", f"{path}1", user="bob", headers=accept).headers["Docker-Content-Digest"] == DIGEST
    assert front.ask("HEAD", path + DIGEST, user="alice", headers=accept).headers["Docker-Content-Digest"] == DIGEST
    assert front.ask("GET", f"{path}1", user="alice", headers=accept).headers["Docker-Content-Digest"] == DIGEST


def test_a_tag_in_the_store_keeps_its_digest_for_everybody(front: World) -> None:
    for one in front.replicas:
        one.reset(lambda asked: Answer(200, b"stored", {"Docker-Content-Digest": DIGEST}))
    got = front.ask("HEAD", "/v2/docker.io/a/manifests/1", user="alice", headers={"Accept": CONTAINERD_PUSH})
    assert (got.status, got.headers.get_all("Docker-Content-Digest")) == (200, [DIGEST])


def test_each_prefix_has_its_own_cache_and_other_paths_have_none(front: World) -> None:
    holding(front)
    front.ask("GET", "/v2/quay.io/a/b/manifests/1?ns=quay.io")
    assert front.caches["quay"][0].methods() == ["GET /v2/a/b/manifests/1?ns=quay.io"]
    for path in ("team/a", "docker.iox/a", "dockerxio/a", "x/docker.io/a", "docker.io"):
        assert front.ask("GET", f"/v2/{path}/manifests/1").status == 404, path
    assert front.caches["hub"][0].methods() == []


@pytest.mark.parametrize("status", [400, 401, 403, 500, 503])
def test_an_error_of_the_store_other_than_404_is_passed_on(front: World, status: int) -> None:
    holding(front)
    for one in front.replicas:
        one.reset(lambda asked: Answer(status, b'{"errors":[{"code":"FROM_THE_STORE"}]}'))
    got = front.ask("GET", "/v2/docker.io/a/manifests/1")
    assert got.status == status
    assert b"FROM_THE_STORE" in got.body
    assert asked_of_caches(front) == []


def test_a_miss_everywhere_is_the_caches_own_error(front: World) -> None:
    for one in front.caches["hub"]:
        one.reset(lambda asked: Answer(404, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}'))
    got = front.ask("GET", "/v2/docker.io/a/manifests/1")
    assert (got.status, json.loads(got.body)["errors"][0]["code"]) == (404, "MANIFEST_UNKNOWN")


def test_a_401_of_an_upstream_is_no_401_for_the_client(front: World) -> None:
    for one in front.caches["hub"]:
        one.reset(lambda asked: Answer(401, b"{}"))
    got = front.ask("GET", "/v2/docker.io/a/manifests/1")
    assert (got.status, got.headers["WWW-Authenticate"]) == (403, None)
    assert json.loads(got.body)["errors"][0]["code"] == "DENIED"


def test_a_429_of_the_upstream_keeps_its_retry_after(front: World) -> None:
    for one in front.caches["hub"]:
        one.reset(lambda asked: Answer(429, b'{"errors":[]}', {"Retry-After": "77"}))
    got = front.ask("GET", "/v2/docker.io/a/manifests/1")
    assert (got.status, got.headers.get_all("Retry-After")) == (429, ["77"])


def test_a_miss_with_the_caches_down_is_no_404(front: World) -> None:
    for one in front.caches["hub"]:
        one.reset(lambda asked: Answer(dies=True))
    got = front.ask("GET", "/v2/docker.io/a/manifests/1")
    assert (got.status, json.loads(got.body)["errors"][0]["code"]) == (502, "UNAVAILABLE")


def redirecting(front: World) -> None:
    """The store points to MinIO, which serves the blob as it does."""
    location = f"https://{ADDRESS}:{front.config.object_store_endpoint_port}/bucket/blob?X-Amz-Signature=a%2Fb&x=1"
    for one in front.replicas:
        one.reset(lambda asked: Answer(307, b"", {"Location": location}))
    for one in front.drives:
        one.reset(minio)


def minio(asked: Asked) -> Answer:
    headers = {"ETag": '"minio"', "X-Amz-Request-Id": "1", "Content-Type": "text/plain", "Vary": "Origin"}
    headers |= {
        "X-Content-Type-Options": "nosniff",
        "Accept-Ranges": "bytes",
        "Strict-Transport-Security": "max-age=1",
        "X-Ratelimit-Limit": "9",
    }
    if "Range" in asked.headers:
        return Answer(206, BLOB[10:20], {**headers, "Content-Range": f"bytes 10-19/{len(BLOB)}"})
    return Answer(200, BLOB, headers)


@pytest.mark.parametrize("path", ["team/a", "docker.io/library/a"])
def test_a_redirect_to_the_object_store_is_followed_and_never_seen(front: World, path: str) -> None:
    redirecting(front)
    got = front.ask("GET", f"/v2/{path}/blobs/{DIGEST}", headers={"If-None-Match": "x", "Cookie": "a=b"})
    assert (got.status, got.body) == (200, BLOB)
    assert got.headers.get_all("Docker-Content-Digest") == [DIGEST]
    assert got.headers.get_all("Etag") == [f'"{DIGEST}"']
    assert got.headers.get_all("Content-Type") == ["application/octet-stream"]
    assert got.headers.get_all("Accept-Ranges") == ["bytes"]
    assert got.headers.get_all("X-Content-Type-Options") == ["nosniff"]
    assert got.headers.get_all("Strict-Transport-Security") == ["max-age=63072000"]
    text = str(got.headers).lower()
    assert not any(word in text for word in ("amz", "minio", "vary", "ratelimit", "location", "signature"))
    [asked] = [one for drive in front.drives for one in drive.asked]
    assert asked.path == "/bucket/blob?X-Amz-Signature=a%2Fb&x=1"
    assert asked.headers["Host"] == f"{ADDRESS}:{front.config.object_store_endpoint_port}"
    assert not {"Authorization", "If-None-Match"} & asked.headers.keys(), "MinIO would answer something else"


def test_a_range_of_a_blob_comes_from_the_object_store(front: World) -> None:
    redirecting(front)
    got = front.ask("GET", f"/v2/team/a/blobs/{DIGEST}", headers={"Range": "bytes=10-19", "If-Range": f'"{DIGEST}"'})
    assert (got.status, got.body, got.headers["Content-Range"]) == (206, BLOB[10:20], f"bytes 10-19/{len(BLOB)}")


def test_a_head_for_a_blob_in_the_store_is_followed_too(front: World) -> None:
    redirecting(front)
    got = front.ask("HEAD", f"/v2/docker.io/a/blobs/{DIGEST}", user="alice")
    assert (got.status, got.headers["Content-Length"], got.body) == (200, str(len(BLOB)), b"")
    assert got.headers["Docker-Content-Digest"] == DIGEST


def test_a_caches_redirect_is_followed_too(front: World) -> None:
    for one in front.caches["hub"]:
        one.reset(lambda asked: Answer(307, b"", {"Location": "https://anything:1/bucket/blob?y=2"}))
    for one in front.drives:
        one.reset(minio)
    got = front.ask("GET", f"/v2/docker.io/a/blobs/{DIGEST}")
    assert (got.status, got.body) == (200, BLOB)


@pytest.mark.parametrize("answer", [Answer(503), Answer(500), Answer(dies=True)])
def test_a_drive_that_fails_costs_nothing_while_another_serves(front: World, answer: Answer) -> None:
    redirecting(front)
    front.drives[0].reset(lambda asked: answer)
    for _ in range(4):
        assert front.ask("GET", f"/v2/team/a/blobs/{DIGEST}").body == BLOB


@pytest.mark.parametrize("status", [403, 404])
def test_a_blob_that_the_object_store_does_not_serve_is_no_404(front: World, status: int) -> None:
    redirecting(front)
    for one in front.drives:
        one.reset(lambda asked: Answer(status, b"<Error/>"))
    got = front.ask("GET", f"/v2/docker.io/a/blobs/{DIGEST}")
    assert (got.status, json.loads(got.body)["errors"][0]["code"]) == (502, "UNAVAILABLE")
    assert asked_of_caches(front) == []


@pytest.mark.parametrize(
    "path",
    [
        "docker.io/../team/a/manifests/1",
        "docker.io/%2e%2e/team/a/manifests/1",
        "docker.io%2fa/manifests/1",
        "team/..%2fdocker.io/a/manifests/1",
        "docker.io//a/manifests/1",
        "docker.io/./a/manifests/1",
        "a/%5f../../_catalog",
        "%5fcatalog",
        "x/../_catalog",
        "/_catalog",
        "docker.io/a/manifests/1%00",
        "docker.io/a\\b/manifests/1",
    ],
)
def test_no_spelling_of_a_path_leads_round_the_rules(front: World, path: str) -> None:
    holding(front)
    got = front.ask("GET", f"/v2/{path}")
    assert got.status == 400
    assert json.loads(got.body)["errors"][0]["code"] == "NAME_INVALID"
    assert [one.asked for one in front.replicas] == [[], []]
    assert asked_of_caches(front) == []


def test_an_encoded_colon_and_any_query_are_plain_enough(front: World) -> None:
    holding(front)
    assert front.ask("GET", f"/v2/docker.io/a/blobs/{DIGEST.replace(':', '%3A')}").status == 200
    assert front.ask("GET", "/v2/docker.io/a/manifests/1?x=//../%2e%2e").status == 200


def test_answers_carry_a_request_id_that_the_replica_saw(front: World) -> None:
    got = front.ask("GET", "/v2/")
    [asked] = [one for replica in front.replicas for one in replica.asked]
    assert got.headers.get_all("X-Request-Id") == [asked.headers["X-Request-Id"]]
    assert got.headers.get_all("Docker-Distribution-Api-Version") == ["registry/2.0"]
