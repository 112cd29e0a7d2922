"""Images out of archives, whatever wrote them, into this machine's Docker."""

from __future__ import annotations

import json
import platform
import re
import subprocess
import tarfile
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from lzma import LZMAError
from pathlib import Path
from typing import Any

from operations.errors import BerthError
from operations.host.steps import StepDisplay
from operations.kolla.images.published import image_id

_LOADED = re.compile(r"^Loaded image(?: ID)?: (\S+)$", re.MULTILINE)
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


def load(source: Path, wanted: Sequence[str], tag: str, display: StepDisplay) -> dict[str, str]:
    """Image -> what Docker calls it now; `source` is an archive or a folder of some. Refused unless all are there.

    Of several images of one name, the one with `tag` is meant.
    """
    files = sorted(path for path in source.iterdir() if path.is_file()) if source.is_dir() else [source]
    found: dict[str, list[str]] = defaultdict(list)
    with display.open():
        for file in files:
            with display.step(f"Load {file.name}"):
                for name, reference in _load(file):
                    found[name].append(reference)
    missing = [name for name in wanted if name not in found]
    if missing:
        raise BerthError(
            f"{source} lacks {len(missing)} of {len(wanted)} images: {', '.join(missing)}. "
            f"It has: {', '.join(sorted(found)) or 'none'}. Save those too, or name the services to copy. "
            "Nothing was pushed."
        )
    return {name: _chosen(found[name], tag, source) for name in wanted}


def _chosen(references: Sequence[str], tag: str, source: Path) -> str:
    meant = [reference for reference in references if reference.endswith(f":{tag}")] or references
    if len({image_id(reference) for reference in meant}) > 1:
        raise BerthError(
            f"{source} has several images of one name: {', '.join(meant)}. Save the one to copy alone, "
            f"or with the tag {tag}. Nothing was pushed."
        )
    return meant[0]


def _load(file: Path) -> Iterator[tuple[str, str]]:
    """Name and reference of each image; one without a name has the file's."""
    loaded = subprocess.run(
        ["docker", "load", "--quiet", f"--input={file}"], capture_output=True, text=True, check=False
    )
    own = file.name.partition(".")[0]
    if loaded.returncode == 0:
        for reference in _LOADED.findall(loaded.stdout):
            yield (own if reference.startswith("sha256:") else _name(reference)), reference
        return
    # Only now, for it takes long where it is compressed.
    members = _members(file)
    if "manifest.json" in members:
        raise BerthError(f"Docker can't read {file}: {loaded.stderr.strip()} Nothing was pushed.")
    if "oci-layout" not in members:
        how = "`docker save`, or `skopeo copy` to docker-archive: or oci-archive:, writes one"
        raise BerthError(f"{file} is no archive of images: {how}. Nothing was pushed.")
    with tarfile.open(file) as tar:
        yield from _load_oci(tar, own)


def _members(file: Path) -> set[str]:
    if not tarfile.is_tarfile(file):
        known = "a tar, plain or compressed by gzip, bzip2 or xz"
        raise BerthError(f"{file} is no archive that can be read: it is not {known}. Nothing was pushed.")
    try:
        with tarfile.open(file) as tar:
            return set(tar.getnames())
    except (tarfile.TarError, EOFError, OSError, LZMAError, zlib.error) as error:
        raise BerthError(f"{file} is truncated or damaged ({error}): copy it again. Nothing was pushed.") from None


def _load_oci(tar: tarfile.TarFile, own: str) -> Iterator[tuple[str, str]]:
    """The archive with the list of images that Docker looks for added to it."""
    images = list(_below(tar, _json(tar, "index.json"), own))
    listed = [
        {"Config": _blob(image["config"]), "RepoTags": None, "Layers": [_blob(layer) for layer in image["layers"]]}
        for _, image in images
    ]
    docker = subprocess.Popen(
        ["docker", "load", "--quiet"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert docker.stdin
    content = json.dumps(listed).encode()
    added = tarfile.TarInfo("manifest.json")
    added.size = len(content)
    # If Docker ends early, its output has the reason.
    with suppress(BrokenPipeError), docker.stdin as pipe, tarfile.open(fileobj=pipe, mode="w|") as out:
        for member in tar:
            out.addfile(member, tar.extractfile(member) if member.isfile() else None)
        out.addfile(added, BytesIO(content))
    assert docker.stdout
    output = docker.stdout.read().decode()
    docker.wait()
    loaded = _LOADED.findall(output)
    if docker.returncode or len(loaded) != len(images):
        raise BerthError(f"Docker can't read {tar.name!s}: {output.strip()} Nothing was pushed.")
    # In the order of the list.
    yield from zip((name for name, _ in images), loaded, strict=True)


def _below(tar: tarfile.TarFile, index: Mapping[str, Any], name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and manifest of each image of an index that this machine could run."""
    for entry in index["manifests"]:
        annotated = next((entry["annotations"][key] for key in _NAMES if key in entry.get("annotations", {})), "")
        # Some write a tag alone there.
        own = _name(annotated) if "/" in annotated or ":" in annotated else name
        document = _json(tar, _blob(entry))
        if "manifests" in document:
            yield from _below(tar, document, own)
        elif entry.get("platform", {}).get("architecture") in (None, _ARCHITECTURES.get(platform.machine())):
            yield own, document


def _json(tar: tarfile.TarFile, name: str) -> dict[str, Any]:
    file = tar.extractfile(name)
    assert file
    return dict(json.load(file))


def _blob(described: Mapping[str, Any]) -> str:
    return f"blobs/{described['digest'].replace(':', '/')}"


def _name(reference: str) -> str:
    """Kolla's own name: the last part, whatever registry and tag it had elsewhere."""
    return reference.rpartition("/")[2].partition(":")[0]
