"""Settings are assessed before anything starts, with every problem at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.conftest import LAB, Checkout

BAD = {"berth:lab": True, "berth:registy": {}}


@pytest.fixture(autouse=True)
def bad_settings(checkout: Checkout) -> None:
    checkout.settings("dev", BAD)


def test_bad_settings_end_every_changing_command_before_it_starts(checkout: Checkout, berth: Any) -> None:
    checkout.install_pulumi()
    for command in ("up", "preview"):
        ended = berth(command)
        assert ended.code == 2
        assert "berth:registy" in ended.err and "berth:nodes" in ended.err, "all problems at once"
    assert checkout.calls == []


def test_settings_check_tells_them_as_text_or_json(berth: Any) -> None:
    assert berth("settings", "check").code == 2
    ended = berth("settings", "check", "--json")
    assert ended.code == 2
    assert "berth:registy" in [problem["path"] for problem in json.loads(ended.out)]


def test_a_file_that_is_not_yaml_is_wrong_use(checkout: Checkout, berth: Any) -> None:
    (checkout.workspace.root / "Pulumi.dev.yaml").write_text("config: [")
    ended = berth("up")
    assert ended.code == 2 and "is not YAML" in ended.err


def test_accepted_settings_are_said_to_be_so(checkout: Checkout, berth: Any) -> None:
    checkout.settings("dev", LAB)
    ended = berth("settings", "check")
    assert (ended.code, ended.out) == (0, "Pulumi.dev.yaml is accepted.\n")
