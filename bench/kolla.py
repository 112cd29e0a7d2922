"""What Kolla's stage costs, on a lab that stands with Kolla deployed. Each measurement by its name:

prechecks    with Berth's ansible.cfg and with Ansible's defaults, in turns, on the same inputs; both must do the same
             tasks. With --tuning one setting at a time, too.
pull         Kolla's images to all of its nodes at once, into an empty store beside each node's own: from Berth's
             registry, and from one outside that sends no more than --megabits.
noop         `berth up` with nothing to change; no Ansible may start.
one-service  another digest under the tag of a service's image, then pull and deploy of that service, and the same
             back, one node after the other as `up` does it, or with --at-once as Kolla does by itself, while a token
             is asked for every 0.7 seconds.
Usage: python bench/kolla.py [prechecks] [pull] [noop] [one-service] [--stack kolla] [--rounds 3] [--tuning]
       [--megabits 100] [--images keystone] [--service keystone] [--at-once]
"""

from __future__ import annotations

import argparse
import configparser
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import common, kolla_images
from operations.kolla import inputs, play, steps
from operations.kolla.environment import environment
from operations.locks import StackLock
from operations.pulumi.follow import new_log
from operations.pulumi.session import Session
from operations.workspace import StackFile

SHOWN = 8
BERTH, DEFAULTS = "Berth's ansible.cfg", "Ansible's defaults"
FACTS = {"gathering": "smart", "fact_caching": "jsonfile", "fact_caching_timeout": "3600"}
Setting = tuple[str, Mapping[str, str]]
NOTHING: Setting = ("defaults", {})
TUNING: Mapping[str, tuple[str, Setting]] = {
    "defaults, 20 forks": (DEFAULTS, ("defaults", {"forks": "20"})),
    "defaults, pipelining": (DEFAULTS, ("ssh_connection", {"pipelining": "True"})),
    "defaults, no compression": (
        DEFAULTS,
        ("ssh_connection", {"ssh_args": "-o ControlMaster=auto -o ControlPersist=60s"}),
    ),
    "defaults, facts written": (DEFAULTS, ("defaults", FACTS)),
    "defaults, facts not injected": (DEFAULTS, ("defaults", {"inject_facts_as_vars": "False"})),
    "Berth's, Python named": (BERTH, ("defaults", {"interpreter_python": "/usr/bin/python3"})),
    "Berth's, polling every 10 ms": (BERTH, ("defaults", {"internal_poll_interval": "0.01"})),
}
"""What is measured -> the configuration that it starts from, a section and what is set in it."""


class Stage:
    """Kolla on a lab, and everything that a run on it takes."""

    def __init__(self, stack: str) -> None:
        self.lab = common.Lab.of(stack)
        self.stack, self.workspace = stack, self.lab.workspace
        stack_file = StackFile.read(self.workspace, stack)
        session = self.session = Session.open(self.workspace, stack_file)
        self.inputs = inputs.of_stack(session, inputs.settings_of(stack_file))
        self.nodes = [node for node in self.lab.nodes if node.name in self.inputs.document["nodes"]]
        self.variables: Mapping[str, Any] = self.inputs.document["globals"]

    def prechecks(self, name: str, base: str, setting: Setting = NOTHING, fresh: bool = True) -> dict[str, Any]:
        """One run with one configuration; fresh: without facts of the run before."""
        folder = self.workspace.stack_dir(self.stack) / "kolla" / "bench"
        if fresh:
            shutil.rmtree(folder / "facts", ignore_errors=True)
        log, made = new_log(self.workspace, self.stack, "bench-prechecks"), environment(self.workspace, say)
        with play.inputs_on_disk(folder, self.inputs, made):
            configure(folder / "ansible.cfg", base, setting, folder / "facts")
            load, before = os.getloadavg()[0], os.times()
            played = play.raise_if_failed(play.play("prechecks", folder, made, log, say))
        used = sum(os.times()[2:4]) - sum(before[2:4])
        return {
            "way": name,
            "seconds": round(played.seconds, 1),
            "load": load,
            "controller_cpu_seconds": round(used, 1),
            # In all: what runs once does so on whichever host comes first.
            "done": sum(counts["ok"] for counts in played.hosts.values()),
            "slowest": slowest(log.with_suffix(".events.jsonl").read_text().splitlines())[:SHOWN],
        }

    def step(self, step: str, *options: str) -> str:
        """One step as `berth kolla STEP` takes it."""
        with StackLock(self.workspace.stack_dir(self.stack), self.stack, f"bench: kolla {step}", say):
            return steps.run(step, self.session, self.inputs, say, options)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def configure(path: Path, base: str, setting: Setting, facts: Path) -> None:
    """Make Berth's configuration the one that is to be measured; all of them write down what happens."""
    read = configparser.ConfigParser(interpolation=None)
    read.read(path)
    if base == DEFAULTS:
        kept = {key: read["defaults"][key] for key in ("callback_plugins", "callbacks_enabled")}
        read.clear()
        read["defaults"] = {**kept, "fact_caching_connection": str(facts)}
    section, values = setting
    if not read.has_section(section):
        read.add_section(section)
    read[section].update(values)
    with path.open("w") as file:
        read.write(file)


