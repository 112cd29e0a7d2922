"""`command`: programs run on the deploy host or over SSH, with what they printed as outputs."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plugins.interface import UNKNOWN, Context, Created, Diff, Properties, ProviderError
from plugins.providers.base import Resource, ResourceType, TypedPackage, TypedProvider, logical_name
from plugins.providers.schema import ANY, FLAG, TEXT, TEXT_MAP, TEXTS, Prop
from plugins.ssh import Session, Target

_SECRET = Prop(secret=True)
_LOGIN: dict[str, Prop] = {
    "host": Prop(required=True),
    "port": Prop("number", default=22),
    "user": Prop(default="root"),
    "password": _SECRET,
    "privateKey": _SECRET,
    "privateKeyPassword": _SECRET,
    "agentSocketPath": TEXT,
    "dialErrorLimit": Prop("whole", default=10),
    "perDialTimeout": Prop("whole", default=15),
    "hostKey": TEXT,
}
_CONNECTION = Prop("object", required=True, secret=True, fields={**_LOGIN, "proxy": Prop("object", fields=_LOGIN)})
_COMMON: dict[str, Prop] = {
    "create": TEXT,
    "update": TEXT,
    "delete": TEXT,
    "triggers": Prop("list", of=ANY, replace=True),
    "stdin": TEXT,
    "environment": TEXT_MAP,
    "addPreviousOutputInEnv": FLAG,
    "logging": Prop(allowed=("stdout", "stderr", "stdoutAndStderr", "none")),
}
_STEPS = {"create": "creation", "update": "update", "delete": "deletion"}
_TAIL = 2000


@dataclass(frozen=True)
class _Ended:
    """How a command ended: its status in words ("" for success) and its output."""

    status: str
    stdout: str
    stderr: str


class _Command(Resource):
    """What local and remote commands have in common: when which command runs, and what is kept of it."""

    def run(self, command: str, inputs: Mapping[str, Any], previous: dict[str, str], timeout: float | None) -> _Ended:
        raise NotImplementedError

    def place(self, inputs: Mapping[str, Any]) -> str:
        raise NotImplementedError

    def same(self, name: str, prop: Prop, old: Any, new: Any) -> bool:
        # Unlike Terraform's providers this one tells an empty value from none.
        return bool(old == new)

    def diff(self, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties) -> Diff:
        return super().diff(id_, old_inputs, {}, news)

    def preview_update(self, old_outputs: Properties, news: Properties) -> Properties:
        """What the command will print is known once it has run again."""
        return {**news, "stdout": UNKNOWN, "stderr": UNKNOWN}

    def create(self, inputs: Properties, context: Context) -> Created:
        outputs = {**inputs, **self._step("create", inputs.get("create"), inputs, {}, context)}
        return Created(f"{logical_name(context)}{secrets.token_hex(4)}", outputs)

    def update(
        self, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties, context: Context
    ) -> Properties:
        step = "update" if news.get("update") is not None else "create"
        return {**news, **self._step(step, news.get(step), news, old_outputs, context)}

    def delete(self, id_: str, inputs: Properties, outputs: Properties, context: Context) -> None:
        self._step("delete", inputs.get("delete"), inputs, outputs, context)

    def _step(
        self, step: str, command: str | None, inputs: Properties, before: Properties, context: Context
    ) -> dict[str, str]:
        kept = {"stdout": str(before.get("stdout") or ""), "stderr": str(before.get("stderr") or "")}
        if command is None:
            return kept
        previous: dict[str, str] = {}
        if inputs.get("addPreviousOutputInEnv") is not False:
            previous = {f"PULUMI_COMMAND_{name.upper()}": text for name, text in kept.items() if text}
        ended = self.run(command, inputs, previous, context.timeout)
        if ended.status:
            tail = _without_secrets(ended.stdout + ended.stderr, inputs)[-_TAIL:].strip()
            raise ProviderError(
                f"{logical_name(context)}: the command for its {_STEPS[step]} failed "
                f"{self.place(inputs)}: {ended.status}" + (f"\n{tail}" if tail else " (it printed nothing)")
            )
        return {"stdout": ended.stdout.removesuffix("\n"), "stderr": ended.stderr.removesuffix("\n")}


class RemoteCommand(_Command):
    """A command run on a host over the run's one SSH connection to it."""

    type = ResourceType(
        "command:remote:Command",
        {**_COMMON, "connection": _CONNECTION},
        computed=("stdout", "stderr"),
        marks_defaults=False,
    )

    def __init__(self, session: Session) -> None:
        self._session = session

    def place(self, inputs: Mapping[str, Any]) -> str:
        return f"on {inputs['connection']['host']}"

    def run(self, command: str, inputs: Mapping[str, Any], previous: dict[str, str], timeout: float | None) -> _Ended:
        target = target_of(inputs["connection"])
        environment = dict(inputs.get("environment") or {})
        if environment:
            self._insist_on(environment, target)
        result = self._session.run(target, command, inputs.get("stdin"), {**environment, **previous}, timeout)
        status = ""
        if result.signal:
            status = f"it was ended by signal {result.signal}"
        elif result.exit:
            status = f"it exited with status {result.exit}"
        return _Ended(status, _text(result.stdout), _text(result.stderr))

    def _insist_on(self, environment: dict[str, str], target: Target) -> None:
        # SSH servers drop variables without a word; a command must not run without what it was given.
        names = [name for name in environment if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)]
        if names:
            raise ProviderError(f"{target}: environment: {names[0]!r} is no name for a variable")
        probe = "".join(f'[ "${{{name}+set}}" ] || echo {name}\n' for name in environment)
        missing = self._session.run(target, probe, env=environment).stdout.decode().split()
        if missing:
            raise ProviderError(
                f"{target}: the SSH server does not accept the environment variable {missing[0]}; allow it "
                "with AcceptEnv in sshd_config, or hand the value over by stdin"
            )


