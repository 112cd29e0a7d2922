"""Floods and slow clients of one address leave the others alone; TLS is Mozilla's intermediate."""

from __future__ import annotations

import socket
import ssl
import time

import pytest

from tests.front.fake import Answer
from tests.front.world import NAME, World


def open_raw(front: World, source: str) -> ssl.SSLSocket:
    raw = socket.create_connection(("127.0.0.1", front.config.port), timeout=20, source_address=(source, 0))
    return front.context.wrap_socket(raw)


def test_slow_clients_of_one_address_leave_the_others_alone(front: World) -> None:
    slow = [open_raw(front, "127.0.9.1") for _ in range(150)]
    for one in slow:
        one.sendall(b"GET /v2/ HTTP/1.1\r\nHost: a\r\nX-")
    began = time.monotonic()
    assert front.ask("GET", "/v2/", user=None, source=front.source()).seconds < 0.3
    assert slow[-1].recv(100) == b"", "headers that do not come are not waited for"
    assert 0.5 < time.monotonic() - began < 5
    for one in slow:
        one.close()


def test_headers_without_end_are_refused(front: World) -> None:
    got = front.ask("GET", "/v2/", headers={f"X-{number}": "y" * 4000 for number in range(20)})
    assert got.status == 400


def test_more_requests_at_once_than_any_node_makes_are_refused(front: World) -> None:
    for one in front.replicas:
        one.reset(lambda asked: Answer(200, late=1.5))
    source = front.source()
    waiting = [front.send("GET", "/v2/a/tags/list", source=source) for _ in range(45)]
    refused = front.ask("GET", "/v2/", source=source)
    assert (refused.status, refused.headers["Retry-After"]) == (429, "5")
    neighbour = front.ask("GET", "/v2/", user=None, source=front.source())
    assert (neighbour.status, neighbour.seconds < 0.5) == (401, True)
    for one in waiting:
        one.close()


def test_http_2_is_spoken(front: World) -> None:
    context = ssl.create_default_context(cafile=str(front.directory / "ca.crt"))
    context.check_hostname = False
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", front.config.port)) as raw,
        context.wrap_socket(raw, server_hostname=NAME) as secured,
    ):
        assert secured.selected_alpn_protocol() == "h2"
        assert secured.version() == "TLSv1.3"


def test_plain_http_is_told_so(front: World) -> None:
    with socket.create_connection(("127.0.0.1", front.config.port)) as raw:
        raw.sendall(b"GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 400")


@pytest.mark.parametrize(
    "request_line", [b"GARBAGE\r\n\r\n", b"GET /v2/\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n", b"\0" * 50]
)
def test_garbage_is_refused_and_nginx_lives_on(front: World, request_line: bytes) -> None:
    with open_raw(front, front.source()) as raw:
        raw.sendall(request_line)
        assert b" 400 " in raw.recv(100)
    assert front.status("alive") == 200
