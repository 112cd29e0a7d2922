"""Images go from store to store: whole, checked, once each, and under their tags only at the end."""

from __future__ import annotations

import json
import os
import re
import tracemalloc

import pytest

from operations.errors import BerthError
from operations.registry import client, copy_images
from operations.registry.copy_images import Image, check, copy, find_missing, names, read
from tests.front.fake import Answer
from tests.unit.registries import DOCKER, OCI, PASSWORD, Registry, World, digest_of


@pytest.fixture
def source(world: World) -> Registry:
    return world.registry()


@pytest.fixture
def target(world: World) -> Registry:
    return world.registry()


def images(world: World, source: Registry, *patterns: str) -> list[Image]:
    """What the source's store has under these names."""
    asked = world.store("staging", source, "reader")
    found = [read(asked, name) for name in names(asked, world.store("staging", source, "boss"), patterns)]
    assert all(found)
    return [image for image in found if image]


def promote(world: World, source: Registry, target: Registry, *patterns: str) -> list[Image]:
    wanted, into = images(world, source, *patterns), world.store("prod", target)
    copy(into, lambda: world.store("staging", source, "reader"), wanted, find_missing(into, wanted))
    check(into, wanted)
    return wanted


def test_every_tag_arrives_under_the_same_name_and_digest(world: World, source: Registry, target: Registry) -> None:
    source.push("team/app:1", b"base", b"one")
    source.push("team/app:2", b"base", b"two", type_=DOCKER)
    source.push("team/tool:1", b"base")
    source.push_index("multi:1", (b"amd",), (b"arm", b"base"))
    promote(world, source, target)
    assert target.tags == source.tags
    assert target.manifests == source.manifests
    assert {name: dict(blobs) for name, blobs in target.blobs.items()} == source.blobs


def test_a_layer_that_several_repositories_share_crosses_the_network_once(
    world: World, source: Registry, target: Registry
) -> None:
    for number in range(5):
        source.push(f"team/app{number}:1", b"base", bytes([number]))
    promote(world, source, target)
    assert source.count("GET", digest_of(b"base")) == 1
    assert target.count("POST", f"mount={digest_of(b'base')}") == 4


def test_what_is_there_is_not_moved_again_not_even_from_another_repository(
    world: World, source: Registry, target: Registry
) -> None:
    target.push("other:1", b"base")
    source.push("team/app:1", b"base", b"own")
    wanted, into = images(world, source), world.store("prod", target)
    assert find_missing(into, [*wanted, read(world.store("prod", target), "other:1")]).bytes == 3 + 0  # type: ignore[list-item]
    promote(world, source, target)
    source.asked.clear()
    target.asked.clear()
    promote(world, source, target)
    assert not source.count("GET", "/blobs/")
    assert {method for method, _ in target.asked} == {"HEAD"}


def test_a_run_that_was_cut_is_finished_by_the_next_one(world: World, source: Registry, target: Registry) -> None:
    source.push_index("team/app:1", (b"first",), (b"second",))
    source.push("team/tool:1", b"tool")
    target.breaks["PUT", "/v2/team/tool/manifests/sha256"] = [Answer(500)]
    with pytest.raises(BerthError, match="prod's registry answers 500"):
        promote(world, source, target)
    assert not target.tags, "no tag before everything of all images is there"
    moved = source.count("GET", "/blobs/")
    promote(world, source, target)
    assert source.count("GET", "/blobs/") == moved, "the blobs were there already"
    assert target.tags == source.tags


def test_a_tag_of_another_image_in_the_target_becomes_the_promoted_one(
    world: World, source: Registry, target: Registry
) -> None:
    before = target.push("team/app:1", b"old")
    now = source.push("team/app:1", b"new")
    assert find_missing(world.store("prod", target), images(world, source)).tags == {"team/app:1": before}
    promote(world, source, target)
    assert target.tags["team/app"]["1"] == now
    assert before in target.manifests["team/app"], "the old one stays, to go back to"


