"""A firewall that somebody else manages is left alone, and refused where it would keep out whom Berth lets in."""

from __future__ import annotations

import pytest

from tests.firewall.conftest import Box, rules

CLOSING = """\
table inet theirs {{
    chain input {{
        type filter hook input priority 0; policy {policy};
        iif "lo" accept
        ct state established,related accept
        tcp dport 22 accept
        {rules}
    }}
}}
"""


def refused(node: Box) -> str:
    ended = node.stage("apply", rules(node))
    assert ended.returncode != 0 and ended.stderr.startswith("berth: ") and ended.stderr.count("\n") == 1, ended
    assert "berth:firewall to external" in ended.stderr
    assert "berth {" not in node.out("nft", "list", "ruleset"), "something was changed"
    assert node.run("test", "-e", "/etc/berth/firewall/table.nft").returncode
    return ended.stderr


@pytest.mark.parametrize(
    ("policy", "more", "missing"),
    [
        ("drop", "", "4000 9000 9443"),
        ("accept", "tcp dport 9000 accept; reject", "4000 9443"),
        ("drop", "tcp dport { 4000, 9000-9443 } accept", ""),
        ("drop", "ip saddr 10.0.0.0/8 accept", ""),
        ("drop", "ip saddr 10.0.0.0/8 tcp dport 9000-9500 accept", "4000"),
        ("accept", "tcp dport 23 drop", ""),
    ],
)
def test_plain_rules_are_in_the_way_only_if_they_close_a_port(node: Box, policy: str, more: str, missing: str) -> None:
    node.out("nft", "-f", "-", text=CLOSING.format(policy=policy, rules=more.replace(";", "\n")))
    try:
        if missing:
            said = refused(node)
            assert f"the table inet theirs on node1 drops what comes in at tcp port {missing}," in said
        else:
            assert node.stage("apply", rules(node)).returncode == 0
    finally:
        node.out("nft", "delete", "table", "inet", "theirs")


def test_iptables_with_a_closed_input_chain_is_named(restarted: Box) -> None:
    restarted.out("iptables", "-P", "INPUT", "DROP")
    assert "the table ip filter on node1 drops what comes in at tcp port 4000 9000 9443," in refused(restarted)
    restarted.out("iptables", "-A", "INPUT", "-p", "tcp", "--dport", "4000:9443", "-j", "ACCEPT")
    assert restarted.stage("apply", rules(restarted)).returncode == 0


def test_firewalld_has_to_let_the_ports_in(restarted: Box) -> None:
    restarted.out("systemctl", "start", "firewalld")
    assert "firewalld (zone public) on node1 drops what comes in at tcp port 4000 9000 9443," in refused(restarted)
    restarted.out("firewall-cmd", "--add-port=4000/tcp", "--add-port=9000-9500/tcp")
    assert restarted.stage("apply", rules(restarted)).returncode == 0
    restarted.out("firewall-cmd", "--reload")
    assert "table inet berth" in restarted.out("nft", "list", "ruleset")


def test_ufw_has_to_let_the_ports_in(restarted: Box) -> None:
    restarted.out("ufw", "--force", "enable")
    try:
        assert "ufw on node1 drops what comes in at tcp port 4000 9000 9443," in refused(restarted)
        restarted.out("ufw", "allow", "from", "10.0.0.0/8", "to", "any", "port", "9000", "proto", "tcp")
        restarted.out("ufw", "allow", "4000,9443/tcp")
        assert restarted.stage("apply", rules(restarted)).returncode == 0
        restarted.out("ufw", "reload")
        assert "table inet berth" in restarted.out("nft", "list", "ruleset")
    finally:
        restarted.out("ufw", "--force", "disable")


def test_a_node_without_nft_is_refused_before_anything_is_written(node: Box) -> None:
    node.out("mv", "/usr/sbin/nft", "/usr/sbin/nft.away")
    try:
        ended = node.stage("apply", rules(node))
    finally:
        node.out("mv", "/usr/sbin/nft.away", "/usr/sbin/nft")
    assert ended.returncode != 0
    assert "node1 has no /usr/sbin/nft" in ended.stderr and "install the package nftables" in ended.stderr
    assert node.run("test", "-e", "/etc/berth/firewall/table.nft").returncode, "something was written"
