"""Runs a changing command of the CLI with its event log shown as progress."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console

from operations.errors import BerthError, Interrupted
from operations.locks import StackLock
from operations.pulumi import recovery
from operations.pulumi.events import EventLog, RunView
from operations.pulumi.progress import display
from operations.pulumi.session import UNSAVED, Session, explain
from operations.workspace import Workspace

POLL = 0.1
LOGS_KEPT = 10
STOPPING = "Stopping: finishing current operations (interrupt again to stop at once)."
STOPPING_AT_ONCE = "Stopping at once: the next run repeats the operations that did not end."
PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl


@dataclass(frozen=True)
class Outcome:
    """How a followed run ended."""

    exit_code: int
    view: RunView
    seconds: float
    log: Path
    events: Path
    interrupts: int = 0
    """How often the user interrupted it."""

    @property
    def failed(self) -> bool:
        return self.exit_code != 0

    def reasons(self) -> list[tuple[str, str]]:
        """(what, why) of a failed run; the CLI's last output where no resource failed and nobody interrupted it."""
        if self.interrupts:
            return self.view.failed_steps()
        found = self.view.failures()
        if self.exit_code < 0:
            found.append(("Pulumi", f"it was killed ({signal.Signals(-self.exit_code).name}); run the command again"))
        if found:
            return found
        return [("Pulumi", explain(self.log.read_text(encoding="utf-8", errors="replace")))]


def new_log(workspace: Workspace, stack: str, verb: str) -> Path:
    """A fresh log file under logs/, the oldest of its kind going."""
    workspace.logs.mkdir(parents=True, exist_ok=True, mode=0o700)
    for old in sorted(workspace.logs.glob(f"{stack}-{verb}-*"))[: -2 * LOGS_KEPT]:
        old.unlink(missing_ok=True)
    stamp = time.strftime("%Y%m%d-%H%M%S")
    path = workspace.logs / f"{stack}-{verb}-{stamp}-{os.getpid()}.log"
    path.touch(mode=0o600)
    return path


def follow(
    session: Session, words: Sequence[str], lock: StackLock, *, console: Console, title: str, expected: int | None
) -> Outcome:
    """Run a changing command with its event log shown as progress."""
    log = new_log(session.workspace, session.stack, words[0])
    events = log.with_suffix(".events.jsonl")
    view, reader, started = RunView(), EventLog(events), time.monotonic()
    argv = session.argv([*words, "--event-log", str(events)])
    events.touch(mode=0o600)
    with log.open("wb") as output:
        process = start(argv, session, output.fileno(), lock)
    with display(console, title, expected) as shown, interrupts_forwarded(process, console) as interrupts:
        running = True
        while running:
            running = _is_running_after(process, POLL)
            for event in reader.read():
                step = view.apply(event)
                if step is not None:
                    shown.finished(step, step in view.failed)
            view.note = _note(session)
            shown.show(view)
    text = log.read_text(encoding="utf-8", errors="replace")
    unsaved = any(words in text for words in UNSAVED)
    lock.unfinished = process.returncode < 0 or unsaved
    outcome = Outcome(process.returncode, view, time.monotonic() - started, log, events, len(interrupts))
    refusal = session.known_refusal(text) if outcome.failed and (unsaved or not view.finished) else None
    if refusal is not None:
        raise refusal
    if outcome.failed and not lock.unfinished:
        recovery.run_again(session, {step.urn for step in view.failed})
    return outcome


def _note(session: Session) -> str:
    """The last progress line of a resource that takes minutes; empty if there is none."""
    try:
        return session.workspace.progress_file(session.stack).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def start(argv: Sequence[str], session: Session, output: int, lock: StackLock) -> subprocess.Popen[bytes]:
    """Start a CLI that stops in order when this process is killed, and name it in the stack's lock."""
    process = subprocess.Popen(
        list(argv),
        cwd=session.workspace.root,
        env=dict(session.environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        # A session of its own: Ctrl-C reaches it once, through this process, and what it leaves can be identified.
        start_new_session=True,
        # One call into libc, bound before the fork; no thread of ours is running yet.
        preexec_fn=partial(end_with_parent, signal.SIGINT),  # noqa: PLW1509
    )
    lock.cli_started(process.pid)
    return process


def end_with_parent(number: signal.Signals) -> None:
    """In a child before it becomes its program: the signal that it gets when this process dies, however it does."""
    _prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)


def _is_running_after(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return True
    return False


@contextmanager
def interrupts_forwarded(process: subprocess.Popen[bytes], console: Console) -> Iterator[Sequence[int]]:
    """Ctrl-C and SIGTERM go to the CLI, which ends in order and keeps what is done; yields those that came."""
    came: list[int] = []

    def forward(number: int, _: object) -> None:
        came.append(number)
        console.print(STOPPING if len(came) == 1 else STOPPING_AT_ONCE)
        process.send_signal(signal.SIGINT)

    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def failure(action: str, outcome: Outcome) -> BerthError:
    """What ended the action ("Deploying dev") and why, in full, and where the whole log is."""
    blocks = [f"{action} failed after {outcome.seconds:.0f} s."]
    if outcome.interrupts:
        continues = "completed changes stay, and the same command continues from there"
        blocks = [f"{action} was interrupted after {outcome.seconds:.0f} s: {continues}."]
    for what, why in outcome.reasons():
        indented = "\n".join(f"    {line}" for line in why.splitlines())
        blocks.append(f"  {what}:\n{indented}")
    blocks.append(f"Log: {outcome.log}")
    text = "\n".join(blocks)
    return Interrupted(text) if outcome.interrupts else BerthError(text)
