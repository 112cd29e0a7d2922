"""A bundle's text taken apart again: what a stage wants on a machine, entry by entry."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from operations.errors import BerthError

HEADER = "berth-bundle 1"


@dataclass(frozen=True)
class Entry:
    """A file, block or directory on the machine."""

    kind: str
    path: str
    mode: str = ""
    owner: str = ""
    body: str = ""
    when: str = ""
    """Words that have to be true of the machine; elsewhere there is no such file."""

    @property
    def place(self) -> str:
        """The path, and where it is there."""
        return f"{self.path} (where {self.when.replace(' ', ', ')})" if self.when else self.path

    @property
    def is_secret(self) -> bool:
        """Whether the machine itself keeps the content from others: no text of it is ever shown."""
        return self.kind == "file" and not int(self.mode or "0", 8) & 0o004


@dataclass
class Bundle:
    """Entries by kind and place, and the lines for the stage's own script."""

    entries: dict[tuple[str, str], Entry] = field(default_factory=dict)
    directives: list[tuple[str, ...]] = field(default_factory=list)


def is_bundle(text: object) -> bool:
    """Whether a command's standard input is a bundle."""
    return isinstance(text, str) and text.startswith(HEADER)


def parse(text: str) -> Bundle:
    """The bundle; raises BerthError for a text that ends within an entry."""
    bundle = Bundle()
    lines = iter(text.splitlines()[1:])
    when = ""
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "when":
            when = rest
            continue
        if word in ("file", "directory"):
            mode, owner, path = rest.split(" ", 2)
            entry = Entry(word, path, mode, owner, _body(lines) if word == "file" else "", when)
            when = ""
        elif word == "block":
            entry = Entry(word, rest, body=_body(lines))
        else:
            bundle.directives.append(tuple(line.split("\t")))
            continue
        bundle.entries[entry.kind, entry.place] = entry
    return bundle


def _body(lines: Iterator[str]) -> str:
    body = []
    for line in lines:
        if line.startswith("|"):
            body.append(line[1:])
        else:
            return "\n".join(body) + ("\n" if line == "end" else "")
    raise BerthError("A bundle in the stack's state is damaged; ./berth up writes it anew.")
