"""The steps of a deployment, run manually on a deployed stack or by the program while it deploys."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from components.kolla.passwords import password
from config.kolla_release import release
from operations.kolla import deployed, drain, image_check, inputs, plan, play, verify
from operations.kolla.environment import Environment, environment
from operations.kolla.images.published import read_lock, write_lock
from operations.locks import StackLock
from operations.pulumi.follow import new_log
from operations.pulumi.session import Session
from operations.registry.client import RegistryClient
from operations.registry.endpoint import User
from operations.workspace import StackFile, Workspace, write_private

CHANGING = ("deploy", "reconfigure", "upgrade")
CLOUDS = "clouds.yaml"


def by_hand(step: str, stack: str, options: Sequence[str] = (), accept: bool = False) -> None:
    """Run a step with the current settings; `accept` locks images again that have changed."""
    workspace = Workspace.current()
    stack_file = StackFile.read(workspace, stack)
    settings = inputs.settings_of(stack_file)
    started = time.monotonic()

    def log(text: str) -> None:
        typer.echo(f"[{time.monotonic() - started:6.1f}s] {text}", err=True)

    with StackLock(workspace.stack_dir(stack), stack, f"kolla {step}", log):
        session = Session.open(workspace, stack_file)
        desired = inputs.of_stack(session, settings)
        typer.echo(run(step, session, desired, log, options, verify.BY_HAND, accept))
        if step in CHANGING and not options:
            _save_deployed(session, desired)
    if step == "post-deploy":
        typer.echo(f"clouds.yaml: {run_folder(workspace, stack) / CLOUDS}")


def run_folder(workspace: Workspace, stack: str) -> Path:
    """Where a run has its inputs."""
    return workspace.stack_dir(stack) / "kolla" / "run"


def run(
    step: str,
    session: Session,
    desired: play.Inputs,
    log: Callable[[str], None],
    options: Sequence[str] = (),
    timeout: float = verify.TIMEOUT,
    accept: bool = False,
) -> str:
    """Run one step on given inputs; returns a summary. `timeout` (seconds) is for containers that are starting."""
    workspace, stack = session.workspace, session.stack
    made = environment(workspace, log)
    if step in CHANGING and (before := deployed.read(session)):
        plan.check_upgrade(str(before.document["release"]), release(str(desired.document["release"])))
    with play.inputs_on_disk(run_folder(workspace, stack), desired, made) as folder:
        if step == "images":
            return _check_images(session, desired, image_check.needed(made, folder), accept)
        if step == "verify":
            return verify.raise_if_failed(_verify(desired, image_check.needed(made, folder), log, timeout))
        log_file = new_log(workspace, stack, f"kolla-{step}")
        played = play.raise_if_failed(play.play(step, folder, made, log_file, log, options))
    if step == "destroy":
        deployed.forget(session)
    return played.summary()


def plan_of(session: Session, document: Mapping[str, Any], made: Environment) -> plan.Plan:
    """The plan from the last deployment to this document."""
    before = deployed.read(session)
    by_host = image_check.needed_by(made, document) if before else {}
    tags = {image: tag for own in by_host.values() for image, tag in own.items()}
    return plan.plan(before, document, _digests(session, document), tags, release(str(document["release"])))


def _digests(session: Session, document: Mapping[str, Any]) -> dict[str, str]:
    """What is locked, by the names that nodes pull."""
    registry, locked = document["globals"]["docker_registry"], read_lock(session).values()
    return {f"{registry}/{image.repository}:{image.tag}": image.digest for image in locked}


def _save_deployed(session: Session, desired: play.Inputs) -> None:
    deployed.save(session, desired.document, desired.access, _digests(session, desired.document))


def reconcile(session: Session, desired: play.Inputs, log: Callable[[str], None]) -> str:
    """Reconcile the deployment with the inputs, running the least that is needed."""
    found = plan_of(session, desired.document, environment(session.workspace, log))
    log(f"deploy: {found}")
    with drain.drained(session, desired, found.leaving, log):
        summary = run(found.verb, session, desired, log, found.options)
    _save_deployed(session, desired)
    return f"{found}\n{summary}"


def _check_images(session: Session, desired: play.Inputs, needed: image_check.ByHost, accept: bool) -> str:
    variables = desired.document["globals"]
    registry, user = str(variables["docker_registry"]), variables.get("docker_registry_username")
    login = User(str(user), desired.given["docker_registry_password"]) if user else None
    found = image_check.images(needed, registry)
    store = RegistryClient(session.stack, registry, desired.ca, login)
    before = read_lock(session)
    now = image_check.check(found, store, before, accept)
    new = [name for name, image in now.items() if before.get(name) != image]
    if new:
        write_lock(session, now, by_hand=accept)
    return f"images: all {len(found)} are in {registry}" + (f"; locked now: {', '.join(new)}" if new else "")


def _verify(
    desired: play.Inputs, needed: image_check.ByHost, log: Callable[[str], None], timeout: float
) -> list[verify.Finding]:
    variables, nodes = desired.document["globals"], desired.document["nodes"]
    admin = str(password(desired.secret, "keystone_admin_password"))
    has_keystone = any("/keystone:" in image for own in needed.values() for image in own)

    def on(node: str, command: str) -> subprocess.CompletedProcess[str]:
        return inputs.on_node(desired.access[node], command)

    def ask() -> list[verify.Finding]:
        found = verify.containers(nodes, needed, on)
        return [*found, *([verify.token(verify.keystone(variables), admin)] if has_keystone else [])]

    return verify.wait_until_ok(ask, log, timeout)


def from_stdin(step: str, stack: str) -> None:
    """Run a step while the program deploys: all inputs come by standard input, progress goes to a file."""
    # Pulumi cancels a command by SIGTERM.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    workspace = Workspace.current()
    session = Session.open(workspace, StackFile.read(workspace, stack))
    desired = play.Inputs(**json.load(sys.stdin))
    progress = workspace.progress_file(stack)

    def log(line: str) -> None:
        write_private(progress, f"{line}\n")

    try:
        if step == "deploy":
            typer.echo(reconcile(session, desired, log))
        else:
            # Requested in the settings. Limited to the nodes: the deploy host is in the inventory, too.
            nodes = ",".join(desired.document["nodes"])
            options = ("--limit", nodes, *drain.SURE) if step == "destroy" else ()
            typer.echo(run(step, session, desired, log, options))
    finally:
        progress.unlink(missing_ok=True)
