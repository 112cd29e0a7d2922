"""`berth gc` on a fake ssh: whom it asks, what it shows, and how it ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from operations.housekeeping import collection_report as report
from tests.unit.components.node_stack import host_key
from tests.unit.conftest import LAB, OUTPUTS, Checkout, executable

RUN = "20261130T214501Z-ab2c"
RESULT = {
    "event": "result",
    "run": RUN,
    "time": "2026-11-30T21:45:01Z",
    "trigger": "command",
    "phase": "sweep",
    "blobs": 40,
    "bytes": 5_000_000,
    "repositories": 2,
    "manifests": 7,
    "candidates": 1,
    "candidateBytes": 10,
    "condemned": 3,
    "condemnedBytes": 1_234_567,
    "deleted": 3,
    "undeleted": 0,
    "purged": 0,
    "purgedBytes": 0,
    "reclaimable": 1_234_567,
    "seconds": 4.2,
}
STATUS = {
    "bucket": "registry",
    "lock": None,
    "candidates": {"since": "2026-11-30T02:30:00Z", "blobs": 1, "bytes": 10},
    "lastMark": {"time": "2026-11-30T02:30:00Z", "repositories": 2, "blobs": 40, "bytes": 5_000_000},
    "runs": [{key: value for key, value in RESULT.items() if key != "event"} | {"undone": True}],
    "reclaimable": 1_234_567,
}
STACK = {"type": "pulumi:pulumi:Stack", "urn": "urn:pulumi:dev::berth::pulumi:pulumi:Stack::s", "outputs": OUTPUTS}
SETTLING = {"event": "progress", "step": "settling", "seconds": 120}
SSH = """
import json, pathlib, sys
folder = pathlib.Path(__file__).parent
node = next(word for word in sys.argv if word.startswith("HostKeyAlias=")).partition("=")[2]
with open(folder / "asked", "a") as log:
    log.write(f"{node}: {sys.argv[-1]}\\n")
