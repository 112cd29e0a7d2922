"""The inputs of kolla-ansible: inventory, globals and variables; pure functions."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from components.docker_daemon.render import daemon_json
from config import naming
from config.model.nodes import NodeSettings
from config.model.stack import KOLLA_ROLES, Settings

TEMPLATES = Path(__file__).parent / "templates"
HEADER = "# Made by Berth from the release's own sample and the stack's settings; changes here are lost."
# What containers that stand in for machines cannot have.
LAB_GLOBALS: Mapping[str, Any] = {
    # A lab node's clock is the deploy host's: there is nothing to synchronise, and timedatectl cannot see that.
    "prechecks_enable_host_ntp_checks": False,
    # A container gets no higher limit than the node that it runs on, which is a container itself.
    "default_container_dimensions_docker": {"ulimits": {"nofile": {"soft": 20000, "hard": 20000}}},
    # Kolla's roles load ip_vs and others by /proc/modules, which a kernel without modules does not have. An extra
    # variable of the role's own name leaves it nothing to load.
    "modules": [],
    # HAProxy wants two files for each connection.
    "haproxy_max_connections": 4000,
    # Four programs with an Erlang machine each, on three nodes: every half minute they would keep two cores half busy.
    "rabbitmq_healthcheck_interval": 120,
}
# Kolla's own lines ask for a connection, which a server that hangs still takes, and leave its clients with it. These
# ask for MariaDB's greeting, the first packet of its protocol 10, and let the clients go to the next one.
DATABASES = (
    "option tcp-check;tcp-check connect;tcp-check expect binary 0000000a;"
    "{% for host in mariadb_default_database_shard_hosts %}server {{ host }} {{ host }}:{{ mariadb_port }} "
    "check inter 3000 rise 2 fall 2 on-marked-down shutdown-sessions{% if not loop.first %} backup{% endif %};"
    "{% endfor %}"
)
# With Ansible's own Python: what else is on the deploy host need not suit its modules.
DEPLOY_HOST = "localhost ansible_connection=local ansible_python_interpreter='{{ ansible_playbook_python }}'"
_SECTION = re.compile(r"\[([a-z0-9_-]+)(:children)?\]")


def roles(settings: Settings) -> dict[str, list[str]]:
    """Kolla's own groups and the nodes in them; deployment is the deploy host unless a node has that role."""
    found: dict[str, list[str]] = {role: [node.name for node in settings.with_role(role)] for role in KOLLA_ROLES}
    return {**found, "deployment": [node.name for node in settings.with_role("deployment")]}


def members(settings: Settings) -> list[str]:
    """Every node that Kolla puts something on, in the settings' order."""
    return [node.name for node in settings.nodes if set(node.roles) & set(KOLLA_ROLES)]


def inventory(
    sample: str, hosts: Mapping[str, Sequence[str]], groups: Mapping[str, Sequence[str]], nodes: Sequence[str]
) -> str:
    """The release's sample with the stack's nodes in its first groups, and other members where `groups` says so.

    All other groups stay as they are, so that each service of the release has its own.
    """
    lines = [HEADER]
    for name, children, body in _sections(sample):
        if name in hosts and not children:
            own = list(hosts[name])
            if name == "deployment" and not own:
                own = [DEPLOY_HOST]
            lines += _section(name, own)
        elif name in groups:
            own = [member for member in groups[name] if member in nodes]
            below = [member for member in groups[name] if member not in nodes]
            # A group that is given to nobody stays: Kolla asks for it by name.
            if own or not below:
                lines += _section(name, own)
            if below:
                lines += _section(f"{name}:children", below)
        else:
            lines += _section(f"{name}{children}", body)
    return "\n".join(lines) + "\n"


def _sections(sample: str) -> list[tuple[str, str, list[str]]]:
    found: list[tuple[str, str, list[str]]] = []
    for line in sample.splitlines():
        text = line.split("#", 1)[0].strip()
        head = _SECTION.fullmatch(text)
        if head:
            found.append((head[1], head[2] or "", []))
        elif text and found:
            found[-1][2].append(text)
    return found


def _section(head: str, body: Sequence[str]) -> list[str]:
    return ["", f"[{head}]", *body]


def daemon(settings: Settings, node: NodeSettings) -> dict[str, Any]:
    """daemon.json as the Docker stage writes it to a node."""
    registry = naming.endpoint(settings.registry.name, settings.registry.port)
    mirror = f"https://{settings.registry.mirror_endpoint}" if settings.registry.mirrored else None
    return daemon_json(settings.docker_on(node), [registry] if settings.registry.insecure else [], mirror)


def global_variables(settings: Settings) -> dict[str, Any]:
    """globals.yml: Berth's own part, the services, then what the settings add."""
    kolla = settings.kolla
    own: dict[str, Any] = {
        "openstack_release": kolla.release,
        "openstack_tag": kolla.tag,
        "kolla_base_distro": kolla.base,
        "docker_registry": naming.endpoint(settings.registry.name, settings.registry.port),
        "docker_registry_insecure": False,
        "docker_namespace": namespace(settings),
        "network_interface": kolla.interface,
        "kolla_internal_vip_address": kolla.internal_address,
    }
    if settings.registry.node_user:
        own["docker_registry_username"] = settings.registry.node_user
    if kolla.external_address:
        own["kolla_external_vip_address"] = kolla.external_address
    if kolla.external_interface:
        own["neutron_external_interface"] = kolla.external_interface
    if _balances_databases(settings):
        # ProxySQL is Kolla's way to the databases; without it nothing listens at the internal address but by this.
        own["enable_external_mariadb_load_balancer"] = True
        own["external_haproxy_members"] = DATABASES
    if settings.lab:
        own |= LAB_GLOBALS
    services = {f"enable_{name}": on for name, on in sorted(kolla.services.items())}
    return {**own, **services, **kolla.globals}


