"""A bundle: everything one stage wants on one machine, as readable text that a constant script applies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

HEADER = "berth-bundle 1"
_OWNER = re.compile(r"[a-z_0-9][a-z0-9_-]*:[a-z_0-9][a-z0-9_-]*")
_MODE = re.compile(r"0[0-7]{3}")


class BundleError(ValueError):
    """An entry that cannot be written down safely; the text names it."""


@dataclass(frozen=True)
class File:
    """A whole file that Berth owns; what was there before comes back when it leaves the bundle."""

    path: str
    content: str
    mode: str = "0644"
    owner: str = "root:root"
    when: Sequence[str] = ()
    """Words that the stage's script must all find true of the machine; elsewhere there is no such file."""

    def lines(self) -> list[str]:
        """The entry's lines, as `bundle.sh` reads them."""
        condition = [f"when {' '.join(self.when)}"] if self.when else []
        return [*condition, f"file {_mode(self)} {_owner(self)} {_path(self.path)}", *_body(self.content)]


@dataclass(frozen=True)
class Block:
    """Lines between Berth's markers in a file that others own too (such as /etc/hosts)."""

    path: str
    content: str

    def lines(self) -> list[str]:
        """The entry's lines, as `bundle.sh` reads them."""
        return [f"block {_path(self.path)}", *_body(self.content)]


@dataclass(frozen=True)
class Directory:
    """A directory with its mode and owner; made when missing, removed again when Berth made it and it is empty."""

    path: str
    mode: str = "0755"
    owner: str = "root:root"

    def lines(self) -> list[str]:
        """The entry's line, as `bundle.sh` reads it."""
        return [f"directory {_mode(self)} {_owner(self)} {_path(self.path)}"]


@dataclass(frozen=True)
class Directive:
    """One line for the stage's own script: a word it knows, and values without a newline."""

    word: str
    values: Sequence[str]

    def lines(self) -> list[str]:
        """The entry's line: word and values, parted by tabs."""
        if any("\n" in value or "\t" in value for value in self.values):
            raise BundleError(f"the {self.word} line holds a newline or a tab: {list(self.values)!r}")
        return ["\t".join([self.word, *self.values])]


Entry = File | Block | Directory | Directive


def render(entries: Sequence[Entry]) -> str:
    """The bundle's text. Raises BundleError for what the format cannot carry."""
    return "\n".join([HEADER, *(line for entry in entries for line in entry.lines())]) + "\n"


def _body(content: str) -> list[str]:
    if "\0" in content:
        raise BundleError("a file's content holds a NUL byte")
    lines = content.split("\n")
    end = "end-without-newline"
    if lines[-1] == "":
        lines.pop()
        end = "end" if lines else "end-without-newline"
    return [*(f"|{line}" for line in lines), end]


def _path(path: str) -> str:
    if not path.startswith("/") or "\n" in path or "\0" in path or "/../" in f"{path}/":
        raise BundleError(f"{path!r} is no absolute path that a bundle can carry")
    return path


def _mode(entry: File | Directory) -> str:
    if not _MODE.fullmatch(entry.mode):
        raise BundleError(f"{entry.path}: the mode {entry.mode!r} is not four octal digits")
    return entry.mode


def _owner(entry: File | Directory) -> str:
    if not _OWNER.fullmatch(entry.owner):
        raise BundleError(f"{entry.path}: the owner {entry.owner!r} is not user:group")
    return entry.owner
