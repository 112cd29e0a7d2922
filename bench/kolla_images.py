"""What becomes of Kolla's images: pulled to several nodes at once, or changed below a service that is in use."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bench.kolla_stage import Stage
from components.kolla.passwords import password
from operations.drill.lab_node import LabNode
from operations.kolla import verify
from operations.kolla.plan import ONE_BY_ONE
from operations.registry.client import Manifest, RegistryClient
from operations.registry.endpoint import Endpoint

ASK_EVERY = 0.7
SECOND = "berth-bench"


def pull(stage: Stage, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Each registry in turns; the one outside is filled from the first node before its network is capped."""
    registry, runs = str(stage.variables["docker_registry"]), []
    tag, namespace = stage.variables["openstack_tag"], stage.variables["docker_namespace"]
    own = [f"{registry}/{namespace}/{name}:{tag}" for name in options.images]
    with contextlib.ExitStack() as stack:
        outside, pid = stack.enter_context(stage.lab.bare())
        endpoint = outside.base.removeprefix("http://")
        dockers = [stack.enter_context(_second_daemon(node, endpoint)) for node in stage.nodes]
        foreign = [image.replace(registry, endpoint, 1) for image in own]
        for image, other in zip(own, foreign, strict=True):
            for words in (("pull", image), ("tag", image, other), ("push", other), ("image", "rm", image, other)):
                _run(*dockers[0], *words)
        stack.enter_context(stage.lab.capped(options.megabits, pid, nodes=False))
        ways = [("Berth", own), (f"outside, {options.megabits} Mbit/s", foreign)]
        for number in range(options.rounds):
            for way, images in ways if number % 2 == 0 else reversed(ways):
                load, started = os.getloadavg()[0], time.monotonic()
                with ThreadPoolExecutor(len(dockers)) as pool:
                    list(pool.map(_pull, dockers, [images] * len(dockers)))
                seconds = time.monotonic() - started
                for docker in dockers:
                    _run(*docker, "image", "rm", *images)
                runs.append({"way": way, "seconds": round(seconds, 1), "load": load, "nodes": len(dockers)})
                print(runs[-1], file=sys.stderr, flush=True)
    return runs


@contextlib.contextmanager
def _second_daemon(node: LabNode, insecure: str) -> Iterator[list[str]]:
    """A dockerd with nothing in its store, on the node's network and with its logins; the docker command for it."""
    root, running = f"/var/lib/docker/{SECOND}", f"/run/{SECOND}"
    socket, file = f"unix://{running}.sock", f"{running}.json"
    settings = {
        "data-root": root,
        "exec-root": running,
        "pidfile": f"{running}.pid",
        "hosts": [socket],
        "containerd": "/run/containerd/containerd.sock",
        "containerd-namespace": SECOND,
        "containerd-plugins-namespace": f"{SECOND}-plugins",
        "bridge": "none",
        "iptables": False,
        "ip6tables": False,
        "insecure-registries": [insecure],
    }
    node.inside("tee", file, stdin=json.dumps(settings))
    node.inside("systemd-run", f"--unit={SECOND}", "--property=Type=notify", "dockerd", "--config-file", file)
    try:
        yield ["docker", "exec", node.container, "docker", "--host", socket]
    finally:
        node.inside("systemctl", "stop", SECOND)
        node.inside("rm", "-rf", root, running, file)


def _pull(docker: Sequence[str], images: Sequence[str]) -> None:
    """One after the other, as Kolla does it on each node."""
    for image in images:
        _run(*docker, "pull", "--quiet", image)


def _run(*words: str) -> str:
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(words)} failed: {done.stderr.strip()[-2000:]}")
    return done.stdout


