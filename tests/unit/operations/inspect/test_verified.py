"""What `berth verify` keeps of a green run, and what it finds of promoted images."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from operations.inspect import checks, endpoint_checks, verified
from operations.inspect.checks import Answer
from operations.inspect.collect import ClusterSnapshot
from operations.inspect.endpoint_checks import EndpointReplies, Reply
from operations.inspect.expected import Desired
from operations.registry.endpoint import Endpoint, User
from tests.unit.conftest import OUTPUTS, Checkout
from tests.unit.registries import PASSWORD, World

NEW, OLD = "sha256:" + "2" * 64, "sha256:" + "1" * 64


def exported(*resources: dict[str, Any]) -> str:
    return json.dumps({"deployment": {"resources": resources}})


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=Al", "-c", "user.email=al@x.test"]
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


@pytest.mark.parametrize("green", [True, False])
def test_only_a_green_run_is_kept(green: bool, checkout: Checkout, berth: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout.install_pulumi()
    checkout.deploy()
    seen = ClusterSnapshot(Desired(OUTPUTS, {}), {}, EndpointReplies(Reply(401), Reply(200), Reply(200), 3000))
    monkeypatch.setattr("operations.commands.verify.collect", lambda session: seen)
    monkeypatch.setattr("operations.commands.verify.answers", lambda *_: [Answer("q", "n", "a", green)])
    assert berth("verify").code == (0 if green else 3)
    kept = verified.read(checkout.session())
    assert (kept is not None) is green
    if kept:
        assert kept.state == verified.fingerprint(checkout.session())


def test_a_run_is_kept_for_the_state_that_it_checked_only(
    checkout: Checkout, berth: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout.install_pulumi()
    checkout.deploy()

    def deployed_meanwhile(session: Any) -> ClusterSnapshot:
        checkout.answer("stack export", out=exported({"urn": "another"}))
        return ClusterSnapshot(Desired(OUTPUTS, {}), {}, EndpointReplies(Reply(401), Reply(200), Reply(200), 3000))

    monkeypatch.setattr("operations.commands.verify.collect", deployed_meanwhile)
    monkeypatch.setattr("operations.commands.verify.answers", lambda *_: [])
    berth("verify")
    kept = verified.read(checkout.session())
    assert kept and kept.state != verified.fingerprint(checkout.session())


def test_a_fingerprint_does_not_depend_on_the_order_of_answers(checkout: Checkout) -> None:
    one = {"urn": "one", "outputs": {"a": 1}, "dependencies": ["x", "y"], "sourcePosition": "project:///a.py#1"}
    other = {"urn": "two"}
    seen = []
    for resources in (
        [one, other],
        [other, {**one, "dependencies": ["y", "x"], "sourcePosition": "project:///a.py#2"}],
        [other, {**one, "outputs": {"a": 2}}],
        [other],
    ):
        checkout.answer("stack export", out=exported(*resources))
        checkout.install_pulumi()
        seen.append(verified.fingerprint(checkout.session()))
    assert seen[0] == seen[1] and len(set(seen)) == 3


def test_the_commit_is_that_of_the_program_and_says_whether_it_was_changed(tmp_path: Path) -> None:
    assert verified.commit(tmp_path) == ""
    git(tmp_path, "init", "--quiet")
    (tmp_path / "program.py").touch()
    (tmp_path / "Pulumi.prod.yaml").touch()
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "x")
    clean = verified.commit(tmp_path)
    assert len(clean) == 40
    (tmp_path / "Pulumi.prod.yaml").write_text("settings")
    assert verified.commit(tmp_path) == clean
    (tmp_path / "program.py").write_text("x")
    assert verified.commit(tmp_path) == f"{clean}-dirty"


def test_who_promotes_has_a_name_with_and_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    assert "@" in verified.author(tmp_path)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "config", "user.name", "Al")
    git(tmp_path, "config", "user.email", "al@x.test")
    assert verified.author(tmp_path) == "Al <al@x.test>"


@pytest.mark.parametrize(
    ("there", "ok", "words"),
    [
        ({"team/app:1": NEW}, True, "all 1"),
        ({"team/app:1": OLD}, False, f"team/app:1 is {OLD}, not {NEW}"),
        ({"team/app:1": None}, False, f"team/app:1 is missing, not {NEW}"),
        ({}, False, "missing"),
    ],
)
def test_a_promoted_tag_has_to_be_the_promoted_image(there: dict[str, str | None], ok: bool, words: str) -> None:
    desired = Desired({**OUTPUTS, "promoted": {"team/app:1": NEW}}, {})
    seen = EndpointReplies(Reply(401), Reply(200), Reply(200), 3000, there)
    (answer,) = [one for one in checks.answers(desired, {}, seen) if "promoted" in one.question]
    assert answer.ok is ok and words in answer.answer


def test_tags_are_asked_of_the_registry_as_its_user(tmp_path: Path) -> None:
    with World.of(tmp_path) as world:
        registry = world.registry()
        digest = registry.push("team/app:1", b"x")
        end = Endpoint(registry.end().registry, "ca.pem", {"pull": User("reader", PASSWORD)})
        asked = endpoint_checks._promoted(end, "prod", world.ca, ["team/app:1", "team/none:1"])
        assert asked == {"team/app:1": digest, "team/none:1": None}
        heads = [path for method, path in registry.asked if method == "HEAD"]
        assert heads == ["/v2/team/app/manifests/1"], "to ask for what only an upstream has makes its cache fetch it"
        outsider = Endpoint(end.registry, "ca.pem", {"pull": User("reader", "wrong")})
        assert endpoint_checks._promoted(outsider, "prod", world.ca, ["team/app:1"]) == {}


@pytest.mark.parametrize("text", ["{", "[]", json.dumps({"time": "t"})])
def test_a_damaged_note_is_none(checkout: Checkout, text: str) -> None:
    checkout.install_pulumi()
    session = checkout.session()
    session.set_tag(verified.TAG, text)
    assert verified.read(session) is None
