"""A server that answers as a test wants it, over TLS, and remembers what it was asked."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Asked:
    """One request, as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What goes back; `dies`: the connection is closed instead; `late`: seconds until then."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    dies: bool = False
    late: float = 0


class Fake:
    """One server on the loopback."""

    def __init__(
        self, certificate: Path, key: Path, client_ca: Path | None, address: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.asked: list[Asked] = []
        self.early: int | None = None
        """Answers after so many bytes of a body."""
        self.answer: Callable[[Asked], Answer] = lambda asked: Answer(404)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        if client_ca is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(client_ca)
        self._server = _server(self, context, (address, port))
        self.port = self._server.server_address[1]
        self.endpoint = f"{address}:{self.port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def reset(self, answer: Callable[[Asked], Answer]) -> None:
        """Forgets what was asked, and answers differently."""
        self.asked.clear()
        self.answer = answer

    def methods(self) -> list[str]:
        """What was asked, for short."""
        return [f"{one.method} {one.path}" for one in self.asked]

    def close(self) -> None:
        """Ends the server."""
        self._server.shutdown()
        self._server.server_close()


class Frozen:
    """A process that was paused: its kernel accepts, nobody answers."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.endpoint = f"127.0.0.1:{self._socket.getsockname()[1]}"

    def close(self) -> None:
        """Frees the port."""
        self._socket.close()


def _server(fake: Fake, context: ssl.SSLContext, address: tuple[str, int]) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            # Here and not in the listener: a handshake must not hold up the next one.
            self.request = context.wrap_socket(self.request, server_side=True)
            super().setup()

        def handle_one_request(self) -> None:
            try:
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                self._serve()
            except (OSError, ssl.SSLError):
                self.close_connection = True

        def _serve(self) -> None:
            asked = Asked(self.command, self.path, dict(self.headers.items()), self._body())
            fake.asked.append(asked)
            answer = fake.answer(asked)
            time.sleep(answer.late)
            if answer.dies:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                length = int(self.headers.get("Content-Length", 0))
                return self.rfile.read(length if fake.early is None else min(length, fake.early))
            found = b""
            while size := int(self.rfile.readline(), 16):
                found += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return found

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass

    return Server(address, Handler)
