"""Shell text for nodes: constant scripts from files, arguments quoted, nothing else."""

from __future__ import annotations

import shlex
from pathlib import Path

_SCRIPTS = Path(__file__).parent / "scripts"
MACHINE_SCRIPT = _SCRIPTS / "machine.sh"
"""Functions that tell what kind of machine a script is on."""


_KEEPING = 'stage_script=$1; shift; eval "$stage_script"'
_KEPT = 'script=/var/lib/berth/$2/$3/script; [ ! -f "$script" ] || exec sh "$script" "$@"'


class Script(str):
    """A whole script, as a machine runs it: tests find every one of them by this type, and check it."""

    __slots__ = ()

    @classmethod
    def of(cls, *parts: Path) -> Script:
        """Files one after the other. They share their functions and variables, so that the order matters."""
        return cls("\n".join(part.read_text(encoding="utf-8") for part in parts))


def script(*parts: Path) -> Script:
    """A script with the functions of `lib.sh`."""
    return Script.of(_SCRIPTS / "lib.sh", *parts)


def stage_script(*extra: Path) -> Script:
    """The constant script that applies a bundle, with a stage's own functions from `extra`."""
    return script(_SCRIPTS / "bundle.sh", *extra, _SCRIPTS / "run.sh")


def apply_stage(text: str, stack: str, stage: str, user: str) -> str:
    """The command line that applies a bundle; the node keeps the script, by which the stage is removed later."""
    return as_root(_KEEPING, text, "apply", stack, stage, user=user)


def remove_stage(stack: str, stage: str, user: str) -> str:
    """The command line that removes a stage by the script that applied it: the state holds its text once."""
    return as_root(_KEPT, "remove", stack, stage, user=user)


def as_caller(script: str, *arguments: str) -> str:
    """The command line that runs `script` with arguments as whoever it is given to."""
    return shlex.join(["sh", "-c", script, "berth", *arguments])


def as_root(script: str, *arguments: str, user: str = "root") -> str:
    """The command line that runs `script` with arguments as root; sudo is never asked for a password."""
    command = as_caller(script, *arguments)
    if user == "root":
        return command
    refusal = f"berth: sudo asks {user} for a password here; allow it without (NOPASSWD) or use another ssh.user"
    return f"sudo -n true || {{ echo {shlex.quote(refusal)} >&2; exit 1; }}; sudo -n {command}"
