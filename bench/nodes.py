"""What configuring N hosts over SSH costs: Berth, Ansible, pyinfra and a bare parallel ssh loop, all to the same state.

Light hosts are containers that run nothing but sshd; six items are managed on each: daemon.json, a CA file, a marked
block in a hosts file, a unit's drop-in, a package, a service. Each tool makes a first run, a run that finds nothing to
do and a run after one item changed, in turns with the others; digests, modes, package and service are compared after
every run. "Looked" is Berth's run that asks every host although nothing changed, as the others always do.
Usage: python bench/nodes.py [--hosts 10 50 100] [--runs 5] [--budget 600] [--tools berth ansible pyinfra ssh-loop]
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import json
import os
import platform
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.common import busy_share
from bench.nodes_fleet import MOST_HOSTS, Fleet
from bench.nodes_tools import REPOSITORY, TOOLS, Command, Workspace

HOME = Path(os.environ.get("BERTH_HOME") or REPOSITORY / ".berth")
REQUIREMENTS = Path(__file__).parent / "requirements-nodes.txt"
FIRST, SAME, LOOKED, CHANGED = "first", "unchanged", "looked", "one change"
RUNS = (FIRST, SAME, LOOKED, CHANGED)
RUN_LIMIT_SECONDS = 1800
PR_SET_CHILD_SUBREAPER = 36


@dataclass
class Figures:
    """All runs of one kind by one tool on one number of hosts."""

    hosts: int
    tool: str
    run: str
    seconds: list[float] = field(default_factory=list)
    controller_cpu_seconds: list[float] = field(default_factory=list)
    hosts_cpu_seconds: list[float] = field(default_factory=list)
    handshakes: list[int] = field(default_factory=list)
    busy_with_others: list[float] = field(default_factory=list)


class Bench:
    """Measures tools on a fleet, and keeps every figure."""

    def __init__(self, fleet: Fleet, tools: list[str], output: Path, conditions: Mapping[str, object]) -> None:
        self._fleet, self._tools, self._output, self._conditions = fleet, tools, output, conditions
        self.figures: dict[tuple[int, str, str], Figures] = {}

    def measure(self, count: int, runs: int, budget: float) -> None:
        """All tools in turns on the first `count` hosts; every round begins with another tool."""
        for number in range(runs):
            first = number % len(self._tools)
            for tool in self._tools[first:] + self._tools[:first]:
                if self._spent(count, tool) > budget:
                    continue
                # Each tool starts from nothing of its own: no state, no connection, no cached file.
                with tempfile.TemporaryDirectory(prefix="berth-bench-") as directory:
                    hosts = self._fleet.hosts[:count]
                    space = Workspace(Path(directory), hosts, self._fleet.private_key, _environment_of_tools() / "bin")
                    self._round(space, tool)

    def _spent(self, count: int, tool: str) -> float:
        mine = [item for item in self.figures.values() if (item.hosts, item.tool) == (count, tool)]
        return sum(sum(item.seconds) for item in mine)

    def _round(self, space: Workspace, tool: str) -> None:
        space.want("first")
        space.reset()
        self._run(space, tool, FIRST)
        self._run(space, tool, SAME)
        if tool == "berth":
            space.want("first", asked="again")
            self._run(space, tool, LOOKED)
        space.want("second", asked="again")
        self._run(space, tool, CHANGED)

    def _run(self, space: Workspace, tool: str, run: str) -> None:
        count = len(space.hosts)
        figures = self.figures.setdefault((count, tool, run), Figures(count, tool, run))
        logins, spent = self._fleet.logins(count), self._fleet.processor_seconds(count)
        others = busy_share()
        seconds, own = timed(space.command(tool), space.directory)
        figures.seconds.append(round(seconds, 3))
        figures.controller_cpu_seconds.append(round(own, 3))
        figures.hosts_cpu_seconds.append(round(self._fleet.processor_seconds(count) - spent, 3))
        figures.handshakes.append(self._fleet.logins(count) - logins)
        figures.busy_with_others.append(round(others, 2))
        space.check(tool)
        self._save()
        print(f"{count:>4} hosts  {tool:<9} {run:<11} {seconds:8.2f} s {own:8.2f} CPU s", file=sys.stderr, flush=True)

    def _save(self) -> None:
        document = {**self._conditions, "figures": [asdict(item) for item in self.figures.values()]}
        self._output.write_text(json.dumps(document, indent=1) + "\n")

    def table(self) -> str:
        """The figures as a Markdown table: median and range, and how many times Berth's seconds they are."""
        lines = [
            "| hosts | run | tool | rounds | seconds, median (range) | times Berth's | controller CPU s | hosts' CPU s "
            "| handshakes | machine busy before |",
            "|--:|---|---|--:|--:|--:|--:|--:|--:|--:|",
        ]
        for count in sorted({item.hosts for item in self.figures.values()}):
            for run in RUNS:
                ours = self.figures.get((count, "berth", run))
                for tool in TOOLS:
                    item = self.figures.get((count, tool, run))
                    if item is not None:
                        lines.append(_row(item, ours))
        return "\n".join(lines)


