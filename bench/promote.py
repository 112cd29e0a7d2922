"""What `berth promote` costs between two labs that are up: images to copy, and images all of whose layers are there.

Pushes images into the source lab, verifies it, and promotes three times: everything missing, only manifests and tags
missing, nothing missing. The part that deals with content is measured by steps as well, and beside it skopeo, one image
after the other, where it is installed. Pins and records are put back; the images stay until the labs go.
Usage: python bench/promote.py --from staging --to prod [--images 50] [--layers 5] [--megabytes 20] [--output FILE]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.common import Lab, conditions, save, table
from config.stackfile import pins_file
from operations.promote.records import FOLDER
from operations.registry import copy_images
from operations.registry.client import MANIFESTS, Manifest, RegistryClient
from operations.registry.endpoint import Endpoint, endpoint

T = TypeVar("T")
PREFIX = "bench-promote/image-"
SHARED = 3
"""Layers that all images have in common, as those of one distribution have."""


def end_of(lab: Lab) -> Endpoint:
    """The lab's registry and its users."""
    return endpoint(lab.workspace, lab.settings.stack, lab.desired.outputs, show_secrets=True)


def store(lab: Lab, right: str) -> RegistryClient:
    """The lab's registry as promotions see it."""
    end = end_of(lab)
    return RegistryClient(lab.settings.stack, end.registry, str(lab.desired.outputs["registry_ca"]), end.users[right])


def upload(target: RegistryClient, repository: str, data: bytes) -> dict[str, Any]:
    """A blob, and how a manifest names it."""
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    target.upload(repository, digest, len(data), iter([data]))
    return {"mediaType": "application/vnd.oci.image.layer.v1.tar", "size": len(data), "digest": digest}


def push_layers(target: RegistryClient, images: int, layers: int, size: int) -> list[dict[str, Any]]:
    """Images of incompressible layers, some of which they share; their manifests, without tags as yet."""
    shared = [os.urandom(size) for _ in range(min(SHARED, layers))]

    def one(number: int) -> dict[str, Any]:
        repository = f"{PREFIX}{number:02}"
        parts = [*shared, *(os.urandom(size) for _ in range(layers - len(shared)))]
        config = upload(target, repository, json.dumps({"os": "linux", "architecture": "amd64"}).encode())
        described = [upload(target, repository, part) for part in parts]
        return {"schemaVersion": 2, "mediaType": MANIFESTS[0], "config": config, "layers": described}

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(one, range(images)))


def tag(target: RegistryClient, documents: Sequence[dict[str, Any]], name: str) -> None:
    """New manifests of the same layers under a tag."""
    for number, document in enumerate(documents):
        body = json.dumps({**document, "annotations": {"tag": name}}).encode()
        manifest = Manifest(f"sha256:{hashlib.sha256(body).hexdigest()}", MANIFESTS[0], body)
        target.put_manifest(f"{PREFIX}{number:02}", name, manifest)


def steps(source: Lab, target: Lab, name: str) -> dict[str, float]:
    """Seconds of what a promotion does with content, step by step."""
    seconds: dict[str, float] = {}

    def timed(what: str, work: Callable[[], T]) -> T:
        begun = time.perf_counter()
        result = work()
        seconds[what] = round(time.perf_counter() - begun, 2)
        return result

    origin, lister, into = store(source, "pull"), store(source, "admin"), store(target, "push")
    names = timed("list", lambda: copy_images.names(origin, lister, [f"{PREFIX}*:{name}"]))
    read = timed("read", lambda: copy_images.each(lambda one: copy_images.read(origin, one), names))
    images = [image for image in read if image]
    missing = timed("find", lambda: copy_images.find_missing(into, images))
    timed("copy", lambda: copy_images.copy(into, lambda: origin, images, missing))
    timed("check", lambda: copy_images.check(into, images))
    return seconds


def berth(lab: Lab, *words: str) -> float:
    """Seconds of a command, from its start to its end."""
    begun = time.perf_counter()
    done = subprocess.run([lab.workspace.root / "berth", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"berth {' '.join(words)}: {done.stderr or done.stdout}")
    return round(time.perf_counter() - begun, 1)


def skopeo(source: Lab, target: Lab, images: int, name: str) -> float | None:
    """Seconds that skopeo needs for the same, image after image; None where it is not installed."""
    if shutil.which("skopeo") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        logins, words = {}, ["skopeo", "copy", "--quiet", "--all", "--preserve-digests"]
        for lab, side in ((source, "src"), (target, "dest")):
            end, certificates = end_of(lab), Path(folder) / side
            certificates.mkdir()
            shutil.copy(end.ca_file, certificates / "ca.crt")
            user = end.users["push"]
            assert user is not None
            logins[end.registry] = {"auth": user.basic}
            words += [f"--{side}-cert-dir", str(certificates)]
        (Path(folder) / "auth.json").write_text(json.dumps({"auths": logins}))
        words += ["--authfile", str(Path(folder) / "auth.json")]
        begun = time.perf_counter()
        for number in range(images):
            path = f"{PREFIX}{number:02}:{name}"
            ends = [f"docker://{end_of(lab).registry}/{path}" for lab in (source, target)]
            subprocess.run([*words, *ends], check=True)
        return round(time.perf_counter() - begun, 1)


def main() -> None:
    """Measure, write all figures as JSON and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="source", required=True)
    parser.add_argument("--to", dest="target", required=True)
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--megabytes", type=int, default=20, help="of each layer")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    source, target = Lab.of(options.source), Lab.of(options.target)
    pins = pins_file(target.workspace.stack_file(options.target))
    records = target.workspace.root / FOLDER
    before, kept = pins.read_bytes() if pins.is_file() else None, set(records.glob("*"))
    measured = conditions()
    push = store(source, "push")
    documents = push_layers(push, options.images, options.layers, options.megabytes * 1_000_000)
    words = ["promote", "--from", options.source, "--to", options.target, "--yes", "--image"]
    berth(source, "verify", "--stack", options.source)
    try:
        tag(push, documents, "copied")
        measured["everything is missing"] = berth(source, *words, f"{PREFIX}*:copied")
        tag(push, documents, "tagged")
        measured["all layers are there"] = berth(source, *words, f"{PREFIX}*:tagged")
        measured["all is there"] = berth(source, *words, f"{PREFIX}*:tagged")
    finally:
        pins.unlink(missing_ok=True) if before is None else pins.write_bytes(before)
        for record in set(records.glob("*")) - kept:
            record.unlink()
    tag(push, documents, "steps")
    measured["steps"] = steps(source, target, "steps")
    tag(push, documents, "skopeo")
    measured["skopeo"] = skopeo(source, target, options.images, "skopeo")
    save(options.output or target.workspace.home / "cache" / "bench" / "promote.json", {**vars(options), **measured})
    print(rows(measured))


def rows(measured: dict[str, Any]) -> str:
    """The table for docs/performance.md."""
    found = [[f"`berth promote`, {what}", measured[what]] for what in WHOLE]
    parts = ", ".join(f"{what} {seconds}" for what, seconds in measured["steps"].items())
    found.append([f"its work on content, all layers being there: {parts}", round(sum(measured["steps"].values()), 1)])
    if measured["skopeo"] is not None:
        found.append(["`skopeo copy --all` for each image, all layers being there", measured["skopeo"]])
    return table(["what", "seconds"], found)


WHOLE = ("everything is missing", "all layers are there", "all is there")

if __name__ == "__main__":
    main()
