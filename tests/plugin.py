"""Pytest plugin of `berth test`: the long tests on request, and at the end which were left out and why."""

from __future__ import annotations

from collections import defaultdict

import pytest

WHY_LONG = "takes long: ./berth test --full"


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--full` adds what takes too long for every run."""
    parser.addoption("--full", action="store_true", help="run the long tests too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip the long tests with their reason, unless they were asked for."""
    if config.getoption("--full"):
        return
    for item in items:
        if item.get_closest_marker("full"):
            item.add_marker(pytest.mark.skip(reason=WHY_LONG))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name every test that did not run, by reason."""
    left_out: dict[str, list[str]] = defaultdict(list)
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        left_out[reason.removeprefix("Skipped: ")].append(report.nodeid)
    if not left_out:
        terminalreporter.write_line("No test was left out.")
        return
    terminalreporter.write_sep("=", f"left out: {sum(map(len, left_out.values()))} tests")
    for reason, names in sorted(left_out.items()):
        terminalreporter.write_line(f"{len(names)} tests: {reason}")
        for name in names:
            terminalreporter.write_line(f"    {name}")
