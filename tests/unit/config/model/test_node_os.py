"""What is refused about nodes' systems: where, with which words, once; and no secret is ever repeated."""

from __future__ import annotations

from typing import Any

import pytest

from config import expected_secrets, stackfile
from config.fields.node_os import is_hash
from config.problems import Problem
from tests.unit.components.node_stack import HASH, KEY, document, everything, example, with_secrets

OWN = "berth:nodes[0].config"
LAN = {"name": "enp0s3", "addresses": ["192.0.2.11/24"]}


def problems(**own: Any) -> list[Problem]:
    """What is wrong with a Debian node that is set up like this."""
    return stackfile.check("test", document(None, {"operatingSystem": "debian", **own}))


@pytest.mark.parametrize("text", [example(), *map(everything, ("coreos", "flatcar", "debian", "ubuntu"))])
def test_the_documents_stack_and_those_with_every_setting_are_good(text: dict[str, Any]) -> None:
    assert stackfile.check("test", text) == []


def vlan(**changes: Any) -> dict[str, Any]:
    return {"interfaces": [{**LAN, "vlans": [{"id": 3000, **changes}]}]}


def lan(**changes: Any) -> dict[str, Any]:
    return {"interfaces": [{**LAN, **changes}]}


def user(**changes: Any) -> dict[str, Any]:
    return {"users": [{"name": "usera", **changes}]}


REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "VLAN id 0": (vlan(id=0), "interfaces[0].vlans[0].id", "not between 1 and 4094"),
    "VLAN id 4095": (vlan(id=4095), "interfaces[0].vlans[0].id", "not between 1 and 4094"),
    "a VLAN's id twice": (
        {"interfaces": [{**LAN, "vlans": [{"id": 7}, {"id": 7, "name": "other"}]}]},
        "interfaces[0].vlans[1].id",
        "on this interface already",
    ),
    "a VLAN's name twice": (
        {"interfaces": [{**LAN, "vlans": [{"id": 7, "name": "a"}, {"id": 8, "name": "a"}]}]},
        "interfaces[0].vlans[1]",
        "has the name of",
    ),
    "a subnet over another one": (
        vlan(addresses=["192.0.2.200/25"]),
        "interfaces[0].vlans[0].addresses",
        "192.0.2.128/25, which overlaps a network of enp0s3",
    ),
    "a gateway outside": (lan(gateway="192.0.3.1"), "interfaces[0].gateway", "outside of the networks of enp0s3"),
    "a gateway without network": (lan(addresses=[], gateway="192.0.2.1"), "interfaces[0].gateway", "it has none"),
    "an interface that nobody finds": ({"interfaces": [{"dhcp": True}]}, "interfaces[0]", "neither `name` nor `mac`"),
    "an address without prefix": (
        lan(addresses=["192.0.2.11"]),
        "interfaces[0].addresses[0]",
        "not an IPv4 address with",
    ),
    "a network's own address": (lan(addresses=["192.0.2.0/24"]), "interfaces[0].addresses[0]", "the network's own"),
    "a MAC address that is none": (lan(mac="08:00:27"), "interfaces[0].mac", "not a MAC address"),
    "a MAC address of many": (lan(mac="01:00:5e:00:00:01"), "interfaces[0].mac", "multicast address"),
    "an interface with a slash": (lan(name="eth/0"), "interfaces[0].name", "not the name of an interface"),
    "a user with a slash": (user(name="a/../b"), "users[0].name", "has a slash"),
    "a user with capitals": (user(name="UserA"), "users[0].name", "not the name of a Unix account"),
    "a group with a slash": (user(groups=["a/b"]), "users[0].groups[0]", "has a slash"),
    "a user twice": ({"users": [{"name": "a"}, {"name": "a"}]}, "users[1]", "in this list already"),
    "a key that is none": (user(sshKeys=["ssh-ed25519 AAAA"]), "users[0].sshKeys[0]", "not a whole OpenSSH"),
    "a zone that is none": ({"timezone": "America/NewYork"}, "timezone", "not a time zone that this machine knows"),
    "a zone with a command": ({"timezone": "UTC; reboot"}, "timezone", "not the name of a time zone"),
    "a path with dots": ({"files": [{"path": "/etc/../x", "content": ""}]}, "files[0].path", "not a full, plain"),
    "a file of nothing": ({"files": [{"path": "/etc/x"}]}, "files", "either `content` or `secret`"),
    "a file twice": (
        {"files": [{"path": "/etc/x", "content": "a"}, {"path": "/etc/x", "content": "b"}]},
        "files[1]",
        "in this list already",
    ),
    "a mode in decimal": ({"files": [{"path": "/x", "content": "", "mode": "644"}]}, "files[0].mode", "not the mode"),
    "a unit of no kind": ({"units": [{"name": "a.conf"}]}, "units[0].name", "not the name of a systemd unit"),
    "a unit elsewhere": ({"units": [{"name": "../a.service"}]}, "units[0].name", "not the name of a systemd unit"),
    "an alias with a command": ({"shellAliases": {"a;b": "c"}}, 'shellAliases["a;b"]', "name of a shell function"),
    "an alias of two lines": ({"shellAliases": {"a": "b\nc"}}, "shellAliases.a", "line break"),
    "an option of two words": ({"docker": {"options": ["--mtu 1450"]}}, "docker.options[0]", "not an option"),
    "an option with its own setting": (
        {"docker": {"options": ["--host=tcp://0.0.0.0"]}},
        "docker.options[0]",
        "its own setting: tcp",
    ),
    "TLS without its files": ({"docker": {"tcp": {}}}, "docker", "/etc/docker/tls/ca.pem is not among"),
    "etcd 2 on Debian": ({"etcd": {"version": 2, "tls": False}}, "etcd.version", "which only CoreOS before 1675"),
    "etcd 4": ({"etcd": {"version": 4, "tls": False}}, "etcd.version", "not between 2 and 3"),
    "a discovery without token": (
        {"etcd": {"tls": False, "discovery": "https://discovery.etcd.io"}},
        "etcd.discovery",
        "not the URL of a discovery token",
    ),
    "flannel without etcd": ({"flannel": {"network": "10.1.0.0/16"}}, "flannel", "needs etcd"),
    "flannel over the nodes": (
        {"flannel": {"network": "192.0.2.0/24"}, "etcd": {"tls": False}},
        "flannel.network",
        "overlaps 192.0.2.11",
    ),
    "ntpdate without servers": ({"ntpdate": True}, "ntpdate", "has no servers"),
    "CoreOS's release on Debian": ({"release": "1185.5.0"}, "release", "is CoreOS's"),
    "packages on Flatcar": ({"operatingSystem": "flatcar", "packages": ["vim"]}, "packages", "read-only"),
    "a file in Flatcar's /usr": (
        {"operatingSystem": "flatcar", "files": [{"path": "/usr/bin/x", "content": ""}]},
        "files",
        "below /usr",
    ),
    "a system of another kind": ({"operatingSystem": "core"}, "operatingSystem", "not one of the 4"),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_is_refused(sentence: str) -> None:
    own, place, words = REFUSED[sentence]
    found = problems(**own)
    assert found, sentence
    assert found[0].path == f"{OWN}.{place}", found
    assert words in found[0].wrong
    assert all(problem.path == found[0].path for problem in found), "nothing else is reported"


def test_two_nodes_on_one_mac_address_are_refused() -> None:
    own = [{"interfaces": [{"mac": mac, "dhcp": True}]} for mac in ("08:00:27:4e:66:a1", "08-00-27-4E-66-A1")]
    (problem,) = stackfile.check("test", document({"operatingSystem": "debian"}, *own))
    assert problem.path == "berth:nodes[1].config.interfaces[0].mac"
    assert "coreos1" in problem.wrong


def test_two_nodes_with_one_fixed_address_are_refused() -> None:
    (problem,) = stackfile.check("test", document({"operatingSystem": "debian"}, lan(), lan()))
    assert problem.path == "berth:nodes[1].config.interfaces[0].addresses"


def test_what_is_wrong_in_the_defaults_is_reported_once_and_there() -> None:
    (problem,) = stackfile.check("test", document({"timeServers": ["a.example.com"]}))
    assert (problem.path, problem.wrong) == ("berth:nodeDefaults.operatingSystem", "is missing.")
    (problem,) = stackfile.check("test", document({"operatingSystem": "debian", "docker": {"options": ["--tls"]}}))
    assert problem.path == "berth:nodeDefaults.docker.options[0]"