def slowest(events: Sequence[str]) -> list[tuple[float, str]]:
    """Seconds by task, the longest first."""
    taken: dict[str, float] = defaultdict(float)
    task, since = "", 0.0
    for event in map(json.loads, events):
        if event["event"] in ("task", "stats"):
            if task:
                taken[task] += event["time"] - since
            task, since = event.get("task", ""), event["time"]
    return sorted(((round(seconds, 1), name) for name, seconds in taken.items()), reverse=True)


def prechecks(stage: Stage, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Both configurations in turns, then each setting of the tuning."""
    runs: list[dict[str, Any]] = []
    for number in range(options.rounds):
        for way in (BERTH, DEFAULTS) if number % 2 == 0 else (DEFAULTS, BERTH):
            runs.append(stage.prechecks(way, way))
            say(str(runs[-1]))
    if any(run["done"] != runs[0]["done"] for run in runs):
        sys.exit(f"The two configurations did not do the same: {[run['done'] for run in runs]}")
    if options.tuning:
        for name, (base, setting) in TUNING.items():
            runs.append(stage.prechecks(name, base, setting))
            say(str(runs[-1]))
        # The run before was with Berth's, and has left its facts.
        runs.append(stage.prechecks("Berth's, facts there", BERTH, fresh=False))
    return runs


def noop(stage: Stage, options: argparse.Namespace) -> list[dict[str, Any]]:
    """`berth up` as a user runs it."""
    runs = []
    for _ in range(options.rounds):
        before = set(stage.workspace.logs.glob(f"{stage.stack}-kolla-*"))
        load, started = os.getloadavg()[0], time.monotonic()
        argv = [str(stage.workspace.root / "berth"), "up", "--stack", stage.stack, "--yes"]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - started
        if "No change" not in done.stdout:
            sys.exit(f"This `up` had something to do: {(done.stdout + done.stderr)[-2000:]}")
        # Every run of Ansible has a log of its own.
        ansible = len(set(stage.workspace.logs.glob(f"{stage.stack}-kolla-*")) - before)
        runs.append({"way": f"`berth up`, {ansible} runs of Ansible", "seconds": round(seconds, 1), "load": load})
        say(str(runs[-1]))
    return runs


def medians(runs: Sequence[Mapping[str, Any]]) -> list[list[object]]:
    """A line for each way: rounds, median and range, load."""
    rows: list[list[object]] = []
    for way in dict.fromkeys(run["way"] for run in runs):
        same = [run for run in runs if run["way"] == way]
        seconds, loads = [run["seconds"] for run in same], [run["load"] for run in same]
        spread = f"{statistics.median(seconds):.1f} ({min(seconds):.1f} to {max(seconds):.1f})"
        rows.append([way, len(same), spread, f"{min(loads):.0f} to {max(loads):.0f}"])
    return rows


MEASUREMENTS = {
    "prechecks": prechecks,
    "pull": kolla_images.pull,
    "noop": noop,
    "one-service": kolla_images.one_service,
}


def main() -> int:
    """Measure what is named, write all figures as JSON and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measurements", nargs="*", choices=[[], *MEASUREMENTS], metavar="NAME")
    parser.add_argument("--stack", default="kolla")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tuning", action="store_true")
    parser.add_argument("--megabits", type=int, default=100)
    parser.add_argument("--images", nargs="+", default=["keystone"])
    parser.add_argument("--service", default="keystone")
    parser.add_argument("--at-once", action="store_true")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    stage = Stage(options.stack)
    output = options.output or stage.workspace.home / "cache" / "bench" / "kolla.json"
    document: dict[str, Any] = {**common.conditions(), "megabits": options.megabits, "images": options.images}
    for name in options.measurements or MEASUREMENTS:
        document[name] = MEASUREMENTS[name](stage, options)
        common.save(output, document)
        print(common.table([name, "rounds", "seconds, median (range)", "load"], medians(document[name])) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
