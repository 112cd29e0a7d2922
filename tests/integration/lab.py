"""A real lab of its own for the tests: own checkout, stack, addresses and state, so that it runs beside a user's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

import images

ROOT = Path(__file__).resolve().parents[2]
STACK = "citest"
SUBNET = "10.76.0"
REGISTRY = f"registry.{STACK}.berth.test:4000"
NODES = ("node1", "node2", "node3", "node4")
# A day's run that is seven hours late is not made: only `berth gc` collects, and need not wait.
COLLECTION = {
    "at": f"{datetime.now(UTC) - timedelta(hours=7):%H:%M}",
    **{"minimumAge": "1s", "gracePeriod": "1s", "settle": "2s", "purgeAfter": "15s"},
    **{"maxShrinkPercent": 100, "maxCondemnedPercent": 100},
}


@dataclass(frozen=True)
class Lab:
    """A checkout with one stack file more, and the `berth` in it."""

    root: Path
    home: Path
    stack: str = STACK
    subnet: str = SUBNET

    @classmethod
    def make(cls, folder: Path) -> Lab:
        """Copies the working tree; images and the virtual environment are shared with it."""
        root, home = folder / "checkout", folder / "home"
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for name in filter(None, listed.split("\0")):
            source, target = ROOT / name, root / name
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        home.mkdir()
        shared = Path(os.environ.get("BERTH_HOME") or ROOT / ".berth")
        for name in ("venv", "cache", "seed", "pulumi", "kolla-venv", "kolla-build-venv"):
            (home / name).symlink_to((shared / name).resolve())
        for name in ("images.json", "images.toml"):
            if (shared / name).exists():
                shutil.copy2(shared / name, home / name)
        lab = cls(root, home)
        lab.write_settings()
        return lab

    @property
    def stack_file(self) -> Path:
        """The stack's settings."""
        return self.root / f"Pulumi.{self.stack}.yaml"

    def document(self) -> dict[str, Any]:
        """The dev stack's settings under the tests' own names and addresses."""
        text = (self.root / "Pulumi.dev.yaml").read_text(encoding="utf-8")
        document = dict(
            yaml.safe_load(text.replace("10.77.0", self.subnet).replace("registry.dev.", f"registry.{self.stack}."))
        )
        document["config"]["berth:registry"]["garbageCollection"] = dict(COLLECTION)
        return document

    def write_settings(self, **changes: Any) -> None:
        """The same with changes on top."""
        document = self.document()
        document["config"].update({f"berth:{key}": value for key, value in changes.items()})
        self.stack_file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        """What `berth` is started with."""
        return {
            **os.environ,
            "BERTH_HOME": str(self.home),
            "PULUMI_CONFIG_PASSPHRASE_FILE": str(self.root / "lab" / "passphrase"),
            "DOCKER_CONFIG": str(self.home / "docker-config"),
        }

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Starts `./berth WORDS`, of this stack unless they say otherwise, in a process group of its own."""
        of = () if "--to" in words else ("--stack", self.stack)
        return subprocess.Popen(
            [str(self.root / "berth"), *words, *of],
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def try_berth(self, *words: str, timeout: float = 400) -> tuple[int, str]:
        """Exit code and output of one command."""
        process = self.start(*words)
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            output, _ = process.communicate()
            raise AssertionError(f"berth {' '.join(words)} did not end in {timeout} s:\n{output}") from None
        return process.returncode, output

    def berth(self, *words: str, timeout: float = 400) -> str:
        """Output of a command that must succeed."""
        code, output = self.try_berth(*words, timeout=timeout)
        assert code == 0, f"berth {' '.join(words)} ended with {code}:\n{output}"
        return output

    @cached_property
    def known_endpoint(self) -> dict[str, Any]:
        """What an ordinary client needs, as it was when first asked for: for tests that change no user."""
        return self.endpoint()

    def endpoint(self) -> dict[str, Any]:
        """What an ordinary client needs."""
        return dict(json.loads(self.berth("endpoint", "--json", "--show-secrets")))

    def pinned(self, service: str) -> dict[str, str]:
        """The same image under another reference: for the program another one, and nothing new to build."""
        image = images.SAME_IMAGE.get(service, service)
        digest = json.loads((self.home / "images.json").read_text())[image]["digest"]
        return {service: f"{self.subnet}.2:4999/berth/{image}:same@{digest}"}

    def on(self, node: str, *words: str, check: bool = True) -> str:
        """Output of a command on a node, run past SSH so that it leaves no trace in the node's login records."""
        done = run(["docker", "exec", f"berth-{self.stack}-{node}", *words])
        assert done.returncode == 0 or not check, f"{node}: {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def logins(self) -> int:
        """How often anybody has logged in to any node over SSH."""
        journals = [self.on(node, "journalctl", "-u", "ssh", "-o", "cat", "--no-pager") for node in NODES]
        return sum(journal.count("Accepted publickey") for journal in journals)

    def docker_starts(self, node: str) -> str:
        """When the node's dockerd was started: another value is a restart."""
        return self.on(node, "systemctl", "show", "-p", "ActiveEnterTimestampMonotonic", "docker.service")

    def changes(self) -> dict[str, set[str]]:
        """What a preview would do: resource names by operation."""
        code, output = self.try_berth("preview", "--json")
        assert code == 0, output
        found: dict[str, set[str]] = {}
        for step in json.loads(output[output.index("{") :])["steps"]:
            if step["op"] != "same":
                found.setdefault(step["op"], set()).add(step["urn"].rsplit("::", 1)[-1])
        return found


def run(words: list[str], *, stdin: str | None = None, env: dict[str, str] | None = None) -> Any:
    """A command's completed process, output as text."""
    return subprocess.run(words, input=stdin, env=env, capture_output=True, text=True, check=False, timeout=300)
