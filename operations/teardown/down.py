"""`down`: destroys a stack, and a lab completely even when half of it is gone already."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

from operations import ssh
from operations.context import CommandContext
from operations.errors import BerthError, UsageError
from operations.locks import StackLock
from operations.pulumi import recovery
from operations.pulumi.follow import Outcome, failure, follow
from operations.pulumi.session import Session
from operations.teardown import deploy_host, orphans


def down(run: CommandContext, delete_data: str | None) -> None:
    """Destroy the stack; `delete_data` is its name typed out, where data on real nodes is to go too."""
    if delete_data is not None and delete_data != run.stack:
        raise UsageError(f"--delete-data must repeat the stack's name: '{run.stack}', not '{delete_data}'.")
    if not run.stack_file.is_lab and not run.yes:
        if run.confirm is None:
            raise UsageError(
                f"Taking {run.stack} down stops its registry: without a terminal to confirm at, add --yes."
            )
        if not run.confirm(f"Take {run.stack} down? Its registry stops."):
            raise BerthError(f"Nothing was changed on {run.stack}.")
    directory = run.workspace.stack_dir(run.stack)
    with StackLock(directory, run.stack, "down", run.log) as lock:
        if run.stack_file.is_lab:
            _down_lab(run, lock)
        else:
            _down_nodes(run, lock, delete_data is not None)


def _down_lab(run: CommandContext, lock: StackLock) -> None:
    known = not run.workspace.has_file_backend or run.workspace.stack_exists(run.stack)
    trouble = _destroy_lab(run, lock) if known else None
    if trouble:
        run.log(trouble)
        run.log("A lab holds nothing of value: removing what is left of it by its label.")
    for what in [*orphans.remove(run.stack), *deploy_host.clean(run.stack)]:
        run.log(f"removed {what}")
    _forget(run)
    run.log(f"Stack {run.stack} is gone.")


def _destroy_lab(run: CommandContext, lock: StackLock) -> str | None:
    """Destroy in order; what kept it from that, if anything did."""
    try:
        session = run.session()
        if not session.is_deployed:
            return None
        recovery.resume(session, lock.interrupted, run.log)
        known = session.export()
        missing = orphans.missing_nodes(known, run.stack)
    except BerthError as error:
        return str(error)
    if missing:
        return f"Lab nodes that do not run: {', '.join(missing)}."
    outcome = _destroy(run, session, lock, known)
    if outcome.interrupts:
        raise failure(f"Taking {run.stack} down", outcome)
    return str(failure("Destroying in order", outcome)) if outcome.failed else None


def _down_nodes(run: CommandContext, lock: StackLock, delete_data: bool) -> None:
    disks = [name for name, stays in orphans.machines(run.stack_file).items() if stays]
    if disks and delete_data:
        raise UsageError(
            f"--delete-data would lose the disks of {', '.join(disks)}, which their settings keep: write "
            f"`virtualbox: {{replace: true}}` at these nodes, run `berth up --stack {run.stack}`, then this again."
        )
    session = run.session()
    outputs = session.outputs()
    recovery.resume(session, lock.interrupted, run.log)
    hosts = ssh.hosts(run.workspace, outputs)
    kept = orphans.data(run.stack_file, outputs)
    known = session.export()
    outcome = _destroy(run, session, lock, known, "--exclude-protected")
    if outcome.failed:
        raise failure(f"Taking {run.stack} down", outcome)
    if not delete_data:
        run.log("kept: the stack's CA and the object store's keys, in the state")
    if disks:
        run.log(f"kept: the disks of {', '.join(disks)}, and the keys to these machines, in the state")
    for node, path in kept:
        if delete_data:
            orphans.delete_data(run.workspace, run.stack, hosts, node, path)
        run.log(f"{'deleted' if delete_data else 'kept'}: {path} on {node}")
    if delete_data:
        _forget(run)


def _forget(run: CommandContext) -> None:
    """Remove the stack from its backend, and what this machine keeps of it."""
    if run.workspace.has_file_backend:
        run.workspace.forget_stack(run.stack)
    else:
        run.session().forget_stack()
    shutil.rmtree(run.workspace.stack_dir(run.stack), ignore_errors=True)


def _destroy(run: CommandContext, session: Session, lock: StackLock, known: Mapping[str, Any], *flags: str) -> Outcome:
    title, count = f"Taking {run.stack} down", len((known.get("deployment") or {}).get("resources") or [])
    words = ["destroy", "--yes", *flags]
    return follow(session, words, lock, console=run.console, title=title, expected=count or None)
