"""Checks a deployment: every container on every node, and a token through the internal address."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from operations.errors import BerthError
from operations.kolla.image_check import ByHost

TIMEOUT = 180.0
"""Seconds that containers may take to become healthy after a deployment."""
BY_HAND = 10.0
"""Seconds where nothing was deployed just now."""
# Names, states and images of Kolla's containers: they carry its label.
LIST = "docker ps --all --filter label=kolla_version --format '{{.Names}}\t{{.Image}}\t{{.Status}}'"


@dataclass(frozen=True)
class Finding:
    """One check and its result."""

    where: str
    question: str
    ok: bool
    answer: str

    def line(self) -> str:
        return f"{'ok ' if self.ok else 'BAD'} {self.where}: {self.question}: {self.answer}"


def containers(
    nodes: list[str], needed: ByHost, run: Callable[[str, str], subprocess.CompletedProcess[str]]
) -> list[Finding]:
    """Every image of a node is in a running container, healthy where it has a health check."""
    with ThreadPoolExecutor(max(1, len(nodes))) as pool:
        answers = pool.map(lambda node: run(node, LIST), nodes)
    return [finding for node, done in zip(nodes, answers, strict=True) for finding in check_node(node, needed, done)]


def check_node(node: str, needed: ByHost, done: subprocess.CompletedProcess[str]) -> list[Finding]:
    """The findings of one node."""
    if done.returncode:
        return [Finding(node, "Docker", False, done.stderr.strip() or "does not answer")]
    rows = [line.split("\t") for line in done.stdout.splitlines() if line.count("\t") == 2]
    by_image = {image: (name, status) for name, image, status in rows}
    found = []
    for image in needed.get(node, {}):
        name, status = by_image.get(image, (image.rpartition("/")[2], "no container"))
        good = status.startswith("Up") and "unhealthy" not in status and "starting" not in status
        found.append(Finding(node, name, good, status))
    return found


def keystone(variables: Mapping[str, Any]) -> str:
    """Keystone's internal endpoint, from the globals."""
    scheme = "https" if str(variables.get("kolla_enable_tls_internal")).lower() in ("true", "yes") else "http"
    name = variables.get("kolla_internal_fqdn") or variables["kolla_internal_vip_address"]
    return f"{scheme}://{name}:{variables.get('keystone_internal_port', 5000)}"


def token(endpoint: str, password: str) -> Finding:
    """A token for the administrator."""
    identity = {
        "methods": ["password"],
        "password": {"user": {"name": "admin", "domain": {"id": "default"}, "password": password}},
    }
    scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
    body = json.dumps({"auth": {"identity": identity, "scope": scope}}).encode()
    request = urllib.request.Request(f"{endpoint}/v3/auth/tokens", body, {"Content-Type": "application/json"})
    started = time.monotonic()
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
            got: dict[str, Any] = json.load(answer)
            until = got.get("token", {}).get("expires_at", "?")
            ok = answer.status == 201 and bool(answer.headers.get("X-Subject-Token"))
            text = f"{answer.status} in {time.monotonic() - started:.2f} s, valid until {until}"
    except (OSError, ValueError) as error:
        status = getattr(error, "code", None)
        ok, text = False, str(status or error)
    return Finding(endpoint, "a token", ok, text)


def wait_until_ok(
    ask: Callable[[], list[Finding]], log: Callable[[str], None], timeout: float = TIMEOUT
) -> list[Finding]:
    """Repeat the checks until all pass, or until the timeout."""
    started = time.monotonic()
    while True:
        found = ask()
        wrong = [finding for finding in found if not finding.ok]
        if not wrong or time.monotonic() - started > timeout:
            return found
        log(f"verify: {len(wrong)} of {len(found)} checks still fail: {wrong[0].line()}")
        time.sleep(3)


def raise_if_failed(found: list[Finding]) -> str:
    """One line if all is well; an error with what is not otherwise."""
    wrong = [finding for finding in found if not finding.ok]
    if wrong:
        lines = "\n".join(f"    {finding.line()}" for finding in wrong)
        raise BerthError(f"{len(wrong)} of {len(found)} checks failed:\n{lines}")
    return f"verify: all {len(found)} checks passed"
