"""What a preview leaves for others: its plan, protected steps that are shown, secrets that cannot be read."""

from __future__ import annotations

import json
from typing import Any

from tests.engine.conftest import Sandbox


def plan_of(sandbox: Sandbox, *flags: str) -> dict[str, Any]:
    path = sandbox.root / "plan.json"
    result = sandbox.run("preview", "--json", "--show-secrets", "--save-plan", str(path), *flags)
    assert result.code == 0, result.out + result.err
    assert path.stat().st_mode & 0o777 == 0o600
    plans = json.loads(path.read_text())["resourcePlans"]
    return {urn.rsplit("::", 1)[-1]: plan for urn, plan in plans.items()}


def test_a_plan_names_each_resources_steps_and_the_difference_of_its_inputs(sandbox: Sandbox) -> None:
    sandbox.up_ok("Thing('a', color='red', gone='x')\nThing('b')\nThing('c')")
    sandbox.program("Thing('a', color='blue', fresh='y')\nThing('b')\nThing('d', color='green')")
    plans = plan_of(sandbox)
    assert plans["a"]["steps"] == ["update"]
    assert plans["a"]["goal"]["inputDiff"] == {
        "adds": {"fresh": "y"},
        "updates": {"color": "blue"},
        "deletes": ["gone"],
    }
    assert (plans["b"]["steps"], plans["b"]["goal"]["inputDiff"]) == (["same"], {})
    assert plans["c"] == {"steps": ["delete"]}
    assert plans["d"]["goal"]["inputDiff"]["adds"]["color"] == "green"


def test_a_plan_holds_secrets_marked_and_in_plain_text(sandbox: Sandbox) -> None:
    sandbox.program("a = Thing('a', token='hush', deep={'k': Output.secret(['x'])})\nThing('b', color=a.serial)")
    goals = {name: plan["goal"] for name, plan in plan_of(sandbox).items()}
    marked = goals["a"]["inputDiff"]["adds"]
    assert json.loads(marked["token"]["plaintext"]) == "hush"
    assert json.loads(marked["deep"]["k"]["plaintext"]) == ["x"]
    assert goals["b"]["inputDiff"]["adds"]["color"] == "04da6b54-80e4-46f7-96ec-b56ff0331ba9", "not known yet"


def test_a_plan_without_secrets_is_refused(sandbox: Sandbox) -> None:
    sandbox.program("")
    result = sandbox.run("preview", "--save-plan", "plan.json")
    assert (result.code, "--show-secrets" in result.err) == (2, True)


def test_a_preview_that_ignores_protection_shows_what_would_go_and_up_still_refuses(sandbox: Sandbox) -> None:
    sandbox.up_ok("Thing('a', kind='x', opts=O(protect=True))\nThing('b', opts=O(protect=True))")
    sandbox.program("Thing('a', kind='y', opts=O(protect=True))")
    result = sandbox.run("preview", "--json", "--ignore-protect")
    assert result.code == 0, result.err
    steps = {step["urn"].rsplit("::", 1)[-1]: step["op"] for step in result.json["steps"] if step["op"] != "same"}
    assert steps == {"a": "replace", "b": "delete"}
    assert sandbox.up().code == 1


def test_configuration_is_listed_with_its_secrets_only_when_asked_for(sandbox: Sandbox) -> None:
    sandbox.run("config", "set", "plain", "text")
    sandbox.run("config", "set", "--secret", "hidden", "hush")
    shown = sandbox.run("config", "--json", "--show-secrets").json
    assert shown == {
        "proj:hidden": {"value": "hush", "secret": True},
        "proj:plain": {"value": "text", "secret": False},
    }
    assert "hush" not in sandbox.run("config", "--json").out + sandbox.run("config").out


def test_placeholders_stand_for_secrets_that_cannot_be_read(sandbox: Sandbox) -> None:
    sandbox.run("config", "set", "--secret", "hidden", "hush")
    file = sandbox.root / "Pulumi.dev.yaml"
    file.write_text(file.read_text().replace("secure: v1:", "secure: v1:damaged"))
    sandbox.program("Thing('a', token=pulumi.Config().require_secret('hidden'))")
    assert sandbox.run("preview", "--json").code == 1
    assert sandbox.run("preview", "--json", "--placeholders").code == 0
