"""What the benches make of what they read; they themselves need a running lab."""

from __future__ import annotations

import configparser
import json
from pathlib import Path
from typing import Any

import pytest

from bench import cold_pulls, kolla, kolla_images, kolla_stage, promote, throughput
from operations.kolla import play
from operations.registry.client import Manifest, RegistryClient


def test_the_worst_herd_is_what_counts_at_the_upstream() -> None:
    run = {"cache": "berth", "clients": 4, "first_byte": [0.1, 0.2, 0.3], "machine_cpu_seconds": 9.0, "repeats": 0}
    runs = [{**run, "upstream_ratio": ratio, "seconds": seconds} for ratio, seconds in ((1.0, 5.0), (1.2, 7.0))]
    assert cold_pulls.rows(runs)[0][2:4] == ["1.20", "6.0"]


def test_a_ratio_of_throughput_is_berths_rate_by_the_bare_registrys() -> None:
    cpu = dict.fromkeys((*throughput.GROUPS, "machine"), 1.0)

    def figures(rate: float) -> dict[str, object]:
        return {way: {"megabytes_per_second": rate, "cpu_seconds_per_gigabyte": cpu} for way in ("push", "pull")}

    rows = throughput.rows([{"cap": 400, "megabytes": 10, "berth": figures(45.0), "bare": figures(50.0)}])
    assert [row[:6] for row in rows] == [
        ["400 Mbit/s", 10, "push", "45", "50", "0.90"],
        ["400 Mbit/s", 10, "pull", "45", "50", "0.90"],
    ]


def test_a_promotions_seconds_are_shown_whole_and_by_step() -> None:
    whole = {"everything is missing": 60.1, "all layers are there": 9.5, "all is there": 8.0}
    measured = {**whole, "steps": {"list": 0.5, "look": 1.25}, "skopeo": None}
    text = promote.rows(measured)
    assert "| `berth promote`, all layers are there | 9.5 |" in text
    assert "list 0.5, look 1.25 | 1.8 |" in text
    assert "skopeo" not in text
    assert "| 33.0 |" in promote.rows({**measured, "skopeo": 33.0})


@pytest.mark.parametrize(("base", "forks"), [(kolla_stage.BERTH, "20"), (kolla_stage.DEFAULTS, None)])
def test_one_setting_is_measured_on_each_configuration(tmp_path: Path, base: str, forks: str | None) -> None:
    path, settings = tmp_path / "ansible.cfg", {"forks": 20, "folder": tmp_path, "plugins": "plugins", "sockets": "s"}
    path.write_text(play.ANSIBLE.format(**settings))
    kolla_stage.configure(path, base, ("connection", {"one": "50%"}), tmp_path / "facts")
    read = configparser.ConfigParser(interpolation=None)
    read.read(path)
    assert (read["connection"]["one"], read["defaults"].get("forks")) == ("50%", forks)
    assert (read["defaults"]["callbacks_enabled"], "ssh_connection" in read) == (
        "berth_events",
        base == kolla_stage.BERTH,
    )


def test_a_task_takes_until_the_next_one_begins_in_every_role_that_has_it() -> None:
    begun = [
        ("task", "Look", 1.0),
        ("ok", "Look", 1.5),
        ("task", "Ask", 2.0),
        ("task", "Look", 5.0),
        ("stats", "", 9.0),
    ]
    events = [json.dumps({"event": event, "task": task, "time": at}) for event, task, at in begun]
    assert kolla_stage.slowest(events) == [(5.0, "Look"), (3.0, "Ask")]


def test_the_ways_of_a_measurement_are_told_apart() -> None:
    runs = [{"way": way, "seconds": seconds, "load": 1.2} for way, seconds in (("a", 9.0), ("b", 4.0), ("a", 2.0))]
    assert kolla.medians(runs) == [["a", 2, "5.5 (2.0 to 9.0)", "1 to 1"], ["b", 1, "4.0 (4.0 to 4.0)", "1 to 1"]]


def test_a_gap_is_between_answers_in_the_order_of_their_coming() -> None:
    assert kolla_images.longest_gap([0.0, 7.0, 1.0, 3.0]) == 4.0


def test_another_label_is_another_image_of_the_same_layers() -> None:
    uploaded: dict[str, bytes] = {}

    class Registry(RegistryClient):
        def __init__(self) -> None:
            pass

        def read_blob(self, repository: str, digest: str) -> Any:
            yield b'{"config": {"Labels": {"name": "keystone"}}}'

        def upload(self, repository: str, digest: str, size: int, pieces: Any) -> None:
            uploaded[digest] = b"".join(pieces)

    document = {"config": {"digest": "sha256:old", "size": 1}, "layers": [{"digest": "sha256:layer"}]}
    new = kolla_images.relabelled(
        Registry(), "kolla/keystone", Manifest("sha256:m", "type", json.dumps(document).encode())
    )
    entry = new.document["config"]
    assert new.document["layers"] == document["layers"]
    assert json.loads(uploaded[entry["digest"]])["config"]["Labels"].keys() == {"name", "berth.bench"}
    assert entry["size"] == len(uploaded[entry["digest"]])
