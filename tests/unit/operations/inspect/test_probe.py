"""The probe over real SSH on loopback, its script run for real with a fake docker."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from operations.inspect import probe
from operations.inspect.expected import (
    DEPLOY_HOST,
    DesiredBlock,
    DesiredFile,
    Listener,
    Machine,
    Readiness,
    Service,
    fingerprint,
)
from operations.inspect.parser import parse
from operations.inspect.probe import Probe
from operations.inspect.reports import FileFact, JournalFact, Report, UnitFact
from tests.unit.components.object_store.test_export import self_signed
from tests.unit.conftest import Checkout, Docker
from tests.unit.nodes import Node

REGISTRY = "localhost:4000"
CONTAINER = (
    "container\tregistry\t/berth-registry\tseed/berth/registry@sha256:1\trunning\t-\t2\t3.1.2\tabc"
    '\t{"Cmd":["serve"]}\t{"NetworkMode":"host"}\n'
)


@pytest.fixture
def node(checkout: Checkout, docker: Docker, tmp_path: Path) -> Iterator[Node]:
    docker.answers({"version": "26.1.5\n", "ps --all": "abc\n", "inspect": CONTAINER, "info": "false\njson-file\n"})
    made = Node(tmp_path, environment={"PATH": f"{checkout.bin}:/usr/bin:/bin"})
    yield made
    made.close()


def ask(node: Node, machine: Machine | None = None, seconds: float = 10, **host: object) -> Report:
    machines = {"node1": machine or Machine()}
    return Probe("dev", REGISTRY, "192.0.2.10", machines, seconds).ask([node.ssh_host(**host)])["node1"]


def test_the_probe_tells_what_a_node_is_like(node: Node) -> None:
    report = ask(node)
    assert report.error is None
    assert report.docker == "26.1.5"
    assert report.containers["berth-registry"].is_healthy
    assert report.containers["berth-registry"].host == {"NetworkMode": "host"}
    assert (report.containers["berth-registry"].restarts, report.containers["berth-registry"].version) == (2, "3.1.2")
    assert report.clock is not None and report.skew == 0
    assert report.resolves == {"localhost": "127.0.0.1"}
    assert any(disk.mount == "/" for disk in report.disks)
    assert report.init in ("systemd", "sysvinit", "upstart") or report.init


@pytest.mark.parametrize(
    ("check", "condition"),
    [(("", 0), "running, healthy"), (("it answers\n503\n", 1), "running, unhealthy: it answers 503")],
)
def test_an_unhealthy_container_is_asked_again_before_it_counts(
    node: Node, docker: Docker, check: tuple[str, int], condition: str
) -> None:
    docker.answers(
        {
            "version": "26.1.5\n",
            "ps --all": "abc\n",
            "ps --quiet --filter health=unhealthy": "abc\n",
            "inspect --format container": CONTAINER.replace("running\t-", "running\tunhealthy"),
            "inspect --format {{println": "/berth-registry\nCMD\n/bin/health\nhttp://a b\n\n",
            "exec abc /bin/health http://a b": check,
        }
    )
    found = ask(node).containers["berth-registry"]
    assert (found.condition, found.is_healthy) == (condition, not check[1])


@pytest.mark.parametrize(
    ("said", "version"),
    [(("Keepalived v2.3.3 (03/30,2025)\n\nCopyright(C) 2001-2025\n", 0), "2.3.3"), (("is not running\n", 1), "")],
)
def test_keepalived_has_its_own_version_and_not_that_of_its_image(
    node: Node, docker: Docker, said: tuple[str, int], version: str
) -> None:
    docker.answers(
        {
            "version": "26.1.5\n",
            "ps --all": "abc\n",
            "inspect": CONTAINER.replace("berth-registry", "berth-virtual-address"),
            "exec berth-virtual-address keepalived --version": said,
        }
    )
    services = [Service("berth-virtual-address", "virtual-address", "seed/berth/nginx@sha256:1")]
    assert ask(node, Machine(services=services)).containers["berth-virtual-address"].version == version
    assert ask(node).containers["berth-virtual-address"].version == "3.1.2", "elsewhere nothing is asked"


def test_the_probe_tells_whether_a_node_holds_the_virtual_address(node: Node) -> None:
    for address, holds in (("127.0.0.1", {"127.0.0.1"}), ("192.0.2.10", set())):
        probe = Probe("dev", REGISTRY, address, {"node1": Machine()}, 10)
        assert probe.ask([node.ssh_host()])["node1"].holds == holds


def test_a_clock_that_is_wrong_shows_by_how_much(node: Node, checkout: Checkout) -> None:
    (checkout.bin / "date").write_text("#!/bin/sh\nexpr $(/bin/date +%s) - 500\n")
    (checkout.bin / "date").chmod(0o755)
    assert 495 <= ask(node).skew <= 505


def test_files_are_compared_by_mode_owner_and_checksum(node: Node, tmp_path: Path) -> None:
    odd = tmp_path / "it's $(touch hacked) \\ ü.txt"
    odd.write_text("content\n")
    odd.chmod(0o640)
    wanted = DesiredFile("640", "root:root", "", "urn")
    found = ask(node, Machine(files={str(odd): wanted, "/nowhere/file": wanted})).files[str(odd)]
    assert (found.mode, found.checksum) == ("640", hashlib.sha256(b"content\n").hexdigest())
    assert found.owners == (f"{odd.owner()}:{odd.group()}", f"{odd.stat().st_uid}:{odd.stat().st_gid}")
    assert not (Path.cwd() / "hacked").exists()


def test_a_file_that_is_gone_is_told_from_one_that_cannot_be_seen(node: Node, checkout: Checkout) -> None:
    wanted = DesiredFile("640", "root:root", "", "urn")
    assert ask(node, Machine(files={"/nowhere/file": wanted})).files == {}
    (checkout.bin / "ls").write_text("#!/bin/sh\necho 'ls: cannot access: Permission denied' >&2\nexit 2\n")
    (checkout.bin / "ls").chmod(0o755)
    assert ask(node, Machine(files={"/nowhere/file": wanted})).files == {"/nowhere/file": FileFact()}


def test_a_block_is_compared_without_its_markers_and_neighbours(node: Node, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("1.1.1.1 a\n# BEGIN berth dev\n10.0.0.1 registry\n# END berth dev\n2.2.2.2 b\n")
    machine = Machine(blocks={str(hosts): DesiredBlock("", "urn")})
    assert ask(node, machine).blocks[str(hosts)] == hashlib.sha256(b"10.0.0.1 registry\n").hexdigest()
    hosts.write_text("1.1.1.1 a\n")
    assert ask(node, machine).blocks[str(hosts)] == "missing"


def test_a_services_certificate_is_read_over_the_same_connection(node: Node, tmp_path: Path) -> None:
    certificate, key = self_signed()
    pem = tmp_path / "pem"
    pem.write_text(key + certificate)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as closed:
        threading.Thread(target=serve_once, args=(server, context), daemon=True).start()
        port, nobody = server.getsockname()[1], closed.getsockname()[1]
        closed.close()
        listeners = [Listener("berth-registry", "127.0.0.1", port), Listener("berth-registry", "127.0.0.1", nobody)]
        report = ask(node, Machine(listeners=listeners))
    assert report.served["127.0.0.1", port] == fingerprint(certificate)
    assert report.served["127.0.0.1", nobody].startswith("(")
    assert len(node.commands) == 1


def serve_once(server: socket.socket, context: ssl.SSLContext) -> None:
    with contextlib.suppress(OSError):
        context.wrap_socket(server.accept()[0], server_side=True)


def test_units_are_told_apart_whatever_the_order_of_their_properties() -> None:
    lines = [
        *("unit\tId=docker.service", "unit\tActiveState=active", "unit\tNeedDaemonReload=yes"),
        *("unit\tUnitFileState=disabled", "unit\t", "unit\tActiveState=inactive", "unit\tUnitFileState=enabled"),
        *("unit\tNeedDaemonReload=no", "unit\tId=docker.socket", "end"),
    ]
    assert parse("node1", lines).units == {
        "docker.service": UnitFact("active", "disabled", stale=True),
        "docker.socket": UnitFact("inactive", "enabled"),
    }


def test_a_units_journal_is_read_since_its_last_start(node: Node, checkout: Checkout) -> None:
    lines = (
        'time="x" level=error msg="no such image"',
        '{"level":"error","msg":"slow disk"}',
        '{"level":"info","msg":"no fatal error: fine"}',
        "panic: runtime error:	out of range",
    )
    (checkout.answers / "journal").write_text("\n".join(lines) + "\n")
    for name, text in {
        "systemctl": 'case "$*" in *InvocationID*docker.service) echo 0f1e ;; esac\n',
        "journalctl": f'case "$*" in *_SYSTEMD_INVOCATION_ID=0f1e) cat {checkout.answers}/journal ;; esac\n',
    }.items():
        (checkout.bin / name).write_text(f"#!/bin/sh\n{text}")
        (checkout.bin / name).chmod(0o755)
    probe = Probe("dev", REGISTRY, "192.0.2.10", {"node1": Machine()}, 10, ["docker.service", "etcd.service"])
    journals = probe.ask([node.ssh_host()])["node1"].journals
    assert journals == {"docker.service": JournalFact(2, 1, "panic: runtime error: out of range")}


ETCDCTL = """echo "$*" >>"$asked"
case "$*" in
*"endpoint status") echo 'https://192.0.2.11:2379, 1, 3.5.16, 20 kB, true, false, 2, 5, 5, ' ;;
*"member list") echo '1, started, node1, https://192.0.2.11:2380, https://192.0.2.11:2379, false' ;;
*" get --keys-only --consistency=s "*) echo someones-key ;;
*" get --keys-only --consistency=l "*) echo 'a warning' >&2; echo 'Error: context deadline exceeded' >&2; exit 1 ;;
*) exit 99 ;;
esac
"""


def test_etcd_is_asked_with_reads_alone(node: Node, checkout: Checkout, tmp_path: Path) -> None:
    asked, env = tmp_path / "asked", tmp_path / "etcdctl.env"
    told = {"ENDPOINTS": "https://192.0.2.11:2379", "CACERT": "/ca", "CERT": "/crt", "KEY": "/key"}
    env.write_text("".join(f"ETCDCTL_{key}={value}\n" for key, value in told.items()))
    for name, text in {"etcdctl": f"asked={asked}\n{ETCDCTL}", "curl": 'echo \'{"health":"true"}\'\n'}.items():
        (checkout.bin / name).write_text(f"#!/bin/sh\n{text}")
        (checkout.bin / name).chmod(0o755)
    found = ask(node, Machine(asks=[f"etcd\t{env}"])).answers["etcd"]
    assert found[0] == ["health", "healthy"]
    assert [line[0] for line in found] == ["health", "status", "member", "read", "read"]
    assert found[3:] == [["read", "serializable", "yes"], ["read", "linearizable", "Error: context deadline exceeded"]]
    calls = asked.read_text().splitlines()
    assert len(calls) == 4 and not [call for call in calls if re.search(r" (put|del|txn|lease|alarm|compact)", call)]


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


def test_a_host_key_that_is_not_the_pinned_one_is_refused(node: Node) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    assert ask(node, host_key=other).error == "127.0.0.1 shows another host key than the pinned one"
    assert node.commands == []


def test_a_wrong_key_is_named(node: Node, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(str(wrong))
    assert ask(node, key_file=wrong).error == f"127.0.0.1 refuses root with the key {wrong}"


def test_an_unreachable_node_is_reported_and_the_rest_is_complete(node: Node) -> None:
    hosts = [node.ssh_host(), node.ssh_host(name="node2", port=1)]
    reports = Probe("dev", REGISTRY, "192.0.2.10", {}, 10).ask(hosts)
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
    ask(node, Machine(files={"/etc/hosts": DesiredFile("", "", "", "")}))
    ask(node)
    assert len(node.commands) == 2 and node.commands[0] == node.commands[1]
    assert json.dumps(probe.TEXT)[5:40] in json.dumps(node.commands[0])
