"""What `drift` makes of a state and of what machines and services say; recorded answers, no node."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
from typing import Any

import pytest

from components.lib.host_files.bundle import File, render
from operations.drift import object_store
from operations.drift.report import DriftReport
from operations.inspect import expected
from operations.inspect.compare import Finding, Unknown, of_machine
from operations.inspect.expected import DEPLOY_HOST
from operations.inspect.probe import Probe
from operations.inspect.reports import ContainerFact, FileFact, Report, UnitFact
from plugins.interface import Created, ProviderError
from tests.unit.conftest import Checkout
from tests.unit.operations.inspect.test_checks import CONFIG_SUM, IMAGE, command, export, good, reports, secret

CANARY = "c4nary-of-the-secret"
CONFIG = "/etc/berth/registry/config.yml"
INPUTS = {
    "command": ["serve", f"--key={CANARY}"],
    "envs": [f"TOKEN={CANARY}"],
    "networkMode": "host",
    "restart": "unless-stopped",
    "capabilities": {"drops": ["ALL"], "adds": ["CAP_CHOWN"]},
    "volumes": [{"containerPath": "/etc/berth/registry", "hostPath": "/etc/berth/registry", "readOnly": True}],
}
INSPECTED = {
    "config": {"Cmd": ["serve", f"--key={CANARY}"], "Env": [f"TOKEN={CANARY}", "PATH=/bin"], "User": "65532"},
    "host": {
        "Binds": ["/etc/berth/registry:/etc/berth/registry:ro"],
        "NetworkMode": "host",
        "CapAdd": ["CHOWN"],
        "CapDrop": ["ALL"],
        "Privileged": False,
        "CpuShares": 0,
        "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
    },
}
KEY = {
    "urn": "urn:pulumi:dev::berth::minio:index/iamServiceAccount:IamServiceAccount::bucket-store-key",
    "type": "minio:index/iamServiceAccount:IamServiceAccount",
    "id": "ACCESS",
    "provider": "urn::store::1",
    "inputs": {"targetUser": "berth-registry", "policy": "{}"},
    "outputs": {"accessKey": "ACCESS", "secretKey": secret(CANARY), "policy": "{}", "targetUser": "berth-registry"},
}
STORE = {
    "urn": "urn::store",
    "id": "1",
    "type": "pulumi:providers:minio",
    "inputs": {"minioServer": "registry.berth.test:9443", "minioUser": "root", "minioPassword": secret(CANARY)},
}


def exported() -> dict[str, Any]:
    document = export()
    resources = document["deployment"]["resources"]
    resources[-1]["inputs"].update(INPUTS)
    resources += [STORE, KEY]
    return document


def running(**changes: Any) -> ContainerFact:
    fact = ContainerFact("registry", "berth-registry", IMAGE, "running", "-", 0, "3.1.2", "abc", **INSPECTED)
    return dataclasses.replace(fact, **changes)


def seen(node: str = "node1") -> Report:
    report = good(node)
    report.containers = {"berth-registry": running()}
    return report


def found(report: Report, node: str = "node1") -> list[tuple[str, str, str, str]]:
    machine = expected.read(exported(), "dev").machines[node]
    result = []
    for one in of_machine(node, machine, report):
        assert CANARY not in repr(one)
        result.append((one.kind, one.name, one.expected, one.found) if isinstance(one, Finding) else ("?", one.reason))
    return result  # type: ignore[return-value]


def test_a_node_as_the_state_says_has_no_drift() -> None:
    assert found(seen()) == []


@pytest.mark.parametrize(
    ("fact", "expected", "got"),
    [
        (None, "there", "missing"),
        (FileFact("600", ("root:root", "0:0"), "other"), "as written", "changed"),
        (FileFact("644", ("root:root", "0:0"), CONFIG_SUM), "mode 600", "mode 644"),
        (FileFact("600", ("ops:root", "1000:0"), CONFIG_SUM), "owned by root:root", "owned by ops:root"),
    ],
)
def test_a_file_is_compared_by_checksum_mode_and_owner(fact: FileFact | None, expected: str, got: str) -> None:
    report = seen()
    report.files = {} if fact is None else {CONFIG: fact}
    assert found(report) == [("file", CONFIG, expected, got)]


@pytest.mark.parametrize(
    ("told", "differences"),
    [
        ("in force", []),
        ("missing", [("firewall", "table inet berth", "in force", "missing")]),
        ("altered", [("firewall", "table inet berth", "in force", "altered")]),
        ("not loaded at boot", [("firewall", "table inet berth", "in force", "not loaded at boot")]),
        ("unreadable", [("?", "whether the table berth of nftables is as written: unreadable")]),
        (None, [("?", "whether the table berth of nftables is as written: not told")]),
    ],
)
def test_a_nodes_own_rules_have_to_be_in_force(told: str | None, differences: list[tuple[str, ...]]) -> None:
    document = exported()
    bundle = command("berth:firewall:Firewall$command:remote:Command", "berth-bundle 1\nask\tfirewall\n")
    document["deployment"]["resources"].append(bundle)
    machine = expected.read(document, "dev").machines["node1"]
    assert "firewall" in Probe("dev", "r.test:4000", "10.77.0.10", {}).questions(machine).splitlines()
    report = seen()
    report.answers = {"firewall": [[told]]} if told else {}
    found = list(of_machine("node1", machine, report))
    shown = [(o.kind, o.name, o.expected, o.found) if isinstance(o, Finding) else ("?", o.reason) for o in found]
    assert shown == differences
    assert all(one.resource == bundle["urn"] and one.mark for one in found if isinstance(one, Finding))


def test_an_owner_that_the_node_has_no_name_for_is_compared_by_its_number() -> None:
    machine = expected.read(exported(), "dev").machines["node1"]
    machine.files[CONFIG] = dataclasses.replace(machine.files[CONFIG], owner="65532:65532")
    report = seen()
    report.files[CONFIG] = FileFact("600", ("UNKNOWN:UNKNOWN", "65532:65532"), CONFIG_SUM)
    assert list(of_machine("node1", machine, report)) == []


def test_a_file_that_only_some_machines_get_may_be_missing_but_not_changed() -> None:
    machine = expected.Machine()
    variants = [
        File("/etc/default/docker", text, when=[word]) for word, text in (("systemd", "one\n"), ("service", "two\n"))
    ]
    expected.add_bundle(machine, render(variants), "urn")
    report = seen()
    report.files = {}
    sums = [hashlib.sha256(text).hexdigest() for text in (b"one\n", b"two\n", b"three\n")]
    told = []
    for fact in (None, *(FileFact("644", ("root:root", "0:0"), each) for each in sums)):
        report.files = {"/etc/default/docker": fact} if fact else {}
        told.append(
            [
                each.found
                for each in of_machine("node1", machine, report)
                if isinstance(each, Finding) and each.kind == "file"
            ]
        )
    assert told == [[], [], [], ["changed"]]


def test_what_cannot_be_read_is_unknown_and_not_fine() -> None:
    report = seen()
    report.files = {CONFIG: FileFact("600", ("root:root", "0:0"))}
    report.blocks = {"/etc/hosts": "unreadable"}
    assert found(report) == [("?", f"{CONFIG} can't be read"), ("?", "/etc/hosts can't be read")]


@pytest.mark.parametrize(
    ("changes", "expected", "got"),
    [
        ({"state": "exited"}, "running", "exited"),
        ({"image": "x@y"}, f"from {IMAGE}", "from x@y"),
        ({"config": {**INSPECTED["config"], "Cmd": ["sh"]}}, "made as the state says", "command"),
        ({"config": {**INSPECTED["config"], "Env": ["TOKEN=other"]}}, "made as the state says", "TOKEN"),
        ({"host": {**INSPECTED["host"], "Binds": ["/:/host:rw"]}}, "made as the state says", "volumes"),
        ({"host": {**INSPECTED["host"], "NetworkMode": "default"}}, "made as the state says", "network mode"),
        ({"host": {**INSPECTED["host"], "CapDrop": None}}, "made as the state says", "dropped capabilities"),
        ({"host": {**INSPECTED["host"], "Privileged": True}}, "made as the state says", "privileges"),
        (
            {"host": {**INSPECTED["host"], "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}}},
            "made as the state says",
            "restart policy",
        ),
    ],
)
def test_a_container_is_compared_with_what_it_was_made_from(changes: dict[str, Any], expected: str, got: str) -> None:
    report = seen()
    report.containers = {"berth-registry": running(**changes)}
    [(kind, name, wanted, other)] = found(report)
    assert (kind, name, wanted) == ("container", "berth-registry", expected)
    assert other == (got if expected != "made as the state says" else f"made with other settings: {got}")


def test_a_missing_container_and_one_too_many_are_named() -> None:
    report = seen()
    report.containers = {"berth-old": running(name="berth-old")}
    assert [line[1:] for line in found(report)] == [
        ("berth-registry", "there", "missing"),
        ("berth-old", "absent", "there with this stack's label"),
    ]


def test_units_and_daemon_settings_are_compared() -> None:
    report = seen()
    report.units = {"docker.service": UnitFact("failed", "disabled", stale=True), "docker.socket": UnitFact()}
    report.info = ["false", "json-file"]
    assert [line[:2] + line[3:] for line in found(report)] == [
        ("unit", "docker.service", "failed"),
        ("unit", "docker.service", "disabled"),
        ("unit", "docker.service", "loaded from older files"),
        ("setting", "{{.LiveRestoreEnabled}}", "'false'"),
    ]


def test_a_daemon_that_does_not_answer_leaves_its_containers_unknown() -> None:
    report = seen()
    report.docker, report.docker_error, report.containers = None, "Cannot connect", {}
    assert found(report) == [("?", "Docker does not answer: Cannot connect")]


def test_a_service_that_shows_another_certificate_than_the_states_is_named() -> None:
    machine = expected.read(exported(), "dev").machines["node1"]
    machine.listeners = [expected.Listener("berth-registry", "10.77.0.11", 4010)]
    machine.certificates = {"a" * 64}
    report = seen()
    for shown, kind in (("a" * 64, None), ("b" * 64, "certificate"), ("(refused)", "unknown")):
        report.served = {("10.77.0.11", 4010): shown}
        told = [getattr(one, "kind", "unknown") for one in of_machine("node1", machine, report)]
        assert told == ([] if kind is None else [kind])


class Minio:
    """The engine's provider, with an answer prepared."""

    def __init__(self, answer: Created | ProviderError | None) -> None:
        self.answer = answer

    def read(self, *_: object) -> Created | None:
        if isinstance(self.answer, ProviderError):
            raise self.answer
        return self.answer

    def diff(self, type_: str, id_: str, olds: Any, outputs: Any, news: Any) -> Any:
        from plugins.providers.minio import IamServiceAccount

        return IamServiceAccount(None).diff(id_, olds, outputs, news)  # type: ignore[arg-type]


