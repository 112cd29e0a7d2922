"""What a preview without a change costs: a production stack of many nodes, none of which exists.

Pulumi's CLI deploys the stack once with stub providers (state as after `up`, nothing touched); then `berth
preview` and the CLI alone are measured, with Berth's own plugins, each in processes of their own.
Usage: python bench/preview.py [--nodes 100] [--repeat 3]
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

import yaml  # noqa: E402

from bench.memory import PeakMemory  # noqa: E402
from operations.pulumi.cli import choose  # noqa: E402
from operations.pulumi.environment import search_path  # noqa: E402
from operations.workspace import Workspace  # noqa: E402
from tests import stub_providers  # noqa: E402
from tests.own_plugins import own_plugins  # noqa: E402

STACK = "bench"
PARTS = ("__main__.py", "Pulumi.yaml", "components", "config", "images", "operations", "plugins")
ROLES = [
    ["load-balancer"],
    ["load-balancer", "registry"],
    ["registry", "object-store"],
    *[["object-store"]] * 3,
]


@dataclass(frozen=True)
class Figure:
    """One kind of run."""

    what: str
    nodes: int
    resources: int
    seconds: float
    processor_seconds: float
    peak_megabytes: float
    repeated: int


class Stack:
    """The program's own files and one stack in a temporary directory."""

    def __init__(self, directory: Path, nodes: int) -> None:
        self.root, self.home = directory / "checkout", directory / "home"
        self.root.mkdir()
        self.home.mkdir()
        for part in PARTS:
            source = REPOSITORY / part
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, self.root / part)
        self._cli = choose().program
        # As after a build of Berth's own images, without which nothing is deployed.
        shutil.copy(REPOSITORY / "tests" / "program" / "home" / "images.json", self.home)
        key = self.home / "key"
        key.write_text("a private key\n")
        (self.root / f"Pulumi.{STACK}.yaml").write_text(yaml.safe_dump({"config": settings(nodes, key)}))

    def deploy(self) -> int:
        """State as after `up`; how many resources there are."""
        (self.home / "state").mkdir()
        stubs = stub_providers.environment(self.home / "stubs", self._cli)
        for words in (["stack", "init"], ["up", "--yes", "--skip-preview"]):
            self._run([str(self._cli), *words], stubs)
        authority, *_ = self._run([str(self._cli), "stack", "output", "registry_ca"], stubs)
        # The MinIO provider reads the file that a real `up` would have written.
        target = Workspace(self.root, self.home).stack_dir(STACK) / "ca.pem"
        target.parent.mkdir(parents=True)
        target.write_text(authority)
        exported, *_ = self._run([str(self._cli), "stack", "export"], stubs)
        return len(json.loads(exported)["deployment"]["resources"])

    def pulumi(self, *words: str) -> tuple[float, float, float]:
        """Seconds on the clock and of the processor of the CLI, and megabytes of all its processes."""
        return self._run([str(self._cli), *words], own_plugins(self.home / "own", self._cli))[1:]

    def berth(self, *words: str) -> tuple[float, float, float]:
        """The same of `berth`."""
        return self._run([sys.executable, "-m", "operations", *words], {})[1:]

    def _run(self, words: list[str], plugins: Mapping[str, str]) -> tuple[str, float, float, float]:
        """Standard output, seconds on the clock and of the processor, megabytes at the peak."""
        # As the launcher has it: Python's compiled files are kept.
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment = {
            **inherited,
            "BERTH_HOME": str(self.home),
            # No published plugin is found there.
            "HOME": str(self.home),
            "PATH": os.pathsep.join([str(self._cli.parent), search_path(os.environ)]),
            "PYTHONPATH": str(self.root),
            "PYTHONPYCACHEPREFIX": str(self.home / "pycache"),
            "PULUMI_BACKEND_URL": (self.home / "state").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "bench",
            **plugins,
        }
        before, started = _processor_seconds(), time.perf_counter()
        with PeakMemory(os.getpid()) as memory:
            done = subprocess.run(
                [*words, "--stack", STACK],
                cwd=self.root,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
        seconds = time.perf_counter() - started
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        return done.stdout, seconds, _processor_seconds() - before, memory.megabytes


def _host_key(index: int) -> str:
    """A public key of nobody's, another one for each machine."""
    parts = (b"ssh-ed25519", index.to_bytes(32, "big"))
    text = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return f"ssh-ed25519 {base64.b64encode(text).decode()}"


def settings(nodes: int, key: Path) -> dict[str, Any]:
    """Pulumi.prod.yaml's shape with more nodes; the rest of them have no role, only their Docker is looked after."""
    every = [
        {
            "name": f"node{index + 1}",
            "address": f"10.90.0.{index + 11}",
            "roles": ROLES[index] if index < len(ROLES) else [],
            "ssh": {"user": "berth", "keyFile": str(key), "hostKey": _host_key(index)},
        }
        for index in range(nodes)
    ]
    return {
        "berth:registry": {
            "name": "registry.bench.example.com",
            "names": "external",
            "users": [{"name": role, "role": role} for role in ("push", "pull", "admin")],
            "nodeUser": "pull",
            "upstreams": [
                {"name": "docker-hub", "url": "https://registry-1.docker.io", "prefix": "docker.io"},
                {"name": "quay", "url": "https://quay.io", "prefix": "quay.io"},
            ],
        },
        "berth:nodes": every,
        "berth:loadBalancer": {"address": "10.90.0.250"},
        "berth:images": {"seed": {"address": "10.90.0.10"}},
    }


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(nodes: int, repeat: int) -> list[Figure]:
    """Each kind of run, the median of its repetitions."""
    with tempfile.TemporaryDirectory() as directory:
        stack = Stack(Path(directory), nodes)
        resources = stack.deploy()
        runs = {
            "pulumi preview --json": partial(stack.pulumi, "preview", "--json", "--expect-no-changes"),
            "berth preview --markdown": partial(stack.berth, "preview", "--markdown", "--expect-no-changes"),
        }
        figures = []
        for what, run in runs.items():
            results = [run() for _ in range(repeat)]
            seconds, processor, memory = (round(statistics.median(kind), 2) for kind in zip(*results, strict=True))
            figures.append(Figure(what, nodes, resources, seconds, processor, memory, repeat))
        return figures


def main() -> int:
    """Print a table and the same as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    figures = measure(options.nodes, options.repeat)
    for item in figures:
        print(
            f"{item.what:<40} {item.nodes} nodes, {item.resources} resources: {item.seconds:.2f} s, "
            f"{item.processor_seconds:.2f} s of the processor, {item.peak_megabytes:.0f} MB at the peak"
        )
    print(json.dumps([asdict(item) for item in figures]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
