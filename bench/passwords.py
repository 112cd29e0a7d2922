"""What a password costs: requests with one, against the same requests to the same nginx with the question left out.

On the node that has the address a second nginx is started in the balancer's container from the balancer's own
configuration, on ports of its own, without its questions about passwords: all else on the way, replicas included, is
the same. (A location without a password does not exist in Berth, and the mirror port leads elsewhere.) Small requests
on connections that stay open, in turns.
Usage: python bench/passwords.py [--stack dev] [--clients 1 8] [--rounds 5] [--seconds 4]
"""

from __future__ import annotations

import argparse
import contextlib
import re
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import common
from config import naming

BALANCER = naming.service_container("load-balancer")
FILE = f"{naming.node_directory('load-balancer')}/bench.conf"
SHIFT = 10_000
TITLES = (
    "clients",
    "password",
    "requests/s",
    "mean, ms",
    "median, ms",
    "99 %, ms",
    "processor, ms per request",
    "cost",
)


def without_password(configuration: str) -> str:
    """The balancer's configuration, beside the real one and without questions about passwords."""
    text = re.sub(r"^\s*auth_request\s[^;]*;\n", "", configuration, flags=re.M)
    text = re.sub(r"(listen\s+(?:[\w.*\[\]:]*:)?)(\d+)\b", lambda found: f"{found[1]}{int(found[2]) + SHIFT}", text)
    text = re.sub(r"unix:([^;\s]+)\.sock", r"unix:\1-bench.sock", text)
    text = re.sub(r"^pid\s[^;]*;", "pid /dev/shm/bench.pid;", text, flags=re.M)
    return re.sub(r"(proxy_cache_path\s+)(\S+)", r"\1\2-bench", text)


@contextlib.contextmanager
def second_nginx(lab: common.Lab) -> Iterator[None]:
    """Runs while it lasts, on the node that has the address."""
    node = lab.holder
    ours = node.inside("cat", f"{naming.node_directory('load-balancer')}/nginx.conf")
    node.inside("sh", "-c", 'cat >"$0"', FILE, stdin=without_password(ours))
    try:
        node.inside("docker", "exec", "--detach", BALANCER, "nginx", "-c", FILE, "-g", "daemon off;")
        time.sleep(1)
        yield
    finally:
        with contextlib.suppress(Exception):
            node.inside("docker", "exec", BALANCER, "nginx", "-c", FILE, "-s", "quit")
        node.inside("rm", "-f", FILE)


def rows(runs: Sequence[dict[str, Any]]) -> list[list[object]]:
    """A line per number of clients and way: medians; the cost is a request's mean time with a password by without."""
    found: list[list[object]] = []
    for clients, way in dict.fromkeys((run["clients"], run["password"]) for run in runs):

        def median(way: str, *keys: Any, clients: int = clients) -> float:
            values = []
            for run in runs:
                if (run["clients"], run["password"]) == (clients, way):
                    value: Any = run
                    for key in keys:
                        value = value[key]
                    values.append(float(value))
            return statistics.median(values)

        cost = median(way, "milliseconds", 0) / median("without", "milliseconds", 0)
        found.append(
            [
                clients,
                way,
                f"{median(way, 'per_second'):.0f}",
                *(f"{median(way, 'milliseconds', place):.2f}" for place in range(3)),
                f"{median(way, 'processor'):.2f}",
                f"{cost:.2f}",
            ]
        )
    return found


def main() -> int:
    """Measure in turns, write all figures as JSON and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stack", default="dev")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    lab = common.Lab.of(options.stack)
    program = common.client(lab)
    output = options.output or lab.workspace.home / "cache" / "bench" / "passwords.json"
    document: dict[str, Any] = {**common.conditions(), "runs": []}
    ours = lab.target("pull", "push")
    name, _, port = ours.base.rpartition(":")
    ways = {"with": ours, "without": replace(ours, base=f"{name}:{int(port) + SHIFT}", user="", password="")}
    with second_nginx(lab):
        for number in range(options.rounds):
            for clients in options.clients:
                for way in sorted(ways, reverse=number % 2 == 0):
                    processor = common.Processor()
                    job = ways[way].job("ask", Clients=clients, Seconds=options.seconds)
                    found = common.run(program, job)
                    document["runs"].append(
                        {
                            "clients": clients,
                            "password": way,
                            "per_second": round(found["requests"] / found["seconds"], 1),
                            "milliseconds": [round(one, 3) for one in found["milliseconds"]],
                            "processor": round(processor.seconds()["machine"] * 1000 / found["requests"], 3),
                        }
                    )
                    common.save(output, document)
    print("; ".join(f"{name}: {value}" for name, value in document.items() if name != "runs") + "\n")
    print(common.table(TITLES, rows(document["runs"])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
