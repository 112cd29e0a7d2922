"""Kolla on a lab that stands, and one configuration of Ansible beside another on the same inputs."""

from __future__ import annotations

import configparser
import json
import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import common
from operations.kolla import inputs, play, steps
from operations.kolla.environment import environment
from operations.locks import StackLock
from operations.pulumi.follow import new_log
from operations.pulumi.session import Session
from operations.workspace import StackFile

SHOWN = 8
BERTH, DEFAULTS = "Berth's ansible.cfg", "Ansible's defaults"
Setting = tuple[str, Mapping[str, str]]
NOTHING: Setting = ("defaults", {})


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
