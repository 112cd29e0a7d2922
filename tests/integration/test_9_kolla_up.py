"""Kolla for real: prechecks, pull and deploy of the smallest set, from images that this machine has built."""

from __future__ import annotations

import os
import signal
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

from operations.kolla import deployed
from operations.pulumi.session import Session
from operations.workspace import StackFile, Workspace
from tests.integration.lab import Lab, run
from tests.integration.test_9_kolla_images import kolla_build

CONTROL = ("control1", "control2", "control3")
SMALLEST = {
    "enabled": True,
    "release": "2026.1",
    "internalAddress": "10.74.0.11",
    "services": {
        "openstack_core": False,
        "mariadb": True,
        "memcached": True,
        "etcd": True,
        "haproxy": False,
        "proxysql": False,
        "rabbitmq": False,
        "fluentd": False,
    },
}
ADDRESS = "10.74.0.30"
"""Free, for Kolla's keepalived; data1 takes it in a test."""


T = TypeVar("T", bound="KollaLab")


class KollaLab(Lab):
    """The kolla profile under the tests' own names and addresses, with the smallest set of services."""

    def document(self) -> dict[str, Any]:
        text = (self.root / "Pulumi.kolla.yaml").read_text(encoding="utf-8")
        text = text.replace("10.78.0", self.subnet).replace("registry.kolla.", f"registry.{self.stack}.")
        return {**yaml.safe_load(text)}

    def write_settings(self, **changes: Any) -> None:
        super().write_settings(**{"kolla": SMALLEST, **changes})

    def kolla(self, **changes: Any) -> None:
        """The smallest set with changes on top."""
        self.write_settings(kolla={**SMALLEST, **changes})

    def runs(self) -> list[str]:
        """Every run of kolla-ansible that there was."""
        return sorted(path.name for path in (self.home / "logs").glob(f"{self.stack}-kolla-*.log"))


@contextmanager
def new_lab(kind: type[T], folder: Path, stack: str, subnet: str) -> Iterator[T]:
    """A lab of this kind, not up yet, and down in the end."""
    if problem := os.environ.get("BERTH_NO_LAB"):
        pytest.skip(f"this machine could not be made ready for a lab: {problem}")
    folder.chmod(0o755)
    kolla_build(folder)
    plain = kind.make(folder)
    plain.stack_file.unlink()
    made = kind(plain.root, plain.home, stack, subnet)
    yield made
    made.try_berth("down", "--yes")


@pytest.fixture(scope="module")
def kolla(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KollaLab]:
    with new_lab(KollaLab, tmp_path_factory.mktemp("kolla"), "cikolla", "10.74.0") as made:
        yield made


def test_an_interface_that_a_node_lacks_is_named_before_kolla_runs(kolla: KollaLab) -> None:
    kolla.kolla(interface="eth9")
    code, output = kolla.try_berth("up", "--yes", timeout=1200)
    assert code == 1
    assert "has no interface eth9" in output and "berth:kolla.interface" in output
    assert kolla.runs() == []


def test_the_smallest_set_is_checked_pulled_and_deployed(kolla: KollaLab) -> None:
    kolla.write_settings()
    output = kolla.berth("up", "--yes", timeout=1500)
    assert [name.split("-")[2] for name in kolla.runs()] == ["deploy", "prechecks", "pull"], output
    for number, node in enumerate(CONTROL, 11):
        address = f"{kolla.subnet}.{number}"
        with socket.create_connection((address, 11211), timeout=5) as memcached:
            memcached.sendall(b"version\r\n")
            assert memcached.recv(100).startswith(b"VERSION")
        with urllib.request.urlopen(f"http://{address}:2379/health", timeout=5) as etcd:
            assert b'"health":"true"' in etcd.read()
        status = kolla.on(node, "docker", "inspect", "-f", "{{.State.Health.Status}}", "mariadb")
        assert status.strip() == "healthy", "its health check asks whether it is a member in step with the others"
    # RabbitMQ, Keystone and whatever else is off left nothing behind.
    names = kolla.on("control2", "docker", "ps", "--filter", "label=kolla_version", "--format", "{{.Names}}").split()
    assert sorted(names) == ["cron", "etcd", "kolla_toolbox", "mariadb", "memcached"]


def test_nothing_changed_starts_no_ansible(kolla: KollaLab) -> None:
    before = kolla.runs()
    assert "No change" in kolla.berth("up", "--yes")
    assert kolla.runs() == before
    assert "Nothing changed since the last deployment." in kolla.berth("kolla", "diff")


def test_no_secret_is_left_on_disk(kolla: KollaLab) -> None:
    folder = kolla.home / "stacks" / kolla.stack / "kolla"
    assert not list(folder.rglob("passwords.yml")) and (folder / "run").is_dir()


def test_an_internal_address_in_use_is_refused_by_prechecks(kolla: KollaLab) -> None:
    kolla.on("data1", "ip", "address", "add", f"{ADDRESS}/24", "dev", "eth0")
    kolla.kolla(internalAddress=ADDRESS, services={**SMALLEST["services"], "haproxy": True})
    code, output = kolla.try_berth("kolla", "prechecks", "--tags", "loadbalancer")
    kolla.write_settings()
    kolla.on("data1", "ip", "address", "delete", f"{ADDRESS}/24", "dev", "eth0")
    assert code == 1 and "loadbalancer : Checking if kolla_internal_vip_address" in output and "Log: " in output


