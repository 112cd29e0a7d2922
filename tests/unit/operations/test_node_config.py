"""`berth node-config`: the text, its secrets only where nobody else reads, and no engine where none is needed."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.components.node_stack import HASH, document, everything, with_secrets
from tests.unit.conftest import Checkout

HIDDEN = {"nodeUsers": {"usera": HASH}, "nodeFiles": {"etcd-key": "THE KEY OF ETCD\n", "docker-key": "KEY\n"}}


@pytest.fixture(autouse=True)
def passphrase(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")


def stack(checkout: Checkout, text: dict[str, Any]) -> None:
    checkout.settings("dev", text["config"])


def plain() -> dict[str, Any]:
    return document(None, {"operatingSystem": "coreos", "motd": "Hello", "fleet": {}}, {"operatingSystem": "debian"})


@pytest.fixture
def secret(checkout: Checkout) -> Checkout:
    """A stack whose nodes have secrets, and an engine that decrypts them."""
    stack(checkout, everything("debian"))
    checkout.install_pulumi()
    checkout.deploy()
    checkout.answer("config get", out=json.dumps(HIDDEN) + "\n")
    return checkout


def test_a_node_without_secrets_is_printed_and_no_engine_is_asked(checkout: Checkout, berth: Any) -> None:
    stack(checkout, plain())
    ended = berth("node-config", "coreos1")
    assert ended.code == 0, ended.err
    assert yaml.safe_load(ended.out)["write_files"][0]["content"] == "Hello\n"
    assert ended.err == "coreos1: fleet is left out: only CoreOS before 1675 has it (operatingSystem, release).\n"
    assert checkout.calls == []


def test_secrets_are_not_printed_unless_asked_for(secret: Checkout, berth: Any) -> None:
    ended = berth("node-config", "coreos1")
    assert (ended.code, ended.out) == (2, "")
    assert "--output FILE" in ended.err and HASH not in ended.err
    shown = berth("node-config", "coreos1", "--show-secrets")
    assert shown.code == 0 and HASH in shown.out


def test_a_file_with_secrets_is_readable_by_its_owner_only(secret: Checkout, berth: Any, tmp_path: Path) -> None:
    target = tmp_path / "user-data"
    target.write_text("old")
    target.chmod(0o644)
    ended = berth("node-config", "coreos1", "--output", str(target))
    assert (ended.code, ended.out) == (0, "")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert "THE KEY OF ETCD" in target.read_text()
    assert list(tmp_path.glob(".user-data*")) == []


def test_what_holds_no_secrets_is_printed_though_the_node_has_some(secret: Checkout, berth: Any) -> None:
    ended = berth("node-config", "coreos1", "--format", "network-config")
    assert ended.code == 0 and yaml.safe_load(ended.out)["version"] == 2


def test_a_password_instead_of_a_hash_is_refused_and_not_repeated(secret: Checkout, berth: Any) -> None:
    secret.answer("config get", out=json.dumps({**HIDDEN, "nodeUsers": {"usera": "hunter2"}}))
    ended = berth("node-config", "coreos1", "--show-secrets")
    assert ended.code == 2 and "not a hash" in ended.err
    assert "hunter2" not in ended.err + ended.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("coreos9",), "There is no node 'coreos9' in stack dev: coreos1, coreos2, coreos3, coreos4."),
        (("coreos3",), "Nothing says what coreos3 is set up with: write berth:nodes[2].config"),
        (("coreos1", "--format", "ignition"), "coreos1 runs coreos, which does not read ignition: use cloud-config."),
        (("coreos2", "--format", "cloud-config"), "use cloud-init or network-config or meta-data."),
        (("coreos1", "--output", "/proc/nowhere/x"), "/proc/nowhere/x cannot be written:"),
        (("coreos1", "--format", "yaml"), "'yaml' is not one of"),
    ],
)
def test_wrong_use_is_one_sentence(checkout: Checkout, berth: Any, arguments: tuple[str, ...], words: str) -> None:
    stack(checkout, plain())
    ended = berth("node-config", *arguments)
    assert ended.code == 2 and ended.out == ""
    assert words in ended.err


def test_bad_settings_are_refused_before_anything_is_decrypted(secret: Checkout, berth: Any) -> None:
    text = with_secrets(everything("debian"), nodeUsers=["usera"])
    stack(secret, text)
    ended = berth("node-config", "coreos1")
    assert ended.code == 2 and "berth:secrets.nodeFiles.etcd-key" in ended.err
    assert secret.calls == []
