"""A report as Markdown: a short summary for everybody, the differences folded, no secret anywhere."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence

from operations.preview import sentences
from operations.preview.differences import Difference
from operations.preview.report import Report, Section

MARK = "\N{LARGE RED CIRCLE}"


def markdown(report: Report) -> str:
    """The whole text. The comments at its head are for workflows: which stack this is about, which labels it needs."""
    return report.redact("\n".join(_lines(report)) + "\n")


def _lines(report: Report) -> Iterator[str]:
    yield f"<!-- berth preview: {report.stack} -->"
    yield f"<!-- berth labels: {' '.join(report.labels)} -->"
    yield f"### Preview of `{report.stack}`"
    yield ""
    if report.incomplete:
        yield from ["> [!NOTE]", f"> {report.incomplete}", ""]
    for loss in report.losses:
        yield f"- {MARK} **{loss}**"
    for violation in report.violations:
        yield f"- {MARK} {violation}"
    for what, why in report.failures:
        yield f"- {MARK} **{what}** fails:"
        yield from _fenced(why.splitlines(), "", "  ")
    if report.losses or report.violations or report.failures:
        yield ""
    yield f"**{sentences.counts(report)}**"
    points = [*sentences.nodes(report), *report.notices]
    if points:
        yield ""
        yield from (f"- {point}" for point in points)
    yield from _details("Files", "on", report.files)
    yield from _details("Properties", "of", report.properties)
    if report.steps:
        yield from _fold(
            f"All {len(report.steps)} resources", _fenced([f"{op:<8} {name}" for op, name in report.steps])
        )
    for warning in report.warnings:
        yield from ["", *(f"> {line}" for line in warning.splitlines())]


def _details(what: str, of: str, sections: Sequence[Section]) -> Iterator[str]:
    for section in sections:
        title = f"{what} {of} {', '.join(section.names)}: {len(section.differences)}"
        yield from _fold(title, (line for item in section.differences for line in _difference(item)))


def _difference(item: Difference) -> Iterator[str]:
    yield f"`{item.title}` {item.what}"
    yield ""
    if item.lines:
        yield from [*_fenced(item.lines, "diff"), ""]


def _fold(title: str, lines: Iterator[str]) -> Iterator[str]:
    yield from ["", f"<details><summary>{html.escape(title)}</summary>", "", *lines, "</details>"]


def _fenced(lines: Sequence[str], language: str = "", indent: str = "") -> Iterator[str]:
    """A fence longer than any within."""
    fence = "```"
    while any(fence in line for line in lines):
        fence += "`"
    yield from (indent + line for line in [f"{fence}{language}", *lines, fence])
