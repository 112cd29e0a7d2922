"""What benches of a running lab share: the stack, the client, a bare registry beside it, network caps, CPU seconds."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import images
from config import naming, stackfile
from config.model.stack import Settings
from operations.drill import lab_node
from operations.drill.lab_node import LabNode, addresses
from operations.host import golang, toolchain
from operations.inspect import collect
from operations.inspect.expected import Desired
from operations.pulumi.session import Session
from operations.registry.endpoint import User
from operations.workspace import StackFile, Workspace

FOLDER = Path(__file__).parent
TICKS = os.sysconf("SC_CLK_TCK")
BARE_NUMBER, BARE_PORT = 250, 5000
# The lab's own packets come in pieces of up to 64 KiB: the bucket holds several.
CAP = ("burst", "512kb", "latency", "50ms")
BARE_CONFIG = """\
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage:
  delete: {enabled: true}
  cache: {blobdescriptor: inmemory}
  filesystem: {rootdirectory: /var/lib/registry}
http: {addr: ":5000"}
"""


@dataclass(frozen=True)
class Target:
    """A registry to measure: a URL, its CA, who asks."""

    name: str
    base: str
    ca: str = ""
    user: str = ""
    password: str = ""

    def job(self, verb: str, **more: Any) -> dict[str, Any]:
        """A job for the client."""
        return {
            "Verb": verb,
            "Base": self.base,
            "CA": self.ca,
            "User": self.user,
            "Password": self.password,
            **more,
        }


@dataclass(frozen=True)
class Lab:
    """A lab that is up."""

    workspace: Workspace
    settings: Settings
    desired: Desired
    nodes: Sequence[LabNode]

    @classmethod
    def of(cls, stack: str) -> Lab:
        # Ended from outside, a bench still gives back what it has changed.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
        workspace = Workspace.current()
        stack_file = StackFile.read(workspace, stack)
        if not stack_file.is_lab:
            sys.exit(f"{stack} is not a lab: a bench wears out what it measures.")
        desired = collect.desired(Session.open(workspace, stack_file))
        settings = stackfile.parse(stack, stack_file.document)
        return cls(workspace, settings, desired, lab_node.of_stack(desired, stack))

    def user(self, *roles: str) -> User:
        """The first user of the first of the roles that somebody has."""
        known: Mapping[str, Mapping[str, str]] = self.desired.outputs["registry_users"]
        for role in roles:
            for name, entry in known.items():
                if entry["role"] == role:
                    return User(name, entry["password"])
        sys.exit(f"The stack has no user with a role of {', '.join(roles)}.")

    def target(self, *roles: str) -> Target:
        """The registry as its clients see it."""
        user = self.user(*roles)
        base = f"https://{self.desired.outputs['registry']}"
        return Target("berth", base, str(self.desired.outputs["registry_ca"]), user.username, user.password or "")

    @property
    def holder(self) -> LabNode:
        """The node that has the registry's address now."""
        address = self.settings.load_balancer.address
        return next(node for node in self.nodes if address in addresses(node.init()))

    @contextlib.contextmanager
    def bare(self, upstream: str = "", program: Path | None = None) -> Iterator[tuple[Target, int]]:
        """A registry with a directory, over HTTP, on the lab's network; and its first process.

        By default of the same build as Berth's; with an upstream it is a plain cache of that.
        """
        assert self.settings.lab is not None
        address = str(IPv4Network(self.settings.lab.subnet)[BARE_NUMBER])
        name = f"berth-{self.settings.stack}-bench"
        file = self.workspace.home / "cache" / "bench" / "bare.yml"
        file.parent.mkdir(parents=True, exist_ok=True)
        more = f"proxy: {{remoteurl: https://{upstream}, ttl: 0}}\n" if upstream else ""
        file.write_text(BARE_CONFIG + more)
        words = ["--detach", "--name", name, "--user", "0", "--ip", address, "--volume", "/var/lib/registry"]
        words += ["--label", f"{naming.STACK_LABEL}={self.settings.stack}"]
        words += ["--network", naming.lab_network(self.settings.stack), "--volume", f"{file}:/config.yml:ro"]
        ca = self.workspace.stack_dir(self.settings.stack) / "ca.pem"
        words += [
            "--volume",
            f"{ca}:/ca.pem:ro",
            "--env",
            "SSL_CERT_FILE=/ca.pem",
            "--env",
            "OTEL_TRACES_EXPORTER=none",
        ]
        words += ["--volume", f"{program}:/bin/registry:ro"] if program else []
        _docker("rm", "--force", "--volumes", name)
        _docker("run", *words, images.reference("registry"), "serve", "/config.yml")
        try:
            time.sleep(1)
            pid = int(_docker("inspect", "--format", "{{.State.Pid}}", name))
            yield Target("distribution" if upstream else "bare", f"http://{naming.endpoint(address, BARE_PORT)}"), pid
        finally:
            _docker("rm", "--force", "--volumes", name)

    @contextlib.contextmanager
    def capped(self, megabits: int | None, *others: int, nodes: bool = True) -> Iterator[None]:
        """Every node's network, and that of other containers by their first process, carries so much each way."""
        inits = [*(node.init() for node in self.nodes if nodes), *others]
        tools = ["nsenter", f"--mount=/proc/{self.nodes[0].init()}/ns/mnt"]
        sides = [([*tools, f"--net=/proc/{init}/ns/net"], "eth0") for init in inits]
        sides += [(tools, lab_node.port(init)) for init in inits]
        with contextlib.ExitStack() as undo:
            for enter, device in sides if megabits else ():
                rate = ["root", "tbf", "rate", f"{megabits}mbit", *CAP]
                subprocess.run([*enter, "tc", "qdisc", "replace", "dev", device, *rate], check=True)
                undo.callback(subprocess.run, [*enter, "tc", "qdisc", "del", "dev", device, "root"], check=False)
            yield


