"""What re-runs when: the step of kolla-ansible that leads from the last deployment to the wanted one."""

from __future__ import annotations

import dataclasses
import io
import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from components.kolla import render
from config import stackfile
from config.kolla_release import release
from config.paths import ROOT
from operations.errors import BerthError
from operations.kolla import deployed, drain, plan, play, steps
from operations.kolla.deployed import Deployed
from operations.pulumi import documents
from operations.pulumi.session import Session
from tests.unit.conftest import LAB, Checkout

KNOWN = release("2026.1")
TAGS = {"r/kolla/keystone:1": "keystone", "r/kolla/haproxy:1": "loadbalancer", "r/kolla/etcd:1": "etcd"}
DIGESTS = dict.fromkeys(TAGS, "sha256:a")


def document(overrides: dict[str, str] | None = None, **roles: list[str]) -> dict[str, Any]:
    raw = stackfile.read(ROOT / "Pulumi.kolla.yaml")
    for node in raw["config"]["berth:nodes"]:
        node["roles"] = roles.get(node["name"], node["roles"])
    return render.document(stackfile.parse("kolla", raw), overrides or {})


def asked(now: dict[str, Any], before: dict[str, Any] | None = None, **digests: str) -> plan.Plan:
    images = {**DIGESTS, **{f"r/kolla/{name}:1": digest for name, digest in digests.items()}}
    return plan.plan(Deployed(before or document(), {}, DIGESTS), now, images, TAGS, KNOWN)


def test_the_first_deployment_is_deploy() -> None:
    assert plan.plan(None, document(), DIGESTS, TAGS, KNOWN).verb == "deploy"


def test_a_changed_global_is_for_all_services() -> None:
    later = document()
    later["globals"] = {**later["globals"], "keystone_token_expiry": 60}
    for now in (later, document()):
        assert (asked(now).verb, asked(now).options) == ("reconfigure", ())


def test_another_image_of_one_service_changes_it_one_node_at_a_time() -> None:
    found = asked(document(), keystone="sha256:b")
    assert (found.verb, found.options) == ("deploy", ("--tags", "keystone", "--extra-vars", "kolla_serial=1"))
    assert asked(document(), haproxy="sha256:b").options[1] == "loadbalancer"
    assert asked(document(), haproxy="sha256:b", etcd="sha256:c").options[1] == "etcd,loadbalancer"


@pytest.mark.parametrize("path", ["keystone.conf", "keystone/policy.yaml", "haproxy/haproxy_custom.cfg"])
def test_an_override_of_one_service_is_for_this_service_alone(path: str) -> None:
    tag = "loadbalancer" if path.startswith("haproxy") else "keystone"
    assert asked(document({path: "x"})).options[:2] == ("--tags", tag)
    gone = asked(document(), document({path: "x"}))
    assert gone.options[:2] == ("--tags", tag), "and so is its removal"


@pytest.mark.parametrize("path", ["global.conf", "galera.cnf"])
def test_an_override_of_all_services_or_of_nobody_known_is_for_all(path: str) -> None:
    assert asked(document({path: "x"})).options == ()


def test_an_image_that_moved_beside_a_changed_global_is_for_all() -> None:
    later = document()
    later["globals"] = {**later["globals"], "keystone_token_expiry": 60}
    assert asked(later, keystone="sha256:b").options == ()


def test_a_new_compute_node_is_deployed_alone() -> None:
    found = asked(document(data1=["object-store", "compute"]))
    assert (found.verb, found.options, found.leaving) == ("deploy", ("--limit", "data1"), ())


def test_a_new_control_node_is_told_to_the_others() -> None:
    fewer = document(control3=["object-store"])
    assert (asked(document(), fewer).verb, asked(document(), fewer).options) == ("deploy", ())


def test_a_new_node_beside_another_change_is_for_all() -> None:
    now = document({"keystone.conf": "x"}, data1=["object-store", "compute"])
    assert (asked(now).verb, asked(now).options) == ("deploy", ())


def test_a_node_that_leaves_is_drained_and_the_others_are_told() -> None:
    found = asked(document(control3=["object-store"]))
    assert (found.verb, found.options, found.leaving) == ("deploy", (), ("control3",))
    assert str(found) == "deploy (nodes leave, control3 drained first)"


def test_another_release_is_an_upgrade_and_none_can_be_left_out() -> None:
    assert asked(document(), {**document(), "release": "2025.2"}).verb == "upgrade"
    with pytest.raises(BerthError, match=r"2026.1 cannot follow 2024.2.*go to 2025.1 or 2025.2 first"):
        asked(document(), {**document(), "release": "2024.2"})


@pytest.fixture
def session(checkout: Checkout) -> Session:
    checkout.install_pulumi()
    checkout.settings("kolla", LAB)
    return checkout.session("kolla")


