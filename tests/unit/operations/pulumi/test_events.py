"""The fold over an engine's events, and the log that is still being written."""

from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from operations.pulumi.events import EventLog, RunView, Step, display_name, without_trace
from operations.pulumi.progress import LiveDisplay, PlainDisplay

URN = "urn:pulumi:dev::berth::berth:nodes:Nodes$docker:index/container:Container::lab-node1"
META = {"metadata": {"urn": URN, "op": "create"}}


def test_a_resource_is_named_by_its_last_type_and_its_name() -> None:
    assert display_name(URN) == "docker Container lab-node1"
    assert display_name("urn:pulumi:dev::berth::berth:nodes:Nodes::nodes") == "Nodes nodes"
    assert display_name("urn:pulumi:dev::berth::pulumi:providers:docker::docker-n1") == "docker provider docker-n1"


def test_a_step_is_running_until_its_outputs_come_and_counts_once() -> None:
    view = RunView()
    view.apply({"resourcePreEvent": META})
    assert list(view.running) == [URN] and view.done == 0
    assert view.apply({"resOutputsEvent": META}) == Step(URN, "create")
    assert view.apply({"resOutputsEvent": META}) is None, "a component's second event"
    assert view.done == 1 and not view.running


def test_refreshes_and_reads_are_no_changes() -> None:
    view = RunView()
    view.apply({"summaryEvent": {"resourceChanges": {"same": 4, "read": 1, "refresh": 2}}})
    assert view.changed == 0


def test_progress_diagnostics_that_vanish_are_not_kept() -> None:
    view = RunView()
    view.apply({"diagnosticEvent": {"severity": "error", "message": "still trying", "ephemeral": True}})
    assert view.failures() == []


def test_a_trace_keeps_its_whole_message() -> None:
    text = "x\nTraceback (most recent call last):\n  File\n    code\nSettingsError: one\n\n  two"
    assert without_trace(text).startswith("SettingsError: one")
    assert "two" in without_trace(text)


def test_a_provider_whose_process_ended_is_said_once_and_with_what_to_do() -> None:
    view = RunView()
    premature = (
        "Detected that /p/pulumi-resource-command exited prematurely. \n  This is *always* a bug in the provider."
    )
    for text in ("error reading from server: EOF", premature):
        view.apply({"diagnosticEvent": {"urn": URN, "severity": "error", "message": f"<{{%reset%}}>error: {text}"}})
    (said,) = view.failures()
    assert said[1] == "a provider's process ended unexpectedly; run the command again, it continues from there"


def test_an_event_log_is_read_line_by_line_as_it_grows(tmp_path: Path) -> None:
    path = tmp_path / "events"
    log = EventLog(path)
    assert log.read() == [], "the engine has not made it yet"
    path.write_text('{"a": 1}\n{"b"')
    assert log.read() == [{"a": 1}]
    with path.open("a") as file:
        file.write(": 2}\nnot json\n")
    assert log.read() == [{"b": 2}]


def test_without_a_terminal_each_change_is_a_line_and_the_rest_is_silent() -> None:
    text = io.StringIO()
    with PlainDisplay(Console(file=text, width=40), "Deploying dev", 9) as shown:
        shown.finished(Step(URN, "create"), failed=False)
        shown.finished(Step(URN, "same"), failed=False)
        shown.finished(Step(URN, "update"), failed=True)
    lines = [line.partition("] ")[2] for line in text.getvalue().splitlines()]
    assert lines == [
        "Deploying dev ...",
        "created docker Container lab-node1",
        "FAILED updating docker Container lab-node1",
    ]


def test_at_a_terminal_the_bar_says_how_much_is_done_and_what_is_under_way() -> None:
    text = io.StringIO()
    view = RunView()
    view.apply({"resourcePreEvent": META})
    with LiveDisplay(Console(file=text, width=160, force_terminal=True), "Deploying dev", 7) as shown:
        shown.show(view)
    assert "0/7" in text.getvalue() and "creating docker Container lab-node1" in text.getvalue()
    assert json.dumps(URN) not in text.getvalue()
