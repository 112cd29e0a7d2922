"""Resumes after a killed run: releases its lock on the state, and removes what it created but did not record."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from config.naming import STACK_LABEL
from operations.errors import BerthError
from operations.locks import Holder, Process, session_of
from operations.pulumi.locks import StateLocked
from operations.pulumi.session import Session
from operations.pulumi.state import CONTAINER, NETWORK, UNAPPLIED, mark

PROVIDER = "pulumi:providers:docker"
LISTINGS = {
    CONTAINER: ("container", ("ps", "--all"), "{{.ID}} {{.Names}}", ("rm", "--force", "--volumes")),
    NETWORK: ("network", ("network", "ls", "--filter", "scope=local"), "{{.ID}} {{.Name}}", ("network", "rm")),
}
"""Volumes are left out: making one that is there already is no error, and it may hold data. So are a swarm's networks:
a command makes them, every manager lists them, and services may be on them."""


def resume(session: Session, interrupted: Holder | None, log: Callable[[str], None]) -> None:
    """Before a change: resume after a killed run of `berth`, or of a plain `pulumi`."""
    _refuse_journal(session)
    if interrupted:
        clear_after(session, interrupted, log)
    elif session.workspace.has_file_backend:
        release_dead(session, log)
    elif session.is_deployed:
        release_dead(session, log)
        if _pending(session.export()):
            log(f"A change of {session.stack} by another deploy host did not end: continuing where it stopped.")
            clear_unfinished(session, log)


def _refuse_journal(session: Session) -> None:
    """Versions of Berth with an engine of their own kept what a killed run had done in a journal, not in the state."""
    journal = session.workspace.checkpoint(session.stack).with_suffix(".journal")
    if session.workspace.has_file_backend and journal.exists() and journal.stat().st_size:
        raise BerthError(
            f"A run of an earlier version of Berth was killed, and what it did is in {journal} only: finish it with "
            f"that version (git checkout 88ae271 && ./berth up --stack {session.stack}), then go on with this one."
        )


def release_dead(session: Session, log: Callable[[str], None], cli: Process | None = None) -> None:
    """Release locks on the state whose processes, or `cli`, are surely dead; any other is named and refuses."""
    found = session.locks()
    own = (cli.pid, socket.gethostname()) if cli else None
    alive = [lock for lock in found if (lock.pid, lock.hostname) != own and not lock.surely_dead()]
    if alive:
        raise StateLocked(session.stack, alive)
    if found:
        session.ask("cancel", "--yes")
        log(f"  {', '.join(map(str, found))} is dead: its lock on the state was released")


def clear_after(session: Session, interrupted: Holder, log: Callable[[str], None]) -> None:
    """Announce the killed run and clear what keeps a plain run from continuing."""
    last = f"The last 'berth {interrupted.command}' of {session.stack}"
    log(f"{last} did not end in order: continuing where it stopped.")
    if interrupted.cli is not None and end_session(interrupted.cli):
        log("  its remaining processes were ended")
    if not session.is_deployed:
        return
    release_dead(session, log, interrupted.cli)
    clear_unfinished(session, log)


def clear_unfinished(session: Session, log: Callable[[str], None]) -> None:
    """Remove orphans, and drop pending operations so that a plain run repeats them."""
    for orphan in _unowned_orphans(session):
        orphan.remove()
        log(f"  {orphan.kind} {orphan.name} was half created and is removed, to be created again")
    export = session.export()
    # No `up` drops one of a creation, and promotions wait for its end.
    if pending := _pending(export):
        session.import_state(unapplied(export, {str(one["resource"]["urn"]) for one in pending}))


def run_again(session: Session, failed: Collection[str]) -> None:
    """Have the next `up` run these commands, by URN, again: their update or removal failed, maybe half way."""
    if not failed:
        return
    export = session.export()
    marked = unapplied(export, failed)
    if marked != export:
        session.import_state(marked)


def unapplied(export: Mapping[str, Any], begun: Collection[str]) -> dict[str, Any]:
    """The state with these commands, by URN, marked as not applied.

    Their hosts may have the new input already. With the old settings back, the state's inputs and the program's would
    be equal, and nothing would be run.
    """
    document: dict[str, Any] = json.loads(json.dumps(export))
    for resource in document["deployment"].get("resources") or ():
        if resource["urn"] in begun and not resource.get("delete") and "create" in (resource.get("inputs") or {}):
            mark(resource, UNAPPLIED)
    return document


def _pending(export: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return (export.get("deployment") or {}).get("pending_operations") or []


def _unowned_orphans(session: Session) -> list[Orphan]:
    """Orphans of no current run: seen before the state was found unlocked, and still not in it after."""
    found = list(orphans(session.export(), session.stack))
    # A service backend leases states and does not name the holder.
    if not found or session.workspace.is_service:
        return []
    if others := session.locks():
        raise StateLocked(session.stack, others)
    still = set(orphans(session.export(), session.stack))
    return [orphan for orphan in found if orphan in still]


def end_session(cli: Process, seconds: float = 3.0) -> bool:
    """End the provider plugins and commands of a CLI that was killed; whether there were any."""
    left = session_of(cli)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while (still := session_of(cli)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid in still:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return bool(left)


@dataclass(frozen=True)
class Daemon:
    """A Docker daemon of the stack: the deploy host's own, or a node's through ssh."""

    command: tuple[str, ...] = ("docker",)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run docker there."""
        remote = self.command[0] == "ssh"
        argv = [*self.command, *(map(shlex.quote, words) if remote else words)]
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