def stored(monkeypatch: pytest.MonkeyPatch, answer: Created | ProviderError | None, known: bool = True) -> list[Any]:
    package = type("Package", (), {"configure": lambda self, inputs: Minio(answer)})
    monkeypatch.setattr("plugins.providers.minio.package", package)
    monkeypatch.setattr("socket.create_connection", lambda *_: type("C", (), {"close": lambda self: None})())
    monkeypatch.setattr(object_store, "_lets_in", lambda *_: known)
    told = list(object_store.differences(expected.read(exported(), "dev")))
    assert CANARY not in repr(told)
    return told


def test_buckets_users_policies_and_keys_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = {"accessKey": "ACCESS", "policy": "{}", "targetUser": "berth-registry"}
    assert stored(monkeypatch, Created("ACCESS", outputs)) == []
    [gone] = stored(monkeypatch, None)
    assert (gone.node, gone.kind, gone.name, gone.found) == (
        "registry.berth.test:9443",
        "key",
        "bucket-store-key",
        "missing",
    )
    [other] = stored(monkeypatch, Created("ACCESS", {**outputs, "policy": '{"Statement": [1]}'}))
    assert other.found == "with another policy"
    [secret_] = stored(monkeypatch, Created("ACCESS", outputs), known=False)
    assert secret_.found == "refused with it"