def test_a_broken_connection_and_a_balancer_without_replica_are_retried(
    world: World, source: Registry, target: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    source.push("team/app:1", b"layer")
    target.breaks["PUT", "/blobs/uploads/"] = [Answer(dies=True), Answer(502)]
    target.breaks["HEAD", "/manifests/"] = [Answer(503), Answer(dies=True)]
    source.breaks["GET", "/manifests/"] = [Answer(502)]
    promote(world, source, target)
    assert target.tags == source.tags


def test_bytes_that_are_not_what_the_digest_says_never_arrive(
    world: World, source: Registry, target: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    source.push("team/app:1", b"layer")
    source.blobs["team/app"][digest_of(b"layer")] = b"LAYER"
    with pytest.raises(BerthError, match="staging's registry returned wrong bytes for sha256:"):
        promote(world, source, target)
    assert digest_of(b"layer") not in target.blobs["team/app"]
    assert not target.manifests


def test_a_manifest_that_is_not_what_its_digest_says_is_refused(world: World, source: Registry) -> None:
    digest = source.push("team/app:1", b"layer")
    source.manifests["team/app"][digest] = (OCI, b"{}")
    with pytest.raises(BerthError, match=digest):
        read(world.store("staging", source), "team/app:1", digest)


@pytest.mark.parametrize("what", ["layer", "child"])
def test_a_digest_that_has_vanished_from_the_source_is_named(
    what: str, world: World, source: Registry, target: Registry
) -> None:
    source.push_index("team/app:1", (b"layer",))
    if what == "layer":
        lost = digest_of(b"layer")
        del source.blobs["team/app"][lost]
    else:
        lost = next(digest for digest in source.manifests["team/app"] if digest not in source.tags["team/app"].values())
        del source.manifests["team/app"][lost]
    with pytest.raises(BerthError) as refused:
        promote(world, source, target)
    assert lost in str(refused.value) and "team/app:1" in str(refused.value) and "again" in str(refused.value)
    assert not target.tags


def test_a_target_that_loses_what_it_took_is_found_out(world: World, source: Registry, target: Registry) -> None:
    source.push("team/app:1", b"layer")
    wanted = promote(world, source, target)
    del target.blobs["team/app"][digest_of(b"layer")]
    with pytest.raises(BerthError, match=f"prod's registry still lacks {digest_of(b'layer')}"):
        check(world.store("prod", target), wanted)


def test_a_shorter_blob_is_not_taken_for_the_whole(world: World, source: Registry, target: Registry) -> None:
    source.push("team/app:1", b"layer")
    wanted = promote(world, source, target)
    target.blobs["team/app"][digest_of(b"layer")] = b"lay"
    assert digest_of(b"layer") in find_missing(world.store("prod", target), wanted).blobs


def test_layers_that_may_not_be_handed_on_stay_where_they_are(world: World, source: Registry, target: Registry) -> None:
    source.push("win/app:1", b"own")
    ((digest, (_, body)),) = source.manifests["win/app"].items()
    document = json.loads(body)
    document["layers"].append({"mediaType": "f", "size": 9, "digest": digest_of(b"foreign"), "urls": ["https://x/"]})
    del source.manifests["win/app"][digest]
    source.put("win/app", "1", OCI, json.dumps(document).encode())
    promote(world, source, target)
    assert target.tags == source.tags


def test_a_large_layer_is_never_held_in_memory(
    world: World, source: Registry, target: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "CHUNK", 64 * 1024)
    layer = os.urandom(1024) * 32 * 1024
    source.push("team/app:1", layer)
    asked = world.store("staging", source, "reader")
    tracemalloc.start()
    size = sum(len(piece) for piece in asked.read_blob("team/app", digest_of(layer)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size == len(layer) == 32 * 1024 * 1024
    assert peak < size / 8


def test_images_are_chosen_by_patterns_of_repository_and_tag(world: World, source: Registry) -> None:
    for name in ("team/app:1", "team/app:2", "team/tool:1", "base:1"):
        source.push(name, b"x")
    reader, boss = world.store("staging", source, "reader"), world.store("staging", source, "boss")
    assert names(reader, boss, []) == ["base:1", "team/app:1", "team/app:2", "team/tool:1"]
    assert names(reader, boss, ["team/*:1"]) == ["team/app:1", "team/tool:1"]
    assert names(reader, boss, ["team/app"]) == ["team/app:1", "team/app:2"]
    assert names(reader, None, ["team/app:2", "base"]) == ["base:1", "team/app:2"], "no list is needed for whole names"
    with pytest.raises(BerthError, match=r"staging's registry has no image team/ap:1"):
        names(reader, boss, ["team/*", "team/ap:1"])
    with pytest.raises(BerthError, match="no user with the role admin"):
        names(reader, None, ["team/*"])


def test_long_lists_are_read_to_their_end(world: World, source: Registry) -> None:
    for number in range(7):
        source.push(f"app{number}:1", b"x")
    assert len(names(world.store("staging", source, "reader"), world.store("staging", source, "boss"), [])) == 7


def test_refusals_name_the_stack_and_never_a_password(world: World, source: Registry) -> None:
    with pytest.raises(BerthError) as refused:
        world.store("staging", source, "outsider").tags("team/app")
    assert re.match(r"staging's registry localhost:\d+ refuses its own user outsider \(.*: 401\)", str(refused.value))
    assert "password is in the stack's state: ./berth up --stack staging" in str(refused.value)
    assert PASSWORD not in str(refused.value)
    gone = world.store("staging", source)
    source._fake.close()
    with pytest.raises(BerthError) as refused:
        gone.manifest("team/app", "1")
    assert re.match(r"staging's registry localhost:\d+ can't be reached .* ./berth verify", str(refused.value))
    assert PASSWORD not in str(refused.value) and "HTTPSConnection" not in str(refused.value)


def test_an_error_ends_what_has_not_begun() -> None:
    begun = []

    def work(item: int) -> None:
        begun.append(item)
        raise BerthError("no")

    with pytest.raises(BerthError):
        copy_images.each(work, range(10_000))
    assert len(begun) < 10_000
