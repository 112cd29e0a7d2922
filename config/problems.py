"""Problems with settings: the path, what is wrong, how to fix it. No message contains a secret."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

Location = tuple[str | int, ...]

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_WHOLE_KEY = re.compile(r"[A-Za-z0-9_.:-]+")
_MAX_VALUE_LENGTH = 80
# Keys and texts that may hold a secret: a message must not contain the value.
_SECRET_KEY = re.compile(r"pass|secret|token|private|credential", re.IGNORECASE)
_SECRET_TEXT = re.compile(r"-----BEGIN|://[^/@\s]*:[^/\s]*@")


def path(*location: str | int) -> str:
    """A path in the stack file, as `pulumi config set --path` takes it: `berth:nodes[2].address`."""
    if not location:
        return "config"
    first, *rest = location
    return key_path(f"berth:{first}", *rest)


def key_path(key: str, *below: str | int) -> str:
    """The same below any key of `config:`, Berth's or not."""
    text = key if _WHOLE_KEY.fullmatch(key) else f"config[{_quoted(key)}]"
    for part in below:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}"
        else:
            text += f"[{_quoted(part)}]"
    return text


def shown(value: object, location: Location = ()) -> str | None:
    """The value for a message: short and printable; None if it could be a secret."""
    if location and _is_secret_place(location):
        return None
    if value is None or isinstance(value, (bool, int, float)):
        return json.dumps(value)
    if isinstance(value, str):
        if _SECRET_TEXT.search(value):
            return None
        return _quoted(value)
    return None


def kind(value: object) -> str:
    """The type of a value, as the user knows it."""
    if value is None:
        return "empty"
    for types, name in (
        (bool, "true or false"),
        (int, "a number"),
        (float, "a number"),
        (str, "text"),
        (dict, "an object"),
        ((list, tuple), "a list"),
    ):
        if isinstance(value, types):
            return name
    return f"a {type(value).__name__}"


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most similar, if one is similar at all; cases and separators do not count."""
    normalized = {re.sub(r"[^a-z0-9]", "", option.lower()): option for option in known}
    found = difflib.get_close_matches(re.sub(r"[^a-z0-9]", "", name.lower()), normalized, n=1, cutoff=0.6)
    return normalized[found[0]] if found else None


def _is_secret_place(location: Location) -> bool:
    if location[0] == "secrets":
        return True
    # Options of log drivers and further keys of daemon.json may contain tokens.
    if location[0] == "docker" and len(location) > 2 and location[1] in ("extra", "logOptions"):
        return True
    return any(isinstance(part, str) and _SECRET_KEY.search(part) for part in location)


def _quoted(text: str) -> str:
    if len(text) > _MAX_VALUE_LENGTH:
        text = text[:_MAX_VALUE_LENGTH] + "..."
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in quoted)


@dataclass(frozen=True)
class Problem:
    """One thing that the user has to change first."""

    path: str
    wrong: str
    fix: str
    value: str | None = None
    suggestion: str | None = None

    def __str__(self) -> str:
        head = self.path if self.value is None else f"{self.path}: {self.value}"
        question = f" Did you mean `{self.suggestion}`?" if self.suggestion else ""
        return f"{head}\n  {self.wrong}{question}\n  {self.fix}"


class SettingsError(Exception):
    """The settings of a stack are invalid; the text has one block for each problem."""

    user_message = True

    def __init__(self, stack: str, problems: Iterable[Problem]) -> None:
        self.stack = stack
        self.problems = tuple(problems)
        count = len(self.problems)
        pinned = {problem.path.startswith(("berth:pins", "pins/")) for problem in self.problems}
        files = " and ".join(f"pins/{stack}.yaml" if pins else f"Pulumi.{stack}.yaml" for pins in sorted(pinned))
        head = f"{files}: {count} setting{'s' if count != 1 else ''} cannot be used"
        super().__init__("\n\n".join([head, *map(str, self.problems)]))
