"""The collector's configuration: what it reads, in the collector's own words and units."""

from __future__ import annotations

import json

from components.garbage_collection import render
from components.lib.host_files.bundle import File
from components.object_store.render import Storage, excluded_prefixes
from components.registry.render import Key
from config.model.registry import GarbageCollectionSettings
from tests.golden import assert_golden

STORAGE = Storage("192.0.2.10:9443", ["192.0.2.11:9000"], "registry", "/store")


def test_a_collectors_configuration_is_the_one_that_was_read_by_a_person() -> None:
    text = render.config(GarbageCollectionSettings(), STORAGE, Key("ACCESS KEY", "SECRET KEY"), "node1")
    assert_golden("collector-config.json", text + "\n")


def test_durations_are_written_in_seconds_for_go_has_no_days() -> None:
    settings = GarbageCollectionSettings.model_validate({"purgeAfter": "30d", "settle": "5s", "days": ["sat"]})
    found = json.loads(render.config(settings, STORAGE, Key("A", "S"), "node1"))
    assert (found["purgeAfter"], found["settle"], found["minimumAge"]) == ("2592000s", "5s", "86400s")
    assert found["days"] == ["sat"]


def test_only_the_collector_reads_its_key() -> None:
    files = {entry.path: entry.mode for entry in render.entries("{}", "CA") if isinstance(entry, File)}
    assert files[f"{render.DIRECTORY}/config.json"] == "0600"


def test_uploads_links_and_caches_are_not_kept_twice() -> None:
    # The collector refuses a bucket that keeps versions of uploads, and never sees the caches.
    assert excluded_prefixes() == ["*/_uploads/", "store/docker/registry/v2/repositories/", "cache/"]
