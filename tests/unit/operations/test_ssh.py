"""The ssh command line: pinned key, the node's own name, arguments as they were typed."""

from __future__ import annotations

import json
import stat
from typing import Any

import pytest

from operations import ssh
from operations.errors import UsageError
from tests.unit.conftest import OUTPUTS, Checkout


def test_the_host_key_is_pinned_by_the_nodes_name(checkout: Checkout) -> None:
    hosts = ssh.hosts(checkout.workspace, OUTPUTS)
    argv = ssh.ssh_command(checkout.workspace, "dev", hosts, "node2", [])
    known_hosts = checkout.workspace.stack_dir("dev") / "ssh_known_hosts"
    assert known_hosts.read_text() == "node1 ssh-ed25519 AAAAkey\nnode2 ssh-ed25519 AAAAkey\n"
    assert stat.S_IMODE(known_hosts.stat().st_mode) == 0o600
    assert argv[:7] == ["ssh", "-i", "/k/id", "-p", "22", "-l", "root"]
    assert {"StrictHostKeyChecking=yes", f"UserKnownHostsFile={known_hosts}", "HostKeyAlias=node2"} <= set(argv)
    assert argv[-1] == "10.77.0.12"


def test_one_word_is_a_shell_line_and_several_are_one_command(checkout: Checkout) -> None:
    hosts = ssh.hosts(checkout.workspace, OUTPUTS)
    line = ssh.ssh_command(checkout.workspace, "dev", hosts, "node1", ["cat /etc/hosts | wc -l"])
    words = ssh.ssh_command(checkout.workspace, "dev", hosts, "node1", ["echo", "it's $HOME"])
    assert line[-3:] == ["10.77.0.11", "--", "cat /etc/hosts | wc -l"]
    assert words[-1] == """echo 'it'"'"'s $HOME'"""


def test_an_unknown_node_is_wrong_use_and_the_known_ones_are_named(checkout: Checkout) -> None:
    hosts = ssh.hosts(checkout.workspace, OUTPUTS)
    with pytest.raises(UsageError, match="no node 'node9' in stack dev: node1, node2"):
        ssh.ssh_command(checkout.workspace, "dev", hosts, "node9", [])


def test_ssh_hands_over_to_the_ssh_program(checkout: Checkout, berth: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout.install_pulumi()
    checkout.deploy()
    seen: list[list[str]] = []

    def execvp(_: str, argv: list[str]) -> None:
        seen.append(argv)

    monkeypatch.setattr("os.execvp", execvp)
    assert berth("ssh", "node1", "--", "docker", "ps", "-a", "--stack", "x").code == 0
    assert seen[0][-1] == "docker ps -a --stack x"
    assert json.dumps(OUTPUTS["registry_users"]["reader"]) not in json.dumps(seen)
