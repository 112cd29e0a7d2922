"""Berth's table on a real node: who gets in, how many at once, and what becomes of other people's rules."""

from __future__ import annotations

import subprocess
import threading
from collections import Counter
from dataclasses import replace

import pytest

from components.firewall.render import TABLE_FILE, UNIT
from tests.firewall.conftest import Box, connects, rules, until

FOREIGN = """\
table ip theirs {
    chain input {
        type filter hook input priority 0; policy accept;
        tcp dport 7777 drop
    }
}
"""


def applied(node: Box, **changes: object) -> str:
    ended = node.stage("apply", rules(node, **changes))
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def state(node: Box) -> str:
    from operations.inspect import parser, probe

    answer = node.out("sh", "-c", probe.TEXT, "berth-probe", "test", text="firewall\n")
    return " ".join(parser.parse("node1", answer.splitlines()).answers["firewall"][0])


def test_a_second_run_changes_nothing(node: Box) -> None:
    assert "loaded" in applied(node)
    assert applied(node) == "nothing to change\n"


def test_outsiders_are_refused_and_the_stacks_machines_let_in(listening: Box, others: Box) -> None:
    applied(listening)
    for port in (9000, 9443):
        assert connects(others, 50, port) == ["refused"], "an outsider"
        assert connects(others, 12, port) == ["open"], "a node of the stack"
    assert connects(others, 50, 4000) == connects(others, 50, 8080) == ["open"], "ports that are not closed"
    here = listening.run("curl", "-sv", "--max-time", "2", f"http://{listening.at(11)}:9000").stderr
    assert "Connected to" in here, "the node itself"


def test_an_established_connection_of_an_outsider_is_reset(listening: Box, others: Box) -> None:
    ended: list[list[str]] = []
    outsider = threading.Thread(target=lambda: ended.append(connects(others, 50, 9000, 1, 5, "again")))
    friend = threading.Thread(target=lambda: ended.append(connects(others, 12, 9000, 1, 7, "again")))
    for one in (outsider, friend):
        one.start()
    until(lambda: listening.out("ss", "-tnH", "src", f"{listening.at(11)}:9000").count("ESTAB") == 2, 4)
    applied(listening)
    for one in (outsider, friend):
        one.join()
    assert ended == [["open", "thrown out"], ["open", "still open"]]


def test_half_open_connections_are_bounded_for_each_address(listening: Box, others: Box) -> None:
    applied(listening)
    found: dict[int, Counter[str]] = {}

    def flood(source: int, seconds: float) -> None:
        found[source] = Counter(connects(others, source, 4000, 25, seconds))

    first = threading.Thread(target=flood, args=(50, 20.0))
    first.start()
    until(lambda: listening.out("ss", "-tnH", "src", f"{listening.at(11)}:4000").count(":4000") >= 20, 20)
    flood(51, 0)
    assert connects(others, 12, 4000, 5) == ["open"] * 5, "what outsiders cannot have is the nodes'"
    first.join()
    assert found[50] == {"open": 20, "silent": 5}
    assert found[51] == {"open": 10, "silent": 15}, "all outsiders together"
    # Ended ones are counted no longer.
    assert connects(others, 50, 4000, 5) == ["open"] * 5


def test_who_leaves_the_stack_is_let_in_for_some_more_minutes(listening: Box, others: Box) -> None:
    applied(listening)
    fewer = rules(listening)
    chains = [
        replace(chain, sources=[one for one in chain.sources if one != listening.at(13)]) for chain in fewer.chains
    ]
    applied(listening, chains=chains, peers=[one for one in fewer.peers if one != listening.at(13)])
    assert connects(others, 13, 9000) == ["open"]
    assert "timeout 10m" in listening.out("nft", "list", "set", "inet", "berth", "leaving")
    assert state(listening) == "in force"
    # After that, and at once when the node restarts.
    listening.out("systemctl", "reload", UNIT)
    assert connects(others, 13, 9000) == ["refused"]


def test_rules_of_others_stay_as_they_are(node: Box) -> None:
    node.out("nft", "-f", "-", text=FOREIGN)
    try:
        before = node.others()
        applied(node)
        assert node.others() == before
        assert node.stage("remove", rules(node)).returncode == 0
        assert node.others() == before and "berth" not in node.out("nft", "list", "ruleset")
    finally:
        node.out("nft", "delete", "table", "ip", "theirs")


def test_what_is_removed_leaves_nothing(node: Box) -> None:
    applied(node)
    node.stage("remove", rules(node))
    assert node.run("test", "-e", TABLE_FILE).returncode
    assert UNIT not in node.out("systemctl", "list-units", "--all", "--plain", "berth-*")
    assert UNIT not in node.out("find", "/etc/systemd/system")
    assert node.run("test", "-e", "/var/lib/berth/test").returncode


@pytest.mark.parametrize(
    ("command", "found"),
    [
        (("nft", "delete", "table", "inet", "berth"), "missing"),
        (("nft", "insert", "rule", "inet", "berth", "object-store", "accept"), "altered"),
        (("systemctl", "disable", UNIT), "not loaded at boot"),
    ],
)
def test_a_table_that_somebody_changed_is_told_and_put_back(node: Box, command: tuple[str, ...], found: str) -> None:
    applied(node)
    assert state(node) == "in force"
    node.out(*command)
    assert state(node) == found
    assert applied(node) == "firewall: loaded\n"
    assert state(node) == "in force"


def test_the_table_is_there_before_docker_when_the_node_starts(restarted: Box) -> None:
    applied(restarted)
    subprocess.run(["docker", "restart", "--time=1", restarted.name], capture_output=True, check=True)
    restarted.boots()
    assert state(restarted) == "in force"
    shown = restarted.out("systemctl", "show", "-p", "ActiveEnterTimestampMonotonic", "--value", UNIT)
    docker = restarted.out("systemctl", "show", "-p", "InactiveExitTimestampMonotonic", "--value", "docker.service")
    assert 0 < int(shown) < int(docker)


@pytest.mark.parametrize("verb", ["reload", "restart"])
def test_a_table_that_nftables_service_flushes_comes_back(restarted: Box, verb: str) -> None:
    restarted.out("systemctl", "start", "nftables")
    applied(restarted)
    restarted.out("nft", "delete", "table", "inet", "berth")
    restarted.out("systemctl", verb, "nftables")
    until(lambda: state(restarted) == "in force", 10)
