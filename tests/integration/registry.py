"""A registry as HTTP shows it, and the lab's stand-in for public ones."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import ssl
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.integration.lab import STACK, SUBNET, Lab, run

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
UPSTREAM = f"{SUBNET}.3:5000"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(frozen=True)
class Answer:
    """Status, headers in lower case, body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The registry's own word for what is wrong."""
        return str(json.loads(self.body)["errors"][0]["code"])


@dataclass(frozen=True)
class Image:
    """A pushed image: its parts by digest."""

    manifest: bytes
    blobs: dict[str, bytes]

    @property
    def digest(self) -> str:
        return digest_of(self.manifest)


def made(*layers: bytes) -> Image:
    """An image of these layers (no archives: only clients that unpack would mind)."""
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}).encode()
    described = [
        {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest_of(layer), "size": len(layer)}
        for layer in layers
    ]
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": digest_of(config),
            "size": len(config),
        },
        "layers": described,
    }
    return Image(json.dumps(manifest).encode(), {digest_of(part): part for part in (config, *layers)})


def random_image(size: int = 100_000, layers: int = 1) -> Image:
    return made(*(os.urandom(size) for _ in range(layers)))


def slowly(content: bytes, seconds: float, pieces: int = 20) -> Iterator[bytes]:
    size = -(-len(content) // pieces)
    for start in range(0, len(content), size):
        yield content[start : start + size]
        time.sleep(seconds / pieces)


@dataclass(frozen=True)
class Registry:
    """One registry and who asks."""

    host: str
    ca_file: str
    user: str = ""
    password: str = ""

    def ask(
        self, method: str, path: str, body: bytes | Iterable[bytes] | None = None, timeout: float = 60, **headers: str
    ) -> Answer:
        """One request on a connection of its own; `content_type` becomes Content-Type."""
        name, _, port = self.host.partition(":")
        connection = http.client.HTTPSConnection(
            name, int(port), timeout=timeout, context=ssl.create_default_context(cafile=self.ca_file)
        )
        sent = {key.replace("_", "-"): value for key, value in headers.items()}
        if self.user:
            sent["Authorization"] = "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        try:
            connection.request(method, path, body=body, headers=sent)
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def upload(self, repository: str, content: bytes, digest: str | None = None, seconds: float = 0) -> Answer:
        """A blob in one request, which takes `seconds`; the last answer."""
        started = self.ask("POST", f"/v2/{repository}/blobs/uploads/")
        assert started.status == 202, started
        location = started.headers["location"]
        location = location[location.index("/v2/") :]
        mark = "&" if "?" in location else "?"
        return self.ask(
            "PUT",
            f"{location}{mark}digest={digest or digest_of(content)}",
            slowly(content, seconds) if seconds else content,
            content_type="application/octet-stream",
            content_length=str(len(content)),
        )

    def push(self, repository: str, tag: str, image: Image) -> None:
        """The blobs, then the manifest under `tag`."""
        for content in image.blobs.values():
            done = self.upload(repository, content)
            assert done.status == 201, done
        put = self.ask("PUT", f"/v2/{repository}/manifests/{tag}", image.manifest, content_type=MANIFEST)
        assert put.status == 201, put

    def manifest(self, repository: str, reference: str, method: str = "GET") -> Answer:
        """A manifest as a pull asks for it."""
        accept = f"{MANIFEST}, {INDEX}, {DOCKER_MANIFEST}"
        return self.ask(method, f"/v2/{repository}/manifests/{reference}", accept=accept)

    def blob(self, repository: str, digest: str, method: str = "GET", **headers: str) -> Answer:
        return self.ask(method, f"/v2/{repository}/blobs/{digest}", **headers)

    def has(self, repository: str, image: Image) -> bool:
        """Whether every part of the image comes back as it went in."""
        found = self.manifest(repository, image.digest)
        return found.body == image.manifest and all(
            self.blob(repository, digest).body == content for digest, content in image.blobs.items()
        )


def berth_registry(lab: Lab, user: str = "push", *, fresh: bool = False) -> Registry:
    """The lab's own registry, asked by one of its users; `fresh` after a change of the users."""
    end = lab.endpoint() if fresh else lab.known_endpoint
    who = end["users"][user]
    return Registry(end["registry"], end["ca_file"], who["username"], who["password"])


class Upstream:
    """The stand-in: filled like any registry, with faults on demand."""

    def __init__(self, lab: Lab) -> None:
        self.registry = Registry(UPSTREAM, lab.known_endpoint["ca_file"])

    def set(self, *options: str) -> None:
        """Delay, bandwidth, fault; nothing: as a good registry."""
        done = run(["docker", "exec", f"berth-{STACK}-upstream", "/bin/upstream", "set", *options])
        assert done.returncode == 0, done.stderr

    def stats(self, *options: str) -> dict[str, Any]:
        """What it was asked and has sent since the last reset."""
        done = run(["docker", "exec", f"berth-{STACK}-upstream", "/bin/upstream", "stats", *options])
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))
