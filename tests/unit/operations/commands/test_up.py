"""`up`, `preview`, `down`, `endpoint`, `env` as a user meets them, on a fake CLI."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from operations.host.preflight import Check
from tests.unit.conftest import Checkout, Docker

CREATE = {"urn": "urn:pulumi:dev::berth::docker:index/container:Container::lab-node1", "op": "create"}
FAIL = {"urn": "urn:pulumi:dev::berth::berth:x:Y$command:remote:Command::node1-docker", "op": "create"}


def summary(**changes: int) -> dict[str, Any]:
    return {"summaryEvent": {"durationSeconds": 1, "resourceChanges": changes}}


def created() -> list[dict[str, Any]]:
    return [{"resourcePreEvent": {"metadata": CREATE}}, {"resOutputsEvent": {"metadata": CREATE}}, summary(create=1)]


def test_up_deploys_and_says_how_to_use_the_registry(checkout: Checkout, berth: Any) -> None:
    checkout.install_pulumi()
    checkout.answer("up", events=created())
    ended = berth("up")
    assert ended.code == 0, ended.err
    assert checkout.words() == ["stack init", "up"]
    assert "created docker Container lab-node1" in ended.out
    assert "Registry: registry.berth.test:4000" in ended.out
    for command in ("docker login --username writer registry", "docker push registry", "docker pull registry"):
        assert command in ended.out
    call = checkout.calls[1]
    assert call["arguments"][:5] == ["up", "--yes", "--skip-preview", "--event-log", call["arguments"][4]]
    assert call["cwd"] == str(checkout.workspace.root)


def test_a_cli_that_ends_without_a_summary_is_a_failed_up(checkout: Checkout, berth: Any) -> None:
    checkout.install_pulumi()
    checkout.answer("up", events=[])
    ended = berth("up")
    assert ended.code == 1 and "Deploying dev failed" in ended.err


def test_a_download_that_fails_falls_through_to_the_build(
    checkout: Checkout, berth: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def build(*_: object, pulumi: str = "", **__: object) -> None:
        asked.append(pulumi)
        checkout.install_pulumi()

    monkeypatch.setattr("operations.host.prepare.run", build)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    checkout.answer("up", events=created())
    ended = berth("up", "--download")
    assert ended.code == 0, ended.err
    assert "The Pulumi CLI could not be downloaded (" in ended.out
    assert asked == ["pulumi is neither on PATH nor in ~/.pulumi/bin"]


def test_up_that_finds_everything_in_place_says_no_change(checkout: Checkout, berth: Any) -> None:
    checkout.install_pulumi()
    checkout.deploy()
    checkout.answer("up", events=[summary(same=12)])
    assert "No change" in berth("up").out


def test_a_failed_up_names_the_resource_and_its_reason_without_the_noise(checkout: Checkout, berth: Any) -> None:
    checkout.install_pulumi()
    checkout.deploy()
    diagnostics = [
        {"urn": FAIL["urn"], "severity": "error", "message": "<{%fg 1%}>error: <{%reset%}>no route to host 10.0.0.1\n"},
        {
            "urn": "urn:pulumi:dev::berth::pulumi:pulumi:Stack::berth-dev",
            "severity": "error",
            "message": "update failed",
        },
    ]
    events = [{"resourcePreEvent": {"metadata": FAIL}}, {"resOpFailedEvent": {"metadata": FAIL}}]
    checkout.answer("up", events=[*events, *({"diagnosticEvent": d} for d in diagnostics)], code=255)
    ended = berth("up")
    assert ended.code == 1
    assert "creating command Command node1-docker:\n    error: no route to host 10.0.0.1" in ended.err
    assert "update failed" not in ended.err
    log = ended.err.strip().rpartition("Log: ")[2]
    assert Path(log).exists()


def test_a_command_that_failed_runs_again_whatever_the_settings_say_then(checkout: Checkout, berth: Any) -> None:
    checkout.install_pulumi()
    checkout.deploy()
    command = {"urn": FAIL["urn"], "inputs": {"create": "sh"}, "outputs": {"create": "sh"}}
    checkout.answer("stack export", out=json.dumps({"deployment": {"resources": [command]}}))
    checkout.answer("up", events=[{"resOpFailedEvent": {"metadata": {**FAIL, "op": "update"}}}], code=255)
    assert berth("up").code == 1
    assert checkout.words()[-2:] == ["stack export", "stack import"]


@pytest.mark.parametrize("state", ["null", "{}", "[]", "", '{"version": 3, "checkpoint": null}'])
def test_a_state_file_without_a_state_is_no_new_stack(checkout: Checkout, berth: Any, state: str) -> None:
    checkout.install_pulumi()
    checkout.deploy()
    file = checkout.workspace.checkpoint("dev")
    file.write_text(state)
    for command in ("up", "preview", "endpoint", "drift"):
        ended = berth(command)
        assert ended.code == 1 and "damaged (it holds no state), and there is no dev.json.bak: restore" in ended.err
    file.with_name("dev.json.bak").touch()
    assert "damaged (it holds no state). dev.json.bak beside it is the state before" in berth("up").err
    assert "up" not in checkout.words()


def test_a_pipe_in_the_place_of_a_state_or_of_pins_is_named(checkout: Checkout, berth: Any) -> None:
    checkout.install_pulumi()
    checkout.deploy()
    checkout.workspace.checkpoint("dev").unlink()
    os.mkfifo(checkout.workspace.checkpoint("dev"))
    assert "dev.json is damaged (it is no plain file)" in berth("endpoint").err
    pins = checkout.workspace.root / "pins" / "dev.yaml"
    pins.parent.mkdir()
    os.mkfifo(pins)
    ended = berth("endpoint")
    assert ended.code == 2 and "is no plain file, or is too long." in ended.err


def test_a_deployed_stack_without_its_state_is_no_new_stack(checkout: Checkout, berth: Any) -> None:
    checkout.install_pulumi()
    checkout.answer("up", events=created())
    assert berth("up").code == 0
    shutil.rmtree(checkout.workspace.state)
    for command in ("up", "preview", "endpoint", "status"):
        ended = berth(command)
        assert ended.code == 1 and "This checkout deployed dev, but the state backend file://" in ended.err
    assert checkout.words().count("up") == 1
    (checkout.workspace.stack_dir("dev") / "resources.json").unlink()
    assert berth("up").code == 0


def test_a_stack_that_pulumi_itself_removed_is_a_new_one(checkout: Checkout, berth: Any) -> None:
    checkout.install_pulumi()
    checkout.answer("up", events=created())
    berth("up")
    state = checkout.workspace.checkpoint("dev")
    state.rename(state.with_name("dev.json.bak"))
    assert berth("up").code == 0


@pytest.mark.parametrize("url", ["nonsense", "/srv/state", "ftp://states", "s4://states"])
def test_a_url_that_is_no_backends_is_refused_by_name(checkout: Checkout, berth: Any, url: str) -> None:
    checkout.install_pulumi()
    checkout.workspace = dataclasses.replace(checkout.workspace, backend=url)
    for command in ("up", "preview", "status", "env"):
        ended = berth(command)
        assert ended.code == 2 and "PULUMI_BACKEND_URL (or `backend:` in Pulumi.yaml) is '" in ended.err
    assert not checkout.calls


def test_a_backends_folder_that_is_not_there_is_not_made(checkout: Checkout, berth: Any, tmp_path: Path) -> None:
    checkout.install_pulumi()
    checkout.workspace = dataclasses.replace(checkout.workspace, backend=f"file://{tmp_path}/typo")
    for command in ("up", "preview", "status"):
        ended = berth(command)
        assert ended.code == 2 and f"The state backend's folder '{tmp_path}/typo' is not there" in ended.err
    assert not (tmp_path / "typo").exists()


def test_berths_own_folder_is_made_also_where_the_shell_names_it(checkout: Checkout, berth: Any) -> None:
    checkout.install_pulumi()
    checkout.answer("up", events=created())
    checkout.workspace = dataclasses.replace(checkout.workspace, backend=checkout.workspace.own_state.as_uri())
    assert berth("up").code == 0


@pytest.mark.parametrize("printed", ["panic!", "\udcff\udcfe", ""])
def test_a_cli_that_prints_rubbish_is_named(checkout: Checkout, berth: Any, printed: str) -> None:
    program = checkout.install_pulumi()
    checkout.deploy()
    checkout.answer("stack output", out=printed)
    ended = berth("endpoint")
    assert ended.code == 1 and "`pulumi stack output` printed no JSON" in ended.err and str(program) in ended.err


def test_a_cli_that_fails_before_any_resource_is_quoted(checkout: Checkout, berth: Any) -> None:
    checkout.install_pulumi()
    checkout.deploy()
    checkout.answer("up", err="error: no plugin answers\n", code=255)
    assert "no plugin answers" in berth("up").err


def test_an_up_with_another_stacks_passphrase_says_so(checkout: Checkout, berth: Any) -> None:
    checkout.install_pulumi()
    checkout.deploy()
    checkout.answer("up", err="error: incorrect passphrase\n", code=255)
    assert "The passphrase is not the one of stack dev" in berth("up").err


def test_a_stack_trace_of_the_program_is_cut_down_to_its_message(checkout: Checkout, berth: Any) -> None:
    checkout.install_pulumi()
    checkout.deploy()
    trace = 'error: Program failed:\nTraceback (most recent call last):\n  File "x.py", line 1\nValueError: bad port'
    checkout.answer("up", events=[{"diagnosticEvent": {"severity": "error", "message": trace}}], code=255)
    ended = berth("up")
    assert "the program:\n    ValueError: bad port" in ended.err
    assert "Traceback" not in ended.err


def test_an_unknown_stack_is_wrong_use(checkout: Checkout, berth: Any) -> None:
    ended = berth("up", "--stack", "nosuch")
    assert ended.code == 2
    assert "Pulumi.nosuch.yaml is missing. Stacks with a file here: dev" in ended.err


def test_an_unexpected_error_is_one_sentence_and_a_file(checkout: Checkout, berth: Any, monkeypatch: Any) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("inner detail")

    monkeypatch.setattr("operations.pulumi.up.up", broken)
    ended = berth("up")
    assert ended.code == 1
    assert ended.err.count("\n") == 1 and "Traceback" not in ended.err
    log = Path(ended.err.strip().rpartition(" are in ")[2].rstrip("."))
    assert "inner detail" in log.read_text()


def test_what_bootstrap_refuses_is_shown_as_it_is(checkout: Checkout, berth: Any, monkeypatch: Any) -> None:
    from operations.host.prepare import BootstrapError

    def refuse(*_: object, **__: object) -> None:
        raise BootstrapError("This machine has 2 GB of memory.")

    monkeypatch.setattr("operations.host.prepare.run", refuse)
    ended = berth("up")
    assert (ended.code, ended.err) == (1, "This machine has 2 GB of memory.\n")


def test_a_network_in_the_way_of_a_new_lab_is_refused_early(checkout: Checkout, berth: Any, monkeypatch: Any) -> None:
    taken = Check("network", False, "10.77.0.0/24 overlaps with 10.0.0.0/8 on eth0", "Choose others.")
    monkeypatch.setattr("operations.host.doctor.subnet", lambda stack_file: taken)
    checkout.install_pulumi()
    ended = berth("up")
    assert ended.code == 1 and "overlaps with 10.0.0.0/8 on eth0. Choose others." in ended.err
    assert checkout.calls == []


def test_down_of_a_lab_leaves_nothing(checkout: Checkout, docker: Docker, berth: Any) -> None:
    checkout.install_pulumi()
    checkout.deploy()
    (checkout.workspace.stack_dir("dev")).mkdir(parents=True)
    docker.answers({"volume ls": "berth-dev-node1-docker\n"})
    ended = berth("down")
    assert ended.code == 0, ended.err
    assert checkout.words() == ["stack export", "destroy"]
    assert "removed volume berth-dev-node1-docker" in ended.out
    assert "volume rm --force berth-dev-node1-docker" in docker.calls
    assert not checkout.workspace.stack_dir("dev").exists()
    assert list(checkout.workspace.checkpoint("dev").parent.iterdir()) == []


def test_down_of_a_lab_whose_destroy_fails_removes_it_by_label(checkout: Checkout, docker: Docker, berth: Any) -> None:
    checkout.install_pulumi()
    checkout.deploy()
    checkout.answer("destroy", err="error: it hangs", code=255)
    docker.answers({"ps --all": "berth-dev-node1\n"})
    ended = berth("down")
    assert ended.code == 0
    assert "it hangs" in ended.out
    assert "rm --force --volumes berth-dev-node1" in docker.calls


def test_down_of_a_lab_with_a_node_gone_does_not_try_to_reach_it(
    checkout: Checkout, docker: Docker, berth: Any
) -> None:
    checkout.install_pulumi()
    checkout.deploy()
    labels = [{"label": "berth.node", "value": "node1"}]
    node = {"type": "docker:index/container:Container", "inputs": {"name": "berth-dev-node1", "labels": labels}}
    checkout.answer("stack export", out=json.dumps({"deployment": {"resources": [node]}}))
    ended = berth("down")
    assert ended.code == 0
    assert "destroy" not in checkout.words()
    assert "Lab nodes that do not run: node1." in ended.out


def test_down_twice_is_no_error_for_a_lab(checkout: Checkout, docker: Docker, berth: Any) -> None:
    assert berth("down").code == 0
    assert berth("down").code == 0


def test_down_of_real_nodes_without_a_terminal_needs_yes(checkout: Checkout, berth: Any) -> None:
    checkout.settings("prod", {})
    ended = berth("down", "--stack", "prod")
    assert ended.code == 2 and "add --yes" in ended.err


def test_down_of_real_nodes_names_the_data_that_stays(checkout: Checkout, berth: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    checkout.install_pulumi()
    checkout.settings("prod", {"berth:objectStore": {"dataDir": "/srv/data"}})
    checkout.deploy("prod")
    ended = berth("down", "--stack", "prod", "--yes")
    assert ended.code == 0, ended.err
    assert "kept: /srv/data on node1" in ended.out and "kept: /srv/data on node2" in ended.out
    assert checkout.workspace.checkpoint("prod").exists(), "the CA is in the state"


def test_down_of_virtual_machines_names_the_disks_that_stay(checkout: Checkout, berth: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "x")
    checkout.install_pulumi()
    nodes = [{"name": "node1"}, {"name": "node2", "virtualbox": {"replace": True}}]
    checkout.settings("staging", {"berth:virtualbox": {"iso": "/live.iso"}, "berth:nodes": nodes})
    checkout.deploy("staging")
    refused = berth("down", "--stack", "staging", "--yes", "--delete-data", "staging")
    assert refused.code == 2, refused.err
    assert "would lose the disks of node1, which their settings keep" in refused.err
    assert "destroy" not in checkout.words()
    ended = berth("down", "--stack", "staging", "--yes")
    assert "kept: the disks of node1, and the keys to these machines" in ended.out
    assert "on node1" not in ended.out


def test_delete_data_wants_the_stacks_name_typed_out(checkout: Checkout, berth: Any) -> None:
    ended = berth("down", "--delete-data", "prod")
    assert ended.code == 2 and "must repeat the stack's name: 'dev', not 'prod'" in ended.err


def test_the_endpoint_gives_the_least_user_for_each_purpose(checkout: Checkout, berth: Any) -> None:
    checkout.install_pulumi()
    checkout.deploy()
    shown = json.loads(berth("endpoint", "--json", "--show-secrets").out)
    assert shown == {
        "registry": "registry.berth.test:4000",
        "ca_file": str(checkout.workspace.stack_dir("dev") / "ca.pem"),
        "users": {
            "push": {"username": "writer", "password": "w'r"},
            "pull": {"username": "reader", "password": "r"},
            "admin": {"username": "boss", "password": "top"},
        },
    }
    hidden = json.loads(berth("endpoint", "--json").out)
    assert hidden["users"]["push"] == {"username": "writer", "password": None}


def test_the_endpoint_of_a_stack_that_is_not_deployed_says_so(checkout: Checkout, berth: Any) -> None:
    ended = berth("endpoint", "--json")
    assert ended.code == 1 and "Stack dev is not deployed: ./berth up --stack dev" in ended.err


def test_env_prints_lines_for_a_shell_and_no_passphrase(checkout: Checkout, berth: Any, monkeypatch: Any) -> None:
    lines = berth("env").out.splitlines()
    assert f"export PULUMI_BACKEND_URL=file://{checkout.workspace.state}" in lines
    assert f"export PULUMI_CONFIG_PASSPHRASE_FILE={checkout.workspace.root}/lab/passphrase" in lines
    assert "export PULUMI_STACK=dev" in lines
    checkout.settings("prod", {})
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "hidden")
    assert "hidden" not in berth("env", "--stack", "prod").out


def test_clean_wants_every_stack_down_first(checkout: Checkout, berth: Any, monkeypatch: Any) -> None:
    cleaned: list[bool] = []
    monkeypatch.setattr("operations.host.prepare.clean", lambda: cleaned.append(True))
    checkout.deploy("dev")
    ended = berth("clean", "--yes")
    assert ended.code == 1 and "Still deployed: dev." in ended.err and not cleaned
    checkout.workspace.checkpoint("dev").unlink()
    assert berth("clean", "--yes").code == 0 and cleaned
