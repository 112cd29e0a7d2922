"""The probe over real SSH on loopback, its script run for real with a fake docker."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from operations import probe
from operations.desired import DEPLOY_HOST, Machine, Readiness
from operations.probe import Probe, Report, parse
from tests.unit.operations.conftest import Checkout, Docker
from tests.unit.operations.nodes import Node

REGISTRY = "localhost:4000"
CONTAINER = "registry\t/berth-registry\tseed/berth/registry@sha256:1\trunning\t-\t2\t3.1.2\n"


@pytest.fixture
def node(checkout: Checkout, docker: Docker, tmp_path: Path) -> Iterator[Node]:
    docker.answers({"version": "26.1.5\n", "ps --all": "abc\n", "inspect": CONTAINER, "info": "false\njson-file\n"})
    made = Node(tmp_path, environment={"PATH": f"{checkout.bin}:/usr/bin:/bin"})
    yield made
    made.close()


def ask(node: Node, machine: Machine | None = None, seconds: float = 10, **door: object) -> Report:
    machines = {"node1": machine or Machine()}
    return Probe("dev", REGISTRY, "192.0.2.10", machines, seconds).ask([node.door(**door)])["node1"]


def test_the_probe_tells_what_a_node_is_like(node: Node) -> None:
    report = ask(node)
    assert report.error is None
    assert report.docker == "26.1.5"
    assert report.containers["berth-registry"].is_healthy
    assert (report.containers["berth-registry"].restarts, report.containers["berth-registry"].version) == (2, "3.1.2")
    assert report.clock is not None and report.skew == 0
    assert report.resolves == {"localhost": "127.0.0.1"}
    assert any(disk.mount == "/" for disk in report.disks)
    assert report.init in ("systemd", "sysvinit", "upstart") or report.init


def test_the_probe_tells_whether_a_node_holds_the_virtual_address(node: Node) -> None:
    for address, holds in (("127.0.0.1", {"127.0.0.1"}), ("192.0.2.10", set())):
        probe = Probe("dev", REGISTRY, address, {"node1": Machine()}, 10)
        assert probe.ask([node.door()])["node1"].holds == holds


def test_a_clock_that_is_wrong_shows_by_how_much(node: Node, checkout: Checkout) -> None:
    (checkout.bin / "date").write_text("#!/bin/sh\nexpr $(/bin/date +%s) - 500\n")
    (checkout.bin / "date").chmod(0o755)
    assert 495 <= ask(node).skew <= 505


def test_files_are_compared_by_mode_and_checksum_whatever_their_names(node: Node, tmp_path: Path) -> None:
    odd = tmp_path / "it's $(touch hacked) ü.txt"
    odd.write_text("content\n")
    odd.chmod(0o640)
    machine = Machine(files={str(odd): ("640", ""), "/nowhere/file": ("644", "")})
    report = ask(node, machine)
    assert report.files[str(odd)] == ("640", hashlib.sha256(b"content\n").hexdigest())
    assert report.files["/nowhere/file"] == ("missing", "missing")
    assert not (Path.cwd() / "hacked").exists()


def test_a_block_is_compared_without_its_markers_and_neighbours(node: Node, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("1.1.1.1 a\n# BEGIN berth dev\n10.0.0.1 registry\n# END berth dev\n2.2.2.2 b\n")
    report = ask(node, Machine(blocks={str(hosts): ""}))
    assert report.blocks[str(hosts)] == hashlib.sha256(b"10.0.0.1 registry\n").hexdigest()


def test_readiness_is_asked_again_and_docker_tells_its_settings(node: Node) -> None:
    question = Readiness("registry", "200", "http://127.0.0.1:1/health", "-", "-")
    machine = Machine(readiness=[question], info={"{{.LiveRestoreEnabled}}": "", "{{.LoggingDriver}}": ""})
    report = ask(node, machine)
    assert report.urls[question.url][0] == "200" and "Failed to connect" in report.urls[question.url][1]
    assert not report.urls[question.url][1].endswith("000")
    assert report.info == ["false", "json-file"]


def test_a_daemon_that_does_not_answer_is_reported_as_such(node: Node, docker: Docker, checkout: Checkout) -> None:
    (checkout.bin / "docker").write_text("#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n")
    report = ask(node)
    assert report.docker is None
    assert "Cannot connect" in report.docker_error


def test_another_host_key_than_the_pinned_one_is_refused_before_anything_is_sent(node: Node) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    assert ask(node, host_key=other).error == "127.0.0.1 shows another host key than the pinned one"
    assert node.commands == []


def test_a_wrong_key_is_named(node: Node, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(wrong))
    assert ask(node, key_file=wrong).error == f"127.0.0.1 does not let root in with {wrong}"


def test_an_unreachable_node_is_reported_and_the_rest_is_complete(node: Node) -> None:
    doors = [node.door(), node.door(name="node2", port=1)]
    reports = Probe("dev", REGISTRY, "192.0.2.10", {}, 10).ask(doors)
    assert reports["node1"].docker == "26.1.5"
    assert "can't be reached" in (reports["node2"].error or "")
    assert reports[DEPLOY_HOST].error is None


def test_a_node_that_hangs_is_given_up_in_time(node: Node) -> None:
    node.hangs = True
    started = time.monotonic()
    assert ask(node, seconds=1).error == "127.0.0.1 did not answer within 1 s"
    assert time.monotonic() - started < 5


def test_sudo_that_asks_for_a_password_is_named(node: Node, checkout: Checkout) -> None:
    (checkout.bin / "sudo").write_text("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")
    (checkout.bin / "sudo").chmod(0o755)
    assert "sudo asks ops for a password" in (ask(node, user="ops").error or "")


def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one() -> None:
    assert parse("node1", ["os\tDebian"]).error == "the probe's answer broke off"


def test_the_probe_opens_one_connection_and_sends_one_constant_script(node: Node) -> None:
    ask(node, Machine(files={"/etc/hosts": ("", "")}))
    ask(node)
    assert len(node.commands) == 2 and node.commands[0] == node.commands[1]
    assert json.dumps(probe.SCRIPT.read_text())[5:40] in json.dumps(node.commands[0])
