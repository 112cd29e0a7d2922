"""A checkout of its own, with a fake `pulumi` that records its calls and plays prepared answers."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from operations import cli
from operations.pulumi.cli import plugin_versions
from operations.pulumi.session import Session
from operations.teardown import deploy_host
from operations.workspace import StackFile, Workspace

FAKE_PULUMI = Path(__file__).with_name("fake_pulumi.py")
OUTPUTS: dict[str, Any] = {
    "registry": "registry.berth.test:4000",
    "registry_ca": "-----BEGIN CERTIFICATE-----\n",
    "object_store": "https://registry.berth.test:9443",
    "nodes": [
        {"name": "node1", "address": "10.77.0.11", "roles": ["registry", "object-store", "load-balancer"]},
        {"name": "node2", "address": "10.77.0.12", "roles": ["object-store"]},
    ],
    "registry_users": {
        "boss": {"role": "admin", "password": "top"},
        "writer": {"role": "push", "password": "w'r"},
        "reader": {"role": "pull", "password": "r"},
    },
    "node_access": [
        {"name": n, "host": h, "port": 22, "user": "root", "host_key": "ssh-ed25519 AAAAkey c", "key_file": "/k/id"}
        for n, h in (("node1", "10.77.0.11"), ("node2", "10.77.0.12"))
    ],
    "images": {},
}

LAB: dict[str, Any] = {
    "berth:lab": True,
    "berth:registry": {
        "name": "registry.berth.test",
        "users": [
            {"name": "boss", "role": "admin"},
            {"name": "writer", "role": "push"},
            {"name": "reader", "role": "pull"},
        ],
    },
    "berth:nodes": [
        {
            "name": f"node{number}",
            "address": f"10.77.0.1{number}",
            "roles": ["object-store", *(["registry", "load-balancer"] if number == 1 else [])],
        }
        for number in (1, 2, 3, 4)
    ],
    "berth:loadBalancer": {"address": "10.77.0.11"},
}


def executable(path: Path, python: str) -> None:
    """An executable made of Python text; by way of sh, for a #! line cannot name a path with a space."""
    source = path.with_name(f"{path.name}.py")
    source.write_text(python)
    path.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(source))} "$@"\n')
    path.chmod(0o755)


class Checkout:
    """The test's own checkout, and what its fake CLI was asked."""

    def __init__(self, root: Path) -> None:
        self.workspace = Workspace(root / "checkout", root / "home")
        self.bin = root / "bin"
        self.answers = root / "answers"
        self.user = root / "user"
        for directory in (self.workspace.root / "lab", self.workspace.home, self.bin, self.answers, self.user):
            directory.mkdir(parents=True)
        (self.workspace.root / "lab" / "passphrase").write_text("lab\n")
        self.settings("dev", LAB)

    def settings(self, stack: str, config: dict[str, Any]) -> None:
        (self.workspace.root / f"Pulumi.{stack}.yaml").write_text(json.dumps({"config": config}))

    def install_pulumi(self, plugins: bool = True) -> Path:
        """A complete `pulumi`, by default with all the plugins."""
        program = self.bin / "pulumi"
        executable(program, FAKE_PULUMI.read_text())
        (self.bin / "pulumi-language-python").touch(mode=0o755)
        for name, version in plugin_versions().items() if plugins else ():
            folder = self.user / ".pulumi" / "plugins" / f"resource-{name}-v{version}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"pulumi-resource-{name}").touch(mode=0o755)
        return program

    def deploy(self, stack: str = "dev", outputs: dict[str, Any] | None = None) -> None:
        """Make the state look as if the stack had been brought up."""
        self.workspace.checkpoint(stack).parent.mkdir(parents=True, exist_ok=True)
        self.workspace.checkpoint(stack).write_text('{"checkpoint": {"latest": {"resources": [{}, {}]}}}')
        self.answer("stack output", out=json.dumps(OUTPUTS if outputs is None else outputs))
        self.answer("stack export", out=json.dumps({"deployment": {"resources": []}}))

    def answer(self, command: str, out: str = "", err: str = "", code: int = 0, **more: Any) -> None:
        """What the CLI does when it is called with these words: events, seconds to sleep, ..."""
        prepared = {"out": out, "err": err, "code": code, **more}
        (self.answers / f"{command.replace(' ', '-')}.json").write_text(json.dumps(prepared))

    @property
    def calls(self) -> list[dict[str, Any]]:
        log = self.answers / "calls.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def session(self, stack: str = "dev") -> Session:
        return Session.open(self.workspace, StackFile.read(self.workspace, stack))

    def words(self) -> list[str]:
        """The commands that the CLI was given, without their options."""
        return [call["command"] for call in self.calls]


class Docker:
    """A `docker` on PATH that answers from a table and notes what it removes."""

    def __init__(self, checkout: Checkout) -> None:
        self.log = checkout.bin / "docker.log"
        self.table = checkout.bin / "docker.json"
        self.table.write_text("{}")
        executable(
            checkout.bin / "docker",
            "import json, sys\nargs = ' '.join(sys.argv[1:])\n"
            f"open({str(self.log)!r}, 'a').write(args + '\\n')\n"
            f"table = json.load(open({str(self.table)!r}))\n"
            "found = [v for k, v in table.items() if args.startswith(k)]\n"
            "text, code = found[0] if found and not isinstance(found[0], str) else ((found or [''])[0], 0)\n"
            "print(text, end='')\n"
            "sys.exit(code)\n",
        )

    def answers(self, table: Mapping[str, str | tuple[str, int]]) -> None:
        """What it prints to words that begin so, with its exit code where that is not 0."""
        self.table.write_text(json.dumps(table))

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


@pytest.fixture
def checkout(bare_machine: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    made = Checkout(tmp_path)
    monkeypatch.setattr(Workspace, "current", classmethod(lambda cls: made.workspace))
    monkeypatch.setenv("PATH", f"{made.bin}:/usr/bin:/bin")
    # A test must never take back what a real stack has on this machine.
    monkeypatch.setattr(deploy_host, "STATE", tmp_path / "var-lib-berth")
    Docker(made)
    monkeypatch.setenv("HOME", str(made.user))
    monkeypatch.setenv("FAKE_PULUMI", str(made.answers))
    for name in (
        "PULUMI_CONFIG_PASSPHRASE",
        "PULUMI_CONFIG_PASSPHRASE_FILE",
        "PULUMI_HOME",
        "PULUMI_BACKEND_URL",
        "BERTH_HOME",
    ):
        monkeypatch.delenv(name, raising=False)
    return made


@pytest.fixture
def docker(checkout: Checkout) -> Docker:
    return Docker(checkout)


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is installed, which has tests of its own, and no network is in the way."""
    monkeypatch.setattr("operations.host.prepare.run", lambda yes, console, **_: None, raising=False)
    (tmp_path / "no-routes").write_text("Iface\n")
    monkeypatch.setattr("operations.host.doctor.ROUTES", tmp_path / "no-routes")


class Ended:
    """How a command ended and what it said."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def berth(capfd: pytest.CaptureFixture[str]) -> Any:
    """Runs `berth` in this process, with the exit codes of the real one."""

    def run(*arguments: str) -> Ended:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main(list(arguments))
        out, err = capfd.readouterr()
        return Ended(int(ended.value.code or 0), out, err)

    return run
