"""The whole path against one bare registry: address, TLS, nginx, replica and MinIO beside a directory over HTTP.

Eight clients push and pull blobs of 1, 10 and 100 MB, in turns with a registry of the same build that has a directory
and no TLS, on the same machine; once with all of it limited by the processors, once with every node's network (and the
bare registry's) limited to so many megabits a second each way. Blobs are incompressible and pulled once with their
digests checked before pulling is measured.
Usage: python bench/throughput.py [--stack dev] [--sizes 1 10 100] [--rounds 3] [--seconds 5] [--caps 0 400]
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import common

MB = 1_000_000
CLIENTS = 8
REPOSITORY = "bench/throughput"
BLOBS = {1: 96, 10: 32, 100: 8}
GROUPS = ("nginx", "registry", "minio", "other", "client", "kernel")


def measure(
    program: Path, target: common.Target, firsts: Sequence[int], megabytes: int, seconds: float
) -> dict[str, Any]:
    """Push, check, pull; rates and where the processor's time went."""
    more = {"Repository": REPOSITORY, "Clients": CLIENTS}
    push = _timed(program, firsts, target.job("push", Size=megabytes * MB, Count=BLOBS[megabytes], **more))
    blobs = push.pop("blobs")
    common.run(program, target.job("pull", Blobs=blobs, Verify=True, **more))
    pull = _timed(program, firsts, target.job("pull", Blobs=blobs, Seconds=seconds, **more))
    return {"push": push, "pull": pull}


def _timed(program: Path, firsts: Sequence[int], job: dict[str, Any]) -> dict[str, Any]:
    processor = common.Processor(*firsts)
    found = common.run(program, job)
    spent = processor.seconds()
    spent["client"] = found["client_cpu_seconds"]
    # What no program is charged with: interrupts and the bridge, and whatever else ran.
    spent["kernel"] = spent["machine"] - sum(spent.get(name, 0) for name in GROUPS[:-1])
    gigabytes = found["bytes"] / 1000 / MB
    return {
        "megabytes_per_second": round(found["bytes"] / MB / found["seconds"], 1),
        "cpu_seconds_per_gigabyte": {name: round(spent.get(name, 0) / gigabytes, 2) for name in (*GROUPS, "machine")},
        **({"blobs": found["blobs"]} if "blobs" in found else {}),
    }


def rows(runs: Sequence[dict[str, Any]]) -> list[list[object]]:
    """A line per cap, size and direction: medians of both, their ratio, and the processor's time."""
    found: list[list[object]] = []
    for cap, megabytes in dict.fromkeys((run["cap"], run["megabytes"]) for run in runs):
        same = [run for run in runs if (run["cap"], run["megabytes"]) == (cap, megabytes)]
        for way in ("push", "pull"):
            rates = {name: _median(same, name, way, "megabytes_per_second") for name in ("berth", "bare")}
            cpu = {
                name: {
                    group: _median(same, name, way, "cpu_seconds_per_gigabyte", group) for group in (*GROUPS, "machine")
                }
                for name in ("berth", "bare")
            }
            found.append(
                [
                    f"{f'{cap} Mbit/s' if cap else 'none'}",
                    megabytes,
                    way,
                    f"{rates['berth']:.0f}",
                    f"{rates['bare']:.0f}",
                    f"{rates['berth'] / rates['bare']:.2f}",
                    f"{cpu['berth']['machine']:.1f}",
                    f"{cpu['bare']['machine']:.1f}",
                    ", ".join(f"{group} {cpu['berth'][group]:.1f}" for group in GROUPS),
                ]
            )
    return found


def _median(runs: Sequence[dict[str, Any]], name: str, *keys: str) -> float:
    values = []
    for run in runs:
        value = run[name]
        for key in keys:
            value = value[key]
        values.append(float(value))
    return statistics.median(values)


TITLES = (
    "cap",
    "MB",
    "way",
    "Berth, MB/s",
    "bare, MB/s",
    "ratio",
    "Berth, CPU s/GB",
    "bare, CPU s/GB",
    "where Berth's went",
)


def main() -> int:
    """Measure in turns, write all figures as JSON and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stack", default="dev")
    parser.add_argument("--sizes", type=int, nargs="+", choices=sorted(BLOBS), default=sorted(BLOBS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5, help="of each measured pull")
    parser.add_argument("--caps", type=int, nargs="+", default=[0, 400], help="megabits a second; 0 is none")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    lab = common.Lab.of(options.stack)
    program = common.client(lab)
    output = options.output or lab.workspace.home / "cache" / "bench" / "throughput.json"
    document: dict[str, Any] = {**common.conditions(), "clients": CLIENTS, "runs": []}
    with lab.bare() as (bare, bare_init):
        ours, inits = lab.target("push", "admin"), [node.init() for node in lab.nodes]
        for cap in options.caps:
            with lab.capped(cap or None, bare_init):
                for number in range(options.rounds):
                    for megabytes in options.sizes:
                        run: dict[str, Any] = {"cap": cap, "megabytes": megabytes}
                        both = [(ours, inits), (bare, [bare_init])]
                        for target, firsts in both if number % 2 == 0 else reversed(both):
                            run[target.name] = measure(program, target, firsts, megabytes, options.seconds)
                        document["runs"].append(run)
                        common.save(output, document)
                        print(
                            "\n".join(common.table(TITLES, rows([run])).splitlines()[2:]), file=sys.stderr, flush=True
                        )
    print("; ".join(f"{name}: {value}" for name, value in document.items() if name != "runs") + "\n")
    print(common.table(TITLES, rows(document["runs"])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