def one_service(stage: Stage, options: argparse.Namespace) -> list[dict[str, Any]]:
    """To a new digest and back: the old one is under the tag again whatever happens."""
    endpoint, login = Endpoint(str(stage.variables["docker_registry"]), "", {}), stage.lab.user("push", "admin")
    store = RegistryClient(stage.stack, endpoint.registry, stage.inputs.ca, login)
    repository, tag = f"{stage.variables['docker_namespace']}/{options.service}", str(stage.variables["openstack_tag"])
    old = store.manifest(repository, tag)
    if old is None:
        sys.exit(f"The registry has no {repository}:{tag}.")
    runs = []
    with contextlib.ExitStack() as undo:
        undo.callback(store.put_manifest, repository, tag, old)
        for image in (relabelled(store, repository, old), old):
            store.put_manifest(repository, tag, image)
            runs.append(_change(stage, options))
            print(json.dumps(runs[-1], indent=1), file=sys.stderr, flush=True)
    return runs


def _change(stage: Stage, options: argparse.Namespace) -> dict[str, Any]:
    """Pull and deploy the service; what that did to others."""
    only = ("--tags", options.service)
    before, load, started = _containers(stage), os.getloadavg()[0], time.monotonic()
    with _tokens(stage) as answers:
        said = [
            stage.step("pull", *only),
            stage.step("deploy", *only, *(() if options.at_once else ONE_BY_ONE)),
        ]
    ended, after = time.monotonic(), _containers(stage)
    came = [at for _, at, problem in answers if not problem]
    return {
        "way": f"{options.service} changed{' on all nodes at once' if options.at_once else ''}",
        "seconds": round(ended - started, 1),
        "load": load,
        "steps": said,
        "longest_gap": round(longest_gap([started, *came, ended]), 2),
        "asked": len(answers),
        "slowest": round(max(at - asked for asked, at, _ in answers), 2),
        "failed": [f"{asked - started:.1f} s: {problem}" for asked, _, problem in answers if problem],
        "restarted": dict(sorted(after.items() - before.items(), key=lambda item: item[1])),
    }


def _containers(stage: Stage) -> dict[str, str]:
    """Every container of Kolla's, as node/name -> when it was started."""
    found: dict[str, str] = {}
    for node in stage.nodes:
        names = node.inside("docker", "ps", "--all", "--filter=label=kolla_version", "--format={{.Names}}").split()
        lines = node.inside("docker", "inspect", "--format={{.Name}} {{.State.StartedAt}}", *names).splitlines()
        found.update((f"{node.name}{name}", at) for name, at in (line.split() for line in lines))
    return found


@contextlib.contextmanager
def _tokens(stage: Stage) -> Iterator[list[tuple[float, float, str]]]:
    """Ask for tokens all the while, the one before come or not: when asked for, when it came, what is wrong."""
    endpoint = verify.keystone(stage.variables)
    admin = str(password(stage.inputs.secret, "keystone_admin_password"))
    answers: list[tuple[float, float, str]] = []
    enough = threading.Event()

    def ask() -> None:
        asked, found = time.monotonic(), verify.token(endpoint, admin)
        answers.append((asked, time.monotonic(), "" if found.ok else found.answer))

    def keep_asking() -> None:
        with ThreadPoolExecutor(50) as pool:
            while not enough.wait(ASK_EVERY):
                pool.submit(ask)

    asker = threading.Thread(target=keep_asking)
    asker.start()
    try:
        yield answers
    finally:
        enough.set()
        asker.join()


def longest_gap(times: Sequence[float]) -> float:
    """The longest time between two that follow each other."""
    return max(later - sooner for sooner, later in itertools.pairwise(sorted(times)))


def relabelled(store: RegistryClient, repository: str, manifest: Manifest) -> Manifest:
    """The same layers under another configuration, which makes another image."""
    document = manifest.document
    whole = json.loads(b"".join(store.read_blob(repository, document["config"]["digest"])))
    whole["config"]["Labels"] = {**(whole["config"].get("Labels") or {}), "berth.bench": str(time.time())}
    body = json.dumps(whole).encode()
    entry = {**document["config"], "digest": _digest(body), "size": len(body)}
    store.upload(repository, entry["digest"], len(body), iter([body]))
    text = json.dumps({**document, "config": entry}).encode()
    return Manifest(_digest(text), manifest.type, text)


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
