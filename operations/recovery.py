"""Continues after a killed run: clears its engine's lock and the objects it was about to make."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from operations import engines
from operations.engine_run import Session
from operations.errors import BerthError
from operations.lock import Holder

REMOVE = {
    "docker:index/container:Container": ("container", ("rm", "--force", "--volumes")),
    "docker:index/network:Network": ("network", ("network", "rm")),
}
LABEL = "berth.stack"


def clear(session: Session, interrupted: Holder, say: Callable[[str], None]) -> None:
    """Announce the killed run and put the stack into a state from which a plain run goes on."""
    say(f"The last 'berth {interrupted.command}' of {session.stack} was killed: going on from where it stopped.")
    if not session.workspace.stack_exists(session.stack):
        return
    locks = list(session.workspace.locks(session.stack).glob("*.json"))
    if locks:
        # The killed engine knows best how to fold in what it had not yet saved.
        _as_before(session, interrupted).ask("cancel", "--yes")
        say("  its lock on the state was released")
    for pending in pending_creations(json.loads(session.ask("stack", "export"))):
        if pending.remove(session.stack):
            say(f"  {pending.kind} {pending.name} was half made and is removed, to be made again")


def _as_before(session: Session, interrupted: Holder) -> Session:
    if interrupted.engine_kind in (None, session.engine.kind.value):
        return session
    engine = engines.choose(engines.Kind(interrupted.engine_kind))
    return Session.open(session.workspace, session.stack_file, engine)


@dataclass(frozen=True)
class Pending:
    """An object that an engine was making when it died; the state does not know whether it exists."""

    type: str
    name: str
    docker: tuple[str, ...]
    """The docker program, through ssh when the object is on a node."""

    @property
    def kind(self) -> str:
        return REMOVE[self.type][0]

    def remove(self, stack: str) -> bool:
        """Remove the object if it exists and carries this stack's label; whether it did."""
        template = "{{index .Config.Labels %s}}" if self.kind == "container" else "{{index .Labels %s}}"
        found = self._run(self.kind, "inspect", "--format", template % json.dumps(LABEL), self.name)
        if found.returncode or found.stdout.strip() != stack:
            return False
        removed = self._run(*REMOVE[self.type][1], self.name)
        if removed.returncode:
            raise BerthError(f"Could not remove the half-made {self.kind} {self.name}: {removed.stderr.strip()}")
        return True

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        import shlex

        argv = [*self.docker, *(map(shlex.quote, words) if self.docker[0] == "ssh" else words)]
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def pending_creations(export: Mapping[str, Any]) -> Iterator[Pending]:
    """The docker objects among an exported stack's pending creations."""
    deployment = export.get("deployment") or {}
    resources = {r.get("urn"): r for r in deployment.get("resources") or []}
    for operation in deployment.get("pending_operations") or []:
        resource = operation.get("resource") or {}
        name = (resource.get("inputs") or {}).get("name")
        if operation.get("type") == "creating" and resource.get("type") in REMOVE and isinstance(name, str):
            provider = resources.get(str(resource.get("provider", "")).rpartition("::")[0]) or {}
            yield Pending(str(resource["type"]), name, _docker(provider.get("inputs") or {}))


def _docker(provider: Mapping[str, Any]) -> tuple[str, ...]:
    host = str(provider.get("host") or "")
    if not host.startswith("ssh://"):
        return ("docker",)
    options = provider.get("sshOpts") or "[]"
    parsed = json.loads(options) if isinstance(options, str) else options
    return ("ssh", *map(str, parsed), "-o", "BatchMode=yes", host, "docker")