def note(session: Session, now: dict[str, Any]) -> None:
    workspace = session.workspace
    options = f'-o "UserKnownHostsFile={workspace.stack_dir("kolla") / "known_hosts"}"'
    way = {
        "ansible_ssh_common_args": options,
        "ansible_ssh_private_key_file": str(workspace.stack_dir("kolla") / "ssh_key"),
        "ansible_port": 22,
    }
    way |= {"ansible_user": "root", "ansible_host": "127.0.0.1"}
    workspace.stack_dir("kolla").mkdir(parents=True, exist_ok=True)
    (workspace.stack_dir("kolla") / "known_hosts").write_text("key of control3\n")
    deployed.save(session, now, dict.fromkeys(now["nodes"], way), DIGESTS)


def test_what_was_deployed_is_known_with_the_host_keys_of_then(session: Session) -> None:
    note(session, document())
    (session.workspace.stack_dir("kolla") / "known_hosts").write_text("")
    before = deployed.read(session)
    assert before and before.images == DIGESTS and before.document["nodes"] == ["control1", "control2", "control3"]
    option = before.access["control3"]["ansible_ssh_common_args"]
    assert Path(option.split("=")[1].rstrip('"')).read_text() == "key of control3\n"
    deployed.forget(session)
    assert deployed.read(session) is None


def elsewhere(session: Session, folder: Path) -> Session:
    """The same stack from another deploy host."""
    return dataclasses.replace(session, workspace=dataclasses.replace(session.workspace, home=folder))


def test_another_deploy_host_goes_on_with_host_keys_and_paths_of_its_own(session: Session, tmp_path: Path) -> None:
    note(session, document())
    before = deployed.read(elsewhere(session, tmp_path / "second"))
    assert before and before.document == json.loads(json.dumps(document()))
    way, own = before.access["control3"], tmp_path / "second" / "stacks" / "kolla"
    assert way["ansible_ssh_private_key_file"] == str(own / "ssh_key")
    option = way["ansible_ssh_common_args"].split("=")[1].rstrip('"')
    assert option.startswith(f"{own}/") and Path(option).read_text() == "key of control3\n"


@pytest.mark.parametrize("kept", [{}, [], "text", {"document": {}, "unknown": 1}])
def test_what_cannot_be_read_is_no_deployment(session: Session, kept: Any) -> None:
    documents.write(session, deployed.NAME, kept)
    assert deployed.read(session) is None


@pytest.mark.parametrize("lost", [False, True], ids=["answers", "is lost"])
def test_a_node_that_leaves_is_stopped_before_and_cleared_after(
    session: Session, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    note(session, document())
    ran, said = [], list[str]()

    def played(step: str, *args: Any) -> play.Played:
        ran.append((step, *args[-1]))
        return play.Played(step, Path("log"))

    made = dataclasses.make_dataclass("Made", ["sample_inventory", "sample_passwords"])("", {})
    monkeypatch.setattr(play, "play", played)
    monkeypatch.setattr(steps, "environment", lambda *_: made)
    monkeypatch.setattr(drain, "environment", lambda *_: made)
    monkeypatch.setattr(steps.image_check, "needed_by", lambda *_: {})
    answer = subprocess.CompletedProcess([], 255 if lost else 0, "", "")
    monkeypatch.setattr(steps.inputs, "on_node", lambda *_: answer)
    now = document(control3=["object-store"])
    steps.reconcile(session, play.Inputs(now, {}, "secret", "CA"), said.append)
    drained = ("--limit", "control3", "--yes-i-really-really-mean-it")
    assert ran == ([("deploy",)] if lost else [("stop", *drained), ("deploy",), ("destroy", *drained)])
    assert any("control3 does not answer" in line for line in said) == lost
    after = deployed.read(session)
    assert after and after.document["nodes"] == ["control1", "control2"]


def test_a_node_that_could_not_be_cleared_is_still_known(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    note(session, document())
    made = dataclasses.make_dataclass("Made", ["sample_inventory", "sample_passwords"])("", {})
    monkeypatch.setattr(play, "play", lambda step, *_: play.Played(step, Path("/dev/null"), int(step == "destroy")))
    monkeypatch.setattr(steps, "environment", lambda *_: made)
    monkeypatch.setattr(drain, "environment", lambda *_: made)
    monkeypatch.setattr(steps.image_check, "needed_by", lambda *_: {})
    monkeypatch.setattr(steps.inputs, "on_node", lambda *_: subprocess.CompletedProcess([], 0, "", ""))
    with pytest.raises(BerthError, match="destroy failed"):
        wanted = play.Inputs(document(control3=["object-store"]), {}, "secret", "CA")
        steps.reconcile(session, wanted, lambda _: None)
    after = deployed.read(session)
    assert after and "control3" in after.document["nodes"]


def test_taking_kolla_away_leaves_the_deploy_host_alone(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"document": document(), "access": {}, "secret": "secret", "ca": "CA"}
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(given)))
    ran: list[Any] = []
    monkeypatch.setattr(steps, "run", lambda *args: ran.append((args[0], *args[-1])))
    before = signal.getsignal(signal.SIGTERM)
    steps.from_stdin("destroy", "kolla")
    signal.signal(signal.SIGTERM, before)
    assert ran == [("destroy", "--limit", "control1,control2,control3", "--yes-i-really-really-mean-it")]
