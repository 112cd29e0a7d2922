"""What the embedded engine costs per resource, measured in processes of their own.

For each size: creating everything, a run without changes and a run with one change; seconds on the clock and of the
processor, processor milliseconds per resource above an empty stack's run (they hardly depend on what else the machine
does), and bytes written for each byte of the final state.
Usage: python bench/engine.py [--sizes 10,100,1000,3000] [--repeat 3]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PROGRAM = """\
import sys
import pulumi
import pulumi_random as random

class Group(pulumi.ComponentResource):
    def __init__(self, name):
        super().__init__("bench:index:Group", name)

for index in range({groups}):
    group = Group(f"group-{{index}}")
    for part in range({parts}):
        random.RandomId(
            f"id-{{index}}-{{part}}",
            byte_length=8,
            keepers={{"change": "{change}" if index + part == 0 else "none", "token": pulumi.Output.secret("token")}},
            opts=pulumi.ResourceOptions(parent=group),
        )
"""
PARTS = 9


@dataclass(frozen=True)
class Figure:
    """One measured kind of run."""

    resources: int
    run: str
    seconds: float
    processor_seconds: float
    milliseconds_per_resource: float
    bytes_written_per_state_byte: float


class Project:
    """A project with one stack in a temporary directory."""

    def __init__(self, root: Path) -> None:
        self._root = root
        (root / "Pulumi.yaml").write_text("name: bench\nruntime: python\n")
        self._state = root / ".pulumi/stacks/bench/dev.json"
        self._environment = {
            **os.environ,
            "PULUMI_BACKEND_URL": f"file://{root}",
            "PULUMI_CONFIG_PASSPHRASE": "bench",
            "PYTHONPATH": str(REPOSITORY),
        }
        self._engine("stack", "init")

    def write(self, resources: int, change: str) -> None:
        """The program with this many resources, groups included."""
        groups = resources // (PARTS + 1)
        (self._root / "__main__.py").write_text(PROGRAM.format(groups=groups, parts=PARTS, change=change))

    def run(self) -> tuple[float, float, float]:
        """Seconds on the clock and of the processor, and bytes written for each byte of the state."""
        started, before = time.perf_counter(), _processor_seconds()
        written = self._engine("up", "--yes", "--skip-preview")
        seconds = time.perf_counter() - started
        return seconds, _processor_seconds() - before, written / self._state.stat().st_size

    def _engine(self, *arguments: str) -> int:
        """Run the engine under the bench's own entry, which counts what it writes to the backend."""
        counter = self._root / "written"
        command = [sys.executable, __file__, "--count", str(counter), *arguments, "--stack", "dev"]
        done = subprocess.run(
            command, cwd=self._root, env=self._environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(done.stdout + done.stderr)
        return int(counter.read_text())


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def counted(counter: Path, arguments: list[str]) -> int:
    """Run the engine in this process with every write to a state, journal or lock file counted."""
    from engine import files, journal
    from engine.cli import main

    total = 0
    write_file, append = files.write_atomically, os.write

    def counting_file(path: Path, data: bytes, mode: int = 0o600) -> None:
        nonlocal total
        total += len(data)
        write_file(path, data, mode)

    def counting_append(descriptor: int, data: bytes) -> int:
        nonlocal total
        total += len(data)
        return append(descriptor, data)

    files.write_atomically = counting_file
    journal.os.write = counting_append  # type: ignore[attr-defined]
    code = main(arguments)
    journal.os.write = append  # type: ignore[attr-defined]
    counter.write_text(str(total))
    return code


def measure(sizes: list[int], repeat: int) -> list[Figure]:
    """All runs of all sizes, each the median of its repetitions."""
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as root:
        empty_project = Project(Path(root))
        empty_project.write(0, "")
        empty_project.run()
        empty = statistics.median(empty_project.run()[1] for _ in range(repeat))
    for size in sizes:
        with tempfile.TemporaryDirectory() as root:
            project = Project(Path(root))
            project.write(size, "first")
            runs = {"create": [project.run()], "no change": [project.run() for _ in range(repeat)], "one change": []}
            for number in range(repeat):
                project.write(size, f"change {number}")
                runs["one change"].append(project.run())
        for name, results in runs.items():
            seconds, processor = (statistics.median(result[kind] for result in results) for kind in (0, 1))
            written = max(result[2] for result in results)
            each = (processor - empty) / size * 1000
            figures.append(
                Figure(size, name, round(seconds, 2), round(processor, 2), round(each, 2), round(written, 2))
            )
    return figures


def main() -> int:
    """Print a table and the same as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="10,100,1000,3000")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    figures = measure([int(size) for size in options.sizes.split(",")], options.repeat)
    print(f"{'resources':>9}  {'run':<10} {'seconds':>8} {'cpu':>8} {'cpu ms/each':>12} {'written/state':>14}")
    for item in figures:
        print(
            f"{item.resources:>9}  {item.run:<10} {item.seconds:>8.2f} {item.processor_seconds:>8.2f} "
            f"{item.milliseconds_per_resource:>12.2f} {item.bytes_written_per_state_byte:>14.2f}"
        )
    print(json.dumps([asdict(item) for item in figures]))
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--count"]:
        sys.path.insert(0, str(REPOSITORY))
        sys.exit(counted(Path(sys.argv[2]), sys.argv[3:]))
    sys.exit(main())
