"""Previews of the whole program where secrets change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from operations.pulumi.values import SIGNATURE
from tests.program.checkout import Checkout, Ended


def drawn(value: Any) -> Iterator[str]:
    """Every single text that a state marks as secret."""
    if isinstance(value, dict) and SIGNATURE in value:
        inner = json.loads(value["plaintext"])
        yield from [inner] if isinstance(inner, str) and "berth-bundle" not in inner else []
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from drawn(item)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, cli: Path) -> tuple[Checkout, set[str]]:
    """A stack as after `up` whose every kind of secret is about to change, and all of these secrets."""
    checkout = Checkout(tmp_path_factory.mktemp("secrets"), cli)
    key = checkout.home / "key"
    told = {"ci": "first-canary-of-ci", "quay": "first-canary-of-quay"}

    def write(told: dict[str, str], private_key: str) -> None:
        key.write_text(private_key)
        checkout.pulumi("config", "set", "--secret", "--path", "berth:secrets.users.ci", text=told["ci"])
        checkout.pulumi("config", "set", "--secret", "--path", "berth:secrets.upstreams.quay", text=told["quay"])

    registry = checkout.settings("registry")
    registry["users"][0]["password"] = "configured"
    registry["upstreams"][1]["user"] = "robot"
    nodes = [{**node, "ssh": {**node["ssh"], "keyFile": str(key)}} for node in checkout.settings("nodes")]
    checkout.change(registry=registry, nodes=nodes)
    checkout.pulumi("stack", "init")
    write(told, "first-canary-of-the-key\n")
    checkout.pulumi("up", "--yes", "--skip-preview")
    state = json.loads(checkout.pulumi("stack", "export", "--show-secrets"))
    secrets = {text for text in drawn(state) if len(text) > 7}
    assert len(secrets) > 20, "passwords, hashes, keys of services, keys of the store"
    # Another bucket: other keys of the store, and everything that holds one of them.
    checkout.change(objectStore={"dataDir": "/data/berth", "bucket": "another"})
    write({name: text.replace("first", "second") for name, text in told.items()}, "second-canary-of-the-key\n")
    canaries = {f"{turn}-canary-of-{what}" for turn in ("first", "second") for what in (*told, "the-key")}
    return checkout, secrets | canaries


@pytest.fixture(scope="module")
def answers(deployed: tuple[Checkout, set[str]]) -> dict[str, Ended]:
    """Each form of the preview."""
    return {form: deployed[0].berth("preview", form) for form in ("--diff", "--json", "--markdown")}


def test_no_secret_is_in_a_preview_in_which_all_of_them_change(
    deployed: tuple[Checkout, set[str]], answers: dict[str, Ended]
) -> None:
    checkout, secrets = deployed
    seen = {}
    for form, ended in answers.items():
        assert "cache-quay-berth2-files" in ended.out, ended.err
        seen |= {form: ended.out, f"messages of {form}": ended.err}
    logs = checkout.home / "logs"
    seen |= {str(path): path.read_text() for path in (logs.rglob("*") if logs.exists() else ()) if path.is_file()}
    for where, text in seen.items():
        assert [secret for secret in secrets if secret in text or json.dumps(secret)[1:-1] in text] == [], where


def test_what_changes_is_told_all_the_same(answers: dict[str, Ended]) -> None:
    text = answers["--diff"].out
    assert "cache-quay/config.yml changed (contents are secret)" in text
    assert "connection changed (it is secret)" in text
    assert "PROTECTED: bucket" in text


def test_a_wrong_passphrase_is_one_sentence(deployed: tuple[Checkout, set[str]]) -> None:
    ended = deployed[0].berth("preview", "--markdown", passphrase="another one")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines()[1:] == [
        "The passphrase is not the one of stack prod: see PULUMI_CONFIG_PASSPHRASE_FILE or PULUMI_CONFIG_PASSPHRASE."
    ]


def test_without_a_passphrase_the_way_without_one_is_named(deployed: tuple[Checkout, set[str]]) -> None:
    ended = deployed[0].berth("preview", "--markdown", passphrase=None)
    assert ended.code == 2 and "preview --offline shows what can be seen" in ended.err
