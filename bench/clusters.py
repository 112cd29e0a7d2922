"""What configuring N lab nodes costs: their Docker, etcd on the first three, Swarm on all but the first.

A lab of N nodes is made from nothing twice: as `berth up` does it, and with one resource at a time. Measured is the
part from the first node's Docker to the last step of etcd or Swarm. The slowest node alone is the one whose own steps
took longest when nothing ran beside them. The rest of the stack (object store, balancers, registry) is made meanwhile,
for it waits for the same Docker; its processor time is in the figure.
Images must be there: `berth up` of any lab makes them.
Usage: python bench/clusters.py [--nodes 16]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(REPOSITORY))

import yaml  # noqa: E402

from bench.common import TICKS, conditions, processor_ticks, save, table  # noqa: E402
from operations.pulumi.session import Session  # noqa: E402
from operations.workspace import StackFile, Workspace  # noqa: E402

STACK = "bench-clusters"
NETWORK = "10.85.0"
STAGES = ("docker-", "etcd-", "swarm-")
COMMANDS = "command:"


@dataclass
class Run:
    """One making of the lab."""

    parallel: int
    seconds: float = 0
    processor_seconds: float = 0
    steps: dict[str, float] = field(default_factory=dict)
    """Seconds of each step of the three stages, by the resource's name."""

    def of_node(self, node: str) -> float:
        return sum(seconds for name, seconds in self.steps.items() if node in name.split("-"))


def settings(nodes: int) -> dict[str, Any]:
    """The dev stack's settings with more nodes."""
    document: dict[str, Any] = yaml.safe_load((REPOSITORY / "Pulumi.dev.yaml").read_text())
    text = json.dumps(document["config"]).replace("10.77.0", NETWORK).replace("registry.dev", f"registry.{STACK}")
    config = json.loads(text)
    config["berth:nodes"] += [
        {"name": f"node{number}", "address": f"{NETWORK}.{10 + number}", "roles": ["swarm-worker"]}
        for number in range(len(config["berth:nodes"]) + 1, nodes + 1)
    ]
    return {**document, "config": config}


@contextlib.contextmanager
def stack(nodes: int) -> Iterator[Session]:
    """The stack's file; afterwards nothing of the stack is left."""
    path = REPOSITORY / f"Pulumi.{STACK}.yaml"
    path.write_text(yaml.safe_dump(settings(nodes), sort_keys=False))
    try:
        workspace = Workspace.current()
        session = Session.open(workspace, StackFile.read(workspace, STACK))
        session.ensure_stack()
        yield session
    finally:
        berth("down")
        path.unlink()


def berth(verb: str) -> None:
    subprocess.run([REPOSITORY / "berth", verb, "--stack", STACK, "--yes"], check=True, stdout=sys.stderr)


def make(session: Session, parallel: int) -> Run:
    """The lab from nothing, its steps timed by the CLI's event log."""
    run, started = Run(parallel), dict[str, float]()
    first: tuple[float, int] | None = None
    with tempfile.TemporaryDirectory() as directory:
        events = Path(directory) / "events"
        events.touch()
        words = ["up", "--yes", "--skip-preview", "--parallel", str(parallel), "--event-log", str(events)]
        process = subprocess.Popen(
            session.argv(words), cwd=REPOSITORY, env=session.environment, stdout=subprocess.DEVNULL
        )
        with events.open() as lines:
            ended = False
            while not ended:
                # Once more after the end: what was written last.
                ended = process.poll() is not None
                for line in iter(lines.readline, ""):
                    event = json.loads(line)
                    now, ticks = time.monotonic(), processor_ticks()[0]
                    begun = (event.get("resourcePreEvent") or {}).get("metadata")
                    done = (event.get("resOutputsEvent") or {}).get("metadata")
                    name = step(begun or done)
                    if name and begun:
                        first = first or (now, ticks)
                        started[name] = now
                    elif name and done and first:
                        run.steps[name] = now - started[name]
                        run.seconds, run.processor_seconds = now - first[0], (ticks - first[1]) / TICKS
                time.sleep(0.02)
    if process.returncode:
        sys.exit(f"The lab could not be made: the CLI ended with {process.returncode}.")
    return run


def step(metadata: dict[str, Any] | None) -> str | None:
    """The resource's name if it is a command of one of the three stages."""
    if not metadata or not metadata["type"].startswith(COMMANDS):
        return None
    name = str(metadata["urn"].rpartition("::")[2])
    return name if name.startswith(STAGES) else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=16)
    parser.add_argument("--output", type=Path, default=Path("clusters.json"))
    options = parser.parse_args()
    about = conditions()
    with stack(options.nodes) as session:
        together = make(session, 16)
        berth("down")
        session.ensure_stack()
        alone = make(session, 1)
    nodes = [f"node{number}" for number in range(1, options.nodes + 1)]
    slowest = max(nodes, key=alone.of_node)
    limit = 1.5 * alone.of_node(slowest) + together.processor_seconds / (os.cpu_count() or 1)
    stages = defaultdict[str, float](float)
    for name, seconds in together.steps.items():
        stages[name.partition("-")[0]] += seconds
    row = [
        options.nodes,
        f"{together.seconds:.1f}",
        f"{together.processor_seconds:.1f}",
        f"{slowest}: {alone.of_node(slowest):.1f}",
        f"{limit:.1f}",
        ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in stages.items()),
    ]
    titles = ["nodes", "together, s", "processor, s", "slowest alone, s", "limit, s", "steps of each stage, s"]
    print(table(titles, [row]))
    save(options.output, {**about, "together": vars(together), "alone": vars(alone)})


if __name__ == "__main__":
    main()
