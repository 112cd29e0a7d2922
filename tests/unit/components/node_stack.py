"""Stacks of nodes with systems to set up, for tests: the one of the example, and one with everything."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import yaml

from components.node_config.machine import Machine, Secrets, machines
from config import stackfile

HERE = Path(__file__).parent
EXAMPLE: dict[str, Any] = yaml.safe_load((HERE / "example_cloud_config.yml").read_text("utf-8"))
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBkaoheYG/vv93tZ242H7dHWU2RWJCfB8xDJrNXcNm0s me"
HASH = EXAMPLE["users"][0]["passwd"]
SECRETS = Secrets({"usera": HASH}, {"etcd-key": "THE KEY OF ETCD\n", "docker-key": "THE KEY OF DOCKER\n"})
STORE = ["registry", "object-store"]


def host_key(number: int) -> str:
    """A public key that nobody has the private half of; each machine shows another one."""
    parts = (b"ssh-ed25519", number.to_bytes(32, "big"))
    text = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return f"ssh-ed25519 {base64.b64encode(text).decode()} example"


def node(number: int, **own: Any) -> dict[str, Any]:
    """A node at 192.0.2.1N; the first three are members of etcd."""
    roles = [*STORE, *(["etcd"] if number < 4 else []), *(["load-balancer"] if number == 1 else [])]
    return {
        "name": f"coreos{number}",
        "address": f"192.0.2.1{number}",
        "roles": roles,
        "ssh": {"keyFile": "~/.ssh/berth", "hostKey": host_key(number)},
        **({"config": own} if own else {}),
    }


def document(defaults: dict[str, Any] | None = None, *own: dict[str, Any]) -> dict[str, Any]:
    """A stack file of four nodes, the first of which have configurations of their own."""
    nodes = [node(number, **(own[number - 1] if number <= len(own) else {})) for number in (1, 2, 3, 4)]
    settings = {
        "berth:registry": {"name": "registry.example.com", "users": [{"name": "ci", "role": "push"}]},
        "berth:nodes": nodes,
        "berth:loadBalancer": {"address": "192.0.2.11"},
        "berth:images": {"seed": {"address": "192.0.2.10"}},
    }
    return {"config": settings | ({} if defaults is None else {"berth:nodeDefaults": defaults})}


def with_secrets(text: dict[str, Any], **sections: list[str]) -> dict[str, Any]:
    """The stack file with encrypted secrets of these names."""
    sealed = {section: {name: {"secure": "v1:x"} for name in names} for section, names in sections.items()}
    text["config"]["berth:secrets"] = sealed
    return text


def machines_of(text: dict[str, Any]) -> list[Machine]:
    """The nodes as their renderers see them."""
    return list(machines(stackfile.parse("test", text), SECRETS))


def example() -> dict[str, Any]:
    """The stack that the document describes; what all nodes share stands in the defaults."""
    proxy = "http://proxy.domain.com:3128"
    defaults = {
        "operatingSystem": "coreos",
        "release": "1353.0.0",
        "sshKeys": EXAMPLE["ssh_authorized_keys"],
        "users": [{"name": "usera", "password": "configured", "groups": ["sudo", "docker"]}],
        "etcd": {"tls": False, "discovery": EXAMPLE["coreos"]["etcd2"]["discovery"], "discoveryProxy": proxy},
        "fleet": {"metadata": {"region": "dc1"}},
        "flannel": {"network": "10.1.0.0/16"},
        "timeServers": ["time.domain.com"],
        "ntpdate": True,
        "timezone": "America/New_York",
        "motd": "Just another day!!",
        "proxies": {"http": proxy, "https": proxy},
        "shellAliases": {
            "dps": "docker ps -a",
            "dl": "docker logs -f $1 &",
            "drm": "docker stop $1 && docker rm $1",
        },
        "docker": {"tcp": {"port": 2375, "tls": False}, "insecureRegistries": ["registry.domain.com:5000"]},
    }
    vlans = [
        {"id": 3000, "addresses": ["198.51.100.11/26"], "gateway": "198.51.100.1"},
        {"id": 3012, "addresses": ["198.51.100.75/26"], "gateway": "198.51.100.65"},
        {"id": 3100, "addresses": ["203.0.113.11/24"], "gateway": "203.0.113.1"},
    ]
    interface = {
        "name": "enp0s3",
        "addresses": ["192.0.2.11/24"],
        "gateway": "192.0.2.1",
        "dns": ["192.0.2.2", "192.0.2.3"],
        "searchDomains": ["domain.com"],
        "vlans": vlans,
    }
    return with_secrets(document(defaults, {"interfaces": [interface]}), nodeUsers=["usera"])


def everything(system: str) -> dict[str, Any]:
    """A stack whose first node uses every setting that its system has."""
    coreos = system in ("coreos", "flatcar")
    tls = [(folder, name) for folder in ("etcd", "docker") for name in ("ca.pem", "cert.pem")]
    places = {"etcd": "/etc/ssl/etcd", "docker": "/etc/docker/tls"}
    files: list[dict[str, Any]] = [
        {"path": f"{places[folder]}/{name}", "content": f"{folder} {name}\n"} for folder, name in tls
    ]
    files += [
        {"path": f"{places['etcd']}/key.pem", "secret": "etcd-key"},
        {"path": f"{places['docker']}/key.pem", "secret": "docker-key"},
        {"path": "/home/usera/notes", "content": '[x] 100% "quoted" $HOME ü: #1\n', "owner": "usera", "mode": "0640"},
    ]
    own = {
        "interfaces": [
            {
                "name": "enp0s3",
                "mac": "08:00:27:4E:66:A1",
                "addresses": ["192.0.2.11/24"],
                "gateway": "192.0.2.1",
                "dns": ["192.0.2.2"],
                "searchDomains": ["example.com"],
                "mtu": 9000,
                "vlans": [{"id": 4094, "name": "storage", "addresses": ["198.51.100.11/26"]}],
            },
            {"mac": "08-00-27-4e-66-a2", "dhcp": True},
        ],
        "files": files,
        "units": [
            {"name": "docker.service", "dropIns": [{"name": "60-limits.conf", "content": "[Service]\nLimitCORE=0\n"}]},
            {
                "name": "scrub.service",
                "content": "[Unit]\nDescription=Scrub\n\n[Service]\nType=oneshot\nExecStart=/bin/true\n",
            },
            {
                "name": "scrub.timer",
                "content": "[Timer]\nOnCalendar=weekly\n\n[Install]\nWantedBy=timers.target\n",
                "enable": True,
                "start": True,
            },
        ],
    }
    defaults = {
        "operatingSystem": system,
        "sshKeys": [KEY],
        "users": [
            {"name": "usera", "password": "configured", "groups": ["sudo", "docker"], "shell": "/bin/bash"},
            {"name": "userb", "sshKeys": [KEY]},
        ],
        "etcd": {},
        "flannel": {"network": "10.1.0.0/16"},
        "fleet": {"metadata": {"region": "dc1"}},
        "timezone": "Europe/Berlin",
        "timeServers": ["time.example.com", "192.0.2.3"],
        "ntpdate": coreos,
        "motd": "Two\nlines",
        "proxies": {"https": "http://proxy.example.com:3128", "noProxy": [".lan"]},
        "shellAliases": {"dps": "docker ps -a"},
        "docker": {"tcp": {}, "options": ["--max-concurrent-downloads=2"]},
    }
    if not coreos:
        del defaults["flannel"]
    text = document(defaults, own, {"etcd": None}, {"etcd": None})
    for other in text["config"]["berth:nodes"][1:]:
        # The others have neither files nor what needs them.
        other["config"] = {"operatingSystem": "coreos", "etcd": {"tls": False}, "docker": {"tcp": None}}
        other["config"] |= {"ntpdate": False}
    return with_secrets(text, nodeUsers=["usera"], nodeFiles=["etcd-key", "docker-key"])
