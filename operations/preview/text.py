"""A report for a terminal: what changes, what it means, and with `--diff` every difference."""

from __future__ import annotations

from collections.abc import Iterator

from operations.preview import sentences
from operations.preview.report import Report

_SIGNS = {"create": "+", "update": "~", "replace": "+-", "delete": "-"}


def text(report: Report, diff: bool = False) -> str:
    """The whole text."""
    return report.redact("\n".join(_lines(report, diff)))


def _lines(report: Report, diff: bool) -> Iterator[str]:
    yield f"Preview of {report.stack}:"
    if report.incomplete:
        yield f"  {report.incomplete}"
    for op, name in report.steps:
        yield f" {_SIGNS.get(op, op):<2} {name} {op}"
    if diff:
        yield from _differences(report)
    yield ""
    yield f"Resources: {sentences.counts(report)}"
    yield from (*sentences.nodes(report), *report.notices)
    for warning in report.warnings:
        yield f"Warning: {warning}"
    for loss in report.losses:
        yield f"PROTECTED: {loss}"
    for violation in report.violations:
        yield f"RULE BROKEN: {violation}"
    for what, why in report.failures:
        yield f"FAILS: {what}:"
        yield from (f"    {line}" for line in why.splitlines())


def _differences(report: Report) -> Iterator[str]:
    for section in (*report.files, *report.properties):
        yield ""
        yield f"{', '.join(section.names)}:"
        for item in section.differences:
            yield f"  {item.title} {item.what}"
            yield from (f"    {line}" for line in item.lines)
