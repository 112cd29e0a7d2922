"""Single machines that are not as a lab's nodes are: another init system, another family's file layout."""

from __future__ import annotations

import hashlib
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import asyncssh

import images
from operations.host import mirrors
from plugins.ssh import Result, Session, Target
from tests.integration.lab import run
from tests.lab_node import docker_options

SYSVINIT = """\
set -eu
export DEBIAN_FRONTEND=noninteractive APT_CONFIG=/mnt/apt.conf
printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d
chmod 0755 /usr/sbin/policy-rc.d
apt-get update
dpkg --force-depends --force-remove-protected --purge systemd-sysv
apt-get install --yes --no-install-recommends sysvinit-core
rm /usr/sbin/policy-rc.d
# A container has no consoles and no file systems of its own to check.
printf 'id:2:initdefault:\\nsi::sysinit:/bin/mkdir -p /run/sshd\\nl2:2:wait:/etc/init.d/rc 2\\n' >/etc/inittab
# It may not raise its limits either; all else of docker.io's init script is as it came.
sed -i -E 's/^(\\s*)ulimit .*/\\1:/' /etc/init.d/docker
"""
CENTOS = """\
set -eu
printf 'NAME="CentOS Linux"\\nID="centos"\\nID_LIKE="rhel fedora"\\nPRETTY_NAME="CentOS Linux 8"\\n' >/etc/os-release
unit=/lib/systemd/system/docker.service
sed -i 's#/etc/default/docker#/etc/sysconfig/docker#; s#\\$DOCKER_OPTS#$OPTIONS $INSECURE_REGISTRY#' $unit
grep -q 'INSECURE_REGISTRY' $unit
mkdir /etc/sysconfig
cat >/etc/sysconfig/docker <<'EOF'
OPTIONS='--log-driver=journald --label=rack=7'
INSECURE_REGISTRY="--insecure-registry 192.168.1.100:5000"
EOF
"""


@dataclass(frozen=True)
class Machine:
    """A container that is a host, reached by SSH."""

    name: str
    target: Target
    session: Session

    def run(self, command: str, stdin: str = "") -> Result:
        """A command's end, whatever it is."""
        return self.session.run(self.target, command, stdin, timeout=120)

    def say(self, command: str) -> str:
        """What a command that must succeed prints."""
        result = self.run(command)
        assert result.exit == 0, result.stderr.decode()
        return result.stdout.decode().strip()


def build(name: str, script: str, folder: Path) -> str:
    """An image from a lab node's, changed by a script; kept for the next time."""
    base = images.reference("lab-node")
    reference = f"berth-test/{name}:{base.rpartition(':')[2]}-{hashlib.sha256(script.encode()).hexdigest()[:8]}"
    if run(["docker", "image", "inspect", reference]).returncode == 0:
        return reference
    settings = mirrors.write(folder / f"apt-{name}")
    container = f"berth-test-{name}"
    try:
        made = subprocess.run(
            [
                *("docker", "run", f"--name={container}", "--network=host", "--interactive", "--entrypoint=sh"),
                *(f"--env={key}={value}" for key, value in settings.environment.items()),
                *(f"--volume={settings.folder}:{mirrors.MOUNT}:ro", base, "-s"),
            ],
            input=script,
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stdout + made.stderr
        assert run(["docker", "commit", container, reference]).returncode == 0
    finally:
        run(["docker", "rm", "--force", "--volumes", container])
    return reference


def start(name: str, image: str, session: Session) -> Machine:
    """A machine from an image, when its SSH server and its Docker answer."""
    key, host_key = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))
    container = f"berth-test-{name}"
    started = run(["docker", "create", f"--name={container}", "--entrypoint=/sbin/init", *docker_options(), image])
    assert started.returncode == 0, started.stderr
    assert run(["docker", "start", container]).returncode == 0
    for path, text in (
        ("/etc/ssh/ssh_host_ed25519_key", host_key.export_private_key().decode()),
        ("/root/.ssh/authorized_keys", key.export_public_key().decode()),
    ):
        write = f"umask 077; mkdir -p /root/.ssh; cat >{path}"
        subprocess.run(["docker", "exec", "-i", container, "sh", "-c", write], input=text, text=True, check=True)
    address = run(["docker", "inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", container])
    target = Target(
        host=address.stdout.strip(),
        port=22,
        user="root",
        private_key=key.export_private_key().decode(),
        host_keys=(host_key.export_public_key().decode(),),
    )
    machine = Machine(container, target, session)
    run(["docker", "exec", container, "service", "ssh", "restart"])
    deadline = time.monotonic() + 60
    while machine.run("docker info").exit:
        assert time.monotonic() < deadline, machine.run("cat /var/log/docker.log").stdout.decode()
        time.sleep(0.5)
    return machine
