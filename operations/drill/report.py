"""The results of a drill: one result per fault, as a table, JSON, Markdown and a picture; pure functions."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from rich.table import Table

from operations.drill.load import BLOB, CACHED, PULL, PUSH, Operation, Refusal

# MinIO waits a minute for a lock that it cannot get, and nginx a little longer for MinIO.
LONGEST_REFUSAL_SECONDS = 80.0
# What needs the store to take a write: a push, and an image that no cache has yet.
WRITES = (PUSH, CACHED)
KINDS = {PUSH: "pushes", PULL: "pulls", BLOB: "blobs", CACHED: "pulls through a cache"}


@dataclass(frozen=True)
class Count:
    """Operations of one kind: how many there were, and how many of them failed."""

    done: int = 0
    failed_first: int = 0
    failed_repeat: int = 0


@dataclass
class Result:
    """What one fault led to."""

    fault: str
    nodes: list[str]
    held_seconds: float
    """How long it lasted until it was undone; 0 where the lab recovered by itself."""
    outage: float
    """The longest time without an answer on a new connection."""
    stall: float
    """The longest wait for the next bytes of a blob."""
    moves: int
    shared: float
    """Seconds during which two nodes that no fault held had the address."""
    healthy_after: float | None
    """Seconds from the fault's end until all was healthy; None if that never came."""
    counts: dict[str, Count] = field(default_factory=dict)
    wrong_digests: int = 0
    refusals: list[Refusal] | None = None
    """Answers to pushes while writes had to be refused."""
    errors: list[str] = field(default_factory=list)
    """What failed first tries said, each text once."""
    waited_for: str = ""
    """What became healthy last."""

    def problems(self, max_outage: float) -> list[str]:
        """Why this was not good enough; nothing if it was."""
        found = [
            f"{self.counts[kind].failed_repeat} {title} failed after one repeat"
            for kind, title in KINDS.items()
            if kind in self.counts and self.counts[kind].failed_repeat and not (kind in WRITES and self.refusals)
        ]
        if self.wrong_digests:
            found.append(f"{self.wrong_digests} wrong digests")
        if self.outage > max_outage:
            found.append(f"{self.outage:.2f} s without an answer, more than {max_outage:g} s")
        if self.healthy_after is None:
            found.append(f"not healthy again: {self.waited_for}")
        if self.refusals is not None:
            if any(not refusal.error for refusal in self.refusals):
                found.append("a push was accepted that should have been refused")
            slowest = max(refusal.seconds for refusal in self.refusals)
            if slowest > LONGEST_REFUSAL_SECONDS:
                found.append(f"a push was refused after {slowest:.0f} s only")
        return found

    def sentence(self, max_outage: float) -> str:
        """One line while the drill goes on."""
        failed = sum(count.failed_first for count in self.counts.values())
        healthy = "never healthy" if self.healthy_after is None else f"healthy after {self.healthy_after:.1f} s"
        if self.waited_for:
            healthy += f" (last: {self.waited_for})"
        problems = self.problems(max_outage)
        return (
            f"{self.fault} on {', '.join(self.nodes)}: outage {self.outage:.2f} s, stall {self.stall:.2f} s, "
            f"{failed} of "
            f"{sum(count.done for count in self.counts.values())} first tries failed, {healthy}"
            + (f" - NOT OK: {'; '.join(problems)}" if problems else "")
        )


def counts(operations: Sequence[Operation]) -> dict[str, Count]:
    """Operations by kind."""
    return {
        kind: Count(
            len(mine),
            sum(1 for one in mine if one.first),
            sum(1 for one in mine if one.repeat),
        )
        for kind in KINDS
        if (mine := [one for one in operations if one.kind == kind])
    }


@dataclass(frozen=True)
class Report:
    """A whole drill."""

    about: dict[str, Any]
    max_outage: float
    results: list[Result]

    @property
    def ok(self) -> bool:
        return bool(self.results) and not any(result.problems(self.max_outage) for result in self.results)

    def as_json(self) -> dict[str, Any]:
        faults = [
            {**asdict(one), "problems": one.problems(self.max_outage), "ok": not one.problems(self.max_outage)}
            for one in self.results
        ]
        return {**self.about, "max_outage": self.max_outage, "ok": self.ok, "faults": faults}

    def lines(self) -> list[list[str]]:
        """Title line, one line per kind of fault with its worst figures, and one for the whole drill."""
        kinds = dict.fromkeys(result.fault for result in self.results)
        rows = [self._line(kind, [one for one in self.results if one.fault == kind]) for kind in kinds]
        return [TITLES, *rows, self._line("all", self.results)]

    def _line(self, name: str, results: Sequence[Result]) -> list[str]:
        def failed(which: str) -> str:
            every = [(sum(_of(one, kind, which) for one in results), _any(results, kind)) for kind in KINDS]
            return " / ".join(str(number) if seen else "-" for number, seen in every)

        healthy = [one.healthy_after for one in results]
        known = [seconds for seconds in healthy if seconds is not None]
        return [
            name,
            str(len(results)),
            failed("done"),
            failed("failed_first"),
            failed("failed_repeat"),
            _refused(results),
            str(sum(one.wrong_digests for one in results)),
            f"{max((one.outage for one in results), default=0):.2f}",
            f"{max((one.stall for one in results), default=0):.2f}",
            str(sum(one.moves for one in results)),
            f"{max((one.shared for one in results), default=0):.1f}",
            f"{max(known, default=0):.1f}" if len(known) == len(healthy) else "never",
            "NO" if any(one.problems(self.max_outage) for one in results) else "yes",
        ]

    def table(self) -> Table:
        """For a person at a terminal."""
        first, *rest = self.lines()
        table = Table()
        for title in first:
            table.add_column(title, justify="left" if title in ("fault", "ok") else "right")
        for line in rest:
            *cells, ok = line
            table.add_row(*cells, f"[green]{ok}[/]" if ok == "yes" else f"[red]{ok}[/]")
        return table

    def markdown(self) -> str:
        """For the docs."""
        first, *rest = self.lines()
        rule = ["---" if title in ("fault", "ok") else "--:" for title in first]
        return "".join(f"| {' | '.join(line)} |\n" for line in (first, rule, *rest))

    def write(self, directory: Path) -> None:
        """All forms of it as files."""
        directory.mkdir(parents=True, exist_ok=True)
        for name, text in (
            ("drill.json", json.dumps(self.as_json(), indent=1) + "\n"),
            ("drill.md", self.markdown()),
            ("drill.svg", self.picture()),
        ):
            (directory / name).write_text(text, encoding="utf-8")

    def picture(self) -> str:
        """For the docs too: each fault's outage and stall as dots on a line per kind, and the limit."""
        return plot([(one.fault, one.outage, one.stall) for one in self.results], self.max_outage)


