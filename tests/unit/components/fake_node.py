"""A node for scripts below the lab: fake programs on PATH, a clock that `sleep` moves on, a directory for its paths."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Each pause is five seconds, so that no test waits for as long as the script does.
SLEEP = '#!/bin/sh\necho "$(($(cat {clock}) + 5))" >{clock}\n'
# Runs the rest as whoever runs the test.
RUNUSER = '#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n'

RUNNER = Path(__file__).with_name("fake_program.py")


class FakeNode:
    """One node's files, and the state of the cluster that its fake programs share."""

    def __init__(self, root: Path, fake: Path, programs: tuple[str, ...]) -> None:
        self.root, self._bin, self._state = root, root / "bin", root / "state.json"
        self._bin.mkdir()
        clock = root / "proc/uptime"
        clock.parent.mkdir()
        clock.write_text("0\n")
        for name in programs:
            self.program(name, f'#!/bin/sh\nexec "{sys.executable}" -S -E "{RUNNER}" "{fake}" {name} "$@"\n')
        self.program("sleep", SLEEP.format(clock=clock))
        self.program("runuser", RUNUSER)

    def program(self, name: str, text: str) -> None:
        """A program that only the script sees."""
        path = self._bin / name
        path.write_text(text)
        path.chmod(0o755)

    @property
    def state(self) -> dict[str, Any]:
        """What the fake programs know by now."""
        found: dict[str, Any] = json.loads(self._state.read_text())
        return found

    @state.setter
    def state(self, value: Mapping[str, Any]) -> None:
        self._state.write_text(json.dumps(value))

    def run(self, script: str, *arguments: str, stdin: str) -> subprocess.CompletedProcess[str]:
        """The script as root's shell runs it on a node; every path below /etc, /run, /var and /proc is this node's."""
        text = re.sub(r"(?<![\w}.])/(etc|run|var|proc)/(?=[\w$])", rf"{self.root}/\1/", script)
        return subprocess.run(
            ["sh", "-c", text, "berth", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={"PATH": f"{self._bin}:{os.environ['PATH']}", "FAKE_STATE": str(self._state)},
        )
