"""Commands on this machine and over SSH: when they run, what is kept, and what an error tells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plugins.interface import UNKNOWN, Provider, ProviderError
from tests.plugins.providers.conftest import Server, context, make

LOCAL, REMOTE = "command:local:Command", "command:remote:Command"
Configured = Callable[..., Provider]


def test_a_local_command_keeps_its_output_without_the_last_newline(provider: Configured) -> None:
    made = make(provider("command"), LOCAL, "greet", create="cat; echo; echo oops >&2", stdin="hello")
    assert made.outputs["stdout"] == "hello"
    assert made.outputs["stderr"] == "oops"
    assert made.created.id.startswith("greet")


def test_interpreter_directory_and_environment_are_used(provider: Configured, tmp_path: Path) -> None:
    made = make(
        provider("command"),
        LOCAL,
        "where",
        create="import os; print(os.getcwd(), os.environ['WORD'])",
        interpreter=["python3", "-c"],
        dir=str(tmp_path),
        environment={"WORD": "yes"},
    )
    assert made.outputs["stdout"] == f"{tmp_path} yes"


def test_an_update_runs_the_update_command_with_the_output_before_it(provider: Configured) -> None:
    command = provider("command")
    made = make(command, LOCAL, "x", create="echo one", update='echo "$PULUMI_COMMAND_STDOUT two"')
    news = {**made.inputs, "environment": {"A": "1"}}
    after = command.update(LOCAL, made.created.id, made.inputs, made.outputs, news, context("x"))
    assert after["stdout"] == "one two"


def test_an_update_without_an_update_command_runs_create_again(provider: Configured) -> None:
    command = provider("command")
    made = make(command, LOCAL, "x", create="cat", stdin="a")
    news = {**made.inputs, "stdin": "b"}
    assert command.update(LOCAL, "id", made.inputs, made.outputs, news, context("x"))["stdout"] == "b"


def test_delete_runs_the_command_of_the_old_inputs(provider: Configured, tmp_path: Path) -> None:
    made = make(
        provider("command"),
        LOCAL,
        "x",
        create="echo made",
        delete='echo "$PULUMI_COMMAND_STDOUT" > gone',
        dir=str(tmp_path),
    )
    made.delete()
    assert (tmp_path / "gone").read_text() == "made\n"


def test_changed_triggers_replace_and_other_changes_update(provider: Configured) -> None:
    made = make(provider("command"), LOCAL, "x", create="true", triggers=["1"])
    assert made.diff().is_empty
    assert made.diff(triggers=["2"]).replace == ("triggers",)
    assert made.diff(create="false").changed == ("create",)
    assert made.diff(create="false").replace == ()


def test_a_failure_names_status_and_output_but_no_secret_input(provider: Configured) -> None:
    with pytest.raises(ProviderError) as failed:
        make(
            provider("command"),
            LOCAL,
            "leaky",
            create="cat; echo $TOKEN; echo the reason >&2; exit 4",
            stdin="private-line\n",
            environment={"TOKEN": "private-token"},
        )
    text = str(failed.value)
    assert "leaky" in text
    assert "status 4" in text
    assert "the reason" in text
    assert "private" not in text


def test_collecting_files_is_refused_by_name_before_anything_runs(provider: Configured) -> None:
    checked = provider("command").check(LOCAL, "urn", None, {"create": "true", "assetPaths": ["*"]})
    assert [failure.property for failure in checked.failures] == ["assetPaths"]


def test_a_connection_has_the_published_defaults_and_declared_secrets(provider: Configured) -> None:
    checked = provider("command").check(REMOTE, "urn", None, {"connection": {"host": "h", "privateKey": UNKNOWN}})
    assert not checked.failures
    assert checked.inputs["connection"] == {
        "host": "h",
        "privateKey": UNKNOWN,
        "port": 22,
        "user": "root",
        "dialErrorLimit": 10,
        "perDialTimeout": 15,
    }
    assert checked.secrets == {"connection", "connection.privateKey"}


def test_a_remote_command_reads_its_stdin_over_ssh(provider: Configured, server: Server) -> None:
    made = make(provider("command"), REMOTE, "r", connection=server.connection(), create="tr a-z A-Z", stdin="loud\n")
    assert made.outputs["stdout"] == "LOUD"


def test_a_remote_failure_names_host_and_status(provider: Configured, server: Server) -> None:
    with pytest.raises(ProviderError, match=r"r: .*creation failed on 127\.0\.0\.1: it exited with status 9\nwhy"):
        make(provider("command"), REMOTE, "r", connection=server.connection(), create="echo why; exit 9")


def test_an_environment_variable_that_the_server_drops_is_an_error(provider: Configured, server: Server) -> None:
    command: Any = provider("command")
    kept = make(
        command, REMOTE, "r", connection=server.connection(), create="echo $GREETING", environment={"GREETING": "hi"}
    )
    assert kept.outputs["stdout"] == "hi"
    with pytest.raises(ProviderError, match="REFUSED; allow it with AcceptEnv"):
        make(command, REMOTE, "r", connection=server.connection(), create="true", environment={"REFUSED": "1"})


def test_a_preview_runs_nothing(provider: Configured, tmp_path: Path) -> None:
    command = provider("command")
    created = command.create(LOCAL, {"create": "touch ran", "dir": str(tmp_path)}, context("x", preview=True))
    assert created.id == ""
    assert created.outputs["stdout"] is UNKNOWN
    assert not (tmp_path / "ran").exists()
