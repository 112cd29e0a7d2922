"""What looking for drift on N hosts costs, beside a bare parallel ssh loop that asks the same questions.

Light hosts are containers that run nothing but sshd; on each lie the files of one bundle, put there by the bundle's own
script. `berth drift` is run as a user runs it, state, passphrase and comparison included, in turns with the loop: one
ssh process per host, all at once, with the probe's own script and questions, the answers thrown away.
Usage: python bench/drift.py [--hosts 100] [--runs 7]
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import shlex
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.common import busy_share, conditions, save, table
from bench.nodes import HOME, PR_SET_CHILD_SUBREAPER, alone, lab_node_image, timed
from bench.nodes_fleet import Fleet, Host, ssh_config
from bench.nodes_tools import REPOSITORY, Command
from components.lib.host_files.bundle import Block, Entry, File, render
from components.lib.host_files.shell import as_root, stage_script
from config.naming import PROJECT
from operations.inspect.expected import Machine, read
from operations.inspect.probe import TEXT, Probe
from operations.pulumi.session import Session
from operations.workspace import StackFile, Workspace

STACK = "bench-drift"
REGISTRY = "registry.bench.test:4000"
# As many and as large as a node of the lab with all roles has.
ENTRIES: Sequence[Entry] = [
    *(File(f"/etc/berth-bench/{number}.conf", f"line {number}\n" * 100, mode="0600") for number in range(30)),
    Block("/etc/bench/hosts", "10.80.0.10 registry.bench.test\n"),
]
LOOP = 'exec ssh -F "$config" "$1" "$(cat "$command")" <"$questions" >/dev/null'


def resources(hosts: Sequence[Host], key_file: Path) -> Iterator[dict[str, Any]]:
    """The state of a stack with one bundle on each host."""
    stack = f"urn:pulumi:{STACK}::{PROJECT}::pulumi:pulumi:Stack::{PROJECT}-{STACK}"
    access = [
        {"name": host.name, "host": host.address, "host_key": host.host_key, "key_file": str(key_file)}
        for host in hosts
    ]
    outputs = {"registry": REGISTRY, "object_store": "https://127.0.0.1:1", "node_access": access, "nodes": []}
    yield {"urn": stack, "type": "pulumi:pulumi:Stack", "custom": False, "outputs": outputs}
    for host in hosts:
        yield {
            "urn": f"urn:pulumi:{STACK}::{PROJECT}::command:remote:Command::files-{host.name}",
            "type": "command:remote:Command",
            "custom": True,
            "id": host.name,
            "parent": stack,
            "inputs": {"stdin": render(ENTRIES), "connection": {"host": host.address}},
        }


@contextlib.contextmanager
def stack(directory: Path, deployment: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """A lab stack with this state; the environment in which `berth` finds it and Pulumi's CLI."""
    workspace = Workspace(REPOSITORY, directory / "home")
    settings = workspace.stack_file(STACK)
    shutil.copy(workspace.stack_file("dev"), settings)
    try:
        session = Session.open(workspace, StackFile.read(workspace, STACK))
        session.ensure_stack()
        exported = directory / "deployment.json"
        exported.write_text(json.dumps({"version": 3, "deployment": deployment}))
        session.ask("stack", "import", "--file", str(exported))
        path = os.pathsep.join([str(session.cli.program.parent), os.environ.get("PATH", os.defpath)])
        yield {"BERTH_HOME": str(workspace.home), "PATH": path}
    finally:
        settings.unlink()


def loop(directory: Path, config: Path, hosts: Sequence[Host], command: str, questions: str) -> Command:
    """One ssh process per host, all at once."""
    (directory / "addresses").write_text("".join(f"{host.address}\n" for host in hosts))
    (directory / "command").write_text(command)
    (directory / "questions").write_text(questions)
    names = {name: str(directory / name) for name in ("command", "questions")}
    arguments = ["xargs", "-P", str(len(hosts)), "-I", "{}", "sh", "-c", LOOP, "loop", "{}"]
    return Command(arguments, {"config": str(config), **names}, directory / "addresses")


def measure(fleet: Fleet, runs: int, directory: Path) -> dict[str, list[tuple[float, float]]]:
    """Seconds on the clock and of the processor, of each way in turns."""
    config = ssh_config(fleet.hosts, directory, fleet.private_key)
    apply = as_root(stage_script(), "apply", STACK, "bench")
    timed(loop(directory, config, fleet.hosts, apply, render(ENTRIES)), directory)
    deployment = {"resources": list(resources(fleet.hosts, directory / "id_ed25519"))}
    wanted: Machine = read({"deployment": deployment}, STACK).machines[fleet.hosts[0].name]
    questions = Probe(STACK, REGISTRY, "127.0.0.1", {}).questions(wanted)
    probe = shlex.join(["sh", "-c", TEXT, "berth-probe", STACK])
    found: dict[str, list[tuple[float, float]]] = {"berth drift": [], "ssh loop": []}
    with stack(directory, deployment) as environment:
        berth = [sys.executable, "-m", "operations", "drift", "--stack", STACK]
        ways = {
            "berth drift": Command(berth, {**environment, "PYTHONPATH": str(REPOSITORY)}),
            "ssh loop": loop(directory, config, fleet.hosts, probe, questions),
        }
        for number in range(runs):
            for name in sorted(ways, reverse=bool(number % 2)):
                found[name].append(timed(ways[name], directory))
                print(f"{name:<12} {found[name][-1][0]:6.2f} s {found[name][-1][1]:6.2f} CPU s", file=sys.stderr)
    return found


def main() -> int:
    """Measure, write all figures as JSON and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--image", help="reference of the hosts' image; default: this checkout's lab node")
    parser.add_argument("--output", type=Path, default=HOME / "cache" / "bench" / "drift.json")
    options = parser.parse_args()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    known = {**conditions(), "hosts": options.hosts, "busy_before": round(busy_share(), 2)}
    with (
        alone(),
        Fleet(options.image or lab_node_image(), options.hosts) as fleet,
        tempfile.TemporaryDirectory(prefix="berth-bench-") as directory,
    ):
        found = measure(fleet, options.runs, Path(directory))
    save(options.output, {**known, "seconds": found})
    base = statistics.median(seconds for seconds, _ in found["ssh loop"])
    rows = []
    for name, figures in found.items():
        seconds, own = zip(*figures, strict=True)
        middle = statistics.median(seconds)
        spread = f"{middle:.2f} ({min(seconds):.2f}-{max(seconds):.2f})"
        rows.append([name, spread, f"{middle / base:.2f}", f"{statistics.median(own):.2f}"])
    print("; ".join(f"{name}: {value}" for name, value in known.items()) + "\n")
    print(table(["", "seconds, median (range)", "times the loop's", "controller CPU s"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
