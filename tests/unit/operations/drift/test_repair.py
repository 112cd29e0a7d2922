"""`up --repair`: the state is told what was found, and an ordinary `up` repairs it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from operations.drift.repair import marked
from operations.drift.report import DriftReport
from operations.inspect.compare import Finding, Unknown
from operations.pulumi.state import GONE, UNAPPLIED
from tests.unit.conftest import Checkout, Docker

FILES = "urn:pulumi:dev::berth::command:remote:Command::registry-files"
OUT = "urn:pulumi:dev::berth::command:remote:Command::registry-out"
CONTAINER = "urn:pulumi:dev::berth::docker:index/container:Container::registry"
READY = "urn:pulumi:dev::berth::command:remote:Command::registry-ready"
STATE: dict[str, Any] = {
    "deployment": {
        "resources": [
            {"urn": FILES, "type": "command:remote:Command", "inputs": {"create": "sh", "stdin": {"ciphertext": "x"}}},
            {"urn": OUT, "type": "command:remote:Command", "inputs": {"create": "sh", "triggers": ["image"]}},
            {
                "urn": CONTAINER,
                "type": "docker:index/container:Container",
                "id": "old",
                "inputs": {"image": "i"},
                "outputs": {"image": "i", "name": "berth-registry", "__pulumi_raw_state_delta": {}},
                "dependencies": [FILES, OUT],
            },
            {
                "urn": READY,
                "type": "command:remote:Command",
                "inputs": {"create": "sh", "triggers": ["old"]},
                "dependencies": [FILES, CONTAINER],
                "propertyDependencies": {"triggers": [CONTAINER]},
            },
        ]
    }
}
FILE = Finding("node1", "file", "/etc/berth/x", "as written", "changed", FILES, UNAPPLIED)
OTHER = Finding(
    "node1",
    "container",
    "berth-registry",
    "running",
    "exited",
    CONTAINER,
    {"id": "new", "outputs": {"image": "another"}},
)
MISSING = Finding("node1", "container", "berth-registry", "there", "missing", CONTAINER, GONE)


def after(*findings: Finding) -> dict[str, Any]:
    return {one["urn"]: one for one in marked(STATE, findings)["deployment"]["resources"]}


def test_a_bundle_that_drifted_is_applied_again_with_the_same_command() -> None:
    resources = after(FILE)
    assert resources[FILES]["inputs"] == {"create": "", "stdin": {"ciphertext": "x"}}
    assert resources[CONTAINER] == STATE["deployment"]["resources"][2], "nothing else is marked"


def test_what_is_missing_leaves_the_state_and_nothing_refers_to_it() -> None:
    resources = after(MISSING)
    assert CONTAINER not in resources
    assert resources[READY]["dependencies"] == [FILES]
    assert resources[READY]["propertyDependencies"] == {"triggers": []}
    assert resources[OUT]["inputs"]["triggers"] == ["image"], "there is nothing to take out of the balancers"


def test_a_foreign_container_is_replaced_after_the_gates_before_it() -> None:
    resources = after(OTHER)
    assert resources[CONTAINER]["id"] == "new"
    assert resources[CONTAINER]["outputs"] == {"image": "another", "name": "berth-registry"}
    assert resources[OUT]["inputs"]["triggers"] == []
    assert resources[FILES]["inputs"]["stdin"] == {"ciphertext": "x"}
    assert STATE["deployment"]["resources"][2]["id"] == "old", "the export itself stays as it was"


@pytest.fixture
def drifted(checkout: Checkout, docker: Docker, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    checkout.install_pulumi()
    checkout.deploy()
    checkout.answer("stack export", out=json.dumps(STATE))
    checkout.answer("preview", out='Loading...\n{"steps": [{"op": "same", "urn": "a::b"}]}')
    finds(monkeypatch, DriftReport("dev", [FILE]), DriftReport("dev"))
    return checkout


def finds(monkeypatch: pytest.MonkeyPatch, *looks: DriftReport) -> None:
    told = iter(looks)
    monkeypatch.setattr("operations.drift.repair.detect", lambda session: next(told))


def test_repair_shows_what_it_repairs_and_looks_again(drifted: Checkout, berth: Any) -> None:
    step = {"metadata": {"urn": FILES, "op": "update"}}
    drifted.answer("up", events=[{"resourcePreEvent": step}, {"resOutputsEvent": step}])
    ended = berth("up", "--repair", "--yes")
    assert ended.code == 0, ended.err
    assert drifted.words() == ["preview", "stack export", "stack import", "up"]
    assert "/etc/berth/x" in ended.out and ended.out.endswith("dev: no drift.\n")
    assert not list(drifted.workspace.stack_dir("dev").glob("found*")), "the marked state is not left about"


def test_without_drift_nothing_is_run(drifted: Checkout, berth: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    finds(monkeypatch, DriftReport("dev"))
    assert berth("up", "--repair", "--yes").out.endswith("dev: no drift.\n")
    assert drifted.words() == []


def test_settings_that_were_not_deployed_do_not_come_along(drifted: Checkout, berth: Any) -> None:
    drifted.answer("preview", out=json.dumps({"steps": [{"op": "update", "urn": "a::docker-node1"}]}))
    ended = berth("up", "--repair", "--yes")
    assert ended.code == 1
    assert "An up of dev is due (docker-node1)" in ended.err and "./berth up --stack dev" in ended.err
    assert drifted.words() == ["preview"]


def test_what_is_left_is_named_and_decides_the_exit_code(
    drifted: Checkout, berth: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = Finding("node1", "unit", "docker.service", "enabled at boot", "disabled")
    finds(monkeypatch, DriftReport("dev", [FILE, unit]), DriftReport("dev", [unit]))
    ended = berth("up", "--repair", "--yes", "--json")
    assert ended.code == 3
    document = json.loads(ended.out)
    assert [one["name"] for one in document["findings"]] == ["docker.service"]
    assert [one["name"] for one in document["repaired"]] == ["/etc/berth/x"]
    finds(monkeypatch, DriftReport("dev", [], [Unknown("node2", "gone")]))
    assert berth("up", "--repair", "--yes").code == 1


def test_a_container_too_many_is_removed_and_no_other(
    drifted: Checkout, docker: Docker, berth: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker.answers({"ps --all": "1a berth-old\n2b mine\n"})
    extra = Finding("node1", "container", "berth-old", "absent", "there with this stack's label")
    finds(monkeypatch, DriftReport("dev", [extra]), DriftReport("dev"))
    assert berth("up", "--repair", "--yes").code == 0
    assert [call for call in docker.calls if call.startswith("rm")] == ["rm --force --volumes 1a"]


def test_a_repair_that_fails_says_why(drifted: Checkout, berth: Any) -> None:
    drifted.answer("up", code=255, err="error: no room\n")
    ended = berth("up", "--repair", "--yes")
    assert ended.code == 1 and "Repairing dev failed" in ended.err and "no room" in ended.err
