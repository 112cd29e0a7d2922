"""Every rule about settings: what is refused, at which path, with which words; and what is data like any other."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from config import stackfile
from tests.unit.components.node_stack import host_key
from tests.unit.config.stacks import REMOVED, document

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBkaoheYG/vv93tZ242H7dHWU2RWJCfB8xDJrNXcNm0s"
ENCRYPTED = {"secure": "v1:x"}
DIGEST = "@sha256:" + "a" * 64


@dataclass(frozen=True)
class Refused:
    """A change to a good stack file, and the one problem that comes of it."""

    sentence: str
    changes: dict[str, Any]
    path: str
    words: str
    stack: str = "dev"
    suggestion: str | None = field(default=None)


def node(index: int, *roles: str) -> dict[str, Any]:
    return {"name": f"node{index}", "address": f"10.77.0.{10 + index}", "roles": list(roles)}


STORE = ["registry", "object-store"]
# One balancer, whose own address is the registry's.
ALONE = {"nodes[1].roles": STORE, "loadBalancer.address": "10.77.0.11"}
SECRET = {"secrets": {"upstreams": {"ghcr": ENCRYPTED}}}
UPSTREAM = {"name": "ghcr", "url": "https://ghcr.io", "prefix": "ghcr.io"}


def upstream(**changes: Any) -> dict[str, Any]:
    """A third upstream behind the two of the dev stack."""
    return {"registry.upstreams[2]": UPSTREAM | changes}


NODES = [
    Refused(
        "two nodes with one address", {"nodes[2].address": "10.77.0.12"}, "berth:nodes[2].address", "also the address"
    ),
    Refused("two nodes with one name", {"nodes[2].name": "node1"}, "berth:nodes[2].name", "also the name"),
    Refused("a name with capitals", {"nodes[3].name": "Node4"}, "berth:nodes[3].name", "not a host name"),
    Refused("a name with a command in it", {"nodes[3].name": "$(reboot)"}, "berth:nodes[3].name", "not a host name"),
    Refused("a name with a line break", {"nodes[3].name": "node4\n"}, "berth:nodes[3].name", "not a host name"),
    Refused(
        "a name that Linux cannot have", {"nodes[3].name": "a.b" * 22}, "berth:nodes[3].name", "longer than the 63"
    ),
    Refused("localhost as a node", {"nodes[3].name": "localhost"}, "berth:nodes[3].name", "a different machine"),
    Refused("an address that is none", {"nodes[3].address": "10.77.0.256"}, "berth:nodes[3].address", "not an IPv4"),
    Refused("a host name as address", {"nodes[3].address": "node4"}, "berth:nodes[3].address", "not an IPv4"),
    Refused(
        "the loopback address", {"nodes[3].address": "127.0.0.1"}, "berth:nodes[3].address", "not the address of one"
    ),
    Refused(
        "a misspelt role",
        {"nodes[3].roles": ["object-stroe"]},
        "berth:nodes[3].roles[0]",
        "not one of the 12",
        suggestion="object-store",
    ),
    Refused("a role twice", {"nodes[3].roles[1]": "object-store"}, "berth:nodes[3].roles[1]", "in this list already"),
    Refused("a node without name", {"nodes[3].name": REMOVED}, "berth:nodes[3].name", "is missing"),
    Refused("three object-store drives", {"nodes[3].roles": []}, "berth:nodes", "has 3 with the role object-store"),
    Refused(
        "no registry",
        {"nodes[0].roles": ["load-balancer", "object-store"], "nodes[1].roles": ["load-balancer", "object-store"]},
        "berth:nodes",
        "none with the role registry",
    ),
    Refused(
        "no load balancer",
        {"nodes[0].roles": STORE, "nodes[1].roles": STORE},
        "berth:nodes",
        "none with the role load",
    ),
    Refused(
        "an even number of managers",
        {
            "nodes[2].roles": ["object-store", "swarm-manager"],
            "nodes[3].roles": ["object-store", "swarm-manager"],
            "docker.liveRestore": False,
        },
        "berth:nodes",
        "has 2 with the role swarm-manager",
    ),
    Refused(
        "an even number of etcd members",
        {"nodes[2].roles": ["object-store", "etcd"], "nodes[3].roles": ["object-store", "etcd"]},
        "berth:nodes",
        "has 2 with the role etcd",
    ),
    Refused(
        "workers without a manager",
        {"nodes[3].roles": ["object-store", "swarm-worker"], "docker.liveRestore": False},
        "berth:nodes",
        "no swarm-manager",
    ),
    Refused(
        "a manager that is a worker too",
        {"nodes[3].roles": ["object-store", "swarm-worker", "swarm-manager"], "docker.liveRestore": False},
        "berth:nodes[3].roles",
        "a manager runs services too",
    ),
]

MANAGED = {"nodes[3].roles": ["object-store", "swarm-manager"]}


def overlay(**other: Any) -> dict[str, Any]:
    """A swarm with two networks, one of them with something changed."""
    good = {"name": "front", "subnet": "10.20.2.0/24"}
    return MANAGED | {"swarm": {"networks": [{"name": "back", "subnet": "10.20.1.0/24"}, good | other]}}


CLUSTERS = [
    Refused(
        "etcd's port on another service's",
        {"nodes[3].roles": ["object-store", "etcd"], "etcd.clientPort": 9000},
        "berth:etcd.clientPort",
        "is taken by berth:objectStore.port",
    ),
    Refused(
        "etcd's two ports alike",
        {"nodes[3].roles": ["object-store", "etcd"], "etcd.peerPort": 2379},
        "berth:etcd.peerPort",
        "is taken",
    ),
    Refused(
        "etcd's data in the object store's",
        {"nodes[3].roles": ["object-store", "etcd"], "etcd.dataDir": "/var/lib/berth/object-store/etcd"},
        "berth:etcd.dataDir",
        "is not separate",
    ),
    Refused("a heartbeat of nothing", {"etcd.heartbeatInterval": 1}, "berth:etcd.heartbeatInterval", "10"),
    Refused("a network twice", overlay(name="back"), "berth:swarm.networks[1].name", "also the name of"),
    Refused(
        "a network called like Swarm's own", overlay(name="ingress"), "berth:swarm.networks[1].name", "Swarm's own"
    ),
    Refused(
        "overlapping networks", overlay(subnet="10.20.1.128/25"), "berth:swarm.networks[1].subnet", "overlaps with"
    ),
    Refused(
        "a network outside of the pool",
        overlay(subnet="10.21.1.0/24"),
        "berth:swarm.networks[1].subnet",
        "is not in berth:swarm.addressPool",
    ),
    Refused(
        "Swarm's own network's place", overlay(subnet="10.20.0.0/25"), "berth:swarm.networks[1].subnet", "Swarm's own"
    ),
    Refused(
        "a pool around the nodes",
        MANAGED | {"swarm.addressPool": "10.77.0.0/16"},
        "berth:swarm.addressPool",
        "overlaps",
    ),
    Refused(
        "a pool without room",
        MANAGED | {"swarm.addressPool": "10.20.0.0/24"},
        "berth:swarm.addressPool",
        "is too small",
    ),
    Refused(
        "labels for nobody",
        MANAGED | {"swarm.labels": {"node5": {"zone": "a"}}},
        "berth:swarm.labels.node5",
        "is not a node of the swarm",
        suggestion="node4",
    ),
    Refused(
        "a label that Berth keeps",
        MANAGED | {"swarm.labels": {"node4": {"berth.x": "a"}}},
        'berth:swarm.labels.node4["berth.x"]',
        "not the name",
    ),
]

MACHINES = [
    Refused(
        "a lab node outside of a lab",
        {"nodes[0].provider": "lab"},
        "berth:nodes[0].provider",
        "is not a lab",
        "staging",
    ),
    Refused(
        "a real machine in a lab", {"nodes[0].provider": "virtualbox"}, "berth:nodes[0].provider", "in a lab Berth"
    ),
    Refused("lab that is neither yes nor no", {"lab": "maybe"}, "berth:lab", "neither true, false nor an object"),
    Refused(
        "a misspelt key of a lab",
        {"lab": {"subnett": "10.77.0.0/24"}},
        "berth:lab.subnett",
        "not a",
        suggestion="subnet",
    ),
    Refused(
        "a lab subnet that is none", {"lab": {"subnet": "10.77.0.0/33"}}, "berth:lab.subnet", "not an IPv4 network"
    ),
    Refused(
        "a lab subnet with host bits", {"lab": {"subnet": "10.77.0.9/24"}}, "berth:lab.subnet", "not an IPv4 network"
    ),
    Refused("a public lab subnet", {"lab": {"subnet": "8.8.8.0/24"}}, "berth:lab.subnet", "not a private network"),
    Refused(
        "a lab node elsewhere", {"nodes[3].address": "10.78.0.14"}, "berth:nodes[3].address", "outside of the lab's"
    ),
    Refused(
        "a lab node at .1", {"nodes[3].address": "10.77.0.1"}, "berth:nodes[3].address", "gateway's (the deploy host)"
    ),
    Refused("a lab node at .2", {"nodes[3].address": "10.77.0.2"}, "berth:nodes[3].address", "seed registry's"),
    Refused(
        "a broadcasting lab node", {"nodes[3].address": "10.77.0.255"}, "berth:nodes[3].address", "broadcast address"
    ),
    Refused("a gateway elsewhere", {"lab": {"gateway": "10.78.0.1"}}, "berth:lab.gateway", "outside of 10.77.0.0/24"),
    Refused("a seed elsewhere", {"images.seed.address": "10.78.0.2"}, "berth:images.seed.address", "outside of 10.77"),
    Refused(
        "a seed on the gateway", {"images.seed.address": "10.77.0.1"}, "berth:images.seed.address", "the gateway's"
    ),
    Refused(
        "a key for a lab node",
        {"nodes[0].ssh.keyFile": "~/k"},
        "berth:nodes[0].ssh.keyFile",
        "generates the keys of lab",
    ),
    Refused("no key file", {"nodes[0].ssh.keyFile": REMOVED}, "berth:nodes[0].ssh.keyFile", "is missing", "prod"),
    Refused("an empty key file", {"nodes[0].ssh.keyFile": None}, "berth:nodes[0].ssh.keyFile", "is missing", "prod"),
    Refused(
        "a relative key file", {"nodes[0].ssh.keyFile": "id"}, "berth:nodes[0].ssh.keyFile", "not a full path", "prod"
    ),
    Refused("no host key", {"nodes[0].ssh.hostKey": REMOVED}, "berth:nodes[0].ssh.hostKey", "is missing", "prod"),
    Refused("half a host key", {"nodes[0].ssh.hostKey": KEY[:50]}, "berth:nodes[0].ssh.hostKey", "not a whole", "prod"),
    Refused(
        "a host key's type only", {"nodes[0].ssh.hostKey": "ssh-rsa"}, "berth:nodes[0].ssh.hostKey", "whole", "prod"
    ),
    Refused("known_hosts", {"nodes[0].ssh.hostKey": f"h {KEY}"}, "berth:nodes[0].ssh.hostKey", "known_hosts", "prod"),
    Refused("two host keys", {"nodes[0].ssh.hostKey": f"{KEY}\n{KEY}"}, "berth:nodes[0].ssh.hostKey", "not an", "prod"),
    Refused("an odd account", {"nodes[0].ssh.user": "a b"}, "berth:nodes[0].ssh.user", "not a Unix account", "prod"),
    Refused(
        "an odd SSH host", {"nodes[0].ssh.host": "-oProxy"}, "berth:nodes[0].ssh.host", "neither a host name", "prod"
    ),
    Refused(
        "one forwarded port twice", {"nodes[1].ssh.port": 2011}, "berth:nodes[1].ssh.port", "same machine", "staging"
    ),
    Refused(
        "a balancer address that is not its node's",
        ALONE | {"loadBalancer.address": "10.77.0.12"},
        "berth:loadBalancer.address",
        "is not the address of node1 (10.77.0.11)",
    ),
    Refused(
        "a balancer address outside of its prefix",
        ALONE | {"loadBalancer.address": "10.77.9.11"},
        "berth:loadBalancer.address",
        "on another network than node1",
    ),
    *(
        Refused(
            f"a virtual address that is {whose}",
            {"loadBalancer.address": address},
            "berth:loadBalancer.address",
            words,
        )
        for whose, address, words in (
            ("a balancer's", "10.77.0.12", "is node2's; with 2 load-balancer nodes"),
            ("another node's", "10.77.0.14", "is node4's"),
            ("the gateway's", "10.77.0.1", "the gateway's"),
            ("the seed registry's", "10.77.0.2", "the seed registry's"),
            ("the stand-in upstream's", "10.77.0.3", "the stand-in upstream's"),
            ("the network's", "10.77.0.0", "the network's own"),
            ("for all", "10.77.0.255", "the broadcast address"),
            ("elsewhere", "10.78.0.10", "on another network than node1 (10.77.0.11), the prefix being /24"),
        )
    ),
    Refused(
        "a virtual address that only one balancer has around it",
        {"loadBalancer.prefixLength": 29, "nodes[1].address": "10.77.0.22"},
        "berth:loadBalancer.address",
        "on another network than node2",
    ),
    Refused(
        "a virtual address that is outside of the lab",
        {"loadBalancer": {"address": "10.77.9.10", "prefixLength": 16}},
        "berth:loadBalancer.address",
        "outside of the lab's network 10.77.0.0/24",
    ),
    Refused("a lab node at .3", {"nodes[3].address": "10.77.0.3"}, "berth:nodes[3].address", "stand-in upstream's"),
    Refused(
        "a seed on the stand-in upstream",
        {"images.seed.address": "10.77.0.3"},
        "berth:images.seed.address",
        "the stand-in upstream's",
    ),
    Refused(
        "a gateway on the stand-in upstream",
        {"lab": {"upstream": True, "gateway": "10.77.0.3"}},
        "berth:lab.gateway",
        "the stand-in upstream's",
    ),
    Refused("an upstream for a lab in words", {"lab": {"upstream": "yes"}}, "berth:lab.upstream", "true or false"),
    Refused("no seed outside of a lab", {"images": REMOVED}, "berth:images.seed.address", "is missing", "prod"),
]

NAMED = {"images": dict.fromkeys(("registry", "objectStore", "nginx", "keepalived", "cache"), f"r.x/i{DIGEST}")}
FIREWALL = [
    Refused("a deploy host that nobody knows", NAMED, "berth:objectStore.allow", "firewall would reject", "prod"),
    Refused("a word for the firewall", {"firewall": "none"}, "berth:firewall", "not one of"),
    Refused(
        "a host name to let in", {"objectStore": {"allow": ["ci1"]}}, "berth:objectStore.allow[0]", "neither an IPv4"
    ),
    Refused(
        "a network with host bits to let in",
        {"objectStore": {"allow": ["10.1.0.1/16"]}},
        "berth:objectStore.allow[0]",
        "neither an IPv4",
    ),
    Refused(
        "everybody to let in",
        {"objectStore": {"allow": ["0.0.0.0/0"]}},
        "berth:objectStore.allow[0]",
        "admits every address",
    ),
    Refused(
        "too few connections for a pull",
        {"loadBalancer.connectionsPerAddress": 15},
        "berth:loadBalancer.connectionsPerAddress",
        "between 16 and 3000",
    ),
]

SYSTEMS = {f"nodes[{index}].config": {"operatingSystem": "coreos"} for index in range(3)}
VIRTUAL = [
    Refused(sentence, changes, f"berth:{path}", words, "staging")
    for sentence, changes, path, words in (
        ("too little memory", {"virtualbox.memory": 1024}, "virtualbox.memory", "not between 2048 and 1048576"),
        ("too little memory for one", {"nodes[2].virtualbox": {"memory": 2047}}, "nodes[2].virtualbox.memory", "2048"),
        ("a disk too small", {"virtualbox.disk": 4}, "virtualbox.disk", "not between 10 and 65536"),
        ("no ISO", {"virtualbox.iso": REMOVED}, "virtualbox.iso", "is missing"),
        ("an ISO by a relative path", {"virtualbox.iso": "live.iso"}, "virtualbox.iso", "not a full path"),
        ("a path that goes up", {"virtualbox.directory": "~/a/../b"}, "virtualbox.directory", "not a plain path"),
        ("a checksum cut short", {"virtualbox.sha256": "00ff"}, "virtualbox.sha256", "not a SHA-256 checksum"),
        ("a public network", {"virtualbox.subnet": "8.8.8.0/24"}, "virtualbox.subnet", "not a private network"),
        ("a machine elsewhere", {"nodes[3].address": "10.79.0.14"}, "nodes[3].address", "outside of the NAT network"),
        ("a machine at .1", {"nodes[3].address": "10.78.0.1"}, "nodes[3].address", "gateway's (VirtualBox itself)"),
        ("a machine at .2", {"nodes[3].address": "10.78.0.2"}, "nodes[3].address", "the deploy host's"),
        ("a virtual gateway", {"loadBalancer.address": "10.78.0.1"}, "loadBalancer.address", "the gateway's"),
        ("SSH on the registry's port", {"nodes[1].ssh.port": 4000}, "nodes[1].ssh.port", "is berth:registry.port"),
        ("SSH on the mirror's port", {"nodes[1].ssh.port": 4001}, "nodes[1].ssh.port", "registry.mirrorPort"),
        ("SSH on the store's port", {"nodes[1].ssh.port": 9443}, "nodes[1].ssh.port", "objectStore.endpointPort"),
        ("SSH on the seed's port", {"nodes[1].ssh.port": 4999}, "nodes[1].ssh.port", "images.seed.port"),
        (
            "forwarding elsewhere",
            {"nodes[1].ssh.host": "10.0.0.1"},
            "nodes[1].ssh.host",
            "not the host on which Berth forwards",
        ),
        ("no system", {"nodeDefaults": REMOVED, **SYSTEMS}, "nodes[3].config.operatingSystem", "is missing"),
        ("Debian", {"nodes[1].config": {"operatingSystem": "debian"}}, "nodes[1].config.operatingSystem", "installed"),
        ("a key of one's own", {"nodes[1].ssh.keyFile": "~/k"}, "nodes[1].ssh.keyFile", "the machines that it makes"),
        ("a host key", {"nodes[1].ssh.hostKey": KEY}, "nodes[1].ssh.hostKey", "the machines that it makes"),
    )
]
VIRTUAL += [
    Refused(
        "a virtual lab", {"virtualbox.iso": "/i", "virtualbox.sha256": "0" * 64}, "berth:virtualbox", "`berth:lab`"
    ),
    Refused(
        "memory for a machine that is there",
        {"nodes[1].virtualbox": {"memory": 4096}},
        "berth:nodes[1].virtualbox",
        "Berth does not make",
        "prod",
    ),
]

LIVE = {"hostKey": host_key(1)}
INSTALL: dict[str, Any] = {"disk": "/dev/sda", "live": LIVE}
# The fourth node of the production stack, installed.
INSTALLED = {
    "nodes[3].ssh.hostKey": REMOVED,
    "nodes[3].config": {"operatingSystem": "coreos"},
    "nodes[3].install": INSTALL,
}
BARE_METAL = [
    Refused(sentence, INSTALLED | changes, f"berth:nodes[{path}", words, "prod")
    for sentence, changes, path, words in (
        ("no disk", {"nodes[3].install": {"live": LIVE}}, "3].install.disk", "is missing"),
        ("a disk by its number", {"nodes[3].install": INSTALL | {"disk": "0"}}, "3].install.disk", "path of a disk"),
        ("no live system", {"nodes[3].install": {"disk": "/dev/sda"}}, "3].install.live", "is missing"),
        ("no live host key", {"nodes[3].install": INSTALL | {"live": {}}}, "3].install.live.hostKey", "is missing"),
        ("a wipe in words", {"nodes[3].install": INSTALL | {"wipe": "yes"}}, "3].install.wipe", "true or false"),
        (
            "a host key that is made",
            {"nodes[3].ssh.hostKey": host_key(9)},
            "3].ssh.hostKey",
            "Berth generates the host key",
        ),
        ("no key", {"nodes[3].ssh.keyFile": REMOVED}, "3].ssh.keyFile", "is missing"),
        ("no system", {"nodes[3].config": {"timezone": "UTC"}}, "3].config.operatingSystem", "is missing"),
        (
            "Debian from a live system",
            {"nodes[3].config": {"operatingSystem": "debian"}},
            "3].config.operatingSystem",
            "cannot be installed",
        ),
        ("an installed virtual machine", {"nodes[3].provider": "virtualbox"}, "3].install", "provider is virtualbox"),
        (
            "one live system for two nodes",
            {"nodes[4].install": INSTALL, "nodes[4].config": {"operatingSystem": "coreos"}}
            | {"nodes[4].ssh.hostKey": REMOVED},
            "4].install.live.hostKey",
            "also the host key of berth4",
        ),
        (
            "a live system at another node's endpoint",
            {"nodes[3].install": INSTALL | {"live": LIVE | {"host": "192.0.2.11"}}},
            "3].install.live.port",
            "same machine as the ssh settings of berth1",
        ),
    )
]

TWICE = [
    Refused(f"a machine twice, with {sentence}", changes, f"berth:nodes[{path}", words, "prod")
    for sentence, changes, path, words in (
        ("one address", {"nodes[1].address": "192.0.2.11"}, "1].address", "also the address of berth:nodes[0]"),
        ("one host key", {"nodes[1].ssh.hostKey": KEY}, "1].ssh.hostKey", "also the host key of berth1"),
        (
            "one SSH host",
            {"nodes[1].ssh.host": "192.0.2.11"},
            "1].ssh.port",
            "same machine as the ssh settings of berth1",
        ),
    )
]

PINS: dict[str, Any] = {"from": {"stack": "staging", "time": "2026-11-22T10:41:07Z"}}

PROMOTED = [
    Refused("pins from nowhere", {"pins": {}}, "berth:pins.from", "is missing"),
    Refused(
        "a pin that is a tag",
        {"pins": PINS | {"images": {"objectStore": "v1"}}},
        "berth:pins.images.objectStore",
        "by digest",
    ),
    Refused(
        "an unknown pinned image", {"pins": PINS | {"images": {"java": "x"}}}, "berth:pins.images.java", "not a setting"
    ),
    Refused(
        "a promoted repository without tag",
        {"pins": PINS | {"repositories": {"team/app": DIGEST[1:]}}},
        'berth:pins.repositories["team/app"]',
        "is not a repository with a tag",
    ),
    Refused(
        "half a promoted digest",
        {"pins": PINS | {"repositories": {"team/app:1": "sha256:12"}}},
        'berth:pins.repositories["team/app:1"]',
        "is not a digest",
    ),
    Refused(
        "an image beside another pin",
        {"pins": PINS | {"images": {"objectStore": "sha256:" + "1" * 64}}, "images.objectStore": f"r.x/minio{DIGEST}"},
        "berth:images.objectStore",
        "another image than the pinned one",
    ),
]

SERVICES = [
    Refused("Kolla's router id", {"loadBalancer.routerId": 51}, "berth:loadBalancer.routerId", "Kolla's own"),
    Refused("a router id of 256", {"loadBalancer.routerId": 256}, "berth:loadBalancer.routerId", "between 1 and 255"),
    Refused("a prefix of 33 bits", {"loadBalancer.prefixLength": 33}, "berth:loadBalancer.prefixLength", "8 and 30"),
    Refused("a port of 0", {"registry.port": 0}, "berth:registry.port", "between 1 and 65535"),
    Refused("a port in quotes", {"registry.port": "4000"}, "berth:registry.port", "whole number, but is text"),
    Refused(
        "a port that is true", {"registry.port": True}, "berth:registry.port", "whole number, but is true or false"
    ),
    Refused(
        "mirror on the registry's port",
        {"registry.mirrorPort": 4000},
        "berth:registry.mirrorPort",
        "taken by berth:reg",
    ),
    Refused(
        "registry on MinIO's port", {"objectStore.port": 4000}, "berth:objectStore.port", "taken by berth:registry.port"
    ),
    Refused(
        "endpoint on MinIO's port",
        {"objectStore.endpointPort": 9000},
        "berth:objectStore.endpointPort",
        "objectStore.port",
    ),
    Refused(
        "seed on the registry's port",
        {"images.seed.port": 4000},
        "berth:images.seed.port",
        "taken by berth:registry.port",
    ),
    Refused("registry on sshd's port", {"registry.port": 22}, "berth:registry.port", "taken by sshd on node1"),
    Refused("registry on its replica's port", {"registry.port": 4010}, "berth:registry.port", "the registry's replica"),
    Refused(
        "registry on Keystone's port",
        {"registry.port": 5000, "nodes[0].roles": ["load-balancer", "registry", "object-store", "control"]},
        "berth:registry.port",
        "taken by Keystone",
    ),
    Refused("a registry without name", {"registry.name": REMOVED}, "berth:registry.name", "is missing"),
    Refused("an address as registry name", {"registry.name": "10.0.0.1"}, "berth:registry.name", "not a host name"),
    Refused("an empty registry name", {"registry.name": ""}, "berth:registry.name", "not a host name"),
    Refused(
        "a node's name for the registry",
        {"registry.name": "node2"},
        "berth:registry.name",
        "also the name of berth:nodes[1]",
    ),
    Refused(
        "an unknown way to find names",
        {"registry.names": "host"},
        "berth:registry.names",
        "not one of",
        suggestion="hosts",
    ),
    Refused("a user twice", {"registry.users[1].name": "push"}, "berth:registry.users[1].name", "also the name"),
    Refused(
        "no user who can push",
        {"registry.users": [{"name": "bob", "role": "pull"}]},
        "berth:registry.users",
        "no user who can push",
    ),
    Refused("no users", {"registry.users": []}, "berth:registry.users", "no user who can push"),
    *(
        Refused(
            f"versions {versions}", {"registry.users[1].versions": versions}, "berth:registry.users[1].versions", words
        )
        for versions, words in (
            ([], "not one version"),
            ([0], "not one version"),
            ([2, 1], "not one version"),
            ([1, 1], "not one version"),
            ([1, 2, 3], "not one version"),
            (2, "must be a list"),
        )
    ),
    Refused("versions in words", {"registry.users[1].versions": ["1"]}, "berth:registry.users[1].versions[0]", "whole"),
    Refused(
        "versions of the user's own password",
        {
            "registry.users[1]": {"name": "bob", "role": "pull", "password": "configured", "versions": [1]},
            "secrets": {"users": {"bob": [{"secure": "v1:x"}, {"secure": "v1:x"}]}},
        },
        "berth:registry.users[1].versions",
        "is for generated passwords",
    ),
    Refused(
        "a version that goes by another user's name",
        {"registry.users[1].versions": [1, 2], "registry.users[3]": {"name": "pull-2", "role": "pull"}},
        "berth:registry.users[1].versions",
        "another user is called pull-2",
    ),
    Refused(
        "an unknown user for the nodes",
        {"registry.nodeUser": "pul"},
        "berth:registry.nodeUser",
        "not a user of the registry",
        suggestion="pull",
    ),
    Refused("nodes that could push", {"registry.nodeUser": "push"}, "berth:registry.nodeUser", "has the role push"),
    Refused("nodes that could delete", {"registry.nodeUser": "admin"}, "berth:registry.nodeUser", "has the role admin"),
    Refused("a user with a colon", {"registry.users[1].name": "a:b"}, "berth:registry.users[1].name", "a colon"),
    Refused(
        "a user with a line break", {"registry.users[1].name": "a\nb"}, "berth:registry.users[1].name", "line break"
    ),
    Refused("an empty user", {"registry.users[1].name": ""}, "berth:registry.users[1].name", "is empty"),
    Refused(
        "a user of 65 letters", {"registry.users[1].name": "a" * 65}, "berth:registry.users[1].name", "longer than 64"
    ),
    Refused("a user like a comment", {"registry.users[1].name": "#a"}, "berth:registry.users[1].name", "a comment"),
    Refused(
        "an unknown role of a user", {"registry.users[1].role": "read"}, "berth:registry.users[1].role", "not one of"
    ),
    Refused(
        "an image by tag", {"images.objectStore": "minio:latest"}, "berth:images.objectStore", "not pinned by digest"
    ),
    Refused(
        "a digest cut short",
        {"images.objectStore": "minio@sha256:abc"},
        "berth:images.objectStore",
        "not pinned by digest",
    ),
    Refused(
        "a bucket with capitals", {"objectStore.bucket": "Registry"}, "berth:objectStore.bucket", "not a bucket name"
    ),
    Refused("a bucket of two letters", {"objectStore.bucket": "ab"}, "berth:objectStore.bucket", "not a bucket name"),
    Refused(
        "data in a system directory",
        {"objectStore.dataDir": "/etc"},
        "berth:objectStore.dataDir",
        "belongs to the system",
    ),
    Refused(
        "data in a relative path",
        {"objectStore.dataDir": "data"},
        "berth:objectStore.dataDir",
        "not a full, plain path",
    ),
    Refused(
        "data above its root", {"objectStore.dataDir": "/a/../etc"}, "berth:objectStore.dataDir", "not a full, plain"
    ),
    Refused(
        "data behind two slashes", {"objectStore.dataDir": "//a"}, "berth:objectStore.dataDir", "not a full, plain"
    ),
    Refused("data with a colon", {"objectStore.dataDir": "/a:b"}, "berth:objectStore.dataDir", "contains one of"),
]

DOCKER = [
    Refused(
        "live-restore with Swarm",
        {"nodes[3].roles": ["object-store", "swarm-manager"], "docker.liveRestore": True},
        "berth:docker.liveRestore",
        "dockerd refuses together with Swarm",
    ),
    Refused(
        "Swarm without packet filter",
        {
            "nodes[3].roles": ["object-store", "swarm-manager"],
            "docker": {"liveRestore": False, "extra": {"iptables": False}},
        },
        "berth:docker.extra.iptables",
        "Swarm's networks need",
    ),
    *(
        Refused(f"{key} under extra", {"docker": {"extra": {key: "x"}}}, f"berth:docker.extra.{key}", "its own setting")
        for key in (
            "insecure-registries",
            "registry-mirrors",
            "proxies",
            "http-proxy",
            "https-proxy",
            "no-proxy",
            "log-driver",
            "log-opts",
            "live-restore",
            "mtu",
            "no-new-privileges",
            "userland-proxy",
            "icc",
        )
    ),
    Refused(
        "apart without packet filter",
        {"docker": {"icc": False, "extra": {"iptables": False}}},
        "berth:docker.icc",
        "docker.extra disables",
        stack="prod",
    ),
    *(
        Refused(
            f"{key} {value} of {service}", {"limits": {service: {key: value}}}, f"berth:limits.{service}.{key}", wrong
        )
        for service, key, value, wrong in (
            ("minio", "memory", 511, "between 512 and"),
            ("nginx", "memory", 31, "between 32 and"),
            ("cache", "processes", 31, "between 32 and"),
        )
    ),
    Refused(
        "hosts under extra", {"docker": {"extra": {"hosts": []}}}, "berth:docker.extra.hosts", "unit names its sockets"
    ),
    Refused("a flag with blanks", {"docker": {"options": ["--a b"]}}, "berth:docker.options[0]", "not a flag"),
    *(
        Refused(f"{flag} under options", {"docker": {"options": [flag]}}, "berth:docker.options[0]", words)
        for flag, words in (
            ("--insecure-registry=old:5000", "its own setting"),
            ("--registry-mirror=https://m", "its own setting"),
            ("--log-opt=max-size=1m", "its own setting"),
            ("--host=fd://", "unit names its sockets"),
        )
    ),
    Refused(
        "a flag that is a key under extra, too",
        {"docker": {"extra": {"labels": ["a=b"]}, "options": ["--label=c=d"]}},
        "berth:docker.options[0]",
        "is also berth:docker.extra.labels",
    ),
    Refused(
        "a log option in numbers",
        {"docker": {"logOptions": {"max-file": 3}}},
        "berth:docker.logOptions.max-file",
        "text",
    ),
    Refused(
        "a log option on two lines",
        {"docker": {"logOptions": {"tag": "a\nb"}}},
        "berth:docker.logOptions.tag",
        "line break",
    ),
    Refused(
        "a log option without name",
        {"docker": {"logOptions": {"": "a"}}},
        'berth:docker.logOptions[""]',
        "not a log option",
    ),
    Refused(
        "live-restore in quotes",
        {"docker": {"liveRestore": "true"}},
        "berth:docker.liveRestore",
        "true or false, but is text",
    ),
    Refused(
        "live-restore as a number",
        {"docker": {"liveRestore": 1}},
        "berth:docker.liveRestore",
        "true or false, but is a number",
    ),
    Refused(
        "a mirror without TLS",
        {"docker": {"registryMirrors": ["http://m.x"]}},
        "berth:docker.registryMirrors[0]",
        "plain http",
    ),
    Refused(
        "a mirror without scheme",
        {"docker": {"registryMirrors": ["m.x"]}},
        "berth:docker.registryMirrors[0]",
        "not a URL",
    ),
    Refused(
        "a mirror with a path",
        {"docker": {"registryMirrors": ["https://m.x/p"]}},
        "berth:docker.registryMirrors[0]",
        "path, query or fragment",
    ),
    Refused(
        "a mirror with a user",
        {"docker": {"registryMirrors": ["https://u@m.x"]}},
        "berth:docker.registryMirrors[0]",
        "log in",
    ),
    Refused(
        "an insecure URL",
        {"docker": {"insecureRegistries": ["http://x"]}},
        "berth:docker.insecureRegistries[0]",
        "is a URL",
    ),
    Refused(
        "an insecure odd port",
        {"docker": {"insecureRegistries": ["x:0"]}},
        "berth:docker.insecureRegistries[0]",
        "neither",
    ),
    Refused(
        "an odd network",
        {"docker": {"insecureRegistries": ["10.0.0.0/99"]}},
        "berth:docker.insecureRegistries[0]",
        "neither",
    ),
    Refused(
        "a proxy that is no URL", {"docker": {"proxies": {"http": "proxy:1"}}}, "berth:docker.proxies.http", "not a URL"
    ),
    Refused(
        "a proxy with a space", {"docker": {"proxies": {"http": "http://a b"}}}, "berth:docker.proxies.http", "a space"
    ),
    Refused(
        "a proxy's odd port",
        {"docker": {"proxies": {"https": "http://a:99999"}}},
        "berth:docker.proxies.https",
        "not a URL",
    ),
    Refused(
        "a list in one text",
        {"docker": {"proxies": {"noProxy": ["a,b"]}}},
        "berth:docker.proxies.noProxy[0]",
        "not a host",
    ),
    Refused("an MTU of 575", {"docker": {"mtu": 575}}, "berth:docker.mtu", "between 576 and 65535"),
    Refused("an MTU of 65536", {"docker": {"mtu": 65536}}, "berth:docker.mtu", "between 576 and 65535"),
    Refused(
        "a log driver with a space",
        {"docker": {"logDriver": "json file"}},
        "berth:docker.logDriver",
        "not a log driver",
    ),
    Refused(
        "a restart of no time", {"docker": {"restartTimeout": 0}}, "berth:docker.restartTimeout", "between 5 and 900"
    ),
]

AT = "berth:registry.upstreams[2]"
UPSTREAMS = [
    Refused("an upstream in one word", {"registry.upstreams[2]": "quay.io"}, AT, "must be an object, but is text"),
    Refused("an unknown key of an upstream", upstream(uri="x"), f"{AT}.uri", "not a setting", suggestion="url"),
    *(
        Refused(
            f"an upstream without {key}",
            {"registry.upstreams[2]": {name: value for name, value in UPSTREAM.items() if name != key}},
            f"{AT}.{key}",
            "is missing",
        )
        for key in UPSTREAM
    ),
    *(
        Refused(f"an upstream called {name!r}", upstream(name=name), f"{AT}.name", "not a valid name")
        for name in ("", "Hub", "1st", "a_b", "a/b", "a" * 33, "hub\n", "-x", "x-")
    ),
    Refused("an upstream's name twice", upstream(name="quay"), f"{AT}.name", "also the name of berth:registry.upstr"),
    *(
        Refused(f"an upstream at {url!r}", upstream(url=url), f"{AT}.url", words)
        for url, words in (
            ("http://ghcr.io", "not a URL with https"),
            ("ghcr.io", "not a URL with https"),
            ("", "not a URL with https"),
            ("https://", "not a URL with https"),
            ("https://gh cr.io", "contains a space"),
            ("https://ghcr.io:99999", "not a URL with https"),
            ("https://ghcr.io/v2", "path, query or fragment"),
            ("https://ghcr.io/?a=b", "path, query or fragment"),
            ("https://ghcr.io#a", "path, query or fragment"),
            ("https://ghcr.io?", "path, query or fragment"),
            ("https://bob:hunter2@ghcr.io", "holds a user name"),
            ("https://bob@ghcr.io", "holds a user name"),
        )
    ),
    *(
        Refused(f"a prefix {prefix!r}", upstream(prefix=prefix), f"{AT}.prefix", "not the path of a repository")
        for prefix in ("", "/a", "a/", "a//b", "A", "a b", "../a", "_catalog", "localhost:5000", "a" * 129, "é")
    ),
    Refused("two upstreams on one prefix", upstream(prefix="quay.io"), f"{AT}.prefix", "also the prefix of"),
    Refused("a prefix inside another", upstream(prefix="quay.io/a"), f"{AT}.prefix", "inside berth:registry.upst"),
    Refused(
        "a prefix around another",
        {"registry.upstreams[1].prefix": "docker/io/b", **upstream(prefix="docker/io")},
        f"{AT}.prefix",
        "around berth:registry.upst",
    ),
    Refused("two mirrors", upstream(mirror=True), f"{AT}.mirror", "the mirror port has one root"),
    Refused(
        "Docker Hub beside another mirror",
        upstream(url="https://registry-1.docker.io:443/"),
        f"{AT}.mirror",
        "the mirror port has one root",
    ),
    Refused("an upstream's user with a colon", upstream(user="a:b") | SECRET, f"{AT}.user", "a colon"),
    Refused("an upstream's user on two lines", upstream(user="a\nb") | SECRET, f"{AT}.user", "line break"),
    Refused("an upstream's user without password", upstream(user="bob"), "berth:secrets.upstreams.ghcr", "is missing"),
    Refused("a CA that is none", upstream(ca="/etc/ssl/ca.pem"), f"{AT}.ca", "no certificate in PEM"),
    Refused("a CA's key", upstream(ca="-----BEGIN PRIVATE KEY-----"), f"{AT}.ca", "holds a private key"),
    *(
        Refused(f"a cache of {size!r}", upstream(maxSize=size), f"{AT}.maxSize", "not a size")
        for size in ("", "50", "0GiB", "-1GiB", "50 GiB", "50GB", "1.5GiB", "999999999TiB", "50GiB\n")
    ),
    Refused("a cache's size without unit", upstream(maxSize=50), f"{AT}.maxSize", "must be text"),
    Refused("a spool of nothing", {"registry.cache": {"spool": "0MiB"}}, "berth:registry.cache.spool", "not a size"),
    Refused("no fetch at all", {"registry.cache": {"fetches": 0}}, "berth:registry.cache.fetches", "between 1 and"),
    Refused(
        "a fetch that ends at once",
        {"registry.cache": {"abandonAfter": 0}},
        "berth:registry.cache.abandonAfter",
        "between 1 and 86400",
    ),
    Refused("a cache without room for its health page", upstream(port=65100), f"{AT}.port", "between 1 and 65035"),
    Refused("a cache on another's port", upstream(port=4021), f"{AT}.port", "upstreams[1].port on node1"),
    Refused("a cache on the registry's port", upstream(port=4000), f"{AT}.port", "taken by berth:registry.port"),
    Refused("a cache on the mirror's port", upstream(port=4001), f"{AT}.port", "taken by berth:registry.mirrorPort"),
    Refused("a cache on a replica's port", upstream(port=4010), f"{AT}.port", "the registry's replica"),
    Refused("a cache on a replica's health page", upstream(port=4011), f"{AT}.port", "the registry's health check"),
    Refused("a cache on nginx's status page", upstream(port=4012), f"{AT}.port", "nginx's status page"),
    Refused("a cache on MinIO's port", upstream(port=9000), f"{AT}.port", "taken by berth:objectStore.port"),
    Refused("a cache on the endpoint's port", upstream(port=9443), f"{AT}.port", "taken by berth:objectStore.endp"),
    Refused("a cache on another's health page", upstream(port=4521), f"{AT}.port", "upstreams[1].port (its health"),
    Refused(
        "a cache whose health page is on MinIO's port", upstream(port=8500), f"{AT}.port", "leaves no room for its heal"
    ),
    *(
        Refused(f"a loop to {host}", upstream(url=f"https://{host}"), f"{AT}.url", "leads to this registry itself")
        for host in (
            "registry.dev.berth.test:4000",
            "Registry.dev.berth.test",
            "10.77.0.10:4000",
            "10.77.0.11:4001",
            "node2:4010",
            "10.77.0.12:4020",
        )
    ),
    Refused("mirror on nginx's status page", {"registry.mirrorPort": 4012}, "berth:registry.mirrorPort", "status page"),
]

COLLECTION, TRIAL = "berth:registry.garbageCollection", {"minimumAge": "1s", "settle": "1s", "purgeAfter": "1m"}
COLLECTOR = [
    *(
        Refused(f"{key} {value!r} of a collection", {"registry.garbageCollection": {key: value}}, at, words)
        for key, value, words in (
            ("minimumAge", "24", "not a duration"),
            ("gracePeriod", "0h", "not a duration"),
            ("gracePeriod", "1.5h", "not a duration"),
            ("purgeAfter", "7 days", "not a duration"),
            ("settle", "-2m", "not a duration"),
            ("at", "2:30", "not a time of day"),
            ("at", "24:00", "not a time of day"),
            ("maxShrinkPercent", 101, "between 1 and 100"),
        )
        for at in [f"{COLLECTION}.{key}"]
    ),
    Refused(
        "a day of the week that is none",
        {"registry.garbageCollection": {"days": ["xx"]}},
        f"{COLLECTION}.days[0]",
        "not one of",
    ),
    *(
        Refused(
            f"a {key} of {value} outside a lab",
            {"registry.garbageCollection": {key: value}},
            f"{COLLECTION}.{key}",
            words,
            "prod",
        )
        for key, value, words in (
            ("minimumAge", "59m", "shorter than 1h"),
            ("settle", "59s", "shorter than 1m"),
            ("purgeAfter", "23h", "shorter than 1d"),
        )
    ),
    Refused(
        "a collector in an image that has none",
        {"registry.garbageCollection": {"enabled": True}, "images.registry": f"r.x/registry{DIGEST}"},
        f"{COLLECTION}.enabled",
        "has no collector",
    ),
]

KEYS = [
    Refused("an unknown section", {"gizmo": {}}, "berth:gizmo", "not a setting of Berth"),
    Refused("a misspelt section", {"nods": []}, "berth:nods", "not a setting", suggestion="berth:nodes"),
    Refused(
        "a section in snake case",
        {"object_store": {}},
        "berth:object_store",
        "not a setting",
        suggestion="berth:objectStore",
    ),
    Refused("a misspelt key", {"registry.prot": 1}, "berth:registry.prot", "not a setting", suggestion="port"),
    Refused(
        "a misspelt key of a node",
        {"nodes[2].adress": "x"},
        "berth:nodes[2].adress",
        "not a setting",
        suggestion="address",
    ),
    Refused(
        "a misspelt key below ssh",
        {"nodes[2].ssh": {"hostkey": "x"}},
        "berth:nodes[2].ssh.hostkey",
        "not a",
        suggestion="hostKey",
    ),
    Refused("a list where an object is", {"docker": []}, "berth:docker", "must be an object, but is a list"),
    Refused(
        "an object where a list is", {"registry.users": {}}, "berth:registry.users", "must be a list, but is an object"
    ),
    Refused(
        "text where a list is",
        {"nodes[3].roles": "object-store"},
        "berth:nodes[3].roles",
        "must be a list, but is text",
    ),
    Refused("a number where text is", {"registry.name": 5}, "berth:registry.name", "must be text, but is a number"),
    Refused("no nodes", {"nodes": REMOVED}, "berth:nodes", "is missing"),
    Refused("no balancer", {"loadBalancer": REMOVED}, "berth:loadBalancer", "is missing"),
    Refused("an encrypted section", {"loadBalancer": {"secure": "v1:x"}}, "berth:loadBalancer", "not a secret setting"),
    Refused("an encrypted value", {"registry.name": {"secure": "v1:x"}}, "berth:registry.name", "not a secret setting"),
]


ALL = (
    NODES
    + CLUSTERS
    + MACHINES
    + VIRTUAL
    + BARE_METAL
    + TWICE
    + PROMOTED
    + FIREWALL
    + SERVICES
    + UPSTREAMS
    + COLLECTOR
    + DOCKER
    + KEYS
)


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.sentence)
def test_refused_with_one_problem_that_names_path_reason_and_remedy(case: Refused) -> None:
    problems = stackfile.check(case.stack, document(case.stack, case.changes))
    assert [problem.path for problem in problems] == [case.path], "one mistake is one problem"
    problem = problems[0]
    assert case.words in problem.wrong
    assert problem.fix.endswith((".", "`")) or "Example:" in problem.fix
    assert problem.suggestion == case.suggestion


ACCEPTED = [
    ("no lab at all", "prod", {"lab": False}),
    ("a lab written as text, as `pulumi config set` does", "dev", {"lab": "true"}),
    ("a lab with its own subnet", "dev", {"lab": {"subnet": "10.77.0.0/16", "gateway": "10.77.0.9"}}),
    ("a section whose lines are all commented out", "dev", {"docker": None}),
    (
        "three managers",
        "prod",
        {f"nodes[{i}].roles": ["object-store", "swarm-manager"] for i in (3, 4, 5)}
        | {"docker": {"liveRestore": False}},
    ),
    (
        "more drives than a set",
        "prod",
        {"nodes[0].roles": ["load-balancer", "object-store"], "nodes[1].roles": ["load-balancer", "object-store"]},
    ),
    ("a user with accents and spaces", "dev", {"registry.users[1].name": 'Zoë $(id) "O\'Hara"'}),
    (
        "hostile text as a log option",
        "dev",
        {"docker": {"logOptions": {"tag": "a 'b' \"c\" $(reboot) `id` ; é ü {{.Name}}"}}},
    ),
    ("hostile text in foreign keys", "dev", {"docker": {"extra": {"labels": ["a='$(x)'\n\"é\""], "bridge": "none"}}}),
    ("a data directory with spaces", "dev", {"objectStore.dataDir": "/data/the 'store' $(x) é"}),
    ("a key file with spaces", "prod", {"nodes[0].ssh.keyFile": "/keys/$(my) 'key' é"}),
    (
        "a mirror without TLS that is listed",
        "dev",
        {"docker": {"registryMirrors": ["http://m.x:5000"], "insecureRegistries": ["m.x:5000"]}},
    ),
    (
        "a mirror in a listed network",
        "dev",
        {"docker": {"registryMirrors": ["http://10.1.2.3"], "insecureRegistries": ["10.0.0.0/8"]}},
    ),
    ("proxies", "dev", {"docker": {"proxies": {"http": "http://p.x:3128", "noProxy": [".x", "10.0.0.0/8", "*"]}}}),
    (
        "all images by digest instead of a seed",
        "prod",
        NAMED | {"objectStore.allow": ["192.0.2.10"]},
    ),
    ("an image with port, tag and digest", "dev", {"images.objectStore": f"r.x:5000/a/b:v1{DIGEST}"}),
    (
        "pins of all kinds, beside the same image by name",
        "dev",
        {
            "pins": PINS
            | {
                "images": {"objectStore": DIGEST[1:], "nginx": f"r.x/nginx{DIGEST}"},
                "repositories": {"team/app:v1.2_x": DIGEST[1:]},
            },
            "images.objectStore": f"r.x/minio{DIGEST}",
        },
    ),
    ("a host key without comment", "prod", {"nodes[0].ssh.hostKey": KEY}),
    ("Swarm, where live-restore is nobody's wish", "dev", {"nodes[3].roles": ["object-store", "swarm-manager"]}),
    (
        "Swarm without live-restore",
        "dev",
        {"nodes[3].roles": ["object-store", "swarm-manager"], "docker": {"liveRestore": False}},
    ),
    ("one balancer at its own address", "dev", ALONE),
    ("a third balancer", "dev", {"nodes[2].roles": ["load-balancer", "object-store"]}),
    ("no upstreams", "dev", {"registry.upstreams": []}),
    ("a third upstream", "dev", upstream()),
    ("a prefix that only begins with the letters of another", "dev", upstream(prefix="quay.io.example/a")),
    ("an upstream of two parts", "dev", upstream(prefix="mirrors/gh__cr-io")),
    ("another registry on a node", "dev", upstream(url="https://10.77.0.14:5000")),
    ("an upstream with a user", "dev", upstream(user="bob") | SECRET),
    ("an upstream with empty user and CA", "dev", upstream(user=None, ca=None)),
    ("an upstream of its own size", "dev", upstream(maxSize="2TiB")),
    ("caches on small disks", "dev", {"registry.cache": {"spool": "512MiB", "reserve": "1MiB", "fetches": 1}}),
    ("a collection in a lab, as fast as can be watched", "dev", {"registry.garbageCollection": TRIAL}),
    ("no collection", "prod", {"registry.garbageCollection": {"enabled": False}}),
    ("nodes that do not log in", "dev", {"registry.nodeUser": ""}),
    ("a password on its way out", "dev", {"registry.users[1].versions": [3, 4]}),
    ("a registry port of 5000 without Keystone", "dev", {"registry.port": 5000}),
]


@pytest.mark.parametrize(("sentence", "stack", "changes"), ACCEPTED, ids=[case[0] for case in ACCEPTED])
def test_accepted(sentence: str, stack: str, changes: dict[str, Any]) -> None:
    assert stackfile.check(stack, document(stack, changes)) == []


def test_free_text_arrives_unchanged() -> None:
    text = "a 'b' \"c\" $(reboot) `id` ; é ü"
    settings = stackfile.parse("dev", document("dev", {"docker": {"logOptions": {"tag": text}}}))
    assert settings.docker.log_options == {"tag": text}


@pytest.mark.parametrize(
    ("sentence", "changes", "named"),
    [
        ("one balancer and no cache", {}, "images.registry, objectStore and nginx"),
        (
            "two balancers and a cache",
            {
                "nodes[1].roles": ["load-balancer", "registry"],
                "loadBalancer.address": "192.0.2.20",
                "registry.upstreams": [UPSTREAM],
            },
            "images.registry, objectStore, nginx, keepalived and cache",
        ),
    ],
)
def test_without_a_seed_every_image_that_the_stack_uses_has_to_be_named(
    sentence: str, changes: dict[str, Any], named: str
) -> None:
    alone = {"nodes[0].roles": ["load-balancer"], "nodes[1].roles": ["registry"], "registry.upstreams": []}
    alone |= {
        "loadBalancer.address": "192.0.2.11",
        "images": dict.fromkeys(("registry", "objectStore"), f"r.x/i{DIGEST}"),
    }
    (problem,) = stackfile.check("prod", document("prod", alone | changes))
    assert problem.path == "berth:images.seed.address"
    assert named in problem.fix


def test_an_upstream_has_the_defaults_that_follow_from_its_host_and_place() -> None:
    hub = {"name": "hub", "url": "https://Registry-1.docker.io/", "prefix": "docker.io"}
    stack = document("dev", {"registry.upstreams": [UPSTREAM, hub]})
    first, second = stackfile.parse("dev", stack).registry.upstreams
    assert (first.mirror, first.port, first.host, first.user, first.ca) == (False, 4020, "ghcr.io", None, None)
    assert (second.mirror, second.port, second.url) == (True, 4021, "https://registry-1.docker.io")
    assert stackfile.parse("dev", stack).registry.mirrored == second


def test_docker_hub_need_not_be_mirrored() -> None:
    hub = {"name": "hub", "url": "https://registry-1.docker.io", "prefix": "docker.io", "mirror": False}
    assert stackfile.parse("dev", document("dev", {"registry.upstreams": [hub]})).registry.mirrored is None


def test_an_upstreams_ca_is_read_as_it_was_made() -> None:
    now = datetime.datetime.now(datetime.UTC)
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now).sign(key, hashes.SHA256())
    pem = made.public_bytes(Encoding.PEM).decode()
    for text in (pem, pem.rstrip(), pem * 2):
        settings = stackfile.parse("dev", document("dev", upstream(ca=text)))
        assert settings.registry.upstreams[2].ca == text.rstrip() + "\n"


@pytest.mark.parametrize(
    ("users", "name"),
    [
        ([("push", "push"), ("alice", "pull"), ("bob", "pull")], "alice"),
        ([("push", "push"), ("admin", "admin")], ""),
    ],
)
def test_nodes_log_in_as_the_first_user_who_may_only_read(users: list[tuple[str, str]], name: str) -> None:
    known = [{"name": user, "role": role} for user, role in users]
    assert stackfile.parse("dev", document("dev", {"registry.users": known})).registry.node_user == name


def test_the_labs_upstream_has_the_third_address_if_there_is_one() -> None:
    lab = stackfile.parse("dev", document("dev", {"lab": {"upstream": True}})).lab
    assert lab is not None and lab.upstream_address == "10.77.0.3"
    lab = stackfile.parse("dev", document("dev", {"lab": True})).lab
    assert lab is not None and lab.upstream_address is None
