"""Previews without passphrase and state: the program of a commit against that of another, with no CLI at all."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from operations.preview.plan import REPLACE
from tests.program.checkout import Checkout, Ended

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

QUAY = {"upstreams": {"quay": {"secure": "v1:AAAA:nobody-here-can-open-this"}}}
OTHER = {"upstreams": {"quay": {"secure": "v1:BBBB:nor-this"}}}


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """A commit whose settings hold a secret that nobody can open, on a machine without Pulumi's CLI."""
    made = Checkout(tmp_path)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    for name, value in {"PATH": os.defpath, "HOME": str(tmp_path), "TMPDIR": str(temporary)}.items():
        monkeypatch.setenv(name, value)
    registry = made.settings("registry")
    registry["upstreams"][1]["user"] = "robot"
    made.change(registry=registry, secrets=QUAY)
    made.commit()
    return made


def against_head(checkout: Checkout, *words: str) -> Ended:
    return checkout.berth("preview", "--against", "HEAD", *words, passphrase=None)


def left(checkout: Checkout) -> set[str]:
    """All files of the checkout, of its home and among the temporary ones, but for what Python compiles."""
    files = (path for path in checkout.root.parent.rglob("*") if path.is_file())
    return {str(path) for path in files if not {"__pycache__", ".git"} & set(path.parts)}


def test_a_changed_setting_is_seen_and_nothing_is_left(checkout: Checkout) -> None:
    checkout.change(docker={"logOptions": {"max-size": "7m"}})
    before, files = checkout.stack_file.read_bytes(), left(checkout)
    ended = against_head(checkout, "--markdown")
    assert ended.code == 0, ended.out + ended.err
    assert "> Without the stack's secrets and state: this is what changes against HEAD" in ended.out
    assert "berth1, berth2, berth3, berth4, berth5, berth6: Docker restarts (log-opts)" in ended.out
    assert "config.yml" not in ended.out
    assert checkout.stack_file.read_bytes() == before
    assert left(checkout) == files


def test_another_ciphertext_is_a_changed_secret(checkout: Checkout) -> None:
    checkout.change(secrets=OTHER)
    ended = against_head(checkout, "--diff")
    assert ended.code == 0, ended.out + ended.err
    assert "/etc/berth/cache-quay/config.yml changed (contents are secret)" in ended.out
    assert "Docker restarts" not in ended.out


def test_a_commit_does_not_differ_from_itself(checkout: Checkout) -> None:
    ended = against_head(checkout, "--expect-no-changes")
    assert ended.code == 0, ended.out + ended.err


def test_a_changed_pin_is_seen_against_the_commits_own(checkout: Checkout) -> None:
    checkout.pin(nginx=f"r.example.com/nginx@sha256:{'1' * 64}")
    ended = against_head(checkout, "--diff")
    assert ended.code == 0, ended.out + ended.err
    assert f"r.example.com/nginx@sha256:{'1' * 64}" in ended.out
    checkout.commit()
    ended = against_head(checkout, "--expect-no-changes")
    assert ended.code == 0, ended.out + ended.err
    checkout.pin(nginx="latest")
    checkout.commit()
    checkout.pin()
    assert "The program of HEAD fails for prod: pins/prod.yaml: 1 setting cannot be used" in against_head(checkout).err


def test_a_changed_program_is_compared_with_the_commits_own(checkout: Checkout) -> None:
    template = checkout.root / "components" / "load_balancer" / "templates" / "nginx.conf.j2"
    template.write_text("# a canary in the template\n" + template.read_text())
    ended = against_head(checkout, "--diff")
    assert ended.code == 0, ended.out + ended.err
    assert "+# a canary in the template" in ended.out


def test_what_goes_is_deleted_and_what_depends_on_a_change_is_replaced(checkout: Checkout) -> None:
    checkout.change(objectStore={"dataDir": "/data/berth", "bucket": "another"})
    registry = checkout.settings("registry")
    del registry["upstreams"][1]
    checkout.change(registry=registry, secrets={})
    ended = against_head(checkout, "--fail-on-protected")
    assert ended.code == 1, ended.out + ended.err
    assert "PROTECTED: bucket bucket-bucket would be replaced" in ended.out
    assert "docker Container cache-quay-berth2 delete" in ended.out
    assert "docker Container cache-docker-hub-berth2 replace" in ended.out
    assert "minio IamPolicy bucket-store-policy update" in ended.out


def test_a_deployed_stack_would_change_in_the_same_way_by_the_cli(tmp_path: Path, cli: Path) -> None:
    checkout = Checkout(tmp_path, cli)
    (checkout.home / "key").write_text("the nodes' key\n")
    key = {"keyFile": str(checkout.home / "key")}
    checkout.change(nodes=[{**node, "ssh": {**node["ssh"], **key}} for node in checkout.settings("nodes")])
    checkout.pulumi("stack", "init")
    checkout.commit()
    checkout.pulumi("up", "--yes", "--skip-preview")
    registry = checkout.settings("registry")
    del registry["upstreams"][1]
    checkout.change(registry=registry, objectStore={"dataDir": "/data/berth", "bucket": "another"})
    deployed, mocked = checkout.berth("preview", "--json"), against_head(checkout, "--json")
    assert (deployed.code, mocked.code) == (0, 0), deployed.err + mocked.err
    assert changes(mocked) == changes(deployed)


def changes(ended: Ended) -> dict[str, str]:
    """What happens to which resource."""
    steps = json.loads(ended.out)["steps"]
    return {step["urn"]: "replace" if step["op"] in REPLACE else step["op"] for step in steps if step["op"] != "same"}


def test_a_commit_whose_program_fails_is_named_in_one_sentence(checkout: Checkout) -> None:
    program = (checkout.root / "__main__.py").read_text()
    (checkout.root / "__main__.py").write_text("raise ValueError('canary')\n")
    checkout.commit()
    (checkout.root / "__main__.py").write_text(program)
    ended = against_head(checkout)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.strip() == "The program of HEAD fails for prod: ValueError: canary"


def test_without_a_commit_a_first_deployment_is_shown(checkout: Checkout) -> None:
    ended = checkout.berth("preview", "--offline", passphrase=None)
    assert ended.code == 0, ended.out + ended.err
    assert "this is what a first deployment would make" in ended.out and "to create" in ended.out


def test_a_commit_that_is_not_there_is_named(checkout: Checkout) -> None:
    ended = checkout.berth("preview", "--against", "nowhere", passphrase=None)
    assert ended.code == 2 and "git has no nowhere here" in ended.err
