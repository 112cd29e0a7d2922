"""What a drill sends through the registry itself: images made of random bytes, and blobs read at a bounded rate."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import time
from collections.abc import Callable, Mapping

from operations.registry.client import Broken, Manifest, RegistryClient

CHUNK = 64 * 1024
OUTAGE_SECONDS = 60.0
"""Silence after which a request counts as failed."""
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def layer(size: int) -> bytes:
    """A layer with one file of random bytes, which nothing can make smaller."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("random")
        entry.size = size
        archive.addfile(entry, io.BytesIO(os.urandom(size)))
    return packed.getvalue()


def push_image(registry: RegistryClient, repository: str, tag: str, layer: bytes, labels: Mapping[str, str]) -> str:
    """Upload an image of one layer; the manifest's digest."""

    def part(kind: str, data: bytes) -> dict[str, object]:
        return {"mediaType": kind, "size": len(data), "digest": registry.push_blob(repository, data)}

    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Labels": dict(labels)},
        "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
    }
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": part(CONFIG, json.dumps(config).encode()),
        "layers": [part(LAYER, layer)],
    }
    body = json.dumps(document).encode()
    registry.put_manifest(repository, tag, Manifest(_digest(body), MANIFEST, body))
    return _digest(body)


def read_slowly(
    registry: RegistryClient, repository: str, digest: str, rate: float, waited: Callable[[float], object]
) -> None:
    """Read a blob, at most `rate` bytes a second; `waited` gets the seconds that each piece was waited for."""
    pieces = registry.read_blob(repository, digest, CHUNK)
    size, started = 0, time.monotonic()
    while True:
        asked = time.monotonic()
        try:
            piece = next(pieces, b"")
        except KeyError:
            raise Broken(f"{registry.stack}'s registry has no blob {digest} of {repository}.") from None
        finally:
            waited(time.monotonic() - asked)
        if not piece:
            return
        size += len(piece)
        time.sleep(max(0.0, started + size / rate - time.monotonic()))


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
