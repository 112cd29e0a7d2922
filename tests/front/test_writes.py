"""Writes: whole, unbuffered, and never twice."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import pytest

from tests.front.fake import Answer, Asked
from tests.front.world import World

BIG = b"x" * 3_000_000


def created(asked: Asked) -> Answer:
    return Answer(201, b"", {"Location": "/v2/a/blobs/uploads/1?_state=x", "Docker-Content-Digest": "sha256:0"})


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
@pytest.mark.parametrize("body", [b"", b"short", BIG])
def test_a_write_arrives_whole_and_its_answer_comes_back(front: World, method: str, body: bytes) -> None:
    for one in front.replicas:
        one.reset(created)
    path = "/v2/docker.io/a/blobs/uploads/1?_state=x&digest=sha256%3A0"
    got = front.ask(method, path, user="alice", body=body, headers={"Content-Type": "a/b", "X-Berth-Method": "GET"})
    [asked] = [one for replica in front.replicas for one in replica.asked]
    assert (asked.method, asked.path, asked.body) == (method, path, body)
    assert (got.status, got.headers["Location"]) == (201, "/v2/a/blobs/uploads/1?_state=x")
    assert got.headers.get_all("Docker-Content-Digest") == ["sha256:0"]
    assert got.headers.get_all("X-Request-Id") == [asked.headers["X-Request-Id"]]
    assert got.headers.get_all("Strict-Transport-Security") == ["max-age=63072000"]
    assert (asked.headers["Content-Type"], asked.headers["X-Forwarded-Proto"]) == ("a/b", "https")
    assert asked.headers["Host"] == f"127.0.0.1:{front.config.port}"
    assert "Authorization" not in asked.headers


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
@pytest.mark.parametrize("body", [None, b"short", BIG])
@pytest.mark.parametrize("path", ["manifests/1", "blobs/uploads/1"])
def test_a_write_that_was_sent_is_never_sent_again(front: World, method: str, body: bytes | None, path: str) -> None:
    for one in front.replicas:
        one.reset(lambda asked: Answer(dies=True))
    got = front.ask(method, f"/v2/a/{path}", user="root", body=body)
    assert (got.status, json.loads(got.body)["errors"][0]["code"]) == (502, "UNAVAILABLE")
    assert sum(len(one.asked) for one in front.replicas) == 1


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_write_that_a_replica_refuses_is_not_tried_elsewhere(front: World, method: str, status: int) -> None:
    for one in front.replicas:
        one.reset(lambda asked: Answer(status, b"its own words"))
    got = front.ask(method, "/v2/a/manifests/1", user="root", body=b"x")
    assert (got.status, got.body) == (status, b"its own words")
    assert sum(len(one.asked) for one in front.replicas) == 1


@pytest.fixture(scope="module")
def one_of_three(world: World) -> Iterator[World]:
    """Of three replicas one hangs, one is gone and one lives; each is tried again and again."""
    with world.pool(
        *(f"{one} max_fails=0" for one in (world.frozen.endpoint, "127.0.0.1:1", world.replicas[0].endpoint))
    ):
        yield world


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
@pytest.mark.parametrize("body", [None, b"short", BIG])
def test_a_write_goes_to_another_replica_while_one_cannot_be_reached(
    front: World, one_of_three: World, method: str, body: bytes | None
) -> None:
    alive = front.replicas[0]
    alive.reset(created)
    front.ask("GET", "/v2/a/tags/list", user="root")  # the password is known from here on
    for turn in range(1, 4):
        got = front.ask(method, "/v2/a/blobs/uploads/1", user="root", body=body)
        assert (got.status, got.seconds < 2) == (201, True)
        assert [(one.method, one.body) for one in alive.asked][1:] == [(method, body or b"")] * turn


def test_an_upload_reaches_the_replica_while_it_is_still_being_sent(front: World) -> None:
    got: list[float] = []

    def first(asked: Asked) -> Answer:
        got.append(time.monotonic())
        return Answer(413, b"enough")

    for one in front.replicas:
        one.reset(first)
        one.early = 100_000
    try:
        raw = front.context.wrap_socket(socket.create_connection(("127.0.0.1", front.config.port), timeout=10))
        raw.sendall(
            b"PATCH /v2/a/blobs/uploads/1 HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n"
            b"Authorization: Basic YWxpY2U6d3JpdGU=\r\n\r\n" + b"x" * 200_000
        )
        front.wait(lambda: bool(got))
        raw.close()
    finally:
        for one in front.replicas:
            one.early = None
