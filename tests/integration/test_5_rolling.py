"""Changes of a running registry: one replica at a time, the object store at once and announced."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.client import HTTPException
from typing import Any

import pytest

from tests.integration.lab import NODES, Lab
from tests.integration.registry import Image, Registry, Upstream, berth_registry, random_image

pytestmark = pytest.mark.lab


@contextmanager
def under_load(
    registry: Registry, image: Image, writes: Sequence[float] = (0, 4, 5), tries: int = 1
) -> Iterator[list[str]]:
    """Reads, and writes of so many seconds, without a break; what failed so often in a row, or hung, is in the list."""
    failed: list[str] = []
    stop = threading.Event()
    digest = max(image.blobs, key=lambda each: len(image.blobs[each]))

    def read() -> str:
        answer = registry.blob("team/rolling", digest)
        return "" if answer.body == image.blobs[digest] else str(answer.status)

    def write(seconds: float) -> str:
        answer = registry.upload("team/rolling", random_image(50_000).manifest, seconds=seconds)
        return "" if answer.status == 201 else str(answer.status)

    def keep_on(name: str, ask: Callable[[], str]) -> None:
        problem = ""
        while not stop.is_set():
            for _ in range(tries):
                try:
                    problem = ask()
                except TimeoutError:
                    problem = "no answer"
                    break
                except (OSError, HTTPException, AssertionError) as error:
                    problem = str(error)
                if not problem:
                    break
                time.sleep(1)
            if problem:
                failed.append(f"{name}: {problem}")

    # The long ones are under way whenever a replica is told to end.
    asks = {"read": read, **{f"write of {seconds} s": partial(write, seconds) for seconds in writes}}
    threads = [threading.Thread(target=keep_on, args=one) for one in asks.items()]
    for thread in threads:
        thread.start()
    try:
        yield failed
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_replicas_are_replaced_one_after_the_other_and_no_request_fails(lab: Lab, settings: Any) -> None:
    registry = berth_registry(lab, "push")
    image = random_image(2_000_000)
    registry.push("team/rolling", "1", image)
    before = {node: lab.on(node, "docker", "inspect", "-f", "{{.Id}}", "berth-registry") for node in ("node1", "node2")}
    with under_load(registry, image) as failed:
        settings(images=lab.pinned("registry"))
        lab.berth("up", "--yes")
    after = {node: lab.on(node, "docker", "inspect", "-f", "{{.Id}}", "berth-registry") for node in ("node1", "node2")}
    assert all(before[node] != after[node] for node in before)
    assert failed == []


def test_a_balancer_that_leaves_hands_over_before_it_goes(lab: Lab, settings: Any) -> None:
    document = lab.document()["config"]
    registry = berth_registry(lab, "push")
    nodes = json.loads(json.dumps(document["berth:nodes"]))
    nodes[0]["roles"].remove("load-balancer")
    nodes[2]["roles"].append("load-balancer")
    settings(nodes=nodes)
    gaps, last = [], time.monotonic()
    stop = threading.Event()

    def watch() -> None:
        nonlocal last
        while not stop.is_set():
            try:
                if registry.ask("GET", "/v2/", timeout=2).status == 200:
                    gaps.append(time.monotonic() - last)
                    last = time.monotonic()
            except OSError:
                pass
            time.sleep(0.05)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        lab.berth("up", "--yes")
    finally:
        stop.set()
        thread.join()
    assert max(gaps) < 2, f"longest time without an answer: {max(gaps):.2f} s"
    assert "berth-load-balancer" not in lab.on("node1", "docker", "ps", "-a", "--format", "{{.Names}}")
    assert registry.ask("GET", "/v2/").status == 200


def holder(lab: Lab) -> str:
    """The balancer that has the registry's address."""
    address = lab.document()["config"]["berth:loadBalancer"]["address"]
    found = [node for node in ("node1", "node2") if address in lab.on(node, "ip", "-o", "-4", "address", "show")]
    assert len(found) == 1, found
    return found[0]


def test_replicas_that_all_restart_at_once_do_not_move_the_address(lab: Lab) -> None:
    registry, before = berth_registry(lab, "push"), holder(lab)
    for _ in range(3):
        for node in ("node1", "node2"):
            lab.on(node, "docker", "kill", "berth-registry")
        # Long enough for both balancers to notice.
        time.sleep(2)
        assert registry.ask("GET", "/v2/team/rolling/tags/list").status == 502
        for node in ("node1", "node2"):
            lab.on(node, "docker", "start", "berth-registry")
            time.sleep(1)
        assert holder(lab) == before
    assert registry.upload("team/rolling", b"written after that").status == 201


@pytest.mark.parametrize(
    ("act", "undo"),
    [
        (["docker", "stop", "berth-virtual-address"], ["docker", "start", "berth-virtual-address"]),
        (["docker", "pause", "berth-load-balancer"], ["docker", "unpause", "berth-load-balancer"]),
    ],
    ids=["its keepalived stops", "its nginx freezes"],
)
def test_who_waits_for_a_balancer_that_loses_the_address_is_told_at_once(
    lab: Lab, act: list[str], undo: list[str]
) -> None:
    registry, upstream = berth_registry(lab, "pull"), Upstream(lab)
    name = f"library/awaited-{act[1]}"
    upstream.registry.push(name, "1", random_image())
    upstream.set("--delay", "30s")
    before, ended = holder(lab), []

    def wait() -> None:
        try:
            ended.append(registry.manifest(f"docker.io/{name}", "1").status)
        except OSError:
            ended.append("cut")

    waiting = threading.Thread(target=wait)
    waiting.start()
    try:
        time.sleep(3)
        lab.on(before, *act)
        waiting.join(10)
        assert ended == ["cut"], "the client still waits for an answer that cannot come"
        assert holder(lab) != before
    finally:
        lab.on(before, *undo)
        upstream.set()
        waiting.join()


def test_a_change_of_the_object_store_is_announced_and_exported_first(lab: Lab, settings: Any) -> None:
    registry = berth_registry(lab, "push")
    image = random_image()
    registry.push("team/kept", "1", image)
    settings(images=lab.pinned("objectStore"))
    code, output = lab.try_berth("preview")
    assert code == 0, output
    assert "at the same time" in output
    for node in NODES:
        assert f"object-store-{node}" in output
    lab.berth("up", "--yes")
    exports = sorted((lab.home / "stacks" / "citest" / "exports").glob("*/*.zip.sealed"))
    assert exports, "nothing was exported before the change"
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in exports)
    assert registry.has("team/kept", image)


def test_an_upstream_gets_its_caches_and_takes_them_along_when_it_leaves(lab: Lab, settings: Any) -> None:
    registry = dict(lab.document()["config"]["berth:registry"])
    third = {"name": "third", "url": "https://10.76.0.3:5000", "prefix": "third.example.com/mirror"}
    settings(registry={**registry, "upstreams": [*registry["upstreams"], third]})
    lab.berth("up", "--yes")
    assert "berth-cache-third" in lab.on("node2", "docker", "ps", "--format", "{{.Names}}")
    settings()
    lab.berth("up", "--yes")
    for node in ("node1", "node2"):
        assert "berth-cache-third" not in lab.on(node, "docker", "ps", "-a", "--format", "{{.Names}}")
        assert lab.on(node, "ls", "/etc/berth").count("cache-third") == 0
