"""The loader: what the engine hands over becomes Settings, or one error with every problem."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime import set_all_config

from config import paths, stackfile
from config.load import load
from config.paths import ROOT
from config.problems import SettingsError


@pytest.fixture(autouse=True)
def _own_config(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(pulumi, "get_stack", lambda: "dev")
    monkeypatch.delenv("PULUMI_CONFIG", raising=False)
    yield
    set_all_config({})


def hand_over(changes: dict[str, Any] | None = None, secret: tuple[str, ...] = (), stack: str = "dev") -> None:
    """Give the settings of a committed stack to the SDK the way an engine does: every value as text."""
    document = stackfile.read(ROOT / f"Pulumi.{stack}.yaml")
    values = {**document["config"], **(changes or {})}
    set_all_config({key: _as_text(value) for key, value in values.items()}, list(secret))


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def users(*more: dict[str, str]) -> dict[str, Any]:
    return {"name": "registry.dev.berth.test", "users": [{"name": "push", "role": "push"}, *more]}


def with_upstream(**more: str) -> dict[str, Any]:
    return users() | {"upstreams": [{"name": "quay", "url": "https://quay.io", "prefix": "quay.io", **more}]}


def problems_of_load() -> str:
    with pytest.raises(SettingsError) as caught:
        load()
    return str(caught.value)


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_what_the_engine_hands_over_is_what_the_file_says(stack: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi, "get_stack", lambda: stack)
    hand_over(stack=stack)
    assert load() == stackfile.parse(stack, stackfile.read(ROOT / f"Pulumi.{stack}.yaml"))


def test_settings_arrive_through_the_environment_of_the_pulumi_cli(monkeypatch: pytest.MonkeyPatch) -> None:
    document = stackfile.read(ROOT / "Pulumi.dev.yaml")
    monkeypatch.setenv("PULUMI_CONFIG", json.dumps({key: _as_text(v) for key, v in document["config"].items()}))
    set_all_config({})
    assert load().registry.name == "registry.dev.berth.test"


def test_pins_come_from_their_own_file_and_from_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "tried.yaml"
    monkeypatch.setenv("BERTH_PINS", str(file))
    hand_over()
    assert load().pins is None
    file.write_text("from: {stack: staging, time: '2026-11-22T10:41:07Z'}\n")
    pins = load().pins
    assert pins and pins.source.stack == "staging"
    file.write_text("from: {stack: staging}\n")
    assert "pins/dev.yaml: 1 setting" in problems_of_load()
    hand_over({"berth:pins": {"from": {"stack": "staging", "time": "t"}}})
    assert "has berth:pins, which pins/dev.yaml alone may hold" in problems_of_load()


def test_without_berth_the_pins_are_those_of_the_checkout() -> None:
    assert paths.pins_file("dev", {}) == ROOT / "pins" / "dev.yaml" == stackfile.pins_file(ROOT / "Pulumi.dev.yaml")


def test_an_unknown_key_is_refused_wherever_it_comes_from() -> None:
    hand_over({"berth:nods": "[]"})
    assert "Did you mean `berth:nodes`?" in problems_of_load()


def test_a_configured_password_becomes_a_secret_output() -> None:
    registry = users({"name": "älice", "role": "pull", "password": "configured"})
    secrets = {"users": {"älice": "pässword $(x)"}}
    hand_over({"berth:registry": registry, "berth:secrets": secrets}, secret=("berth:secrets",))

    async def reveal() -> tuple[str | None, bool]:
        (output,) = load().user_passwords["älice"]
        return await output.future(), await output.is_secret()

    assert asyncio.run(reveal()) == ("pässword $(x)", True)


def test_a_pair_of_passwords_arrives_in_its_order() -> None:
    registry = users({"name": "bob", "role": "pull", "password": "configured"})
    hand_over(
        {"berth:registry": registry, "berth:secrets": {"users": {"bob": ["old", "new"]}}}, secret=("berth:secrets",)
    )

    async def reveal() -> list[str | None]:
        return [await output.future() for output in load().user_passwords["bob"]]

    assert asyncio.run(reveal()) == ["old", "new"]


def test_an_upstreams_password_becomes_a_secret_output() -> None:
    token = '{"type": "key",\n "key": "' + "x" * 3000 + '"}'
    hand_over(
        {"berth:registry": with_upstream(user="robot"), "berth:secrets": {"upstreams": {"quay": token}}},
        secret=("berth:secrets",),
    )

    async def reveal() -> tuple[str | None, bool]:
        output = load().upstream_passwords["quay"]
        return await output.future(), await output.is_secret()

    assert asyncio.run(reveal()) == (token, True)


@pytest.mark.parametrize(
    ("user", "secrets", "complaint"),
    [
        ({"user": "robot"}, {}, "is missing, though the upstream has a user"),
        ({}, {"quay": "x"}, "would not be used"),
        ({"user": "robot"}, {"quay": " "}, "is empty"),
        ({"user": "robot"}, {"quay": "a\0b"}, "contains a NUL"),
        ({"user": "robot"}, {"quay": ["a", "b"]}, "must be text"),
    ],
)
def test_an_upstreams_password_is_there_when_it_has_a_user_and_only_then(
    user: dict[str, str], secrets: dict[str, Any], complaint: str
) -> None:
    hand_over(
        {"berth:registry": with_upstream(**user), "berth:secrets": {"upstreams": secrets}}, secret=("berth:secrets",)
    )
    assert f"berth:secrets.upstreams.quay\n  {complaint}" in problems_of_load()


def test_a_missing_password_names_the_command_that_sets_it() -> None:
    hand_over({"berth:registry": users({"name": "bob", "role": "pull", "password": "configured"})})
    text = problems_of_load()
    assert "berth:secrets.users.bob\n  is missing" in text
    assert "./berth config --stack dev set --secret --path berth:secrets.users.bob" in text


@pytest.mark.parametrize(
    ("password", "complaint"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        ("one\ntwo", "control character"),
        ("one\0two", "control character"),
        ("x" * 73, "longer than 72 bytes; bcrypt reads no more"),
        ("ü" * 37, "longer than 72 bytes"),
        ("x" * 1000, "longer than 72 bytes"),
        (5, "must be text"),
        (["hunter2-one", "x" * 73], "longer than 72 bytes"),
        (["hunter2-one", "hunter2-one"], "the same password twice"),
        (["hunter2-a", "hunter2-b", "hunter2-c"], "a list of 3"),
        ([], "a list of 0"),
    ],
)
def test_an_unusable_password_is_refused_without_being_shown(password: object, complaint: str) -> None:
    registry = users({"name": "bob", "role": "pull", "password": "configured"})
    secrets = {"users": {"bob": password}}
    hand_over({"berth:registry": registry, "berth:secrets": secrets}, secret=("berth:secrets",))
    text = problems_of_load()
    assert complaint in text.split("berth:secrets.users.bob\n")[1].splitlines()[0]
    for word in password if isinstance(password, list) else [password]:
        assert not isinstance(word, str) or not word.strip() or word not in text


def test_passwords_in_plain_text_are_refused() -> None:
    registry = users({"name": "bob", "role": "pull", "password": "configured"})
    hand_over({"berth:registry": registry, "berth:secrets": {"users": {"bob": "hunter2"}}})
    text = problems_of_load()
    assert "is in the file without encryption" in text
    assert "--secret" in text
    assert "hunter2" not in text


def test_a_setting_that_is_no_secret_must_not_be_encrypted() -> None:
    hand_over(secret=("berth:nodes", "berth:loadBalancer"))
    text = problems_of_load()
    assert "berth:loadBalancer\n  is encrypted, but is not a secret setting." in text
    assert text.startswith("Pulumi.dev.yaml: 2 settings"), "nothing that only follows from it is reported"


def test_all_invalid_fields_are_reported_at_once() -> None:
    hand_over({"berth:nods": "[]", "berth:docker": '{"mtu": 1}', "berth:loadBalancer": '{"address": "10.77.0"}'})
    text = problems_of_load()
    assert text.startswith("Pulumi.dev.yaml: 3 settings cannot be used")


def test_rules_and_missing_passwords_are_reported_once_fields_are_valid() -> None:
    registry = users({"name": "bob", "role": "pull", "password": "configured"})
    contradiction = {"berth:registry": registry, "berth:loadBalancer": '{"address": "10.77.0.12"}'}
    hand_over({"berth:nods": "[]", **contradiction})
    assert problems_of_load().startswith("Pulumi.dev.yaml: 1 setting cannot be used")
    hand_over(contradiction)
    assert problems_of_load().startswith("Pulumi.dev.yaml: 2 settings cannot be used")


def test_the_error_is_meant_for_the_user_and_goes_without_stack_trace() -> None:
    assert SettingsError("dev", []).user_message is True


def test_no_other_module_reads_the_configuration_of_pulumi() -> None:
    for file in (ROOT / "config").rglob("*.py"):
        if file.name != "load.py":
            assert "pulumi.Config(" not in file.read_text("utf-8"), f"{file.name} reads pulumi.Config"
