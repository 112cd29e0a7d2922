"""Images of this machine's Docker, exported for a registry nearby: `docker push` compresses as for a slow line."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from operations.errors import BerthError
from operations.registry.client import CHUNK, MANIFESTS, Manifest
from operations.registry.copy_images import Image

LEVEL = 1
"""Of zlib: with Docker's own level, packing and sending three images took three times as long."""
ROOM = Path("/var/tmp")
"""Where large files may go for a while; /tmp is memory on some systems."""
_GZIP = 31
"""zlib's window size and "with gzip's header", which has no time in it: the same layer has the same digest."""
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


@dataclass(frozen=True)
class Exported:
    """Blobs in a folder, and the images that are made of them."""

    folder: Path
    images: tuple[Image, ...]
    stack: str = "this machine"
    """Whose they are, for messages."""

    def read_blob(self, repository: str, digest: str) -> Generator[bytes]:
        """A blob piece by piece."""
        with (self.folder / digest).open("rb") as file:
            yield from iter(partial(file.read, CHUNK), b"")


@contextmanager
def export(references: Mapping[str, str]) -> Iterator[Exported]:
    """Images (the name that they are to have -> image id) out of Docker, on disk for as long as the block lasts."""
    with ExitStack() as stack:
        try:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="berth-push-", dir=ROOM)))
            saved = folder / "saved.tar"
            _save(sorted(set(references.values())), saved)
            images = tuple(_pack(saved, folder, references))
            saved.unlink()
        except OSError as error:
            raise BerthError(
                f"Images can't be exported to {ROOM}, which needs 1.5 times their size: {error.strerror}."
            ) from None
        yield Exported(folder, images)


def _save(ids: list[str], file: Path) -> None:
    done = subprocess.run(["docker", "save", f"--output={file}", *ids], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BerthError(f"Docker can't save its images: {done.stderr.strip()}")


def _pack(saved: Path, folder: Path, references: Mapping[str, str]) -> Iterator[Image]:
    with tarfile.open(saved) as tar:
        listed = json.loads(_read(tar, "manifest.json"))
        configs = {entry["Config"]: _read(tar, entry["Config"]) for entry in listed}
    found = {_digest(configs[entry["Config"]]): entry for entry in listed}
    layers = sorted({layer for entry in listed for layer in entry["Layers"]})
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        described = dict(zip(layers, pool.map(partial(_squeeze, saved, folder), layers), strict=True))
    for name, id_ in references.items():
        config = configs[found[id_]["Config"]]
        (folder / id_).write_bytes(config)
        parts: list[dict[str, Any]] = [{"mediaType": _CONFIG, "size": len(config), "digest": id_}]
        parts += [described[layer] for layer in found[id_]["Layers"]]
        document = {"schemaVersion": 2, "mediaType": MANIFESTS[1], "config": parts[0], "layers": parts[1:]}
        body = json.dumps(document).encode()
        sizes = {str(part["digest"]): int(part["size"]) for part in parts}
        yield Image(name, (Manifest(_digest(body), MANIFESTS[1], body),), sizes)


def _squeeze(saved: Path, folder: Path, layer: str) -> dict[str, Any]:
    """A layer exported into the folder under its digest, described as in a manifest."""
    found, size = hashlib.sha256(), 0
    # Its own view of the archive: threads would move each other's place in it.
    with tarfile.open(saved) as tar, tempfile.NamedTemporaryFile(dir=folder, delete=False) as out:
        source = tar.extractfile(layer)
        assert source
        for part in _squeezed(source):
            found.update(part)
            size += out.write(part)
    digest = f"sha256:{found.hexdigest()}"
    Path(out.name).rename(folder / digest)
    return {"mediaType": _LAYER, "size": size, "digest": digest}


def _squeezed(source: IO[bytes]) -> Iterator[bytes]:
    squeezer = zlib.compressobj(LEVEL, wbits=_GZIP)
    yield from map(squeezer.compress, iter(partial(source.read, CHUNK), b""))
    yield squeezer.flush()


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    file = tar.extractfile(name)
    assert file
    return file.read()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