TITLES = [
    "fault",
    "times",
    "pushes / pulls / blobs / cached",
    "failed first",
    "failed after repeat",
    "writes refused within, s",
    "wrong digests",
    "longest outage, s",
    "longest stall, s",
    "address moved",
    "address shared, s",
    "healthy after, s",
    "ok",
]


def _of(result: Result, kind: str, which: str) -> int:
    return int(getattr(result.counts.get(kind, Count()), which))


def _any(results: Sequence[Result], kind: str) -> bool:
    return any(kind in one.counts for one in results)


def _refused(results: Sequence[Result]) -> str:
    every = [refusal.seconds for one in results for refusal in one.refusals or []]
    return f"{max(every):.1f}" if every else "-"


ROW, LEFT, WIDTH, TOP, PLOT, TICK = 24, 150, 900, 34, 700, 46
LEAST, TICKS = 0.05, (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200)


def plot(runs: Sequence[tuple[str, float, float]], limit: float) -> str:
    """Each run's (fault, longest outage, longest stall) as dots over seconds, one row per kind of fault; SVG."""
    kinds = list(dict.fromkeys(name for name, _, _ in runs))
    most = max([1.0, limit * 1.25, *(max(outage, stall) for _, outage, stall in runs)])
    bottom = TOP + ROW * len(kinds)

    def x(seconds: float) -> float:
        # Tenths of a second and stalls of many have to be distinguishable on one axis.
        return round(LEFT + PLOT * math.log(max(seconds, LEAST) / LEAST) / math.log(most / LEAST), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 46}" width="{WIDTH}" '
        f'height="{bottom + 46}" role="img" aria-labelledby="title" font-size="12" '
        "font-family=\"system-ui, 'Segoe UI', 'Liberation Sans', Arial, sans-serif\">",
        '<title id="title">Longest outage and longest stall of every fault, in seconds</title>',
        f'<rect width="{WIDTH}" height="{bottom + 46}" rx="14" fill="#f8fafc"/>',
        '<g fill="#475569">',
    ]
    free = 0.0
    for seconds, at in ((tick, x(tick)) for tick in TICKS if tick <= most):
        parts.append(f'<line x1="{at}" y1="{TOP}" x2="{at}" y2="{bottom}" stroke="#e2e8f0"/>')
        if at >= free:
            parts.append(f'<text x="{at}" y="{bottom + 16}" text-anchor="middle">{seconds:g} s</text>')
            free = at + TICK
    for row, kind in enumerate(kinds):
        middle = TOP + ROW * row + ROW // 2
        parts.append(f'<text x="{LEFT - 12}" y="{middle + 4}" text-anchor="end" fill="#0f172a">{escape(kind)}</text>')
        for name, outage, stall in runs:
            if name == kind:
                parts.append(f'<circle cx="{x(stall)}" cy="{middle}" r="4" fill="none" stroke="#d97706"/>')
                parts.append(f'<circle cx="{x(outage)}" cy="{middle}" r="3.5" fill="#2563eb" fill-opacity="0.6"/>')
    at = x(limit)
    parts += [
        f'<line x1="{at}" y1="{TOP - 6}" x2="{at}" y2="{bottom}" stroke="#dc2626" stroke-dasharray="5 4"/>',
        f'<text x="{min(at, WIDTH - TICK * 1.5)}" y="{TOP - 12}" text-anchor="middle" fill="#dc2626">'
        f"max. outage: {limit:g} s</text>",
        f'<circle cx="{LEFT}" cy="{bottom + 32}" r="3.5" fill="#2563eb" fill-opacity="0.6"/>',
        f'<text x="{LEFT + 10}" y="{bottom + 36}">longest time without an answer on a new connection</text>',
        f'<circle cx="{LEFT + 370}" cy="{bottom + 32}" r="4" fill="none" stroke="#d97706"/>',
        f'<text x="{LEFT + 380}" y="{bottom + 36}">longest stall of a blob in transfer</text>',
        "</g>",
        "</svg>",
    ]
    return "\n".join(parts) + "\n"
