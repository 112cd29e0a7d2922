"""Who may do what, with which password, and what guessing costs."""

from __future__ import annotations

import http.client
import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.front.fake import Answer
from tests.front.world import SECOND, World

REMEMBERED_SECONDS = 60
"""For so long a right password is not checked again."""


@pytest.fixture
def open_store(front: World) -> World:
    for one in front.replicas:
        one.reset(lambda asked: Answer(200, b"{}"))
    return front


@pytest.mark.parametrize(
    ("method", "path", "may"),
    [
        ("GET", "", "bob alice root"),
        ("HEAD", "a/manifests/1", "bob alice root"),
        ("GET", "a/tags/list", "bob alice root"),
        ("POST", "a/blobs/uploads/", "alice root"),
        ("PUT", "a/manifests/1", "alice root"),
        ("PATCH", "a/blobs/uploads/1", "alice root"),
        ("DELETE", "a/blobs/uploads/1", "alice root"),
        ("DELETE", "a/manifests/1", "root"),
        ("DELETE", "a/blobs/sha256:0", "root"),
        ("GET", "_catalog", "root"),
        ("GET", "_catalog?n=1", "root"),
        ("ODD", "a/manifests/1", "alice root"),
    ],
)
def test_each_role_may_do_what_its_name_says(open_store: World, method: str, path: str, may: str) -> None:
    source = open_store.source()
    for user in ("bob", "alice", "root"):
        got = open_store.ask(method, f"/v2/{path}", user=user, source=source)
        assert got.status == (200 if user in may.split() else 401), user


def test_both_passwords_of_a_user_are_valid_and_no_other(open_store: World) -> None:
    source = open_store.source()
    assert open_store.ask("GET", "/v2/", user="alice", source=source).status == 200
    assert open_store.ask("PUT", "/v2/a/manifests/1", user="alice", password=SECOND, source=source).status == 200
    assert open_store.ask("GET", "/v2/", user="bob", password=SECOND, source=source).status == 401
    assert open_store.ask("GET", "/v2/_catalog", user="alice", password=SECOND, source=source).status == 401


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Basic",
        "Basic !!!",
        "Bearer abc",
        "Basic " + "QUFB" * 400,
        "Basic " + "A" * 6000,
        "x" * 3000,
    ],
)
def test_what_is_no_password_gets_a_challenge_in_the_registrys_form(front: World, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    got = front.ask("GET", "/v2/", user=None, headers=headers, source=front.source())
    assert (got.status, got.headers.get_all("WWW-Authenticate")) == (401, ['Basic realm="Berth registry"'])
    assert json.loads(got.body)["errors"][0]["code"] == "UNAUTHORIZED"
    assert got.headers["Docker-Distribution-Api-Version"] == "registry/2.0"


@pytest.mark.parametrize("password", ["wrong", "p" * 70, "p" * 300, "p" * 1000, "ü" * 500, "a:b"])
def test_a_wrong_password_of_any_length_is_a_401(front: World, password: str) -> None:
    for user in ("bob", "alice", "nobody"):
        got = front.ask("GET", "/v2/", user=user, password=password, source=front.source())
        assert (got.status, got.headers.get_all("WWW-Authenticate")) == (401, ['Basic realm="Berth registry"'])


def test_a_write_with_a_wrong_password_reaches_no_replica(front: World) -> None:
    got = front.ask("PUT", "/v2/a/manifests/1", user="alice", password="x", body=b"y" * 500_000, source=front.source())
    assert got.status == 401
    assert [one.asked for one in front.replicas] == [[], []]


def guess(front: World, source: str, number: int) -> http.client.HTTPSConnection:
    """Sent and not waited for."""
    return front.send("GET", "/v2/", user="bob", password=f"guess{number}", source=source)


def test_guessing_is_slowed_down_and_then_refused_and_disturbs_nobody_else(open_store: World) -> None:
    guesser, neighbour = open_store.source(), open_store.source()
    assert open_store.ask("GET", "/v2/", source=guesser).status == 200
    waiting = [guess(open_store, guesser, number) for number in range(20)]
    seconds = [open_store.ask("GET", "/v2/", source=neighbour).seconds for _ in range(20)]
    waiting += [guess(open_store, guesser, number) for number in range(20, 30)]
    refused = open_store.ask("GET", "/v2/", user="bob", password="again", source=guesser)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "5")
    assert json.loads(refused.body)["errors"][0]["code"] == "TOOMANYREQUESTS"
    known = open_store.ask("GET", "/v2/", source=guesser)
    assert known.status == 200, "a password that is remembered counts for nothing"
    assert open_store.ask("POST", "/v2/a/blobs/uploads/", user="root", source=neighbour).status == 200
    assert statistics.median(seconds) < 0.5
    for one in waiting:
        one.close()


def test_guessing_from_many_addresses_is_limited_over_all_of_them(open_store: World) -> None:
    assert open_store.ask("GET", "/v2/", source=open_store.source()).status == 200
    guesses = [(open_store.source(), number) for number in range(20)] * 5
    with ThreadPoolExecutor(20) as pool:
        waiting = list(pool.map(lambda one: guess(open_store, *one), guesses))
    assert 429 in {one.getresponse().status for one in waiting[-20:]}
    known = open_store.ask("GET", "/v2/", source=open_store.source())
    assert (known.status, known.seconds < 1) == (200, True)
    for one in waiting:
        one.close()


def test_a_known_password_is_let_in_while_checks_are_refused(open_store: World) -> None:
    guesser = open_store.source()
    assert open_store.ask("GET", "/v2/", source=guesser).status == 200
    time.sleep(REMEMBERED_SECONDS + 1)
    waiting = [guess(open_store, guesser, number) for number in range(20)]
    assert open_store.ask("GET", "/v2/", user="bob", password="again", source=guesser).status == 429
    assert open_store.ask("GET", "/v2/", source=guesser).status == 200
    for one in waiting:
        one.close()


def test_users_behind_one_address_can_all_log_in_at_once(open_store: World) -> None:
    source = open_store.source()
    open_store.reload()
    with ThreadPoolExecutor(12) as pool:
        asked = [
            pool.submit(open_store.ask, "GET", "/v2/", user=user, source=source)
            for user in ("bob", "alice", "root")
            for _ in range(4)
        ]
        assert [one.result().status for one in asked] == [200] * 12
