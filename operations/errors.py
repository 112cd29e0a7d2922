"""What `berth` may end with: exit codes and errors that are shown as text."""

from __future__ import annotations

DONE = 0
FAILED = 1
WRONG_USE = 2
DIFFERENT = 3
INTERRUPTED = 130


class BerthError(Exception):
    """Something known went wrong; the text names the problem and the remedy, and is shown as it is."""

    exit_code = FAILED


class Interrupted(BerthError):
    """The user ended it; nothing is wrong."""

    exit_code = INTERRUPTED


class UsageError(BerthError):
    """Wrong use of the command, or settings that are not accepted."""

    exit_code = WRONG_USE
