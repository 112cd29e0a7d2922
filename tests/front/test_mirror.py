"""The mirror port: caches alone, reads alone, a certificate instead of a user."""

from __future__ import annotations

import json
import ssl

import pytest

from tests.front.fake import Answer
from tests.front.test_reads import CONTAINERD_PUSH, DIGEST
from tests.front.world import World


@pytest.fixture
def mirror(front: World) -> World:
    for several in front.caches.values():
        for one in several:
            one.reset(lambda asked: Answer(200, b"cached", {"Docker-Content-Digest": DIGEST}))
    return front


@pytest.mark.parametrize(
    ("path", "cache", "there"),
    [
        ("library/a/manifests/1?ns=docker.io", "hub", "library/a/manifests/1?ns=docker.io"),
        (f"library/a/blobs/{DIGEST}", "hub", f"library/a/blobs/{DIGEST}"),
        ("docker.io/library/a/manifests/1", "hub", "library/a/manifests/1"),
        ("quay.io/a/b/manifests/1", "quay", "a/b/manifests/1"),
        ("", "hub", ""),
    ],
)
def test_a_prefix_leads_to_its_cache_and_the_root_to_the_mirrored_one(
    mirror: World, path: str, cache: str, there: str
) -> None:
    for method in ("GET", "HEAD"):
        got = mirror.ask(method, f"/v2/{path}", mirror=True, headers={"Accept": CONTAINERD_PUSH})
        assert (got.status, got.headers["Docker-Content-Digest"]) == (200, DIGEST)
    asked = {name: [line for one in several for line in one.methods()] for name, several in mirror.caches.items()}
    assert asked.pop(cache) == [f"GET /v2/{there}", f"HEAD /v2/{there}"]
    assert list(asked.values()) == [[]]
    assert [one.asked for one in mirror.replicas] == [[], []], "the store is never asked"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_nothing_is_written_there(mirror: World, method: str) -> None:
    got = mirror.ask(method, "/v2/library/a/manifests/1", mirror=True, body=b"x")
    assert (got.status, json.loads(got.body)["errors"][0]["code"]) == (405, "UNSUPPORTED")


@pytest.mark.parametrize("path", ["_catalog", "library/a/tags/list", "quay.io/a/tags/list"])
def test_nothing_is_listed_there(mirror: World, path: str) -> None:
    assert mirror.ask("GET", f"/v2/{path}", mirror=True).status == 404


def test_no_spelling_of_a_path_leads_from_one_cache_to_another(mirror: World) -> None:
    for path in ("quay.io/../library/a/manifests/1", "quay.io/%2e%2e/a/manifests/1", "quay.io%2fa/b/manifests/1"):
        assert mirror.ask("GET", f"/v2/{path}", mirror=True).status == 400


def test_only_the_mirrors_own_certificate_is_let_in(mirror: World) -> None:
    outsider = ssl.create_default_context(cafile=str(mirror.directory / "ca.crt"))
    outsider.check_hostname = False
    got = mirror.ask("GET", "/v2/library/a/manifests/1", mirror=True, context=outsider)
    assert (got.status, json.loads(got.body)["errors"][0]["code"]) == (403, "DENIED")
    outsider.load_cert_chain(mirror.directory / "outsider.pem")
    assert mirror.ask("GET", "/v2/library/a/manifests/1", mirror=True, context=outsider).status == 403, (
        "a certificate of the stack's CA is no ticket"
    )


def test_the_second_cache_answers_while_the_first_is_gone(mirror: World) -> None:
    first, second = mirror.caches["quay"]
    first.reset(lambda asked: Answer(dies=True))
    second.reset(lambda asked: Answer(200))
    for _ in range(3):
        assert mirror.ask("GET", "/v2/quay.io/a/b/manifests/1", mirror=True).status == 200
    assert (len(first.asked), len(second.asked)) == (1, 3)