def test_a_default_can_be_switched_off_for_a_node() -> None:
    defaults = {"operatingSystem": "coreos", "etcd": {"tls": False}, "flannel": {"network": "10.1.0.0/16"}}
    settings = stackfile.parse("test", document(defaults, {"flannel": None}))
    assert settings.nodes[0].config is not None and settings.nodes[0].config.flannel is None
    assert settings.node_defaults is not None and settings.node_defaults.flannel is not None


@pytest.mark.parametrize("key", ["password", "passwordHash", "passwd"])
@pytest.mark.parametrize("value", ["hunter2", HASH])
def test_a_password_or_a_hash_in_the_file_is_refused_and_not_repeated(key: str, value: str) -> None:
    (problem,) = problems(**user(**{key: value}))
    assert problem.path == f"{OWN}.users[0].{key}"
    assert value not in str(problem)


def test_a_private_key_in_a_file_is_refused_and_not_repeated() -> None:
    text = "-----BEGIN PRIVATE KEY-----\nMIIE\n"
    (problem,) = problems(files=[{"path": "/etc/key", "content": text}])
    assert "holds a private key" in problem.wrong and "MIIE" not in str(problem)


def test_a_secret_file_that_everybody_may_read_is_refused() -> None:
    text = document(None, {"operatingSystem": "debian", "files": [{"path": "/k", "secret": "k", "mode": "0644"}]})
    (problem,) = stackfile.check("test", with_secrets(text, nodeFiles=["k"]))
    assert "readable for everybody" in problem.wrong


def test_a_missing_secret_is_reported_with_the_command_that_sets_it() -> None:
    own = {"operatingSystem": "debian", **user(password="configured"), "files": [{"path": "/k", "secret": "k"}]}
    for problem, name in zip(
        stackfile.check("test", document(None, own)), ("nodeUsers.usera", "nodeFiles.k"), strict=True
    ):
        assert problem.path == f"berth:secrets.{name}"
        assert f"set --secret --path berth:secrets.{name}" in problem.fix


def test_a_secret_that_nobody_uses_is_refused() -> None:
    text = with_secrets(document(None, {"operatingSystem": "debian", **user()}), nodeUsers=["usera", "userx"])
    assert [problem.wrong for problem in stackfile.check("test", text)] == [
        "would not be used.",
        "belongs to no account of the nodes.",
    ]


def test_secrets_are_not_validated_while_a_field_is_invalid() -> None:
    text = with_secrets(document(None, {"operatingSystem": "debian", "users": [{"name": "A"}]}), nodeUsers=["A"])
    assert [problem.path for problem in stackfile.check("test", text)] == [f"{OWN}.users[0].name"]


HASHES = [HASH, "$5$salt$" + "a" * 43, "$6$rounds=5000$salt$" + "b" * 86, "$y$j9T$salt$" + "c" * 43]
NO_HASHES = [
    "hunter2",
    "",
    "x",
    "!",
    "$6$",
    "$6$salt$short",
    "$2b$12$" + "a" * 53,
    HASH + "a",
    f"{HASH}\n",
    "$1$" + "a" * 30,
]


@pytest.mark.parametrize("value", HASHES)
def test_what_openssl_and_mkpasswd_print_is_a_hash(value: str) -> None:
    assert is_hash(value)


@pytest.mark.parametrize("value", [*NO_HASHES, 5, None, ["hunter2"]])
def test_a_secret_that_is_no_hash_is_refused_and_not_repeated(value: Any) -> None:
    settings = stackfile.parse(
        "test",
        with_secrets(document(None, {"operatingSystem": "debian", **user(password="configured")}), nodeUsers=["usera"]),
    )
    (problem,) = expected_secrets.check_decrypted("test", {"nodeUsers": {"usera": value}}, True, settings)
    assert problem.path == "berth:secrets.nodeUsers.usera"
    assert "not a hash" in problem.wrong
    assert "hunter2" not in str(problem)


def test_names_and_keys_of_defaults_and_nodes_are_validated_alike() -> None:
    defaults = {"operatingSystem": "debian", "sshKeys": [KEY], "users": [{"name": "a/b"}]}
    (problem,) = stackfile.check("test", document(defaults))
    assert problem.path == "berth:nodeDefaults.users[0].name"
