"""One run of `up`, `preview`, `refresh` or `destroy`, from the lock to the folded journal."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine import ledger as ledgers
from engine import refresh, removal, urns, values
from engine.backend import Backend
from engine.checkpoint import Checkpoint
from engine.crypto import Crypter
from engine.deployment import Deployment
from engine.display import Display
from engine.errors import EngineError
from engine.eventlog import Digest, EventLog
from engine.hub import Hub
from engine.journal import Remains
from engine.ledger import Ledger
from engine.lock import Lock
from engine.pretend import pretending
from engine.provider import Loader, Packages
from engine.report import Listener, Reporter
from engine.saved_plan import SavedPlan
from engine.stackfile import Project, StackFile
from engine.state import Codec, ResourceState
from engine.steps import Steps

FAILED = 1
CHANGES_NOT_EXPECTED = 7


@dataclass(frozen=True)
class Options:
    """A command of the engine with its flags."""

    command: str
    stack: str
    directory: Path
    config_file: Path | None = None
    parallel: int = 16
    diff: bool = False
    json: bool = False
    refresh: bool = False
    expect_no_changes: bool = False
    event_log: Path | None = None
    exclude_protected: bool = False
    ignore_protect: bool = False
    save_plan: Path | None = None
    pretend: bool = False
    """Take every step as done and touch nothing but the state; the program is told that it is a preview."""
    placeholders: bool = False
    """Read no secret of the settings; another ciphertext is another placeholder."""


def installed_packages() -> tuple[Packages, Callable[[], None]]:
    """The engine's own providers, which share one connection per host."""
    from engine import providers
    from engine.ssh import Session

    session = Session()
    return providers.load(session), session.close


def stack_crypter(file: StackFile, checkpoint: Checkpoint) -> Crypter:
    """The stack's cipher; file and state must agree on the salt."""
    salt = file.salt or checkpoint.salt
    if checkpoint.salt and salt.split(":")[:2] != checkpoint.salt.split(":")[:2]:
        raise EngineError(
            f"encryptionsalt in {file.path} is not the one that the stack's state was written with; put back "
            f"encryptionsalt: {checkpoint.salt}"
        )
    checkpoint.salt = salt
    return Crypter(salt)


def execute(options: Options, load: Loader = installed_packages) -> int:
    """Run the command; the exit code is the CLI's."""
    project = Project.find(options.directory)
    backend = Backend.from_environment(project.name)
    file = StackFile.load(project, options.config_file or project.stack_file(options.stack))
    persist = options.command != "preview"
    with _locked(backend, options.stack, persist) as lock:
        base, mark, remains = ledgers.recover(backend, options.stack, persist)
        crypter = stack_crypter(file, base)
        # The key takes half a second to derive and the SDK as long to import: side by side.
        crypter.start()
        packages, close = (pretending(load) if options.pretend else load)()
        from engine import program  # noqa: F401

        crypter.check()
        config = file.decrypted(_placeholder if options.placeholders else crypter.decrypt)
        reporter = Reporter(not persist, _listeners(options, config))
        _explain_interruption(reporter, remains, lock)
        lock.forget_dead()
        ledger = Ledger(backend, options.stack, Codec(crypter), base, mark, persist)
        hub = Hub(packages, ledger)
        run = _Run(options, project, config, ledger, hub, reporter)
        try:
            failed = not run.go()
        finally:
            try:
                ledger.close()
            finally:
                hub.close()
                close()
        changed = any(count for op, count in reporter.changes.items() if op != "same")
        unexpected = options.expect_no_changes and changed and not failed
        if unexpected:
            reporter.diagnostic("error", "no changes were expected but changes were proposed")
        reporter.summary(run.seconds, failed or unexpected)
        return FAILED if failed else CHANGES_NOT_EXPECTED if unexpected else 0


@contextmanager
def _locked(backend: Backend, stack: str, persist: bool) -> Iterator[Lock]:
    """Hold the stack's lock; while a journal is left the lock stays too, so that the CLI refuses to go on."""
    if not backend.exists(stack):
        backend.load(stack)
    lock = Lock(backend.lock_directory(stack))
    if persist:
        lock.acquire()
    try:
        yield lock
    finally:
        if not backend.journal_file(stack).exists():
            lock.forget_dead()
            lock.release()


def _placeholder(ciphertext: str) -> str:
    return f"secret-{hashlib.sha256(ciphertext.encode()).hexdigest()[:16]}"


