"""Two computers with nothing on their disks, and a stack that Pulumi's CLI is to install on them."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.paths import ROOT
from operations.host import node_tools
from operations.pulumi.cli import fitting
from tests.own_plugins import own_plugins

PROGRAM = """
from components.lib.image_references import Images
from components.nodes.args import NodesArgs
from components.nodes.component import Nodes
from config.load import load

settings = load()
Nodes("nodes", NodesArgs(settings, Images.of(settings)))
"""


def until(true: Callable[[], bool], seconds: float = 120) -> None:
    """Waits for something; fails when it does not happen."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.2)


@dataclass
class Computer:
    """A container with `computer.py` as its first process."""

    folder: Path
    system: str
    name: str = field(default_factory=lambda: f"berth-test-computer-{uuid.uuid4().hex[:8]}")
    address: str = ""

    def switch_on(self) -> None:
        """From the disc in its drive."""
        self.answer("registry", "401")
        self.answer("minio", "200")
        (self.folder / "installer").write_text("")
        words = ["docker", "run", "--detach", f"--name={self.name}", f"--env=SYSTEM={self.system}"]
        # To be given a host name by its own system.
        words += ["--cap-add=SYS_ADMIN", "--security-opt=apparmor=unconfined", "--tmpfs=/run:exec"]
        words += [
            f"--volume={self.folder}:/computer",
            f"--volume={Path(__file__).with_name('computer.py')}:/computer.py:ro",
        ]
        words += ["--entrypoint=python3", node_tools.reference(), "/computer.py"]
        subprocess.run(words, check=True, capture_output=True)
        until(lambda: "starts live" in self.log)
        inspect = ["docker", "inspect", "--format={{.NetworkSettings.IPAddress}}", self.name]
        self.address = subprocess.run(inspect, capture_output=True, text=True, check=True).stdout.strip()

    def insert_disc(self) -> str:
        """Puts a live system into the drive; the host key that it will show."""
        key = self.folder / "live_key"
        key.unlink(missing_ok=True)
        make_key(key)
        return key.with_suffix(".pub").read_text().strip()

    def answer(self, who: str, status: str) -> None:
        """What the registry or every MinIO server answers this computer from now on."""
        (self.folder / who).write_text(status)

    def run(self, *command: str) -> str:
        done = subprocess.run(["docker", "exec", self.name, *command], capture_output=True, text=True, check=False)
        return done.stdout

    def restart(self) -> None:
        """By its button."""
        starts = self.log.count("starts")
        self.run("kill", "-USR1", "1")
        until(lambda: self.log.count("starts") > starts)

    def said(self, file: str) -> str:
        """What it wrote down."""
        path = self.folder / file
        return path.read_text() if path.exists() else ""

    @property
    def log(self) -> str:
        """When it started, and from where."""
        return self.said("log")

    @property
    def starts(self) -> list[str]:
        """From where it started each time."""
        return [line.split(" ", 2)[2] for line in self.log.splitlines() if " starts " in line]


def make_key(path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", path], check=True)


class Stack:
    """A stack file with two nodes to install, and Pulumi's CLI with Berth's own plugins."""

    def __init__(self, folder: Path, computers: list[Computer], live_keys: list[str], key: Path, cli: Path) -> None:
        self.folder, self.computers, self.cli = folder, computers, cli
        (folder / "Pulumi.yaml").write_text("name: berth\nruntime: python\n")
        (folder / "__main__.py").write_text(PROGRAM)
        self.config: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.prod.yaml").read_text("utf-8"))["config"]
        self.nodes = self.config["berth:nodes"]
        # The last two of six: with the role object-store, and nothing else.
        for node, computer, live in zip(self.nodes[4:], computers, live_keys, strict=True):
            node["address"] = computer.address
            node["ssh"] = {"keyFile": str(key)}
            node["config"] = {"operatingSystem": computer.system, "timezone": "Europe/Berlin"}
            node["install"] = {"disk": "/dev/berth", "live": {"hostKey": live}}
        for node in self.nodes[:4]:
            node["ssh"]["keyFile"] = str(key)

    def environment(self) -> dict[str, str]:
        home = self.folder / "home"
        own = {"PYTHONPATH": str(ROOT), "BERTH_HOME": str(home), "PULUMI_CONFIG_PASSPHRASE": "p"}
        own |= {"PULUMI_BACKEND_URL": f"file://{self.folder}/state", **own_plugins(home, self.cli)}
        return {**os.environ, **own}

    def start(self, *words: str) -> subprocess.Popen[str]:
        """The CLI, on its own."""
        (self.folder / "state").mkdir(exist_ok=True)
        file = self.folder / "Pulumi.prod.yaml"
        salt = yaml.safe_load(file.read_text()) if file.exists() else {}
        file.write_text(yaml.safe_dump({**salt, "config": copy.deepcopy(self.config)}))
        return subprocess.Popen(
            [self.cli, *words, "--stack", "prod", "--non-interactive"],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str) -> tuple[int, str]:
        """Status and output of the CLI."""
        running = self.start(*words)
        output, _ = running.communicate(timeout=600)
        return running.returncode, output

    def up(self) -> str:
        """A run that must end well."""
        status, output = self.run("up", "--yes", "--skip-preview")
        assert status == 0, output
        return output

    def refusal(self) -> str:
        """A run that must not."""
        status, output = self.run("up", "--yes", "--skip-preview")
        assert status != 0, output
        return output

    def preview(self) -> dict[str, str]:
        """What would happen to which resource."""
        status, output = self.run("preview", "--json")
        assert status == 0, output
        steps = json.loads(output)["steps"]
        return {step["urn"].split("::")[3]: step["op"] for step in steps if step["op"] != "same"}


@contextmanager
def computers_of(system: str, folder: Path) -> Iterator[Stack]:
    """Two computers and their stack."""
    if shutil.which("docker") is None or os.environ.get("BERTH_NO_LAB") or not node_tools.is_there():
        pytest.skip("the image of a computer is not here: ./berth test builds it where Docker runs")
    cli, reason = fitting()
    if cli is None:
        pytest.skip(f"no Pulumi CLI: {reason}; ./berth test compiles one")
    key = folder / "user"
    make_key(key)
    computers = [Computer(folder / name, system) for name in ("one", "two")]
    live_keys = []
    for computer in computers:
        computer.folder.mkdir()
        shutil.copy(key.with_suffix(".pub"), computer.folder)
        live_keys.append(computer.insert_disc())
    try:
        for computer in computers:
            computer.switch_on()
        project = folder / "project"
        project.mkdir()
        made = Stack(project, computers, live_keys, key, cli)
        status, output = made.run("stack", "init")
        assert status == 0, output
        yield made
    finally:
        names = [computer.name for computer in computers]
        subprocess.run(["docker", "rm", "--force", "--volumes", *names], capture_output=True, check=False)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """CoreOS's, for all tests in their order."""
    with computers_of("coreos", tmp_path_factory.mktemp("coreos")) as made:
        yield made


@pytest.fixture(scope="module")
def flatcar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with computers_of("flatcar", tmp_path_factory.mktemp("flatcar")) as made:
        yield made