def test_an_object_store_that_does_not_answer_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert stored(monkeypatch, ProviderError("503")) == [Unknown("registry.berth.test:9443", "503")]

    def refused(*_: object) -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr("socket.create_connection", refused)
    [told] = object_store.differences(expected.read(exported(), "dev"))
    assert told == Unknown("registry.berth.test:9443", "the object store can't be reached: Connection refused")


def test_a_difference_counts_more_than_what_is_unknown_and_neither_is_fine() -> None:
    finding, unknown = Finding("node1", "file", "/a|b", "as written", "changed"), Unknown("node2", "gone")
    codes = [DriftReport("dev", a, b).exit_code for a in ([], [finding]) for b in ([], [unknown])]
    assert codes == [0, 1, 3, 3]
    text = DriftReport("dev", [finding], [unknown], ["soon"]).as_markdown()
    assert text.startswith("**dev: 1 difference on 1 machine, 1 thing not known.**\n")
    assert "| node1 | file | `/a\\|b` | `as written` | changed |" in text
    assert "| node2 | gone |" in text and text.endswith("Warning: soon\n")
    assert DriftReport("dev").as_markdown() == "**dev: no drift.**\n"


@pytest.fixture
def deployed(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    checkout.install_pulumi()
    checkout.deploy()
    checkout.answer("stack export", out=json.dumps(exported()))
    monkeypatch.setattr(object_store, "differences", lambda wanted: [])
    return checkout


def told(monkeypatch: pytest.MonkeyPatch, **changes: Report) -> None:
    answers = {**reports(), "node1": seen(), **changes}
    monkeypatch.setattr("operations.inspect.probe.Probe.ask", lambda self, hosts: answers)


def test_drift_exits_with_three_on_drift_and_one_when_only_unknown(
    deployed: Checkout, berth: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(monkeypatch)
    ended = berth("drift")
    assert (ended.code, ended.out) == (0, "dev: no drift.\n"), ended.err
    told(monkeypatch, node2=Report("node2", error="10.77.0.12 did not answer within 15 s"))
    ended = berth("drift")
    assert ended.code == 1
    assert "10.77.0.12 did not answer" in ended.out
    broken = seen()
    broken.files = {}
    told(monkeypatch, node1=broken, node2=Report("node2", error="gone [odd]"))
    ended = berth("drift", "--json")
    assert ended.code == 3
    document = json.loads(ended.out)
    assert [(one["node"], one["name"], one["found"]) for one in document["findings"]] == [("node1", CONFIG, "missing")]
    assert document["unknown"] == [{"node": "node2", "reason": "gone [odd]"}]
    ended = berth("drift", "--markdown")
    assert ended.code == 3
    assert "**dev: 1 difference on 1 machine, 1 thing not known.**" in ended.out
    assert {call["command"] for call in deployed.calls} == {"stack export"}, "nothing but the state is asked for"


def test_no_secret_is_in_any_form_of_the_answer(
    deployed: Checkout, berth: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = json.loads(json.dumps(exported()).replace("|a", f"|{CANARY}"))
    deployed.answer("stack export", out=json.dumps(document))
    broken = seen()
    broken.containers = {"berth-registry": running(config={"Cmd": [CANARY + "2"], "Env": [f"TOKEN={CANARY}2"]})}
    broken.info = ["false", "json-file"]
    told(monkeypatch, node1=broken)
    for form in ([], ["--json"], ["--markdown"]):
        ended = berth("drift", *form)
        assert ended.code == 3
        assert CONFIG in ended.out and "TOKEN" in ended.out
        assert CANARY not in ended.out + ended.err


def test_a_wrong_passphrase_is_one_sentence(deployed: Checkout, berth: Any) -> None:
    deployed.answer("stack export", err="error: incorrect passphrase\n", code=255)
    ended = berth("drift")
    assert ended.code == 1
    assert ended.err.startswith("The passphrase is not the one of stack dev")


def test_a_certificate_that_ends_soon_is_a_warning_and_no_drift(
    deployed: Checkout, berth: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    document, now = exported(), dt.datetime.now(dt.UTC)
    for name, days in (("soon", 5.5), ("late", 300)):
        end = (now + dt.timedelta(days)).isoformat(timespec="seconds").replace("+00:00", "Z")
        urn = f"urn:pulumi:dev::berth::tls:index/locallySignedCert:LocallySignedCert::{name}"
        certificate = {"urn": urn, "type": "tls", "outputs": {"validityEndTime": end}}
        document["deployment"]["resources"].append(certificate)
    deployed.answer("stack export", out=json.dumps(document))
    told(monkeypatch)
    ended = berth("drift", "--json")
    assert ended.code == 0
    assert json.loads(ended.out)["warnings"] == ["The certificate soon ends in 5 days; ./berth up renews it."]


def test_a_stack_that_was_never_deployed_says_what_to_do(checkout: Checkout, berth: Any) -> None:
    checkout.install_pulumi()
    assert "./berth up --stack dev" in berth("drift").err


def test_the_deploy_host_is_a_machine_like_the_others() -> None:
    report = seen(DEPLOY_HOST)
    report.containers = {}
    report.files = {}
    assert [line[:2] for line in found(report, DEPLOY_HOST)] == [("file", CONFIG)]