def test_an_override_touches_its_own_service_alone(kolla: KollaLab) -> None:
    started = {node: starts(kolla, node) for node in CONTROL}
    folder = kolla.root / "kolla" / "memcached"
    folder.mkdir(parents=True)
    (folder / "memcached_custom.txt").write_text("x\n")
    kolla.kolla(overrides="kolla")
    code, output = kolla.try_berth("kolla", "diff")
    assert code == 3 and "The next up: deploy --tags memcached --extra-vars kolla_serial=1" in output
    assert {node: starts(kolla, node) for node in CONTROL} == started
    kolla.write_settings()


@pytest.mark.full
def test_a_full_disk_is_told_with_its_node(kolla: KollaLab) -> None:
    kolla.on("control2", "mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", "/etc/kolla/memcached")
    kolla.on("control2", "dd", "if=/dev/zero", "of=/etc/kolla/memcached/filler", check=False)
    try:
        code, output = kolla.try_berth("kolla", "reconfigure", "--tags", "memcached", timeout=600)
    finally:
        kolla.on("control2", "umount", "/etc/kolla/memcached")
    assert code == 1 and "control2: memcached : " in output and "No space left on device" in output
    assert "control1: memcached" not in output
    kolla.berth("kolla", "reconfigure", "--tags", "memcached", timeout=600)
    kolla.berth("kolla", "verify")


@pytest.mark.full
def test_a_new_compute_node_is_deployed_alone_and_cleared_afterwards(kolla: KollaLab) -> None:
    before = {node: starts(kolla, node) for node in CONTROL}
    roles = {node["name"]: node for node in kolla.document()["config"]["berth:nodes"]}
    roles["data1"]["roles"] = ["object-store", "compute"]
    kolla.write_settings(nodes=list(roles.values()))
    assert "deploy --limit data1 (data1 new)" in kolla.berth("up", "--yes", timeout=900)
    assert sorted(starts(kolla, "data1")) == ["cron", "kolla_toolbox"]
    assert {node: starts(kolla, node) for node in CONTROL} == before
    kolla.write_settings()
    assert "data1 drained first" in kolla.berth("up", "--yes", timeout=900)
    assert starts(kolla, "data1") == {} and "No change" in kolla.berth("up", "--yes")


def log_has(kolla: KollaLab, text: str, since: float) -> bool:
    logs = [path for path in (kolla.home / "logs").glob(f"{kolla.stack}-kolla-*.log") if path.stat().st_mtime > since]
    return any(text in path.read_text(errors="replace") for path in logs)


@pytest.mark.full
@pytest.mark.parametrize("how", ["killed", "node lost"])
def test_a_reconfiguration_that_is_cut_off_is_completed_by_the_next(kolla: KollaLab, how: str) -> None:
    started = time.time()
    kolla.kolla(globals={"etcd_protocol_timeout": 1 if how == "killed" else 2})
    process = kolla.start("up", "--yes")
    while not log_has(kolla, "TASK [memcached : ", started):
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.5)
    if how == "killed":
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    else:
        run(["docker", "kill", f"berth-{kolla.stack}-control3"])
        output, _ = process.communicate(timeout=900)
        assert process.returncode == 1 and "control3" in output and "Log: " in output
        assert log_has(kolla, "TASK [etcd : ", started), "the other nodes go on"
        run(["docker", "start", f"berth-{kolla.stack}-control3"])
    assert "No change" not in kolla.berth("up", "--yes", timeout=1200)
    comes_back(kolla)
    kolla.write_settings()


@pytest.mark.full
def test_to_take_kolla_away_one_has_to_allow_it(kolla: KollaLab) -> None:
    before = {node: starts(kolla, node) for node in CONTROL}
    kolla.kolla(enabled=False)
    code, output = kolla.try_berth("up", "--yes")
    assert code == 1 and "berth:kolla.allowDestroy is false: set it to true and run `./berth up`" in output
    assert {node: starts(kolla, node) for node in CONTROL} == before
    kolla.kolla(allowDestroy=True)
    kolla.berth("up", "--yes")
    kolla.kolla(enabled=False)
    kolla.berth("up", "--yes", timeout=600)
    for node in CONTROL:
        assert starts(kolla, node) == {} and "mariadb" not in kolla.on(node, "docker", "volume", "ls")
    workspace = Workspace(kolla.root, kolla.home)
    assert deployed.read(Session.open(workspace, StackFile.read(workspace, kolla.stack))) is None


def comes_back(kolla: KollaLab) -> None:
    """A member of a cluster that was away catches up, and its health is asked for every two minutes at most."""
    deadline = time.monotonic() + 300
    while (told := kolla.try_berth("kolla", "verify"))[0]:
        assert time.monotonic() < deadline, told[1]


def starts(kolla: KollaLab, node: str) -> dict[str, str]:
    """When each of Kolla's containers was started."""
    names = kolla.on(node, "docker", "ps", "--filter", "label=kolla_version", "--format", "{{.Names}}").split()
    return {name: kolla.on(node, "docker", "inspect", "-f", "{{.State.StartedAt}}", name).strip() for name in names}
