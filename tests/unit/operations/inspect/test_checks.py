"""What `verify` and `status` make of a state and of the machines' answers."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from rich.console import Console

from operations.errors import BerthError
from operations.inspect import checks, collect, expected, status
from operations.inspect.endpoint_checks import EndpointReplies, Reply
from operations.inspect.expected import DEPLOY_HOST, SIGNATURE
from operations.inspect.reports import ContainerFact, DiskFact, FileFact, JournalFact, Report, UnitFact
from tests.unit.conftest import OUTPUTS, Checkout

BUNDLE = (
    "berth-bundle 1\nfile 0600 root:root /etc/berth/registry/config.yml\n|a\n|\n|b\nend\n"
    "directory 0755 root:root /etc/berth\nblock /etc/hosts\n|10.77.0.11 registry\nend\n"
    "key\tlive-restore\treload\tabc\nexpect\t{{.LiveRestoreEnabled}}\ttrue\nexpect\t{{.LoggingDriver}}\tjson-file\n"
)
CONFIG_SUM = hashlib.sha256(b"a\n\nb\n").hexdigest()
BLOCK_SUM = hashlib.sha256(b"10.77.0.11 registry\n").hexdigest()
HEALTH = "http://127.0.0.1:4011/debug/health"
IMAGE = "10.77.0.2:4999/berth/registry@sha256:" + "1" * 64


def authority() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Test CA")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + dt.timedelta(days=3650))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


CA = authority()


def secret(value: Any) -> dict[str, str]:
    return {SIGNATURE: "1b47061264138c4ac30d75fd1eb44270", "plaintext": json.dumps(value)}


def command(urn: str, stdin: Any, host: str | None = "10.77.0.11") -> dict[str, Any]:
    connection = secret({"host": host, "port": 22.0, "privateKey": "k"}) if host else None
    type_ = "command:remote:Command" if host else "command:local:Command"
    return {
        "urn": f"urn:pulumi:dev::berth::{urn}::x",
        "type": type_,
        "inputs": {"stdin": stdin, "connection": connection},
    }


def export() -> dict[str, Any]:
    labels = {"berth.stack": "dev", "berth.node": "node1", "berth.service": "registry"}
    container = {
        "urn": "urn:pulumi:dev::berth::c::registry",
        "type": "docker:index/container:Container",
        "inputs": {
            "name": "berth-registry",
            "image": IMAGE,
            "labels": [{"label": key, "value": value} for key, value in labels.items()],
        },
    }
    stack = {"urn": "s", "type": "pulumi:pulumi:Stack", "outputs": {**OUTPUTS, "registry_ca": CA}}
    stack["outputs"]["registry_users"] = secret(OUTPUTS["registry_users"])
    readiness = f"200\t{HEALTH}\t-\t-\n"
    resources = [
        stack,
        command("berth:registry:Registry$command:remote:Command", secret(BUNDLE)),
        command("berth:registry:Registry$command:remote:Command", readiness),
        command("berth:deploy-host:DeployHost$command:local:Command", BUNDLE, host=None),
        container,
    ]
    return {"deployment": {"resources": resources}}


def good(node: str) -> Report:
    report = Report(node, os="Debian 13", init="systemd")
    report.units = {"docker.service": UnitFact("active", "enabled"), "docker.socket": UnitFact("active", "disabled")}
    report.docker, report.trust = "26.1.5", CA
    report.resolves = {"registry.berth.test": "10.77.0.11"}
    report.disks = [DiskFact("/", 50 * 1024**2, "30%")]
    report.files = {"/etc/berth/registry/config.yml": FileFact("600", ("root:root", "0:0"), CONFIG_SUM)}
    report.blocks = {"/etc/hosts": BLOCK_SUM}
    report.info = ["true", "json-file"]
    report.urls = {HEALTH: ("200", "200")}
    report.containers = {
        "berth-registry": ContainerFact("registry", "berth-registry", IMAGE, "running", "-", 0, "3.1.2")
    }
    return report


FINE = EndpointReplies(
    Reply(401, expires=dt.datetime.now(dt.UTC) + dt.timedelta(days=300)), Reply(200), Reply(200), 3649
)


def reports() -> dict[str, Report]:
    result = {name: good(name) for name in ("node1", "node2", DEPLOY_HOST)}
    result["node2"].containers, result[DEPLOY_HOST].containers = {}, {}
    return result


def wrong(told: dict[str, Report], replies: EndpointReplies = FINE) -> dict[str, str]:
    return wrong_of(expected.read(export(), "dev"), told, replies)


def wrong_of(known: expected.Desired, told: dict[str, Report], replies: EndpointReplies = FINE) -> dict[str, str]:
    found = checks.answers(known, told, replies)
    return {f"{answer.node}: {answer.question}": answer.answer for answer in found if not answer.ok}


def test_the_state_says_which_files_services_and_answers_belong_where() -> None:
    wanted = expected.read(export(), "dev")
    node1 = wanted.machines["node1"]
    bundle = node1.files["/etc/berth/registry/config.yml"]
    assert (bundle.mode, bundle.owner, bundle.checksum) == ("600", "root:root", CONFIG_SUM)
    assert node1.blocks["/etc/hosts"].checksum == BLOCK_SUM
    assert bundle.resource == node1.daemon == node1.blocks["/etc/hosts"].resource
    assert node1.info == {"{{.LiveRestoreEnabled}}": "true", "{{.LoggingDriver}}": "json-file"}
    assert [(q.service, q.status, q.url) for q in node1.readiness] == [("registry", "200", HEALTH)]
    assert [service.image for service in node1.services] == [IMAGE]
    assert wanted.machines["node2"].files == {}
    assert wanted.machines[DEPLOY_HOST].files
    assert wanted.outputs["registry_users"]["reader"]["password"] == "r"


def test_a_stack_that_never_came_up_whole_says_what_to_do() -> None:
    with pytest.raises(BerthError, match="Stack dev was never deployed completely"):
        expected.read({"deployment": {"resources": []}}, "dev")


def test_a_stack_as_its_state_says_is_green() -> None:
    assert wrong(reports()) == {}


def test_each_difference_on_a_node_is_named() -> None:
    told = reports()
    node = told["node1"]
    node.files = {"/etc/berth/registry/config.yml": FileFact("600", ("root:root", "0:0"), "other")}
    node.blocks = {}
    node.info = ["false", "json-file"]
    node.urls = {HEALTH: ("200", "503")}
    node.units["docker.service"].stale = True
    node.journals = {
        "docker.service": JournalFact(9, 0, ""),
        "etcd.service": JournalFact(0, 1, "panic: out of space"),
    }
    node.resolves = {"registry.berth.test": ""}
    node.trust = ""
    node.skew = 500
    node.disks = [DiskFact("/", 1000, "99%")]
    found = wrong(told)
    assert "config.yml is changed, not as written" in found["node1: files as written"]
    assert "/etc/hosts is without Berth's lines" in found["node1: files as written"]
    assert found["node1: daemon settings in force"] == "{{.LiveRestoreEnabled}} is 'false', not 'true'"
    assert found[f"node1: registry answers 200 at {HEALTH}"] == "503"
    assert "loaded from older files" in found["node1: docker's unit"]
    assert found["node1: journal of etcd.service"] == "0 errors since it was started, 1 fatal: panic: out of space"
    assert "node1: journal of docker.service" not in found, "a daemon writes errors for every wrong question"
    assert found["node1: resolves registry.berth.test"] == "no address"
    assert found["node1: docker trusts the CA"] == "no CA in certs.d"
    assert found["node1: clock"] == "500 s off" and "99%" in found["node1: disk"]
    assert all(key.startswith("node1: ") for key in found), "the other machines stay green"


def test_a_table_of_rules_that_is_gone_is_named() -> None:
    document = export()
    bundle = command("berth:firewall:Firewall$command:remote:Command", "berth-bundle 1\nask\tfirewall\n")
    document["deployment"]["resources"].append(bundle)
    known, told = expected.read(document, "dev"), reports()
    told["node1"].answers = {"firewall": [["in force"]]}
    assert wrong_of(known, told) == {}
    told["node1"].answers = {"firewall": [["missing"]]}
    assert wrong_of(known, told) == {"node1: firewall as written": "table inet berth is missing, not in force"}
    rows = {
        (row.node, row.service): (row.healthy, row.detail)
        for row in status.rows(collect.ClusterSnapshot(known, told, FINE))
    }
    assert rows["node1", "firewall"] == (False, "missing")
    assert ("node2", "firewall") not in rows


def test_an_unhealthy_container_is_named_with_what_its_check_said() -> None:
    told = reports()
    told["node1"].containers["berth-registry"] = ContainerFact(
        "registry", "berth-registry", IMAGE, "running", "unhealthy", 0, "3.1.2", reason="it answers 503"
    )
    rows = status.rows(collect.ClusterSnapshot(expected.read(export(), "dev"), told, FINE))
    (row,) = (row for row in rows if (row.node, row.service) == ("node1", "registry"))
    assert (row.healthy, row.detail) == (False, "running, unhealthy: it answers 503")
    assert wrong(told) == {"node1: registry runs": "running, unhealthy: it answers 503"}


def test_an_image_other_than_the_pinned_one_is_named() -> None:
    told = reports()
    told["node1"].containers["berth-registry"] = ContainerFact(
        "registry", "berth-registry", "x@y", "running", "-", 0, ""
    )
    assert wrong(told) == {"node1: registry runs": f"running; berth-registry is from x@y, not from {IMAGE}"}


def test_a_stopped_daemon_shows_once_and_its_settings_are_not_asked() -> None:
    told = reports()
    told["node2"].docker, told["node2"].docker_error = None, "Cannot connect"
    assert wrong(told) == {"node2: docker runs": "does not answer: Cannot connect"}


@pytest.mark.parametrize(("holders", "text"), [((), "none"), (("node1", "node2"), "node1, node2")])
def test_two_balancers_with_the_address_are_as_bad_as_none(holders: tuple[str, ...], text: str) -> None:
    known, told = expected.read(export(), "dev"), reports()
    for name in ("node1", "node2"):
        known.machines[name].services.append(expected.Service("berth-virtual-address", "virtual-address", IMAGE))
        fact = ContainerFact("virtual-address", "berth-virtual-address", IMAGE, "running", "-", 0, "")
        told[name].containers[fact.name] = fact
        told[name].holds = frozenset({known.address} if name in holders else ())
    found = {answer.question: answer for answer in checks.answers(known, told, FINE)}
    held = found["one balancer holds the address"]
    assert (held.node, held.answer, held.ok) == (known.address, text, False)
    told["node1"].holds, told["node2"].holds = frozenset({known.address}), frozenset()
    assert wrong_of(known, told) == {}
    details = {
        row.node: row.detail
        for row in status.rows(collect.ClusterSnapshot(known, told, FINE))
        if "virtual" in row.service
    }
    assert details == {"node1": f"running, holds {known.address}", "node2": "running, stands by"}


def test_an_unreachable_node_is_one_red_line() -> None:
    told = reports()
    told["node1"] = Report("node1", error="10.77.0.11 did not answer within 15 s")
    assert wrong(told) == {"node1: reachable": "10.77.0.11 did not answer within 15 s"}


def test_a_registry_that_lets_outsiders_in_is_an_alarm() -> None:
    replies = EndpointReplies(Reply(200), Reply(200), Reply(503), 12)
    assert wrong(reports(), replies) == {
        "registry.berth.test:4000: registry rejects anonymous requests (401)": "200",
        "registry.berth.test:4000: CA": "12 days left",
        "https://registry.berth.test:9443: object store takes writes": "no write quorum",
    }


def test_status_blames_the_node_whose_service_does_not_answer() -> None:
    told = reports()
    told["node1"].urls = {HEALTH: ("200", "503")}
    rows = {
        (row.node, row.service): row
        for row in status.rows(collect.ClusterSnapshot(expected.read(export(), "dev"), told, FINE))
    }
    assert not rows["node1", "registry"].healthy
    assert rows["node1", "registry"].detail == f"{HEALTH} answers 503"
    assert rows["node1", "registry"].version == "3.1.2"
    assert rows["node2", "docker"].healthy and rows["node1", "docker"].version == "26.1.5"


@pytest.fixture
def deployed(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    checkout.install_pulumi()
    checkout.deploy()
    checkout.answer("stack export", out=json.dumps(export()))
    monkeypatch.setattr("operations.inspect.probe.Probe.ask", lambda self, hosts: reports())
    monkeypatch.setattr("operations.inspect.endpoint_checks.ask", lambda *_: FINE)
    return checkout


def test_verify_is_green_or_exits_with_three(deployed: Checkout, berth: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = berth("verify")
    assert ended.code == 0 and "checks passed" in ended.out, ended.err
    broken = {**reports(), "node2": Report("node2", error="gone [odd] text")}
    monkeypatch.setattr("operations.inspect.probe.Probe.ask", lambda self, hosts: broken)
    ended = berth("verify", "--json")
    assert ended.code == 3
    assert {"question": "reachable", "node": "node2", "answer": "gone [odd] text", "ok": False} in json.loads(
        ended.out
    )["answers"]
    assert "gone [odd] text" in berth("verify").out
    assert "--show-secrets" in deployed.calls[-1]["arguments"]


def test_a_long_version_is_whole_in_a_narrow_terminal(
    deployed: Checkout, berth: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("operations.commands.status.answer_console", lambda: Console(width=70))
    told, version = reports(), "v0.0.0-20260212201848-7aac2a2c5b7c"
    told["node1"].containers["berth-registry"] = replace(told["node1"].containers["berth-registry"], version=version)
    monkeypatch.setattr("operations.inspect.probe.Probe.ask", lambda self, hosts: told)
    lines = [line.split("│") for line in berth("status").out.splitlines() if "│" in line]
    assert version in "".join(cells[5].strip() for cells in lines)


def test_status_is_a_table_or_json_and_shows_no_secret(deployed: Checkout, berth: Any) -> None:
    table = berth("status").out
    assert all(word in table for word in ("node1", "registry", "3.1.2", "26.1.5", "answers"))
    shown = berth("status", "--json").out
    assert {"node1", "node2"} == {row["node"] for row in json.loads(shown)["services"]}
    assert "w'r" not in table + shown
