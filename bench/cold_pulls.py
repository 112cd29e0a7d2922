"""N clients pull an image at once that nothing but the upstream has: what it costs the upstream, and the clients.

The lab's stand-in upstream has a 300 MB image of six incompressible layers, new for every run, and sends at most so
many megabits a second in all. Each client pulls as docker does, three layers at a time, and checks every digest.
Berth's cache is reached by the registry's address; beside it stands distribution itself in proxy mode, the same version
built without Berth's part of it, with a directory, over HTTP.
Usage: python bench/cold_pulls.py [--stack dev] [--clients 4 8 16] [--rounds 3] [--megabits 400]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import images
from bench import common
from config import naming
from operations.host import golang, toolchain

MB = 1_000_000
LAYERS, LAYER_MB = 6, 50
REPOSITORY = "bench/cold"
PLAIN = "package main\n\n" + "\n".join(
    [
        'import (\n\t"os"\n',
        '\t"github.com/distribution/distribution/v3/registry"',
        *(
            f'\t_ "github.com/distribution/distribution/v3/registry/{part}"'
            for part in ("proxy", "storage/driver/filesystem", "storage/driver/inmemory")
        ),
        ")\n\nfunc main() {\n\tif registry.RootCmd.Execute() != nil {\n\t\tos.Exit(1)\n\t}\n}\n",
    ]
)
TITLES = (
    "cache",
    "clients",
    "upstream bytes / image",
    "all done, s",
    "first byte, best / median / worst, s",
    "blobs repeated",
    "processor, s",
)


class Upstream:
    """The stand-in upstream: filled directly, slowed down, and asked what it sent."""

    def __init__(self, lab: common.Lab, program: Path) -> None:
        assert lab.settings.lab is not None
        address = lab.settings.lab.upstream_address
        if address is None:
            sys.exit("The lab has no stand-in upstream: berth:lab: {upstream: true}.")
        self.endpoint = naming.endpoint(address, naming.LAB_UPSTREAM_PORT)
        self._container = naming.lab_upstream_container(lab.settings.stack)
        self._program = program
        self.ca = str(lab.desired.outputs["registry_ca"])

    def fill(self, tag: str) -> None:
        """A new image."""
        target = common.Target("upstream", f"https://{self.endpoint}", self.ca)
        common.run(self._program, target.job("fill", Repository=REPOSITORY, Tag=tag, Count=LAYERS, Size=LAYER_MB * MB))

    @contextlib.contextmanager
    def slowed(self, megabits: int) -> Iterator[None]:
        """So many megabits a second, of all connections together."""
        self._control("set", "--bandwidth", f"{megabits}M")
        try:
            yield
        finally:
            self._control("set")

    def sent(self, reset: bool = False) -> int:
        """Bytes that it has sent since the last reset."""
        return int(json.loads(self._control("stats", *(["--reset"] if reset else [])))["bytes"])

    def _control(self, *words: str) -> str:
        command = ["docker", "exec", self._container, "/bin/upstream", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def plain_registry(lab: common.Lab) -> Path:
    """Distribution's own registry of the version that Berth's is made from."""
    cache = lab.workspace.home / "cache"
    source, target = cache / "bench" / "plain" / "main.go", cache / "bench" / "registry"
    source.parent.mkdir(parents=True, exist_ok=True)
    source.write_text(PLAIN)
    words = [str(toolchain.find(cache)), "build", "-mod=readonly", "-buildvcs=false", "-o", str(target), str(source)]
    subprocess.run(words, cwd=images.folder("registry"), env=golang.environment(cache), check=True)
    return target


def pull(
    program: Path, target: common.Target, upstream: Upstream, clients: int, repository: str, tag: str
) -> dict[str, Any]:
    """One herd's pull of a new image."""
    upstream.fill(tag)
    upstream.sent(reset=True)
    processor = common.Processor()
    job = target.job("image", Repository=repository, Tag=tag, Clients=clients)
    found = common.run(program, job)
    image = LAYERS * LAYER_MB * MB
    return {
        "cache": target.name,
        "clients": clients,
        "upstream_ratio": round(upstream.sent() / image, 3),
        "seconds": round(found["seconds"], 2),
        "first_byte": [round(seconds, 2) for seconds in found["first_byte"]],
        "repeats": found["repeats"],
        "machine_cpu_seconds": round(processor.seconds()["machine"], 1),
        "missing_bytes": max(0, image * clients - found["bytes"]),
    }


def rows(runs: Sequence[dict[str, Any]]) -> list[list[object]]:
    """A line per cache and number of clients: medians, and the worst ratio."""
    found: list[list[object]] = []
    for cache, clients in dict.fromkeys((run["cache"], run["clients"]) for run in runs):
        same = [run for run in runs if (run["cache"], run["clients"]) == (cache, clients)]
        firsts = [statistics.median(run["first_byte"][place] for run in same) for place in range(3)]
        found.append(
            [
                cache,
                clients,
                f"{max(run['upstream_ratio'] for run in same):.2f}",
                f"{statistics.median(run['seconds'] for run in same):.1f}",
                " / ".join(f"{seconds:.2f}" for seconds in firsts),
                sum(run["repeats"] for run in same),
                f"{statistics.median(run['machine_cpu_seconds'] for run in same):.0f}",
            ]
        )
    return found


def main() -> int:
    """Measure in turns, write all figures as JSON and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stack", default="dev")
    parser.add_argument("--clients", type=int, nargs="+", default=[4, 8, 16])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--megabits", type=int, default=400)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    lab = common.Lab.of(options.stack)
    program = common.client(lab)
    upstream = Upstream(lab, program)
    output = options.output or lab.workspace.home / "cache" / "bench" / "cold_pulls.json"
    prefix = next(one.prefix for one in lab.settings.registry.upstreams if upstream.endpoint in one.url)
    document: dict[str, Any] = {**common.conditions(), "upstream_megabits": options.megabits, "runs": []}
    run = f"{int(time.time()):x}"
    with lab.bare(upstream.endpoint, plain_registry(lab)) as (plain, _), upstream.slowed(options.megabits):
        both = [(lab.target("pull", "push"), f"{prefix}/{REPOSITORY}"), (plain, REPOSITORY)]
        for number in range(options.rounds):
            for clients in options.clients:
                for target, repository in both if number % 2 == 0 else reversed(both):
                    tag = f"{run}-{number}-{clients}-{target.name}"
                    document["runs"].append(pull(program, target, upstream, clients, repository, tag))
                    common.save(output, document)
                    print(document["runs"][-1], file=sys.stderr, flush=True)
    print("; ".join(f"{name}: {value}" for name, value in document.items() if name != "runs") + "\n")
    print(common.table(TITLES, rows(document["runs"])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
