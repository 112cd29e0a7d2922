"""The same over HTTP/2, which Go's clients speak."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable

import pytest

from tests.front.fake import Answer
from tests.front.world import World

Curl = Callable[..., str]


@pytest.fixture
def curl(front: World) -> Curl:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")

    def ask(*words: str, path: str, body: bytes = b"") -> str:
        url = f"https://127.0.0.1:{front.config.port}{path}"
        seen = "%{http_version} %{http_code}"
        command = ["curl", "-sk", "--http2", "-u", "root:all", "-o", "/dev/null", "-w", seen, *words, url]
        return subprocess.run(command, input=body, capture_output=True, check=True, timeout=30).stdout.decode()

    return ask


@pytest.mark.parametrize("size", [0, 1_000, 60_000, 3_000_000])
@pytest.mark.parametrize("framing", ["Content-Length: {}", "Transfer-Encoding: chunked"])
def test_uploads_of_any_size_arrive_whole_and_once(front: World, curl: Curl, size: int, framing: str) -> None:
    for one in front.replicas:
        one.reset(lambda asked: Answer(201))
    for method in ("PUT", "PATCH"):
        words = ("-X", method, "--data-binary", "@-", "-H", framing.format(size))
        assert curl(*words, path="/v2/a/blobs/uploads/1", body=b"x" * size) == "2 201"
    found = sorted((one.method, len(one.body)) for replica in front.replicas for one in replica.asked)
    assert found == [("PATCH", size), ("PUT", size)]


@pytest.mark.parametrize("method", ["PUT", "PATCH", "POST", "DELETE"])
def test_a_write_that_was_sent_is_never_sent_again(front: World, curl: Curl, method: str) -> None:
    for one in front.replicas:
        one.reset(lambda asked: Answer(dies=True))
    for size in (0, 1_000, 3_000_000):
        assert curl("-X", method, "--data-binary", "@-", path="/v2/a/manifests/1", body=b"x" * size) == "2 502"
    assert sum(len(one.asked) for one in front.replicas) == 3


def test_reads_fall_back_and_refusals_are_told(front: World, curl: Curl) -> None:
    for one in front.caches["hub"]:
        one.reset(lambda asked: Answer(200, b"cached"))
    assert curl(path="/v2/docker.io/a/manifests/1") == "2 200"
    assert curl(path="/v2/a/manifests/1") == "2 404"
    assert curl("-u", "root:wrong", path="/v2/") == "2 401"
