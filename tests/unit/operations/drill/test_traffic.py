"""What a drill sends to a registry: every failure is seen, and none is hidden by a second try."""

from __future__ import annotations

import pytest

from operations.drill import traffic
from operations.registry.client import Broken, RegistryClient, WrongDigest
from operations.registry.endpoint import User
from tests.front.fake import Answer
from tests.unit.registries import PASSWORD, Registry, World


@pytest.fixture
def client(world: World, registry: Registry) -> RegistryClient:
    return RegistryClient("dev", registry.end().registry, world.ca, User("writer", PASSWORD), outage_after=5)


def test_an_image_that_is_pushed_can_be_read_with_its_waits(registry: Registry, client: RegistryClient) -> None:
    data, waits = traffic.layer(200_000), list[float]()
    digest = traffic.push_image(client, "drill/load", "1", data, {"a": "b"})
    assert registry.tags["drill/load"]["1"] == digest
    blob = client.push_blob("drill/load", data)
    traffic.read_slowly(client, "drill/load", blob, 10**9, waits.append)
    assert len(waits) >= len(data) // traffic.CHUNK


def test_an_outage_is_seen_at_the_first_request(registry: Registry, client: RegistryClient) -> None:
    registry.breaks["POST", "uploads"] = [Answer(503)]
    with pytest.raises(Broken, match="503"):
        client.push_blob("drill/load", b"x")
    assert registry.count("POST", "uploads") == 1


def test_wrong_bytes_and_a_missing_blob_are_told_apart(registry: Registry, client: RegistryClient) -> None:
    blob = client.push_blob("drill/load", b"right")
    registry.blobs["drill/load"][blob] = b"wrong"
    with pytest.raises(WrongDigest):
        traffic.read_slowly(client, "drill/load", blob, 10**9, lambda _: None)
    del registry.blobs["drill/load"][blob]
    with pytest.raises(Broken, match="has no blob"):
        traffic.read_slowly(client, "drill/load", blob, 10**9, lambda _: None)