class LocalCommand(_Command):
    """A command run on the deploy host."""

    type = ResourceType(
        "command:local:Command",
        {**_COMMON, "interpreter": TEXTS, "dir": TEXT},
        computed=("stdout", "stderr"),
        marks_defaults=False,
    )

    def place(self, inputs: Mapping[str, Any]) -> str:
        return "on this machine"

    def run(self, command: str, inputs: Mapping[str, Any], previous: dict[str, str], timeout: float | None) -> _Ended:
        words = [*(inputs.get("interpreter") or ["/bin/sh", "-c"]), command]
        stdin = inputs.get("stdin")
        try:
            done = subprocess.run(
                words,
                cwd=inputs.get("dir"),
                env={**os.environ, **(inputs.get("environment") or {}), **previous},
                **({"input": stdin.encode()} if stdin else {"stdin": subprocess.DEVNULL}),
                capture_output=True,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return _Ended(f"it did not end within {timeout:g} seconds", "", "")
        except OSError as error:
            return _Ended(f"it could not be started ({error.strerror}: {error.filename})", "", "")
        status = ""
        if done.returncode < 0:
            status = f"it was ended by signal {-done.returncode}"
        elif done.returncode:
            status = f"it exited with status {done.returncode}"
        return _Ended(status, _text(done.stdout), _text(done.stderr))


def target_of(connection: Mapping[str, Any]) -> Target:
    """The host that a `connection` input describes."""
    agent = connection.get("agentSocketPath")
    if agent is None and not connection.get("privateKey") and not connection.get("password"):
        agent = os.environ.get("SSH_AUTH_SOCK")
    host_key = connection.get("hostKey")
    return Target(
        host=connection["host"],
        port=int(connection.get("port", 22)),
        user=connection.get("user", "root"),
        private_key=connection.get("privateKey"),
        private_key_password=connection.get("privateKeyPassword"),
        password=connection.get("password"),
        agent_socket=agent,
        host_keys=None if host_key is None else (host_key,),
        dial_error_limit=int(connection.get("dialErrorLimit", 10)),
        per_dial_timeout=float(connection.get("perDialTimeout", 15)),
        proxy=target_of(connection["proxy"]) if connection.get("proxy") else None,
    )


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _without_secrets(output: str, inputs: Mapping[str, Any]) -> str:
    """The output without what the command was given in private, should it have repeated that."""
    stdin = inputs.get("stdin") or ""
    shown = []
    for line in output.splitlines()[-40:]:
        text = line.strip()
        for value in (inputs.get("environment") or {}).values():
            if len(value) >= 6:
                text = text.replace(value, "[hidden]")
        shown.append("[a line of its input]" if len(text) >= 6 and text in stdin else text)
    return "\n".join(shown)


def package(session: Session) -> TypedPackage:
    """The `command` package."""

    def make(config: Properties) -> TypedProvider:
        return TypedProvider([RemoteCommand(session), LocalCommand()])

    return TypedPackage("command", make, (RemoteCommand.type, LocalCommand.type), end_waiting=session.cancel)
