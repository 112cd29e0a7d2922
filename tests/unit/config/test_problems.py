"""Problems: all at once, with path and remedy, and never the text of a secret."""

from __future__ import annotations

from typing import Any

import pytest

from config import stackfile
from config.problems import Problem, SettingsError, closest, path, shown
from tests.unit.config.stacks import document

SECRET = "hunter2-Ünknown"


INVALID_FIELDS: dict[str, Any] = {
    "nods": [],
    "registry.prot": 3,
    "nodes[0].address": "10.77.0.11x",
    "nodes[3].ssh": {"port": "x"},
    "docker.mtu": 1,
    "objectStore": float("nan"),
    "docker.logDriver": {"secure": "v1:x"},
    "kolla.release": "wallaby",
    "secrets": {"users": {"push": SECRET}},
}
CONTRADICTIONS: dict[str, Any] = {
    "registry.mirrorPort": 4000,
    "nodes[1].name": "node3",
    "docker.extra": {"hosts": []},
    "secrets": {"upstreams": {"quay": {"secure": "v1:x"}}},
}


def test_the_first_round_reports_every_invalid_field_and_no_rule() -> None:
    problems = stackfile.check("dev", document("dev", CONTRADICTIONS | INVALID_FIELDS))
    assert {problem.path for problem in problems} == {
        "berth:nods",
        "berth:registry.prot",
        "berth:nodes[0].address",
        "berth:nodes[3].ssh.port",
        "berth:docker.mtu",
        "berth:objectStore",
        "berth:docker.logDriver",
        "berth:kolla.release",
        "berth:secrets.users.push",
    }


def test_the_second_round_reports_what_valid_fields_contradict() -> None:
    problems = stackfile.check("dev", document("dev", CONTRADICTIONS))
    assert {problem.path for problem in problems} == {
        "berth:registry.mirrorPort",
        "berth:nodes[2].name",
        "berth:docker.extra.hosts",
        "berth:secrets.upstreams.quay",
    }


def test_the_error_shows_path_value_reason_remedy_and_suggestion() -> None:
    with pytest.raises(SettingsError) as caught:
        stackfile.parse("dev", document("dev", {"nodes[3].roles": ["object-stroe"]}))
    assert str(caught.value).splitlines() == [
        "Pulumi.dev.yaml: 1 setting cannot be used",
        "",
        'berth:nodes[3].roles[0]: "object-stroe"',
        "  is not one of the 12 possible values. Did you mean `object-store`?",
        "  Use one of: registry, object-store, load-balancer, swarm-manager, swarm-worker, etcd, control, network, "
        "compute, monitoring, storage, deployment.",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"registry.users[0].password": SECRET},
        {"registry.users[0].pasword": SECRET},
        {"registry.users[0].password": {"secure": SECRET}},
        {"secrets": {"users": {"push": SECRET}}},
        {"secrets": SECRET},
        {"secrets": {"user": {"push": SECRET}}},
        {"secrets": {"users": {"push": {"secure": "v1:x", "plain": SECRET}}}},
        {"docker": {"proxies": {"http": f"http://me:{SECRET}@proxy.x:1"}}},
        {"docker": {"registryMirrors": [f"https://me:{SECRET}@m.x"]}},
        {"docker": {"logOptions": {"splunk-token": f"{SECRET}\n"}}},
        {"docker": {"extra": {"hosts": [SECRET]}}},
        {"nodes[0].ssh": {"hostKey": f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}"}},
        {"nodes[0].ssh": {"keyFile": f"-----BEGIN OPENSSH PRIVATE KEY-----\n{SECRET}"}},
        {"password": SECRET},
    ],
)
def test_a_secret_in_the_wrong_place_is_refused_and_not_repeated(changes: dict[str, Any]) -> None:
    problems = stackfile.check("dev", document("dev", changes))
    assert problems
    assert SECRET not in "\n".join(map(str, problems))
    assert "hunter2" not in repr(problems)


def test_a_password_where_its_origin_belongs_says_where_passwords_go() -> None:
    problems = stackfile.check("dev", document("dev", {"registry.users[0].password": SECRET}))
    assert "`berth:secrets`" in problems[0].fix


def test_paths_are_written_as_pulumi_takes_them() -> None:
    assert path("nodes", 2, "address") == "berth:nodes[2].address"
    assert path("secrets", "users", "a.b c") == 'berth:secrets.users["a.b c"]'


def test_values_are_shown_short_and_printable() -> None:
    assert shown("a\nb\x1b[31m") == '"a\\nb\\u001b[31m"'
    assert len(shown("x" * 5000) or "") < 100
    assert shown(["a"]) is None


def test_a_misspelt_word_is_recognised_across_cases_and_separators() -> None:
    assert closest("LOADBALANCER", ["registry", "load-balancer"]) == "load-balancer"
    assert closest("zzz", ["registry", "load-balancer"]) is None


def test_a_problem_without_value_shows_only_its_path() -> None:
    assert str(Problem("berth:x", "is wrong.", "Repair it.")) == "berth:x\n  is wrong.\n  Repair it."
