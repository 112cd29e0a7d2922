"""The registry's endpoints under two public test suites: OCI conformance and testssl.sh."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator

import pytest
import yaml

import images
from config import naming, stackfile
from tests.integration import oci_conformance, testssl
from tests.integration.lab import STACK, SUBNET, Lab, run
from tests.integration.registry import Registry, berth_registry

pytestmark = [pytest.mark.lab, pytest.mark.full]

BARE, BARE_ADDRESS = f"berth-{STACK}-bare", f"{SUBNET}.250"
BARE_CONFIG = """\
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage:
  delete: {enabled: true}
  cache: {blobdescriptor: inmemory}
  filesystem: {rootdirectory: /var/lib/registry}
http: {addr: ":5000"}
"""


@pytest.fixture
def bare(lab: Lab) -> Iterator[Registry]:
    """A registry of the same build with a directory, over HTTP, on the lab's network."""
    file = lab.home / "bare.yml"
    file.write_text(BARE_CONFIG)
    options = ["--detach", "--name", BARE, "--user", "0", "--ip", BARE_ADDRESS, "--volume", "/var/lib/registry"]
    options += ["--network", naming.lab_network(STACK), "--label", f"{naming.STACK_LABEL}={STACK}"]
    options += ["--volume", f"{file}:/config.yml:ro", "--env", "OTEL_TRACES_EXPORTER=none"]
    run(["docker", "rm", "--force", "--volumes", BARE])
    started = run(["docker", "run", *options, images.reference("registry"), "serve", "/config.yml"])
    assert started.returncode == 0, started.stderr
    try:
        time.sleep(1)
        yield Registry(f"{BARE_ADDRESS}:5000", "")
    finally:
        run(["docker", "rm", "--force", "--volumes", BARE])


def test_oci_conformance_is_the_same_as_of_a_bare_registry(lab: Lab, bare: Registry) -> None:
    try:
        program = oci_conformance.suite(lab.home / "cache")
    except oci_conformance.SuiteUnavailable as reason:
        pytest.skip(str(reason))
    # Deleting is a part of the suite: an admin may do that, where there is one.
    user = "admin" if "admin" in lab.known_endpoint["users"] else "push"
    ours = oci_conformance.verdicts(program, berth_registry(lab, user), "conformance/suite")
    expected = oci_conformance.verdicts(program, bare, "conformance/suite")
    assert ours
    assert oci_conformance.differences(ours, expected) == []


def test_tls_is_mozillas_intermediate_configuration(lab: Lab) -> None:
    program = shutil.which("testssl") or shutil.which("testssl.sh")
    if program is None:
        pytest.skip("testssl.sh is not installed on this machine")
    settings = stackfile.parse(STACK, yaml.safe_load(lab.stack_file.read_text(encoding="utf-8")))
    port = settings.registry.port
    balancers = [naming.endpoint(node.address, port) for node in settings.nodes if "load-balancer" in node.roles]
    ca = lab.home / "stacks" / STACK / "ca.pem"
    found = [testssl.scan(program, endpoint, ca) for endpoint in (*balancers, settings.store_endpoint)]
    assert {one.endpoint: one.problems() for one in found} == {one.endpoint: [] for one in found}
