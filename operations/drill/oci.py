"""A small registry client that sees what docker hides: every byte's arrival, every answer's status."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import io
import json
import os
import socket
import ssl
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from operations.registry.endpoint import User

CHUNK = 64 * 1024
KEEPALIVE_SECONDS = 15
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


class Refused(Exception):
    """The registry answered with a status that ends the request, or broke off."""


class WrongBytes(Exception):
    """A whole answer whose digest is another one."""


def digest(data: bytes) -> str:
    """The data's digest as registries write it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def layer(size: int) -> bytes:
    """A layer with one file of random bytes, which nothing can make smaller."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("random")
        entry.size = size
        archive.addfile(entry, io.BytesIO(os.urandom(size)))
    return packed.getvalue()


@dataclass(frozen=True)
class Registry:
    """A registry and one of its users."""

    endpoint: str
    tls: ssl.SSLContext
    user: User | None = None
    seconds: float = 60.0

    @contextlib.contextmanager
    def _ask(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None, buffer: int = 0
    ) -> Iterator[http.client.HTTPResponse]:
        host, _, port = self.endpoint.rpartition(":")
        connection = http.client.HTTPSConnection(host, int(port), timeout=self.seconds, context=self.tls)
        with contextlib.closing(connection):
            try:
                connection.request(method, path, body or None, {**authorization(self.user), **(headers or {})})
                if buffer:
                    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
                # As Go does, docker's language: it is what ends a read from a server that vanished without a word.
                connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_SECONDS)
                connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_SECONDS)
                answer = connection.getresponse()
                if answer.status >= 300:
                    raise Refused(f"{method} {path.partition('?')[0]}: {answer.status} {answer.reason}")
                yield answer
            except (OSError, http.client.HTTPException) as error:
                raise Refused(f"{method} {path.partition('?')[0]}: {error or type(error).__name__}") from None

    def push_blob(self, repository: str, data: bytes) -> str:
        """Upload a blob; its digest."""
        with self._ask("POST", f"/v2/{repository}/blobs/uploads/") as answer:
            place = urlsplit(answer.getheader("Location", ""))
        name = digest(data)
        query = f"{place.query}&digest={name}" if place.query else f"digest={name}"
        with self._ask("PUT", f"{place.path}?{query}", data, {"Content-Type": "application/octet-stream"}):
            return name

    def push_image(self, repository: str, tag: str, layer: bytes, labels: Mapping[str, str]) -> str:
        """Upload an image of one layer; the manifest's digest."""
        about = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": dict(labels)},
            "rootfs": {"type": "layers", "diff_ids": [digest(layer)]},
        }
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST}
        manifest["config"] = self._part(repository, CONFIG, json.dumps(about).encode())
        manifest["layers"] = [self._part(repository, LAYER, layer)]
        text = json.dumps(manifest).encode()
        with self._ask("PUT", f"/v2/{repository}/manifests/{tag}", text, {"Content-Type": MANIFEST}):
            return digest(text)

    def _part(self, repository: str, kind: str, data: bytes) -> dict[str, object]:
        return {"mediaType": kind, "size": len(data), "digest": self.push_blob(repository, data)}

    def read_blob(self, repository: str, blob: str, rate: float, waited: Callable[[float], object]) -> None:
        """Read a blob, at most `rate` bytes a second, compare its digest, and tell each wait for more of it."""
        found, size = hashlib.sha256(), 0
        # With a large buffer this machine would go on reading for seconds from a server that is dead.
        with self._ask("GET", f"/v2/{repository}/blobs/{blob}", buffer=CHUNK) as answer:
            length = int(answer.getheader("Content-Length", "-1"))
            begun = time.monotonic()
            while chunk := _piece(answer, waited):
                found.update(chunk)
                size += len(chunk)
                time.sleep(max(0.0, begun + size / rate - time.monotonic()))
        if size < length:
            raise Refused(f"GET of {blob} broke off after {size} of {length} bytes")
        if f"sha256:{found.hexdigest()}" != blob:
            raise WrongBytes(f"the blob {blob} came as sha256:{found.hexdigest()}")


def _piece(answer: http.client.HTTPResponse, waited: Callable[[float], object]) -> bytes:
    asked = time.monotonic()
    try:
        return answer.read(CHUNK)
    finally:
        waited(time.monotonic() - asked)


def authorization(user: User | None) -> dict[str, str]:
    """The header that logs a user in."""
    return {} if user is None else {"Authorization": f"Basic {user.basic}"}