def _listeners(options: Options, config: tuple[dict[str, str], list[str]]) -> list[Listener]:
    shown = {key: "[secret]" if key in config[1] else value for key, value in config[0].items()}
    listeners: list[Listener] = []
    if options.json:
        listeners.append(Digest(shown))
    else:
        listeners.append(Display(options.command, options.stack, options.diff))
    if options.event_log:
        listeners.append(EventLog(options.event_log, shown))
    if options.save_plan:
        listeners.append(SavedPlan(options.save_plan))
    return listeners


def _explain_interruption(reporter: Reporter, remains: Remains | None, lock: Lock) -> None:
    for holder in lock.released_dead:
        reporter.diagnostic("warning", f"an earlier run was interrupted: {holder}; its lock is released")
    for operation, urn in remains.pending if remains else ():
        reporter.diagnostic(
            "warning", f"{operation} was interrupted before its outcome was known; it is tried again", urn
        )


class _Run:
    def __init__(
        self,
        options: Options,
        project: Project,
        config: tuple[dict[str, str], list[str]],
        ledger: Ledger,
        hub: Hub,
        reporter: Reporter,
    ) -> None:
        self._options = options
        self._project = project
        self._config = config
        self._ledger = ledger
        self._hub = hub
        self._reporter = reporter
        self._preview = options.command == "preview"
        self._steps = Steps(ledger, hub, reporter, self._preview, options.parallel)
        self._started = time.monotonic()
        secret = {key: values.Secret(text) if key in config[1] else text for key, text in config[0].items()}
        self._deployment = Deployment(options.stack, project.name, ledger, hub, self._steps, reporter, secret)
        self._deployment.dry_run = self._preview or options.pretend
        self._deployment.ignore_protect = options.ignore_protect

    @property
    def seconds(self) -> float:
        """How long the run took."""
        return time.monotonic() - self._started

    def go(self) -> bool:
        """Whether everything succeeded."""
        from engine.program import on_interrupt

        on_interrupt(self._cancel)
        command = self._options.command
        if command == "refresh" or self._options.refresh:
            if not self._refresh():
                return False
            if command == "refresh":
                return True
            self._reporter.changes.clear()
        if command == "destroy":
            kept = removal.protected(self._ledger) if self._options.exclude_protected else frozenset()
            return self._remove(lambda urn: urn in kept)
        return self._update()

    def _cancel(self) -> None:
        self._deployment.cancelled = True

    def _refresh(self) -> bool:
        reading = refresh.Refresh(self._ledger, self._hub, self._reporter, lambda: self._deployment.cancelled)
        reading.run(self._options.parallel)
        return not reading.failed

    def _update(self) -> bool:
        from engine.program import run_program

        completed = run_program(
            self._project,
            self._deployment,
            self._reporter,
            self._config,
            self._deployment.dry_run,
            self._options.parallel,
        )
        self._rename()
        if not self._deployment.finish(completed):
            return False
        return self._remove(self._deployment.is_registered)

    def _remove(self, is_registered: Callable[[str], bool]) -> bool:
        entries = removal.unwanted(self._ledger, is_registered)
        if not self._options.ignore_protect and not removal.check_protection(entries, self._reporter):
            return False
        deleting = removal.Removal(self._steps, self._reporter, entries, lambda: self._deployment.cancelled)
        deleting.run(self._options.parallel)
        return not deleting.failed

    def _rename(self) -> None:
        """Let what stays in the state follow resources that were found under a former URN."""
        renamed = {old: new for old, new in self._deployment.renamed().items() if self._ledger.find(old) is None}
        if not renamed or self._preview:
            return
        for slot, state in self._ledger.entries():
            if state.delete or not self._deployment.is_registered(state.urn):
                self._ledger.record({slot: _renamed(state, renamed)})


def _renamed(state: ResourceState, renamed: dict[str, str]) -> ResourceState:
    def new(urn: str) -> str:
        return renamed.get(urn, urn)

    provider, _, identity = state.provider.rpartition("::")
    return replace(
        state,
        parent=new(state.parent),
        dependencies=tuple(map(new, state.dependencies)),
        property_dependencies={key: [new(urn) for urn in deps] for key, deps in state.property_dependencies.items()},
        deleted_with=new(state.deleted_with),
        provider=f"{new(provider)}::{identity}" if provider else "",
    )


def stack_outputs(backend: Backend, stack: str, crypter: Callable[[Checkpoint], Crypter]) -> dict[str, Any]:
    """The stack's outputs, secrets still wrapped."""
    base, _, _ = ledgers.recover(backend, stack, persist=False)
    codec = Codec(crypter(base))
    for raw in base.resources:
        if urns.type_of(raw["urn"]) == urns.STACK_TYPE:
            return codec.decode(raw).outputs
    return {}
