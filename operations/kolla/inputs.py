"""Gathers what a run of kolla-ansible is made from: the settings, the way into the nodes, the stack's secrets."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping
from typing import Any

from components.kolla import render
from components.kolla.overrides import OverridesError, read_overrides
from config import stackfile
from config.model.stack import Settings
from operations import ssh
from operations.context import check_settings
from operations.errors import BerthError, UsageError
from operations.kolla.play import Inputs
from operations.pulumi.session import Session
from operations.workspace import StackFile, Workspace


def settings_of(stack_file: StackFile) -> Settings:
    """The stack's settings, if they are good and Kolla is among them."""
    check_settings(stack_file)
    settings = stackfile.parse(stack_file.stack, stack_file.document)
    if not settings.kolla.enabled:
        raise UsageError(f"Kolla is not enabled on {stack_file.stack}: set `enabled: true` under berth:kolla.")
    return settings


def document(workspace: Workspace, settings: Settings) -> dict[str, Any]:
    """What is deployed, without secrets and SSH variables."""
    try:
        return render.document(settings, read_overrides(workspace.root, settings.kolla.overrides))
    except OverridesError as problem:
        raise BerthError(str(problem)) from None


def ssh_variables(workspace: Workspace, stack: str, hosts: list[ssh.SshHost]) -> dict[str, dict[str, Any]]:
    """Ansible's variables of each node, by its name."""
    known_hosts = str(workspace.stack_dir(stack) / "known_hosts")
    return {
        host.name: render.ansible_ssh_vars(host.hostname, host.port, host.user, str(host.key_file), known_hosts)
        for host in hosts
    }


def of_stack(session: Session, settings: Settings) -> Inputs:
    """The inputs of a manual run on a deployed stack."""
    outputs = session.outputs(show_secrets=True)
    kolla: Mapping[str, Any] = outputs.get("kolla") or {}
    if not kolla.get("secret"):
        raise BerthError(f"Stack {session.stack} has no passwords for Kolla yet: ./berth up --stack {session.stack}.")
    hosts = ssh.hosts(session.workspace, outputs)
    user = (outputs.get("registry_users") or {}).get(settings.registry.node_user) or {}
    given = {"docker_registry_password": user["password"]} if user.get("password") else {}
    wanted = document(session.workspace, settings)
    ways = ssh_variables(session.workspace, session.stack, hosts)
    return Inputs(wanted, ways, str(kolla["secret"]), str(outputs["registry_ca"]), given)


def on_node(variables: Mapping[str, Any], command: str) -> subprocess.CompletedProcess[str]:
    """Run a command, as root, on the host that Ansible would reach by these variables."""
    user = "" if variables["ansible_user"] == "root" else "sudo -n "
    argv = [
        "ssh",
        *shlex.split(str(variables["ansible_ssh_common_args"])),
        *("-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "LogLevel=ERROR"),
        *("-i", str(variables["ansible_ssh_private_key_file"]), "-p", str(variables["ansible_port"])),
        *("-l", str(variables["ansible_user"]), str(variables["ansible_host"]), "--", user + command),
    ]
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