def _balances_databases(settings: Settings) -> bool:
    """Whether HAProxy leads to MariaDB, because ProxySQL does not."""
    kolla = settings.kolla
    return (
        kolla.has("mariadb", True)
        and kolla.has("haproxy", True)
        and not kolla.has("proxysql", True)
        and kolla.has("external_mariadb_load_balancer", True)
    )


def namespace(settings: Settings) -> str:
    """Path of Kolla's images in the stack's registry; a cache's begin with its prefix."""
    images = settings.kolla.images
    prefix = next((up.prefix for up in settings.registry.upstreams if up.name == images.upstream), None)
    return f"{prefix}/{images.namespace}" if prefix else images.namespace


def as_yaml(values: Mapping[str, Any]) -> str:
    """A file of variables, by name: the same for the same values, whichever way they came."""
    return f"{HEADER}\n" + yaml.safe_dump(dict(values), sort_keys=True, allow_unicode=True, width=120)


def document(settings: Settings, overrides: Mapping[str, str]) -> dict[str, Any]:
    """Everything a run is made from but secrets and the way into the nodes; plain JSON.

    `overrides` are the files of `kolla.overrides`, by their path below it.
    """
    kolla, nodes = settings.kolla, members(settings)
    # One owner of daemon.json: should Kolla ever write it, it writes what is there.
    own = {node.name: {"docker_custom_config": daemon(settings, node)} for node in settings.nodes if node.name in nodes}
    hosts = {name: {**own[name], **kolla.host_variables.get(name, {})} for name in nodes}
    return {
        "release": kolla.release,
        "nodes": nodes,
        "hosts": roles(settings),
        "groups": {group: list(names) for group, names in sorted(kolla.groups.items())},
        "globals": global_variables(settings),
        "hostVariables": hosts,
        "groupVariables": {group: dict(values) for group, values in sorted(kolla.group_variables.items())},
        "overrides": dict(sorted({**_own_overrides(settings), **overrides}.items())),
    }


def _own_overrides(settings: Settings) -> dict[str, str]:
    """What Kolla does not write, and needs for Debian's RabbitMQ, which Berth builds, or without ProxySQL."""
    own = {}
    if settings.kolla.images.source == "built":
        own["rabbitmq/advanced.config"] = TEMPLATES / "rabbitmq-advanced.config"
    if _balances_databases(settings):
        own["galera.cnf"] = TEMPLATES / "galera.cnf"
    return {path: template.read_text(encoding="utf-8") for path, template in own.items()}


def files(document: Mapping[str, Any], sample: str, access: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Everything that kolla-ansible reads but passwords, by path; `access` are Ansible's own variables of each node.

    Globals go to Ansible as extra variables, which nothing overrides: those that a node or group has in its own way
    become variables of the group of all nodes instead.
    """
    nodes, groups = document["nodes"], {name: dict(own) for name, own in document["groupVariables"].items()}
    hosts = {name: {**access.get(name, {}), **document["hostVariables"].get(name, {})} for name in nodes}
    particular = {key for own in (*document["hostVariables"].values(), *groups.values()) for key in own}
    shared = {key: value for key, value in document["globals"].items() if key in particular}
    if shared:
        groups["baremetal"] = {**shared, **groups.get("baremetal", {})}
    everywhere = {key: value for key, value in document["globals"].items() if key not in particular}
    result = {
        "inventory/multinode": inventory(sample, document["hosts"], document["groups"], nodes),
        "globals.yml": as_yaml(everywhere),
    }
    result |= {f"inventory/group_vars/{name}.yml": as_yaml(own) for name, own in groups.items()}
    result |= {f"inventory/host_vars/{name}.yml": as_yaml(own) for name, own in hosts.items() if own}
    return result | {f"config/{path}": text for path, text in document["overrides"].items()}


def ansible_ssh_vars(host: str, port: int, user: str, key_file: str, known_hosts: str) -> dict[str, Any]:
    """Ansible's variables for the way into a node: this key, these host keys, no questions."""
    options = (
        f"UserKnownHostsFile={known_hosts}",
        "GlobalKnownHostsFile=/dev/null",
        "StrictHostKeyChecking=yes",
        "IdentitiesOnly=yes",
    )
    return {
        "ansible_host": host,
        "ansible_port": port,
        "ansible_user": user,
        "ansible_ssh_private_key_file": key_file,
        "ansible_ssh_common_args": " ".join(f'-o "{option}"' for option in options),
    }


def shown(document: Mapping[str, Any]) -> dict[str, str]:
    """The document for a person to compare, by what it is about; overrides as checksums."""
    overrides = {path: hashlib.sha256(text.encode()).hexdigest()[:16] for path, text in document["overrides"].items()}
    inventory = {key: document[key] for key in ("hosts", "groups", "hostVariables", "groupVariables")}
    parts = {"GLOBALS": document["globals"], "INVENTORY": inventory, "OVERRIDES": overrides}
    return {f"KOLLA_{name}": yaml.safe_dump(part, sort_keys=True, width=120) for name, part in parts.items()}
