"""Secrets stay secret in state, output, events and messages, and secretness is part of what is compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine import values
from engine.values import Secret
from tests.engine.conftest import Sandbox

SECRET = "s3cr3t-välue-<&>"
PROGRAM = f"""
s = Output.secret({SECRET!r})
a = Thing('a', password=s, nested=Output.secret({{'host': 'h', 'token': {SECRET!r}}}), env={{'K': s, 'L': 'open'}})
pulumi.export('password', s)
pulumi.export('both', {{'p': a.made, 's': s}})
"""


def test_no_secret_is_written_or_shown_anywhere(sandbox: Sandbox, tmp_path: Path) -> None:
    events = tmp_path / "events"
    sandbox.program(PROGRAM)
    results = [
        sandbox.run("preview", "--diff"),
        sandbox.run("preview", "--json"),
        sandbox.up("--event-log", str(events)),
        sandbox.run("preview", "--diff"),
        sandbox.run("stack", "export"),
        sandbox.run("stack", "output", "--json"),
    ]
    texts = [result.out + result.err for result in results] + [
        path.read_text() for path in [events, *sandbox.backend.rglob("*")] if path.is_file()
    ]
    assert all(result.code == 0 for result in results)
    assert not any("s3cr3t" in text for text in texts)
    assert any("[secret]" in text for text in texts)


def test_secrets_keep_their_shape_and_come_out_on_request(sandbox: Sandbox) -> None:
    sandbox.up_ok(PROGRAM)
    outputs = sandbox.run("stack", "output", "--json", "--show-secrets").json
    assert outputs == {"password": SECRET, "both": {"p": "a", "s": SECRET}}
    raw = sandbox.resources()["a"]
    assert values.SIGNATURE in raw["inputs"]["env"]["K"]
    assert raw["inputs"]["env"]["L"] == "open"
    assert values.SIGNATURE in raw["outputs"]["nested"]


def test_a_secret_inside_a_secret_is_plain_json_within_the_outer_one() -> None:
    value = Secret({"host": "h", "token": Secret("x")})
    texts: list[str] = []

    def encrypt(text: str) -> str:
        texts.append(text)
        return "c"

    values.encode(value, encrypt)
    assert json.loads(texts[0])["token"]["ciphertext"] == '"x"'
    assert values.decode(values.encode(value, str), str) == value


def test_equal_secrets_keep_their_ciphertext_when_a_resource_changes(sandbox: Sandbox) -> None:
    program = "Thing('a', password=Output.secret('xyz'), color='red')"
    sandbox.up_ok(program)
    before = sandbox.resources()["a"]["inputs"]["password"]
    sandbox.up_ok(program.replace("red", "blue"))
    assert sandbox.resources()["a"]["inputs"]["password"] == before


def test_a_secret_objects_keys_may_come_in_any_order(sandbox: Sandbox) -> None:
    sandbox.up_ok("Thing('a', connection=Output.secret({'host': 'h', 'user': {'x': '<&>', 'y': 'ü'}}))")
    before = sandbox.state_file.read_bytes()
    sandbox.up_ok("Thing('a', connection=Output.secret({'user': {'y': 'ü', 'x': '<&>'}, 'host': 'h'}))")
    assert sandbox.state_file.read_bytes() == before


def test_turning_a_value_into_a_secret_is_an_update(sandbox: Sandbox) -> None:
    sandbox.up_ok("Thing('a', color='red')")
    sandbox.program("Thing('a', color=Output.secret('red'))")
    assert sandbox.preview() == {"a": "update"}
    sandbox.up_ok()
    assert sandbox.preview() == {}


def test_additional_secret_outputs_are_encrypted(sandbox: Sandbox) -> None:
    sandbox.up_ok("a = Thing('a', opts=O(additional_secret_outputs=['serial']))\npulumi.export('s', a.serial)")
    assert values.SIGNATURE in sandbox.resources()["a"]["outputs"]["serial"]
    assert sandbox.run("stack", "output", "s").out == "[secret]\n"


def test_a_provider_error_does_not_show_a_secret_input(sandbox: Sandbox) -> None:
    sandbox.program("Thing('a', token=Output.secret('hunter22'), fail='create')")
    result = sandbox.up()
    assert "create of a failed with [secret]" in result.err
    assert "hunter22" not in result.err + result.out


def test_a_wrong_or_missing_passphrase_is_one_sentence(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox.program("Thing('a')")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "wrong")
    assert sandbox.up().err == "error: incorrect passphrase\n"
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE")
    result = sandbox.up()
    assert "set PULUMI_CONFIG_PASSPHRASE" in result.err
    assert (result.code, result.err.count("\n")) == (1, 1)


def test_a_passphrase_file_serves_as_well(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "phrase").write_text("correct horse\n")
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", str(tmp_path / "phrase"))
    sandbox.up_ok("Thing('a')")


def test_configuration_reaches_the_program_with_its_secrets(sandbox: Sandbox) -> None:
    assert sandbox.run("config", "set", "plain", "text").code == 0
    assert sandbox.run("config", "set", "--path", "berth:nested.list[0]", "7").code == 0
    assert sandbox.run("config", "set", "--secret", "--path", "berth:nested.users.alice", SECRET).code == 0
    assert "s3cr3t" not in (sandbox.root / "Pulumi.dev.yaml").read_text()
    assert sandbox.run("config", "get", "--path", "berth:nested.users.alice").out == f"{SECRET}\n"
    sandbox.up_ok(
        "pulumi.export('plain', pulumi.Config().require('plain'))\n"
        "pulumi.export('nested', pulumi.Config('berth').require_secret_object('nested'))\n"
        "pulumi.export('kind', str(pulumi.runtime.is_config_secret('berth:nested')))"
    )
    assert sandbox.run("stack", "output", "--json", "--show-secrets").json == {
        "plain": "text",
        "nested": {"list": [7], "users": {"alice": SECRET}},
        "kind": "True",
    }
    assert sandbox.run("config", "rm", "--path", "berth:nested.users.alice").code == 0
    assert sandbox.run("config", "get", "--path", "berth:nested.users.alice").code == 1


def test_setting_a_value_keeps_the_files_comments(sandbox: Sandbox) -> None:
    path = sandbox.root / "Pulumi.dev.yaml"
    path.write_text(f"# head\n{path.read_text()}config:\n  proj:a: one # why\n  # between\n  proj:b: two\n")
    assert sandbox.run("config", "set", "b", "three").code == 0
    text = path.read_text()
    assert all(part in text for part in ("# head", "# why", "# between", "proj:b: three"))


def test_a_settings_file_with_a_salt_is_used_and_left_alone(sandbox: Sandbox) -> None:
    path = sandbox.root / "Pulumi.dev.yaml"
    before = path.read_bytes()
    assert sandbox.run("stack", "rm", "--yes").code == 0
    assert sandbox.run("stack", "init").code == 0
    assert path.read_bytes() == before
