"""A project with a stack in a directory of its own, run by the engine in this process or in another."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine import crypto
from engine.cli import main
from tests.engine.fake import World, loader

REPOSITORY = Path(__file__).parents[2]

PRELUDE = """\
import pulumi
from pulumi import Output, ResourceOptions as O

class Thing(pulumi.CustomResource):
    serial: Output[str]
    made: Output[str]
    def __init__(self, name, opts=None, **props):
        super().__init__("fake:index:Thing", name, {"serial": None, "made": None, **props}, opts)

class Group(pulumi.ComponentResource):
    def __init__(self, name, opts=None, props=None):
        super().__init__("test:index:Group", name, props, opts)

class Fake(pulumi.ProviderResource):
    def __init__(self, name, opts=None, **props):
        super().__init__("fake", name, props, opts)

"""


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Sandbox:
    """One project with the stack `dev`."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root / "project"
        self.root.mkdir()
        self.world = World(root / "world")
        self.backend = root / "backend"
        self._capsys = capsys
        (self.root / "Pulumi.yaml").write_text("name: proj\nruntime: python\n")
        self.state_file = self.backend / ".pulumi/stacks/proj/dev.json"
        self.journal = self.state_file.with_name("dev.journal")
        self.locks = self.backend / ".pulumi/locks/organization/proj/dev"

    def program(self, text: str) -> None:
        (self.root / "__main__.py").write_text(PRELUDE + text)

    def run(self, *arguments: str) -> Result:
        """The engine in this process."""
        command = [*arguments, "--stack", "dev", "--cwd", str(self.root)]
        self._capsys.readouterr()
        kept, directory = list(sys.path), Path.cwd()
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            code = main(command, loader(self.world.root))
        finally:
            sys.path[:] = kept
            os.chdir(directory)
            for number, handler in handlers.items():
                signal.signal(number, handler)
        captured = self._capsys.readouterr()
        return Result(code, captured.out, captured.err)

    def up(self, *flags: str) -> Result:
        return self.run("up", "--yes", "--skip-preview", *flags)

    def up_ok(self, text: str | None = None) -> Result:
        if text is not None:
            self.program(text)
        result = self.up()
        assert result.code == 0, result.err + result.out
        return result

    def preview(self) -> dict[str, str]:
        """The planned operation of each resource by name, without those that stay the same."""
        result = self.run("preview", "--json")
        assert result.code == 0, result.out + result.err
        steps = result.json["steps"]
        return {step["urn"].split("::")[3]: step["op"] for step in steps if step["op"] != "same"}

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The engine in a process of its own."""
        script = str(REPOSITORY / "tests/engine/fake.py")
        return subprocess.Popen(
            [sys.executable, script, str(self.world.root), *arguments, "--stack", "dev", "--cwd", str(self.root)],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def resources(self) -> dict[str, dict[str, Any]]:
        """Live resources of the state by name."""
        latest = json.loads(self.state_file.read_text())["checkpoint"]["latest"]
        return {raw["urn"].split("::")[3]: raw for raw in latest.get("resources", []) if not raw.get("delete")}


@pytest.fixture
def sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> Iterator[Sandbox]:
    """A fresh stack; the key derivation is made quick except where other processes must derive the same key."""
    if "slow_key" not in request.fixturenames:
        monkeypatch.setattr(crypto, "ITERATIONS", 10)
    box = Sandbox(tmp_path, capsys)
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{box.backend}")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "correct horse")
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE_FILE", raising=False)
    assert box.run("stack", "init").code == 0
    yield box


@pytest.fixture
def slow_key() -> None:
    """Asks for the key derivation's real cost, as another process will use it."""