def _row(item: Figures, ours: Figures | None) -> str:
    seconds = statistics.median(item.seconds)
    cells = [
        item.hosts,
        item.run,
        item.tool,
        len(item.seconds),
        f"{seconds:.2f} ({min(item.seconds):.2f}-{max(item.seconds):.2f})",
        f"{seconds / statistics.median(ours.seconds):.2f}" if ours else "-",
        f"{statistics.median(item.controller_cpu_seconds):.2f}",
        f"{statistics.median(item.hosts_cpu_seconds):.2f}",
        f"{statistics.median(item.handshakes):g}",
        f"{min(item.busy_with_others):.0%}-{max(item.busy_with_others):.0%}",
    ]
    return f"| {' | '.join(map(str, cells))} |"


def timed(command: Command, directory: Path) -> tuple[float, float]:
    """Seconds on the clock, and of the processor: the tool's with all that it started on this side."""
    log = directory / "log"
    # As its users have it: Python's compiled files are kept.
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = {**inherited, **command.environment}
    try:
        with log.open("wb") as output, contextlib.ExitStack() as stack:
            stdin = stack.enter_context(command.stdin.open("rb")) if command.stdin else subprocess.DEVNULL
            before, started = _children_seconds(), time.perf_counter()
            code = subprocess.run(
                command.arguments,
                cwd=directory,
                env=environment,
                stdin=stdin,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=RUN_LIMIT_SECONDS,
                check=False,
            ).returncode
            seconds = time.perf_counter() - started
    finally:
        _end_left_behind()
    if code:
        raise SystemExit(f"{command.arguments} failed with {code}:\n{log.read_text(errors='replace')[-4000:]}")
    return seconds, _children_seconds() - before


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _end_left_behind() -> None:
    """End what a tool leaves running (shared SSH connections); as its reaper this process gets their seconds too."""
    deadline = time.monotonic() + 5
    while children := [int(pid) for task in Path("/proc/self/task").iterdir() for pid in _children_of(task)]:
        # Whoever ends hands its own children over to this process: they are seen in the next turn.
        for child in children:
            os.kill(child, signal.SIGTERM if time.monotonic() < deadline else signal.SIGKILL)
        time.sleep(0.02)
        for child in children:
            os.waitpid(child, os.WNOHANG)


def _children_of(task: Path) -> list[str]:
    return (task / "children").read_text().split()


def _environment_of_tools() -> Path:
    """The virtual environment of the tools that Berth is compared with, made anew when their versions change."""
    directory = HOME / "cache" / "bench" / "venv"
    stamp = directory / "requirements.txt"
    if not stamp.is_file() or stamp.read_bytes() != REQUIREMENTS.read_bytes():
        venv.create(directory, with_pip=True, clear=True)
        pip = [str(directory / "bin/python"), "-m", "pip", "install", "--quiet", "-r", str(REQUIREMENTS)]
        subprocess.run(pip, check=True, stdout=sys.stderr)
        stamp.write_bytes(REQUIREMENTS.read_bytes())
    return directory


def lab_node_image() -> str:
    lock = HOME / "images.json"
    if not lock.is_file():
        sys.exit(f"There is no {lock}: run ./berth up once, or name an image of a lab node with --image.")
    return str(json.loads(lock.read_text())["lab-node"]["reference"])


def _conditions(image: str) -> dict[str, object]:
    pins = dict(line.split("==") for line in REQUIREMENTS.read_text().splitlines() if "==" in line)
    ssh = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=True).stderr.strip()
    commit = subprocess.run(
        ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return {
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "processors": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "image": image,
        "berth": commit.stdout.strip(),
        "asyncssh": version("asyncssh"),
        "ansible-core": pins["ansible-core"],
        "pyinfra": pins["pyinfra"],
        "ssh": ssh,
    }


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """A second bench would take the first one's hosts for what a killed bench left behind."""
    with Path("/run/berth-bench.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit("Another bench of nodes is running on this machine; wait for its end.")
        yield


def main() -> int:
    """Measure, write all figures as JSON and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, nargs="+", default=[10, 50, 100], help=f"at most {MOST_HOSTS}")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--budget", type=float, default=600, help="seconds after which a tool gets no further round")
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=list(TOOLS))
    parser.add_argument("--image", help="reference of the hosts' image; default: this checkout's lab node")
    parser.add_argument("--output", type=Path, default=HOME / "cache" / "bench" / "nodes.json")
    options = parser.parse_args()
    # What a tool leaves behind becomes this process's child, so that its processor time is seen and it can be ended.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    _environment_of_tools()
    image = options.image or lab_node_image()
    conditions = _conditions(image)
    with alone(), Fleet(image, max(options.hosts)) as fleet:
        bench = Bench(fleet, options.tools, options.output, conditions)
        for count in options.hosts:
            bench.measure(count, options.runs, options.budget)
    print("; ".join(f"{name}: {value}" for name, value in conditions.items()) + "\n")
    print(bench.table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
