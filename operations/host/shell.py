"""Runs commands of a step with their output in the step's log."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from operations.host.errors import BootstrapError

TAIL = 25


class CommandFailed(BootstrapError):
    """A command of a step ended badly: names it and shows the end of the log."""

    def __init__(self, command: Sequence[str], status: int, log: Path) -> None:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL:]
        text = "\n".join(f"    {line}" for line in lines)
        super().__init__(f"{shlex.join(command)}\nended with status {status}. The end of {log}:\n{text}")
        self.command = tuple(command)
        self.status = status
        self.log = log


class Shell:
    """Commands with one log file."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("", encoding="utf-8")

    def note(self, text: str) -> None:
        """Write a line to the log."""
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"[{time.strftime('%H:%M:%S')}] {text}\n")

    def run(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        target: IO[bytes] | None = None,
    ) -> None:
        """Run to the end, output to the log (or `target`); raise with the log's tail if it fails."""
        self.note("$ " + shlex.join(command))
        with self.log.open("ab") as log:
            process = self._start(
                command,
                stdin=subprocess.DEVNULL,
                stdout=target or log,
                stderr=log,
                cwd=folder,
                env={**os.environ, **(environment or {})},
            )
            status = self._wait(process)
        if status:
            raise CommandFailed(command, status, self.log)

    def pipe(self, producer: Sequence[str], consumer: Sequence[str]) -> None:
        """`producer | consumer`; fails if either does."""
        self.note("$ " + shlex.join(producer) + " | " + shlex.join(consumer))
        with self.log.open("ab") as log:
            first = self._start(producer, stdout=subprocess.PIPE, stderr=log)
            second = self._start(consumer, stdin=first.stdout, stdout=log, stderr=log)
            if first.stdout:
                first.stdout.close()
            status = self._wait(second), self._wait(first)
        for command, code in ((consumer, status[0]), (producer, status[1])):
            if code:
                raise CommandFailed(command, code, self.log)

    def stop(self) -> None:
        """End what is running: another step failed, and this one's result is of no use any more."""
        self._stopped = True
        for process in list(self._running):
            process.terminate()

    def _start(self, command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        if self._stopped:
            raise BootstrapError("stopped")
        try:
            process: subprocess.Popen[bytes] = subprocess.Popen(command, **options)
        except OSError as error:
            raise BootstrapError(f"{command[0]} can't be run: {error.strerror}.") from error
        self._running.add(process)
        return process

    def _wait(self, process: subprocess.Popen[bytes]) -> int:
        try:
            return process.wait()
        finally:
            self._running.discard(process)