answer = json.loads((folder / "answers.json").read_text())[node]
print(answer["text"])
sys.exit(answer["code"])
"""


class Nodes:
    """Nodes with a collector each, and what they answer."""

    def __init__(self, checkout: Checkout) -> None:
        self.folder, self.checkout = checkout.bin, checkout
        executable(checkout.bin / "ssh", SSH)
        self.table: dict[str, Any] = {}
        for node in ("node1", "node2"):
            self.answers(node, RESULT)
        checkout.deploy()
        containers = [self.container(node) for node in ("node1", "node2")]
        checkout.answer("stack export", out=json.dumps({"deployment": {"resources": [STACK, *containers]}}))

    def container(self, node: str) -> dict[str, Any]:
        labels = {"berth.stack": "dev", "berth.node": node, "berth.service": "garbage-collection"}
        return {
            "type": "docker:index/container:Container",
            "urn": f"urn:pulumi:dev::berth::docker:index/container:Container::collector-{node}",
            "inputs": {
                "name": "berth-garbage-collection",
                "image": "x",
                "labels": [{"label": key, "value": value} for key, value in labels.items()],
            },
        }

    def answers(self, node: str, *lines: dict[str, Any] | str, code: int = 0) -> None:
        text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
        self.table[node] = {"text": text, "code": code}
        (self.folder / "answers.json").write_text(json.dumps(self.table))

    @property
    def asked(self) -> list[str]:
        log = self.folder / "asked"
        return log.read_text().splitlines() if log.exists() else []


@pytest.fixture
def nodes(checkout: Checkout) -> Nodes:
    checkout.install_pulumi()
    return Nodes(checkout)


CONFIG = "/etc/berth/garbage-collection/config.json"
COMMAND = f"docker exec berth-garbage-collection /bin/registry collect --config {CONFIG}"


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        ([], "run"),
        (["--now"], "run --now"),
        (["--now", "--dry-run", "--confirm", "3"], "run --dry-run --now --confirm=3"),
        (["--undo", RUN], f"undo {RUN}"),
        (["--status"], "status"),
    ],
)
def test_the_first_node_with_a_collector_is_asked(nodes: Nodes, berth: Any, words: list[str], sent: str) -> None:
    nodes.answers("node1", STATUS if words == ["--status"] else RESULT | {"gone": 0})
    assert berth("gc", *words).code == 0
    assert nodes.asked == [f"node1: {COMMAND} {sent}"]


def test_a_run_shows_its_progress_what_it_removed_and_how_to_undo_it(nodes: Nodes, berth: Any) -> None:
    nodes.answers("node1", SETTLING, RESULT)
    ended = berth("gc")
    assert "Waiting 120 s for requests under way" in ended.out
    assert "Removed:       3 blobs, 1.23 MB" in ended.out
    assert f"./berth gc --undo {RUN}" in ended.out


def test_a_plan_says_what_would_be_removed_and_why_it_would_be_refused(nodes: Nodes, berth: Any) -> None:
    nodes.answers("node1", RESULT | {"phase": "plan", "deleted": 0, "wouldRefuse": "the list of manifests fell"})
    ended = berth("gc", "--dry-run")
    assert ended.code == 0
    assert "To remove now:     3 blobs, 1.23 MB" in ended.out
    assert "It would be refused: the list of manifests fell" in ended.out


def test_json_is_the_collectors_answer_alone(nodes: Nodes, berth: Any) -> None:
    nodes.answers("node1", SETTLING, RESULT)
    ended = berth("gc", "--json")
    assert json.loads(ended.out) == {key: value for key, value in RESULT.items() if key != "event"}
    assert "Waiting" in ended.err


def test_a_refusal_is_an_error_in_the_collectors_words(nodes: Nodes, berth: Any) -> None:
    nodes.answers("node1", {"event": "refused", "reason": "drive x is offline: wait"}, code=3)
    ended = berth("gc")
    assert (ended.code, ended.err) == (1, "node1: drive x is offline: wait.\n")
    assert len(nodes.asked) == 1, "another node would say the same"


def test_a_node_that_does_not_answer_is_passed_over(nodes: Nodes, berth: Any) -> None:
    nodes.answers("node1", "ssh: connect to host 10.77.0.11 port 22: No route to host", code=255)
    assert berth("gc").code == 0
    assert [line.partition(":")[0] for line in nodes.asked] == ["node1", "node2"]
    nodes.answers("node2", "Error response from daemon: No such container: berth-garbage-collection", code=1)
    ended = berth("gc")
    assert ended.code == 1
    assert "node1: ssh: connect to host" in ended.err and "node2: Error response from daemon" in ended.err


def test_a_connection_that_is_lost_in_a_run_starts_no_second_one(nodes: Nodes, berth: Any) -> None:
    nodes.answers("node1", SETTLING, "Connection reset by peer", code=255)
    ended = berth("gc")
    assert ended.code == 1 and "connection to node1 was lost" in ended.err
    assert len(nodes.asked) == 1


def test_the_history_is_a_table_with_what_was_undone(nodes: Nodes, berth: Any) -> None:
    nodes.answers("node1", STATUS)
    shown = berth("gc", "--status").out
    assert "Kept for undo: 1.23 MB." in shown
    (row,) = [line for line in shown.splitlines() if RUN in line]
    assert "3, 1.23 MB" in row and "undone" in row


@pytest.mark.parametrize("words", [("--status", "--undo", RUN), ("--dry-run", "--status"), ("--status", "--now")])
def test_what_contradicts_itself_is_wrong_use(nodes: Nodes, berth: Any, words: tuple[str, ...]) -> None:
    assert berth("gc", *words).code == 2
    assert nodes.asked == []


def test_now_on_real_nodes_needs_a_yes(nodes: Nodes, berth: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "secret")
    real = [
        one | {"ssh": {"hostKey": host_key(number), "keyFile": "/k/id"}}
        for number, one in enumerate(LAB["berth:nodes"])
    ]
    images = {"seed": {"address": "10.77.0.9"}}
    nodes.checkout.settings("dev", {**LAB, "berth:lab": False, "berth:nodes": real, "berth:images": images})
    ended = berth("gc", "--now")
    assert ended.code == 2 and "--yes" in ended.err
    assert nodes.asked == []
    assert berth("gc").code == 0, "what waits for the grace period needs none"
    assert berth("gc", "--now", "--yes").code == 0


def test_a_stack_without_collector_says_which_setting_stops_it(checkout: Checkout, berth: Any) -> None:
    checkout.install_pulumi()
    nodes = Nodes(checkout)
    checkout.answer("stack export", out=json.dumps({"deployment": {"resources": [STACK]}}))
    ended = berth("gc", "--status")
    assert ended.code == 2 and "registry.garbageCollection.enabled" in ended.err
    assert nodes.asked == []


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (999_600, "1 MB"), (1_234_567, "1.23 MB"), (10**18, "1e+03 PB")],
)
def test_bytes_are_shown_with_three_digits(count: int, text: str) -> None:
    assert report.size(count) == text
