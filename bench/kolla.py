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
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import common, kolla_images
from bench.kolla_stage import BERTH, DEFAULTS, Setting, Stage, say

FACTS = {"gathering": "smart", "fact_caching": "jsonfile", "fact_caching_timeout": "3600"}
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