@dataclass(frozen=True)
class Orphan:
    """An object with the stack's label that the stack's state does not know."""

    daemon: Daemon
    type: str
    name: str
    id: str
    """Docker's id: a newer object of the same name is not meant."""

    @property
    def kind(self) -> str:
        return LISTINGS[self.type][0]

    def remove(self) -> None:
        """Remove it, so that the next run can make it again under the same name."""
        removed = self.daemon.run(*LISTINGS[self.type][3], self.id)
        if removed.returncode:
            raise BerthError(f"Could not remove the half-created {self.kind} {self.name}: {removed.stderr.strip()}")


def orphans(export: Mapping[str, Any], stack: str) -> Iterator[Orphan]:
    """What the killed run created last. Unreachable daemons are skipped: the next run reports them."""
    resources: Sequence[Mapping[str, Any]] = (export.get("deployment") or {}).get("resources") or []
    daemons = {str(r.get("urn")): daemon(r.get("inputs") or {}) for r in resources if r.get("type") == PROVIDER}
    known = {
        (daemons.get(str(r.get("provider", "")).rpartition("::")[0], Daemon()), r.get("type"), _name(r))
        for r in resources
        if r.get("type") in LISTINGS
    }
    for docker in dict.fromkeys([Daemon(), *daemons.values()]):
        for type_, (_, listing, form, _) in LISTINGS.items():
            found = docker.run(*listing, "--filter", f"label={STACK_LABEL}={stack}", "--format", form)
            for line in found.stdout.splitlines() if found.returncode == 0 else ():
                id_, _, name = line.partition(" ")
                if (docker, type_, name) not in known:
                    yield Orphan(docker, type_, name, id_)


def _name(resource: Mapping[str, Any]) -> str:
    return str((resource.get("inputs") or {}).get("name", ""))


def daemon(provider: Mapping[str, Any]) -> Daemon:
    """The daemon that a docker provider with these inputs talks to."""
    host = str(provider.get("host") or "")
    if not host.startswith("ssh://"):
        return Daemon()
    options = provider.get("sshOpts") or "[]"
    parsed = json.loads(options) if isinstance(options, str) else options
    return Daemon(("ssh", *map(str, parsed), "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", host, "docker"))
