"""The scripts of backup, restore and probe beside a real etcd, in one container that stands in for a node."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from components.etcd.render import ETCDCTL_FILE, entries, reconciliation
from components.lib.host_files.bundle import File
from images import reference
from operations.errors import BerthError
from operations.housekeeping.etcd import Member
from operations.inspect import parser, probe
from tests.front.certificates import Authority
from tests.front.world import image_is_here
from tests.unit.components.etcd.test_render import CLUSTER, PEM
from tests.unit.components.etcd.test_render import MEMBERS as NODES

IMAGE = reference("lab-node")
OWN = replace(NODES[0], address="127.0.0.1")
ALONE = replace(CLUSTER, own=OWN, members=[OWN])
DATA = ALONE.data_dir
# What systemd does with the unit, as far as the scripts ask for it.
SYSTEMCTL = """#!/bin/sh
case $1 in
start)
    runuser -u etcd -- etcd --data-dir /var/lib/etcd/berth --name node1 \\
        --cert-file /run/etcd.crt --key-file /run/etcd.key \\
        --listen-client-urls https://127.0.0.1:2379 --advertise-client-urls https://127.0.0.1:2379 \\
        --listen-peer-urls http://127.0.0.1:2380 --initial-advertise-peer-urls http://127.0.0.1:2380 \\
        --initial-cluster node1=http://127.0.0.1:2380 >/run/etcd.log 2>&1 </dev/null &
    echo $! >/run/etcd.pid
    ;;
stop)
    kill "$(cat /run/etcd.pid)"
    while pidof etcd >/dev/null; do sleep 0.1; done
    ;;
esac
"""


class Machine:
    """The node."""

    def __init__(self, container: str) -> None:
        self.container = container
        self.member = Member(
            "node1", ["docker", "exec", "-i", container, "sh", "-c"], reconciliation(ALONE, "digest", "")
        )

    def run(self, *words: str, check: bool = True) -> str:
        done = subprocess.run(
            ["docker", "exec", "-i", self.container, *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout

    def shell(self, text: str, user: str = "root") -> str:
        return self.run("runuser", "-u", user, "--", "sh", "-ec", text)

    def etcdctl(self, *words: str) -> str:
        return self.run("sh", "-c", f'set -a; . {ETCDCTL_FILE}; exec etcdctl "$@"', "etcdctl", *words)


@pytest.fixture(scope="module")
def node() -> Iterator[Machine]:
    """One member with a value, and files by the names that were once written, made by somebody else."""
    if os.geteuid() != 0 or not image_is_here(IMAGE):
        pytest.skip(f"{IMAGE} is not built here, or this user may not use it: ./berth up builds it")
    name = f"berth-etcd-test-{uuid.uuid4().hex[:8]}"
    words = ["docker", "run", "--detach", "--rm", "--name", name, "--entrypoint", "sleep", IMAGE, "900"]
    subprocess.run(words, check=True, capture_output=True)
    try:
        machine = Machine(name)
        authority = Authority()
        shown = authority.issue("node1", "127.0.0.1")
        pem = replace(PEM, ca=authority.certificate, certificate=shown.certificate, key=shown.key)
        files = {one.path: one.content for one in entries(ALONE, pem) if isinstance(one, File)}
        files |= {"/run/etcd.crt": shown.certificate, "/run/etcd.key": shown.key}
        put(name, {"/usr/local/bin/systemctl": SYSTEMCTL, **files})
        machine.shell(f"install -d -m 0700 -o etcd -g etcd {DATA}; mkdir -p /var/lib/berth; chmod 0700 /var/lib/berth")
        machine.shell("echo canary >/etc/canary; mkdir /etc/canaries; chmod 0700 /etc/canaries")
        machine.shell("umask 0; : >/var/tmp/berth-etcd-restore", user="nobody")
        machine.shell("systemctl start etcd")
        machine.run(
            "sh",
            "-c",
            "for _ in 1 2 3 4 5 6 7 8 9 10; do curl -skf https://127.0.0.1:2379/health && exit; sleep 1; done",
        )
        yield machine
    finally:
        subprocess.run(["docker", "rm", "--force", name], check=False, capture_output=True)


def put(container: str, files: dict[str, str]) -> None:
    """Write files into a container; no mount of it is touched."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path, text in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(text), 0o755 if "/bin/" in path else 0o644
            tar.addfile(entry, io.BytesIO(text.encode()))
    subprocess.run(["docker", "cp", "-", f"{container}:/"], input=packed.getvalue(), check=True, capture_output=True)


def position(node: Machine) -> str:
    """The data's revision and how far the members' log is."""
    return node.etcdctl("endpoint", "status", "-w", "fields")


def test_the_probe_leaves_etcd_and_its_log_as_they_are(node: Machine) -> None:
    node.etcdctl("put", "probed", "x")
    before = position(node)
    script = ["docker", "exec", "-i", node.container, "sh", "-c", probe.TEXT, "berth-probe", "dev"]
    done = subprocess.run(script, input=f"etcd\t{ETCDCTL_FILE}\n", capture_output=True, text=True, check=True)
    told = parser.parse("node1", done.stdout.splitlines()).answers["etcd"]
    assert told[0] == ["health", "healthy"]
    assert told[-2:] == [["read", "serializable", "yes"], ["read", "linearizable", "yes"]]
    assert position(node) == before


def test_a_restore_writes_by_no_name_that_somebody_else_can_prepare(node: Machine) -> None:
    node.etcdctl("put", "kept", "before")
    snapshot = node.member.run("snapshot")
    node.etcdctl("put", "kept", "after")
    for name in ("swapped", "restored", "restored.snapshot", "before"):
        node.shell(f"ln -sfn /etc/{'canaries' if name != 'swapped' else 'canary'} {DATA}/{name}", user="etcd")
    node.member.run("restore", "unpack", "token-1", snapshot=snapshot)
    node.shell(f"rm -rf {DATA}/before; ln -sfn /etc/canaries {DATA}/before", user="etcd")
    node.member.run("restore", "swap", "token-1")
    node.member.run("restore", "start")
    assert node.etcdctl("get", "--print-value-only", "kept") == "before\n"
    assert node.run("cat", "/etc/canary") == "canary\n"
    assert node.run("ls", "-A", "/etc/canaries") == ""
    assert node.run("stat", "-c", "%s %U", "/var/tmp/berth-etcd-restore") == "0 nobody\n"
    assert node.run("stat", "-c", "%a %U", "/var/lib/berth/etcd-restore") == "700 root\n"
    assert node.shell(f"find {DATA} ! -user etcd") == "" and "restored" not in node.run("ls", DATA)


def test_what_is_no_whole_snapshot_changes_nothing_and_leaves_nothing(node: Machine) -> None:
    snapshot = node.member.run("snapshot")
    for content in (b"", b"anything", snapshot[: len(snapshot) // 2]):
        with pytest.raises(BerthError, match="no snapshot that etcd on node1 can read"):
            node.member.run("restore", "unpack", "token-2", snapshot=content)
    assert "restored" not in node.run("ls", DATA)
    assert node.etcdctl("get", "--print-value-only", "kept") == "before\n"


def test_a_restore_that_is_taken_back_leaves_what_was_there(node: Machine) -> None:
    snapshot = node.member.run("snapshot")
    node.etcdctl("put", "kept", "later")
    node.member.run("restore", "unpack", "token-3", snapshot=snapshot)
    node.member.run("restore", "swap", "token-3")
    node.member.run("restore", "back", "token-3")
    node.member.run("restore", "start")
    assert node.etcdctl("get", "--print-value-only", "kept") == "later\n"
