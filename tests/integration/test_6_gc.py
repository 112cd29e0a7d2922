"""Garbage is collected while the registry serves, comes back on request, and is gone for good later."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3
import yaml
from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import S3Error

from tests.integration.lab import Lab
from tests.integration.registry import MANIFEST, Image, Registry, berth_registry, random_image

pytestmark = pytest.mark.lab

REPOSITORY = "team/garbage"
PURGE_AFTER = 15.0
GARBAGE = 4
"""Blobs that only the removed image needs: its manifest and three layers."""


def gc(lab: Lab, *words: str) -> dict[str, Any]:
    output = lab.berth("gc", "--json", *words)
    return dict(json.loads(output[output.index("{\n") :]))


def client(lab: Lab, access: str, secret: str) -> Minio:
    """MinIO by the balancer's address, as whoever has this key sees it."""
    pool = urllib3.PoolManager(ca_certs=lab.known_endpoint["ca_file"])
    return Minio(f"{lab.subnet}.10:9443", access, secret, region="us-east-1", http_client=pool)


def key_of_a_replica(lab: Lab) -> tuple[str, str]:
    config = yaml.safe_load(lab.on("node1", "cat", "/etc/berth/registry/config.yml"))["storage"]["s3"]
    return config["accesskey"], config["secretkey"]


def versions(lab: Lab) -> Iterator[Any]:
    """All that the bucket keeps of the store's blobs, as a replica may list it."""
    blobs = "store/docker/registry/v2/blobs/"
    return client(lab, *key_of_a_replica(lab)).list_objects("registry", blobs, recursive=True, include_version=True)


@pytest.fixture
def admin(lab: Lab) -> Registry:
    return berth_registry(lab, "admin")


def untag(admin: Registry, image: Image) -> None:
    assert admin.manifest(REPOSITORY, image.digest, "DELETE").status == 202
    time.sleep(2)


def test_garbage_goes_comes_back_and_goes_for_good(lab: Lab, admin: Registry) -> None:
    kept, image = random_image(), random_image(layers=3)
    admin.push(REPOSITORY, "kept", kept)
    admin.push(REPOSITORY, "1", image)
    untag(admin, image)
    # Both images have the same configuration, which is the first of their blobs.
    _, *layers = image.blobs
    assert gc(lab, "--now", "--dry-run")["condemned"] >= GARBAGE
    assert all(admin.blob(REPOSITORY, layer).status == 200 for layer in layers), "a plan removes nothing"

    removed = gc(lab, "--now")
    assert removed["phase"] == "sweep" and removed["deleted"] >= GARBAGE
    assert all(admin.blob(REPOSITORY, layer).status == 404 for layer in layers)
    assert gc(lab, "--undo", removed["run"])["undeleted"] == removed["deleted"]
    assert all(admin.blob(REPOSITORY, layer).body == image.blobs[layer] for layer in layers)
    put = admin.ask("PUT", f"/v2/{REPOSITORY}/manifests/1", image.manifest, content_type=MANIFEST)
    assert put.status == 201 and admin.has(REPOSITORY, image), "the layers need not be pushed again"
    assert gc(lab, "--now")["deleted"] == removed["deleted"] - GARBAGE, "what is needed again stays"

    untag(admin, image)
    assert gc(lab, "--now")["deleted"] == GARBAGE
    before = sum(one.size or 0 for one in versions(lab))
    time.sleep(PURGE_AFTER)
    freed = gc(lab)
    assert freed["purged"] >= GARBAGE and freed["purgedBytes"] > 300_000
    assert sum(one.size or 0 for one in versions(lab)) == before - freed["purgedBytes"]
    assert admin.has(REPOSITORY, kept)
    history = {run["run"]: run for run in gc(lab, "--status")["runs"]}
    assert history[removed["run"]]["undone"] and history[freed["run"]]["phase"] == "purge"


def test_a_replicas_key_hides_and_cannot_destroy(lab: Lab) -> None:
    berth_registry(lab).push(REPOSITORY, "2", random_image())
    store = client(lab, *key_of_a_replica(lab))
    one = next(found for found in versions(lab) if not found.is_delete_marker)
    with pytest.raises(S3Error, match="AccessDenied"):
        store.remove_object("registry", one.object_name, version_id=one.version_id)
    (error,) = store.remove_objects("registry", [DeleteObject(one.object_name, one.version_id)])
    assert error.code == "AccessDenied"
    assert one.version_id in {found.version_id for found in versions(lab)}
