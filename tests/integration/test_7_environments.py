"""Stacks as environments: a change is read, proved, promoted and taken back; drift is seen and repaired.

The lab of all tests is staging. prod is a second one beside it: the smallest there is, or, in the long run, its like.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from operations.drill import traffic
from operations.registry.client import RegistryClient
from operations.registry.endpoint import User
from tests.integration.lab import NODES, STACK, Lab, run
from tests.integration.registry import berth_registry

pytestmark = pytest.mark.lab

PROD, SUBNET = "ciprod", "10.75.0"
APP = "environments/app"


def git(lab: Lab, *words: str) -> str:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"]
    done = run(["git", "-C", str(lab.root), *who, *words])
    assert done.returncode == 0, done.stderr
    return str(done.stdout).strip()


def small(prod: Lab) -> dict[str, Any]:
    """One balancer and replica; MinIO asks for four nodes."""
    document = prod.document()
    config = document["config"]
    config["berth:lab"] = True
    del config["berth:registry"]["upstreams"]
    for node in config["berth:nodes"][1:]:
        node["roles"] = ["object-store"]
    config["berth:loadBalancer"]["address"] = config["berth:nodes"][0]["address"]
    return document


def like_staging(prod: Lab) -> dict[str, Any]:
    return prod.document()


@pytest.fixture(scope="module", params=[small, pytest.param(like_staging, marks=pytest.mark.full)])
def prod(request: pytest.FixtureRequest, lab: Lab) -> Iterator[Lab]:
    """The second lab, its settings and all others in a git repository."""
    made = replace(lab, stack=PROD, subnet=SUBNET)
    made.stack_file.write_text(yaml.safe_dump(request.param(made), sort_keys=False), encoding="utf-8")
    try:
        made.berth("up", "--yes", timeout=600)
        git(made, "init", "--quiet", "--initial-branch", "main")
        git(made, "add", ".")
        git(made, "commit", "--quiet", "--message", "As it was")
        yield made
    finally:
        made.try_berth("down", "--yes")
        made.stack_file.unlink()
        for kept in (".git", "pins", "promotions"):
            shutil.rmtree(made.root / kept, ignore_errors=True)


def push(lab: Lab, version: str) -> str:
    """A new image under the one tag; its digest."""
    end = lab.known_endpoint
    who, ca = end["users"]["push"], Path(end["ca_file"]).read_text(encoding="utf-8")
    registry = RegistryClient("lab", end["registry"], ca, User(who["username"], who["password"]))
    return traffic.push_image(registry, APP, "1", traffic.layer(100_000), {"version": version})


def promote(prod: Lab, *words: str) -> str:
    return prod.berth("promote", *words, "--to", PROD, "--yes")


def records(prod: Lab) -> list[Path]:
    return sorted((prod.root / "promotions").iterdir())


def pinned(prod: Lab) -> Any:
    return yaml.safe_load((prod.root / "pins" / f"{PROD}.yaml").read_text())


def tagged(prod: Lab) -> str:
    """What clients get by the tag."""
    return berth_registry(prod, "pull").manifest(APP, "1").headers["docker-content-digest"]


def starts(lab: Lab) -> dict[str, str]:
    return {node: lab.docker_starts(node) for node in NODES}


def test_a_change_goes_from_a_branch_through_staging_to_prod_and_back(lab: Lab, prod: Lab, settings: Any) -> None:
    # A setting is changed on a branch, for both, and what it will do is read before.
    git(lab, "checkout", "--quiet", "-b", "labels")
    labels = {"extra": {"labels": ["environment=known"]}}
    settings(docker=labels)
    document = yaml.safe_load(prod.stack_file.read_text())
    document["config"]["berth:docker"] = labels
    prod.stack_file.write_text(yaml.safe_dump(document, sort_keys=False))
    git(lab, "commit", "--quiet", "--all", "--message", "Label the daemons")
    read = lab.berth("preview", "--markdown")
    assert "environment=known" in read and "reload" in read and "node1" in read

    # Staging proves it.
    lab.berth("up", "--yes")
    first = push(lab, "first")
    refused = prod.try_berth("promote", "--from", STACK, "--to", PROD, "--yes")
    assert refused[0] == 1 and f"./berth verify --stack {STACK}" in refused[1]
    lab.berth("verify")

    # It is promoted: the images, the pins, a record, and nothing else.
    told = promote(prod, "--from", STACK, "--image", APP)
    assert f"{APP}:1: new, {first[:19]}" in told and "Preview of ciprod" in told
    pins = pinned(prod)
    assert pins["from"]["commit"] == git(prod, "rev-parse", "HEAD")
    assert pins["repositories"] == {f"{APP}:1": first}
    (record,) = records(prod)
    assert yaml.safe_load(record.read_text())["who"]
    assert git(prod, "status", "--porcelain").splitlines() == ["?? pins/", "?? promotions/"]

    # Prod gets it; its nodes pull the promoted image by digest.
    assert "environment=known" in prod.berth("preview", "--markdown")
    prod.berth("up", "--yes")
    assert "promoted images as pinned" in prod.berth("verify")
    host = prod.known_endpoint["registry"]
    pulled = prod.on("node3", "docker", "pull", f"{host}/{APP}@{first}")
    assert first in pulled

    # The next version arrives, and the one before comes back.
    second = push(lab, "second")
    promote(prod, "--from", STACK, "--image", APP)
    assert tagged(prod) == second
    back = promote(prod, "--record", str(record))
    assert "nothing to copy" in back
    assert tagged(prod) == first
    assert pinned(prod) == pins
    assert len(records(prod)) == 3
    prod.berth("verify")


def test_a_file_broken_by_hand_is_named_and_only_that_is_repaired(prod: Lab) -> None:
    prod.berth("verify")
    running = starts(prod)
    prod.on("node3", "sh", "-c", "echo broken >>/etc/docker/certs.d/registry.ciprod.berth.test:4000/ca.crt")
    code, output = prod.try_berth("drift", "--json")
    assert code == 3
    (finding,) = json.loads(output[output.index("{") :])["findings"]
    assert (finding["node"], finding["kind"]) == ("node3", "file")
    assert finding["name"].endswith("/ca.crt")
    refused, told = prod.try_berth("promote", "--from", PROD, "--to", STACK, "--yes")
    assert refused == 1 and "ca.crt" in told
    repaired = prod.berth("up", "--repair", "--yes")
    assert len(set(re.findall(r"updated command Command (\S+)", repaired))) == 1, repaired
    assert prod.try_berth("drift")[0] == 0
    assert starts(prod) == running