def client(lab: Lab) -> Path:
    """The compiled client."""
    cache = lab.workspace.home / "cache"
    target = cache / "bench" / "client"
    go = toolchain.find(cache)
    if go is None:
        sys.exit("There is no Go here: ./berth up installs one.")
    words = [go, "build", "-buildvcs=false", "-o", str(target), "."]
    subprocess.run(words, cwd=FOLDER / "client", env=golang.environment(cache), check=True)
    return target


def run(program: Path, job: Mapping[str, Any]) -> dict[str, Any]:
    """Let the client do a job; what it found, and the seconds of the processor that it used itself."""
    before = _children_seconds()
    done = subprocess.run([program], input=json.dumps(job), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"The client's job failed: {done.stderr.strip()[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return {**found, "client_cpu_seconds": _children_seconds() - before}


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Processor:
    """Seconds of the processor from its making on: by program of the given process trees, and of the whole machine."""

    def __init__(self, *firsts: int) -> None:
        self._firsts = firsts
        self._used, self._busy = self._now(), processor_ticks()[0]

    def seconds(self) -> dict[str, float]:
        """By program; `machine` is everything, the kernel's network and the client included."""
        spent = {name: ticks - self._used[name] for name, ticks in self._now().items()}
        spent["machine"] = processor_ticks()[0] - self._busy
        return {name: ticks / TICKS for name, ticks in spent.items()}

    def _now(self) -> Counter[str]:
        used: Counter[str] = Counter()
        for first in self._firsts:
            for pid in lab_node.tree(first):
                with contextlib.suppress(OSError):
                    before, _, after = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
                    name = before.partition("(")[2]
                    fields = after.split()
                    used[name if name in ("nginx", "registry", "minio") else "other"] += sum(map(int, fields[11:13]))
        return used


def processor_ticks() -> tuple[int, int]:
    """Busy and idle time of the whole machine since its start."""
    user, nice, system, idle, waiting, *interrupts = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:8]
    return sum(map(int, (user, nice, system, *interrupts))), int(idle) + int(waiting)


def busy_share(seconds: float = 2) -> float:
    """How much of the machine is busy while this bench waits: the load average would tell of the bench itself."""
    busy, idle = processor_ticks()
    time.sleep(seconds)
    busy_after, idle_after = processor_ticks()
    return (busy_after - busy) / max(1, busy_after - busy + idle_after - idle)


def conditions() -> dict[str, Any]:
    """What the figures depend on besides what is measured."""
    commit = subprocess.run(
        ["git", "-C", str(FOLDER), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return {
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "processors": os.cpu_count(),
        "kernel": platform.release(),
        "berth": commit.stdout.strip(),
        "busy_before": round(busy_share(), 2),
    }


def save(output: Path, document: Mapping[str, Any]) -> None:
    """All figures as JSON."""
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(document, indent=1) + "\n")


def table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; all but the first column are figures."""
    lines = [titles, ["---", *["--:"] * (len(titles) - 1)], *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    if done.returncode and words[0] != "rm":
        sys.exit(f"docker {words[0]} failed: {done.stderr.strip()}")
    return done.stdout.strip()
