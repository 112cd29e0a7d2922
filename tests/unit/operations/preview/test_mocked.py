"""A preview from two recordings: what the program is given for secrets, and what is made of what it registered."""

from __future__ import annotations

from typing import Any

from operations.preview.mocked import Recording, configuration, planned
from operations.pulumi.values import SIGNATURE

STACK = "urn:pulumi:prod::berth::pulumi:pulumi:Stack::berth-prod"
SECRET = {SIGNATURE: "1b47061264138c4ac30d75fd1eb44270", "value": "a-password-of-somebody"}


def entry(name: str, op: str, **inputs: Any) -> dict[str, Any]:
    urn = f"urn:pulumi:prod::berth::berth:cache:Cache$docker:index/container:Container::{name}"
    return {"urn": urn, "op": op, "parent": STACK, "protect": False, "id": "1", "inputs": inputs, "outputs": {}}


def test_each_ciphertext_has_a_placeholder_of_its_own() -> None:
    def password(ciphertext: str) -> str:
        config, secrets = configuration({"config": {"berth:secrets": {"users": {"ci": {"secure": ciphertext}}}}})
        assert secrets == ["berth:secrets"]
        return config["berth:secrets"]

    assert password("v1:AAAA") == password("v1:AAAA") != password("v1:BBBB")
    assert "AAAA" not in password("v1:AAAA")


def test_what_is_no_secret_is_given_as_it_stands() -> None:
    config, secrets = configuration({"config": {"berth:nodes": [{"name": "a"}], "berth:lab": True, "berth:x": "y"}})
    assert (config, secrets) == ({"berth:nodes": '[{"name": "a"}]', "berth:lab": "true", "berth:x": "y"}, [])


def test_changes_hold_what_was_and_what_is_asked_for() -> None:
    was = [entry("gone", "create"), entry("kept", "create"), entry("other", "create", image="a")]
    after = Recording(resources=[entry("kept", "same"), entry("other", "replace", image="b"), entry("new", "create")])
    found = planned(Recording(resources=was), after)
    assert [(change.op, change.resource.name) for change in found.changes] == [
        ("replace", "other"),
        ("create", "new"),
        ("delete", "gone"),
    ]
    assert found.changes[0].old and found.changes[0].old.open == {"image": "a"}
    assert found.changes[0].new and found.changes[0].new.open == {"image": "b"}
    assert found.document["changeSummary"] == {"same": 1, "replace": 1, "create": 1, "delete": 1}


def test_every_secret_of_both_runs_is_known_and_none_is_in_the_document() -> None:
    found = planned(Recording(), Recording(resources=[entry("new", "create", password=SECRET)]))
    assert found.secrets == {"a-password-of-somebody"}
    assert "a-password-of-somebody" not in str(found.document)


def test_of_a_program_that_fails_nothing_is_said_to_be_deleted() -> None:
    said = {"severity": "error", "message": "this setting is wrong", "urn": ""}
    found = planned(Recording(resources=[entry("kept", "create")]), Recording(code=32, diagnostics=[said]))
    assert (found.changes, found.resources, found.exit_code) == ((), (), 32)
    assert found.failures == (("the program", "this setting is wrong"),)
