"""The steps of a deployment, by hand on a stack that stands or for the program while it deploys."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from components.kolla.passwords import password
from config.kolla_release import release
from operations import engines
from operations.endpoint import Endpoint, User
from operations.engine_run import Session, new_log
from operations.kolla import differences, images, inputs, play, verify
from operations.kolla.environment import environment
from operations.lock import StackLock
from operations.promote.store import Store
from operations.workspace import StackFile, Workspace, write_private

CHANGING = ("deploy", "reconfigure", "upgrade")
CLOUDS = "clouds.yaml"


def by_hand(step: str, stack: str, options: Sequence[str] = ()) -> None:
    """Run a step on the stack as its settings are now."""
    workspace = Workspace.current()
    stack_file = StackFile.read(workspace, stack)
    settings = inputs.settings_of(stack_file)
    started = time.monotonic()

    def tell(text: str) -> None:
        typer.echo(f"[{time.monotonic() - started:6.1f}s] {text}", err=True)

    with StackLock(workspace.stack_dir(stack), stack, f"kolla {step}", tell):
        wanted = inputs.of_stack(Session.open(workspace, stack_file, engines.choose(None)), settings)
        typer.echo(run(step, workspace, stack, wanted, tell, options))
    if step == "post-deploy":
        typer.echo(f"clouds.yaml: {run_folder(workspace, stack) / CLOUDS}")


def run_folder(workspace: Workspace, stack: str) -> Path:
    """Where a run has its inputs."""
    return workspace.stack_dir(stack) / "kolla" / "run"


def run(
    step: str,
    workspace: Workspace,
    stack: str,
    wanted: play.Inputs,
    tell: Callable[[str], None],
    options: Sequence[str] = (),
) -> str:
    """One step on given inputs; says how it went. What a whole deployment was made from is noted for `diff`."""
    made = environment(workspace, tell)
    known = release(str(wanted.document["release"]))
    before = inputs.deployed(workspace, stack)
    if step in CHANGING and before:
        differences.check_upgrade(str(before["release"]), known)
    with play.inputs_on_disk(run_folder(workspace, stack), wanted, made) as folder:
        if step == "images":
            return _check_images(workspace, stack, wanted, images.needed(made, folder))
        if step == "verify":
            return verify.insist(_look(wanted, images.needed(made, folder), tell))
        log = new_log(workspace, stack, f"kolla-{step}")
        played = play.insist(play.play(step, folder, made, log, tell, options))
    if step in CHANGING and not options:
        text = json.dumps(wanted.document, indent=1, sort_keys=True)
        write_private(inputs.deployed_file(workspace, stack), text)
    return played.summary()


def _check_images(workspace: Workspace, stack: str, wanted: play.Inputs, needed: Mapping[str, list[str]]) -> str:
    variables = wanted.document["globals"]
    registry, user = str(variables["docker_registry"]), variables.get("docker_registry_username")
    login = User(str(user), wanted.given["docker_registry_password"]) if user else None
    found = images.images(needed, registry)
    store = Store(stack, Endpoint(registry, "", {}), wanted.ca, login)
    images.check(found, store, images.lock(workspace, stack), stack)
    return f"images: all {len(found)} are in {registry}"


def _look(wanted: play.Inputs, needed: Mapping[str, list[str]], tell: Callable[[str], None]) -> list[verify.Finding]:
    variables, nodes = wanted.document["globals"], wanted.document["nodes"]
    admin = str(password(wanted.secret, "keystone_admin_password"))
    has_keystone = any("/keystone:" in image for own in needed.values() for image in own)

    def on(node: str, command: str) -> subprocess.CompletedProcess[str]:
        argv = ssh_command(wanted.access[node], command)
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    def ask() -> list[verify.Finding]:
        found = verify.containers(nodes, needed, on)
        address = str(variables["kolla_internal_vip_address"])
        return [*found, *([verify.token(address, admin)] if has_keystone else [])]

    return verify.settle(ask, tell)


def ssh_command(access: Mapping[str, Any], command: str) -> list[str]:
    """The ssh program's command line for what Ansible would reach by these variables."""
    user = "" if access["ansible_user"] == "root" else "sudo -n "
    return [
        "ssh",
        *shlex.split(str(access["ansible_ssh_common_args"])),
        *("-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-o", "LogLevel=ERROR"),
        *("-i", str(access["ansible_ssh_private_key_file"]), "-p", str(access["ansible_port"])),
        *("-l", str(access["ansible_user"]), str(access["ansible_host"]), "--", user + command),
    ]


def from_stdin(step: str, stack: str) -> None:
    """Run a step while the program deploys: all inputs come by standard input, progress goes to a file."""
    workspace = Workspace.current()
    wanted = play.Inputs(**json.load(sys.stdin))
    progress = workspace.progress_file(stack)

    def tell(line: str) -> None:
        write_private(progress, f"{line}\n")

    # Asked for in the settings, where it stays until somebody takes it back.
    options = ["--yes-i-really-really-mean-it"] if step == "destroy" else []
    if step == "deploy":
        known = release(str(wanted.document["release"]))
        step, options = differences.verb(inputs.deployed(workspace, stack), wanted.document, known)
    try:
        typer.echo(run(step, workspace, stack, wanted, tell, options))
    finally:
        progress.unlink(missing_ok=True)
