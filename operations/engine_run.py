"""Runs an engine: quietly for an answer, passing its own text through, or followed by its event log."""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from operations import engines
from operations.engines import Engine
from operations.errors import BerthError
from operations.events import COLOR, EventLog, RunView, without_trace
from operations.lock import StackLock
from operations.progress import display
from operations.workspace import StackFile, Workspace

POLL = 0.1
LOGS_KEPT = 10
PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl
WRONG_PASSPHRASE = "incorrect passphrase"
ERROR_LINE = re.compile(r"^\s*error: ?", re.IGNORECASE)


@dataclass(frozen=True)
class Session:
    """An engine with everything that a call of it needs for one stack."""

    workspace: Workspace
    stack_file: StackFile
    engine: Engine
    environment: Mapping[str, str]

    @classmethod
    def open(cls, workspace: Workspace, stack_file: StackFile, engine: Engine) -> Session:
        return cls(workspace, stack_file, engine, engines.environment(workspace, stack_file, engine))

    @property
    def stack(self) -> str:
        return self.stack_file.stack

    def argv(self, words: Sequence[str]) -> list[str]:
        """The command line; the stack is named on each, as no engine is made to select one."""
        aside = words[0] in ("preview", "config") and self.stack_file.path != self.workspace.stack_file(self.stack)
        settings = ["--config-file", str(self.stack_file.path)] if aside else []
        return [*self.engine.command, *words, *settings, "--stack", self.stack]

    def ask(self, *words: str) -> str:
        """Standard output of a call that changes nothing or little; its own words when it fails."""
        result = subprocess.run(
            self.argv(words),
            cwd=self.workspace.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise self.refusal(f"{result.stderr}\n{result.stdout}")
        return result.stdout

    def refusal(self, text: str) -> BerthError:
        """What an engine that would not work says, in one sentence where the passphrase is the reason."""
        said = explain(text)
        if WRONG_PASSPHRASE not in said:
            return BerthError(said)
        return BerthError(
            f"The passphrase is not the one of stack {self.stack}: "
            "see PULUMI_CONFIG_PASSPHRASE_FILE or PULUMI_CONFIG_PASSPHRASE."
        )

    def outputs(self, show_secrets: bool = False) -> dict[str, Any]:
        """The stack's outputs, or an error that says how to get some."""
        if not self.workspace.stack_exists(self.stack):
            raise BerthError(f"Stack {self.stack} is not deployed: ./berth up --stack {self.stack} does that.")
        outputs = json.loads(
            self.ask("stack", "output", "--json", *(["--show-secrets"] if show_secrets else [])) or "{}"
        )
        if not outputs:
            raise BerthError(f"Stack {self.stack} has no outputs yet: finish it with ./berth up --stack {self.stack}.")
        return dict(outputs)

    def ensure_stack(self) -> None:
        """Make the state directory and the stack in it, where they are missing."""
        self.workspace.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.workspace.stack_exists(self.stack):
            return
        self.ask("stack", "init")


@dataclass(frozen=True)
class Outcome:
    """How a followed run ended."""

    exit_code: int
    view: RunView
    seconds: float
    log: Path
    events: Path

    @property
    def failed(self) -> bool:
        return self.exit_code != 0

    def reasons(self) -> list[tuple[str, str]]:
        """(what, why) of a failed run; the engine's own last words where no resource is to blame."""
        found = self.view.failures()
        if self.exit_code < 0:
            found.append(
                ("the engine", f"it was killed ({signal.Signals(-self.exit_code).name}); run the command again")
            )
        if found:
            return found
        return [("the engine", explain(self.log.read_text(encoding="utf-8", errors="replace")))]


def explain(text: str) -> str:
    """An engine's complaint without usage text, colour or stack trace."""
    clean = COLOR.sub("", without_trace(text)).strip()
    lines = [line for line in clean.splitlines() if line.strip()]
    for index, line in enumerate(lines):
        if ERROR_LINE.match(line):
            kept = [other for other in lines[index:] if not other.startswith("Usage:")]
            return ERROR_LINE.sub("", "\n".join(kept), count=1)
    return "\n".join(lines[-15:]) or "the engine ended without a word"


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
    with display(console, title, expected) as shown, interrupts_forwarded(process, console):
        running = True
        while running:
            running = _is_running_after(process, POLL)
            for event in reader.read():
                step = view.take(event)
                if step is not None:
                    shown.finished(step, step in view.failed)
            view.note = _note(session)
            shown.show(view)
    lock.unfinished = process.returncode < 0
    return Outcome(process.returncode, view, time.monotonic() - started, log, events)


def _note(session: Session) -> str:
    """The last word of a resource that takes minutes; "" where there is none."""
    try:
        return session.workspace.progress_file(session.stack).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def start(argv: Sequence[str], session: Session, output: int, lock: StackLock) -> subprocess.Popen[bytes]:
    """Start an engine that stops in order when this process is killed, and name it in the stack's lock."""
    process = subprocess.Popen(
        list(argv),
        cwd=session.workspace.root,
        env=dict(session.environment),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        # A session of its own: Ctrl-C reaches it once, through this process, and its remains can be told from others.
        start_new_session=True,
        # One call into libc, bound before the fork; no thread of ours is running yet.
        preexec_fn=partial(end_with_parent, signal.SIGINT),  # noqa: PLW1509
    )
    lock.engine_started(process.pid, session.engine.kind.value)
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
def interrupts_forwarded(process: subprocess.Popen[bytes], console: Console) -> Iterator[None]:
    """Ctrl-C and SIGTERM go to the engine, which ends in order and keeps what is done."""

    def forward(*_: object) -> None:
        console.print("Stopping: finishing what is under way (interrupt again to stop at once).")
        process.send_signal(signal.SIGINT)

    before = {number: signal.signal(number, forward) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def passthrough(session: Session, words: Sequence[str], asks: bool = False) -> int:
    """Run a command whose own text is the answer (and whose questions are the user's, if it asks); its exit code."""
    result = subprocess.run(
        session.argv(words),
        cwd=session.workspace.root,
        env=dict(session.environment),
        stdin=None if asks else subprocess.DEVNULL,
        check=False,
    )
    return result.returncode
