"""What a drill chooses, notes down, counts and shows, and its hands, tried on processes of this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from operations.drill import faults, lab_node
from operations.drill.faults import Fault, Injection
from operations.drill.lab_node import LabNode
from operations.drill.load import BLOB, PULL, PUSH, Operation, Refusal
from operations.drill.record import Record, interruptible
from operations.drill.report import Count, Report, Result, counts, plot
from operations.drill.run import Options
from operations.drill.watch import longest_outage, moves
from operations.errors import BerthError, UsageError
from tests.unit.conftest import LAB, Checkout

STORE = "berth-object-store"
NODES = [
    LabNode("node1", "berth-dev-node1", "10.77.0.11", services=frozenset({STORE, "berth-load-balancer"})),
    LabNode("node2", "berth-dev-node2", "10.77.0.12", services=frozenset({STORE, "berth-load-balancer"})),
    LabNode(
        "node3", "berth-dev-node3", "10.77.0.13", services=frozenset({STORE, "berth-cache-hub", "berth-cache-quay"})
    ),
]


def names(target: tuple[list[LabNode], str] | None) -> list[str]:
    assert target is not None
    return [node.name for node in target[0]]


def result(**changes: Any) -> Result:
    known: dict[str, Any] = {
        "fault": "kill-nginx",
        "nodes": ["node1"],
        "held_seconds": 0.0,
        "outage": 0.4,
        "stall": 2.0,
        "moves": 1,
        "shared": 0.0,
        "healthy_after": 3.0,
        "counts": {PUSH: Count(4, 1, 0), PULL: Count(9, 0, 0)},
    }
    return Result(**{**known, **changes})


def test_without_names_every_fault_is_rehearsed() -> None:
    assert faults.choose([]) == faults.CATALOGUE
    assert len({fault.name for fault in faults.CATALOGUE}) == len(faults.CATALOGUE)


def test_faults_are_chosen_by_name_or_pattern_in_the_catalogues_order() -> None:
    assert [fault.name for fault in faults.choose(["pause-node", "*-nginx"])] == [
        "kill-nginx",
        "pause-nginx",
        "pause-node",
    ]


def test_an_unknown_fault_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match=r"no fault 'kill-ngnix'.*kill-nginx.*two-minio-down"):
        faults.choose(["pause-node", "kill-ngnix"])


def test_a_count_goes_through_the_faults_round_after_round() -> None:
    plan = Options(names=["*-nginx"], count=5).plan()
    assert [(round_, fault.name) for round_, fault in plan] == [
        (0, "kill-nginx"),
        (0, "pause-nginx"),
        (1, "kill-nginx"),
        (1, "pause-nginx"),
        (2, "kill-nginx"),
    ]


def test_even_rounds_target_the_holder_of_the_address_and_odd_ones_others() -> None:
    fault = faults.named("kill-nginx")
    assert [names(faults.targets(fault, NODES, round_, "node2")) for round_ in range(4)] == [
        ["node2"],
        ["node1"],
        ["node2"],
        ["node1"],
    ]
    whole = faults.named("pause-node")
    assert [names(faults.targets(whole, NODES, round_, "node2")) for round_ in (1, 3, 5)] == [
        ["node1"],
        ["node3"],
        ["node1"],
    ]


def test_other_faults_go_round_the_nodes_that_have_the_service() -> None:
    assert [names(faults.targets(faults.named("kill-minio"), NODES, r, "node1")) for r in range(4)] == [
        ["node1"],
        ["node2"],
        ["node3"],
        ["node1"],
    ]
    assert names(faults.targets(faults.named("two-minio-down"), NODES, 2, "node1")) == ["node3", "node1"]
    assert [faults.targets(faults.named("pause-cache"), NODES, r, "") for r in (0, 1)] == [
        ([NODES[2]], "berth-cache-hub"),
        ([NODES[2]], "berth-cache-quay"),
    ]


def test_a_fault_that_nothing_on_the_stack_can_have_has_no_target() -> None:
    assert faults.targets(faults.named("kill-keepalived"), NODES, 0, "node1") is None
    assert faults.targets(faults.named("two-minio-down"), NODES[:1], 0, "node1") is None


def test_every_fault_that_lasts_can_be_undone() -> None:
    repairs_itself = {"kill-nginx", "kill-keepalived", "kill-replica", "kill-cache", "kill-minio", "kill-dockerd"}
    assert {fault.name for fault in faults.CATALOGUE if fault.undo is None} == {*repairs_itself, "wipe-drive"}


@pytest.fixture
def undone(monkeypatch: pytest.MonkeyPatch) -> list[Injection]:
    """A catalogue with one fault; what was undone."""
    affected: list[Injection] = []
    monkeypatch.setattr(faults, "CATALOGUE", [Fault("pause-node", "", lambda _: None, undo=affected.append)])
    return affected


def test_a_fault_is_undone_whatever_happens_meanwhile(tmp_path: Path, undone: list[Injection]) -> None:
    injection = Injection(NODES[:2], STORE, "/data")
    with pytest.raises(KeyboardInterrupt), Record(tmp_path, "dev").injected(faults.named("pause-node"), injection):
        assert (tmp_path / "drill.json").stat().st_mode & 0o777 == 0o600
        raise KeyboardInterrupt
    assert (undone[0].service, undone[0].data_directory) == (STORE, "/data")
    assert not (tmp_path / "drill.json").exists()


def test_what_a_killed_drill_left_is_undone_by_the_next_one(tmp_path: Path, undone: list[Injection]) -> None:
    left = Record(tmp_path, "dev").injected(faults.named("pause-node"), Injection(NODES[:2], STORE, "/data"))
    left.__enter__()
    said: list[str] = []
    assert Record(tmp_path, "dev").undo(said.append)
    assert [(node.name, node.container) for node in undone[0].nodes] == [
        ("node1", "berth-dev-node1"),
        ("node2", "berth-dev-node2"),
    ]
    assert said == ["Undoing pause-node on node1, node2 ..."]
    assert not Record(tmp_path, "dev").undo(said.append)


def test_a_fault_that_could_not_be_undone_stays_on_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_: Injection) -> None:
        raise BerthError("no answer")

    monkeypatch.setattr(faults, "CATALOGUE", [Fault("pause-node", "", lambda _: None, undo=fails)])
    with (
        pytest.raises(BerthError, match="no answer"),
        Record(tmp_path, "dev").injected(faults.named("pause-node"), Injection(NODES[:1], "", "/data")),
    ):
        pass
    assert (tmp_path / "drill.json").exists()


def test_signals_that_end_a_process_end_a_drill_as_ctrl_c_does() -> None:
    with pytest.raises(KeyboardInterrupt), interruptible():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_record_that_says_nothing_names_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "drill.json").write_text('{"fault": "no-such"}')
    with pytest.raises(BerthError, match=r"drill\.json.*berth down --stack dev"):
        Record(tmp_path, "dev").undo()


def test_only_a_lab_is_drilled(checkout: Checkout, berth: Any) -> None:
    checkout.settings("prod", {**LAB, "berth:lab": False})
    for words in ((), ("--undo",)):
        ended = berth("drill", "--stack", "prod", *words)
        assert ended.code == 2
        assert "prod is not a lab" in ended.err.replace("\n", " ")
    assert checkout.calls == []


def test_an_unknown_fault_is_wrong_use(checkout: Checkout, berth: Any) -> None:
    checkout.deploy()
    assert berth("drill", "--fault", "no-such").code == 2


def test_undo_says_that_there_is_nothing(checkout: Checkout, berth: Any) -> None:
    checkout.install_pulumi()
    checkout.deploy()
    ended = berth("drill", "--undo")
    assert (ended.code, "No drill has left anything on dev." in ended.out) == (0, True)


def test_the_longest_outage_reaches_over_the_ends_of_its_time() -> None:
    answers = [1.0, 1.1, 1.2, 3.0, 3.1, 9.0]
    assert longest_outage(answers, 1.0, 3.1) == pytest.approx(1.8)
    assert longest_outage(answers, 2.0, 2.5) == pytest.approx(1.8), "the outage began before and ended after"
    assert longest_outage(answers, 3.0, 12.0) == pytest.approx(5.9)
    assert longest_outage(answers, 9.5, 12.0) == pytest.approx(3.0), "no answer has come since"
    assert longest_outage([], 2.0, 5.0) == 3.0


def test_the_address_moves_when_its_one_holder_changes() -> None:
    one, two, both, none = frozenset({"a"}), frozenset({"b"}), frozenset({"a", "b"}), frozenset[str]()
    assert moves([one, one, none, both, two, two, none, one]) == 2
    assert moves([one, none, both, one]) == 0


def test_a_command_that_succeeded_at_its_repeat_has_failed_once() -> None:
    done = [
        Operation(PUSH, 0, 1),
        Operation(PUSH, 1, 2, first="reset"),
        Operation(BLOB, 1, 2, first="reset", repeat="refused"),
    ]
    assert counts(done) == {PUSH: Count(2, 1, 0), BLOB: Count(1, 1, 1)}


def test_a_fault_that_nobody_noticed_is_good() -> None:
    assert result().problems(1.0) == []


def test_each_reason_why_a_fault_was_noticed_is_named() -> None:
    bad = result(
        outage=1.31,
        counts={PUSH: Count(4, 2, 1), BLOB: Count(3, 1, 1)},
        wrong_digests=2,
        healthy_after=None,
        waited_for="nginx on node1 answers 502",
    )
    assert bad.problems(1.0) == [
        "1 pushes failed after one repeat",
        "1 blobs failed after one repeat",
        "2 wrong digests",
        "1.31 s without an answer, more than 1 s",
        "not healthy again: nginx on node1 answers 502",
    ]


def test_writes_that_have_to_be_refused_are_refused_loudly_and_soon() -> None:
    failed = {PUSH: Count(2, 2, 2), PULL: Count(9, 0, 0)}
    assert result(counts=failed, refusals=[Refusal(4.0, "503")]).problems(1.0) == []
    assert result(counts=failed, refusals=[Refusal(85.0, "503")]).problems(1.0) == [
        "a push was refused after 85 s only"
    ]
    assert result(counts=failed, refusals=[Refusal(1.0, "")]).problems(1.0) == [
        "a push was accepted that should have been refused"
    ]
    assert result(counts={PULL: Count(9, 1, 1)}, refusals=[Refusal(1.0, "503")]).problems(1.0) == [
        "1 pulls failed after one repeat"
    ]


def test_the_table_has_a_line_per_kind_with_its_worst_figures() -> None:
    report = Report({}, 1.0, [result(), result(outage=0.9, moves=2), result(fault="kill-minio", outage=0.1)])
    title, nginx, minio, every = report.lines()
    assert dict(zip(title, nginx, strict=True)) == {
        "fault": "kill-nginx",
        "times": "2",
        "pushes / pulls / blobs / cached": "8 / 18 / - / -",
        "failed first": "2 / 0 / - / -",
        "failed after repeat": "0 / 0 / - / -",
        "writes refused within, s": "-",
        "wrong digests": "0",
        "longest outage, s": "0.90",
        "longest stall, s": "2.00",
        "address moved": "3",
        "address shared, s": "0.0",
        "healthy after, s": "3.0",
        "ok": "yes",
    }
    assert (minio[0], minio[7], every[:2], every[-1]) == ("kill-minio", "0.10", ["all", "3"], "yes")
    assert report.markdown().splitlines()[1].startswith("| --- | --: |")


def test_one_bad_fault_makes_the_drill_bad_and_so_does_none_at_all() -> None:
    assert Report({}, 1.0, [result()]).ok
    assert not Report({}, 0.3, [result()]).ok
    assert not Report({}, 1.0, []).ok


def test_a_report_is_written_as_json_table_and_picture(tmp_path: Path) -> None:
    Report({"stack": "dev"}, 1.0, [result(refusals=[Refusal(1.5, "503")])]).write(tmp_path / "new")
    document = json.loads((tmp_path / "new/drill.json").read_text())
    assert (document["stack"], document["ok"], document["faults"][0]["refusals"]) == (
        "dev",
        True,
        [{"seconds": 1.5, "error": "503"}],
    )
    assert "| 1.5 |" in (tmp_path / "new/drill.md").read_text()


def test_the_picture_shows_a_row_per_kind_two_dots_per_run_and_the_limit() -> None:
    picture = plot([("kill <nginx>", 0.5, 2.5), ("kill <nginx>", 0.7, 0.1), ("pause-node", 0.2, 0.3)], 1.0)
    assert picture.count("<circle") == 2 * 3 + 2, "two more in the legend"
    assert picture.count("kill &lt;nginx&gt;") == 1
    assert 'x1="686.0"' in picture, "the limit of 1 s, where 0.05 s is at 150 and 2.5 s at 850"


@pytest.mark.parametrize("limit", [0.01, 1.0, 5000.0])
@pytest.mark.parametrize("longest", [0.04, 2.5, 15.1, 200.0, 86400.0])
def test_no_text_of_the_picture_is_over_another_or_outside(limit: float, longest: float) -> None:
    faults = [f"pause-keepalived-{number}" for number in range(12)]
    runs = [(name, longest * (0.9 + at / 100), longest) for at, name in enumerate(faults * 5)]
    document = ET.fromstring(plot(runs, limit))
    boxes = [_box(text) for text in document.iter("{http://www.w3.org/2000/svg}text")]
    assert len(boxes) > len(faults) + 3
    for at, (left, right, top, bottom) in enumerate(boxes):
        assert left >= 0 and right <= float(document.attrib["width"]), boxes[at]
        assert top >= 0 and bottom <= float(document.attrib["height"]), boxes[at]
        for other in boxes[at + 1 :]:
            apart = right <= other[0] or other[1] <= left or bottom <= other[2] or other[3] <= top
            assert apart, (boxes[at], other)


def _box(text: ET.Element) -> tuple[float, float, float, float]:
    """Left, right, top and bottom of a text; a letter is 7 wide at most on average, and 12 high."""
    x, y, width = float(text.attrib["x"]), float(text.attrib["y"]), 7.0 * len(text.text or "")
    left = x - width * {"start": 0, "middle": 0.5, "end": 1}[text.attrib.get("text-anchor", "start")]
    return left, left + width, y - 10, y + 3


@pytest.fixture
def family() -> Iterator[subprocess.Popen[str]]:
    """A process with a child that has a child."""
    script = "import subprocess, sys; subprocess.run(['sh', '-c', 'sleep 60; true'])"
    process = subprocess.Popen([sys.executable, "-c", script], text=True)
    deadline = time.monotonic() + 20
    while len(lab_node.tree(process.pid)) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    yield process
    for pid in reversed(lab_node.tree(process.pid)):
        subprocess.run(["kill", "-KILL", str(pid)], check=False)
    process.wait()


def states(process: subprocess.Popen[str]) -> set[str]:
    return {Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] for pid in lab_node.tree(process.pid)}


def test_a_frozen_process_stops_with_all_its_descendants(
    family: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab_node.freeze(family.pid)
    assert states(family) == {"T"}
    monkeypatch.setattr(LabNode, "init", lambda self: family.pid)
    LabNode("node1", "berth-dev-node1").resume()
    assert "T" not in states(family)
    assert family.poll() is None


def test_addresses_are_read_from_the_kernels_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "7/net").mkdir(parents=True)
    (tmp_path / "7/net/fib_trie").write_text(
        "Main:\n  +-- 10.77.0.0/24 2 0 2\n     |-- 10.77.0.0\n        /24 link UNICAST\n     |-- 10.77.0.10\n"
        "        /32 host LOCAL\n     |-- 10.77.0.11\n        /32 host LOCAL\n     |-- 10.77.0.255\n"
        "        /32 link BROADCAST\nLocal:\n     |-- 10.77.0.11\n        /32 host LOCAL\n"
    )
    monkeypatch.setattr(lab_node, "PROC", tmp_path)
    assert lab_node.addresses(7) == {"10.77.0.10", "10.77.0.11"}
