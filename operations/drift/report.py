"""The result of drift detection, and its output formats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from operations.errors import DIFFERENT, DONE, FAILED
from operations.inspect.compare import Finding, Unknown


@dataclass(frozen=True)
class DriftReport:
    """Differences between a stack's state and its machines, and what is not known."""

    stack: str
    findings: list[Finding] = field(default_factory=list)
    unknown: list[Unknown] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    """What will matter one day, such as a certificate that ends soon."""

    @property
    def drifted(self) -> bool:
        return bool(self.findings)

    @property
    def exit_code(self) -> int:
        """Drift takes precedence over unknown; both are failures."""
        return DIFFERENT if self.findings else FAILED if self.unknown else DONE

    @property
    def sentence(self) -> str:
        """The whole in one sentence."""
        nodes = len({finding.node for finding in self.findings})
        parts = [f"{_count(len(self.findings), 'difference')} on {_count(nodes, 'machine')}"] if self.findings else []
        parts += [f"{_count(len(self.unknown), 'thing')} not known"] if self.unknown else []
        return f"{self.stack}: {', '.join(parts) or 'no drift'}."

    def as_json(self) -> dict[str, object]:
        return {
            "stack": self.stack,
            "drifted": self.drifted,
            "findings": [finding.as_json() for finding in self.findings],
            "unknown": [unknown.as_json() for unknown in self.unknown],
            "warnings": self.warnings,
        }

    def as_markdown(self) -> str:
        """For an issue or a comment: the sentence first, then tables."""
        lines = [f"**{self.sentence}**"]
        if self.findings:
            rows = [(one.node, one.kind, one.name, one.expected, one.found) for one in self.findings]
            lines += ["", *_markdown(("node", "kind", "name", "expected", "found"), rows)]
        if self.unknown:
            lines += ["", *_markdown(("node", "not known, because"), [(one.node, one.reason) for one in self.unknown])]
        lines += ["", *(f"Warning: {warning}" for warning in self.warnings)] if self.warnings else []
        return "\n".join(lines) + "\n"

    def show(self, console: Console) -> None:
        """For a person: differences, then what is not known."""
        if self.findings or self.unknown:
            console.print(self._table())
        for line in (*self.warnings, self.sentence):
            console.print(line, markup=False)

    def _table(self) -> Table:
        table = Table(*(Column(title, overflow="fold") for title in ("node", "kind", "name", "expected", "found")))
        for one in self.findings:
            table.add_row(*map(Text, (one.node, one.kind, one.name, one.expected)), Text(one.found, "red"))
        for gap in self.unknown:
            table.add_row(Text(gap.node), Text("unknown", "yellow"), Text(gap.reason), Text(), Text())
        return table


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _markdown(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    lines = [titles, ("---",) * len(titles), *(tuple(map(_cell, row)) for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def _cell(text: str) -> str:
    """Text that stays in its cell and is no markup."""
    flat = " ".join(text.split())
    return flat if flat.isalnum() else "`" + flat.replace("|", "\\|").replace("`", "'") + "`"
