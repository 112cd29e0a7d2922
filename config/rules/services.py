"""Rules about the services: users, ports, images, settings of the Docker daemon."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from config import naming
from config.model.nodes import NodeSettings
from config.model.stack import StackSettings
from config.problems import Problem, closest, path, shown
from config.rules.common import Rule, duplicates, having

# Keys of daemon.json that have their own setting: two values would contradict each other.
_OWN_SETTING = {
    "insecure-registries": "insecureRegistries",
    "registry-mirrors": "registryMirrors",
    "proxies": "proxies",
    "http-proxy": "proxies.http",
    "https-proxy": "proxies.https",
    "no-proxy": "proxies.noProxy",
    "log-driver": "logDriver",
    "log-opts": "logOptions",
    "live-restore": "liveRestore",
    "mtu": "mtu",
    "no-new-privileges": "noNewPrivileges",
    "userland-proxy": "userlandProxy",
    "icc": "icc",
}
# The daemon's unit sets its sockets; the same key in the file keeps it from starting.
_REFUSED = {"hosts": "the daemon's unit names its sockets, and dockerd refuses to start with both."}

# Ports on a node that no setting moves, by role.
_SWARM = {2377: "Swarm's managers", 7946: "Swarm's gossip"}
_PORTS_OF_ROLES: dict[str, dict[int, str]] = {
    "registry": {
        naming.REGISTRY_REPLICA_PORT: "the registry's replica",
        naming.REGISTRY_HEALTH_PORT: "the registry's health check",
    },
    "load-balancer": {naming.FRONT_STATUS_PORT: "nginx's status page"},
    "swarm-manager": _SWARM,
    "swarm-worker": _SWARM,
    "control": {
        80: "Horizon",
        443: "Horizon",
        3306: "MariaDB",
        5000: "Keystone",
        5672: "RabbitMQ",
        8774: "Nova",
        8776: "Cinder",
        8778: "Placement",
        9292: "Glance",
        9696: "Neutron",
        11211: "memcached",
    },
}


def unique_users(settings: StackSettings) -> Iterator[Problem]:
    """Two users with the same name would have two passwords."""
    names = [user.name for user in settings.registry.users]
    for index, first in duplicates(names):
        wrong = f"is also the name of {path('registry', 'users', first)}."
        fix = "Give each user its own name; `push` includes reading, `admin` both."
        yield Problem(path("registry", "users", index, "name"), wrong, fix, shown(names[index]))


def someone_can_push(settings: StackSettings) -> Iterator[Problem]:
    """At least one user can push."""
    if not any(user.role in ("push", "admin") for user in settings.registry.users):
        fix = "Add a user with the role push, such as {name: push, role: push}."
        yield Problem(path("registry", "users"), "has no user who can push.", fix)


def versions_are_used(settings: StackSettings) -> Iterator[Problem]:
    """Only generated passwords have versions; configured ones are rotated in `berth:secrets`."""
    for index, user in enumerate(settings.registry.users):
        if user.password == "configured" and "versions" in user.model_fields_set:
            fix = f"Remove it, and write old and new below {path('secrets', 'users')}: name[0] and name[1]."
            at = path("registry", "users", index, "versions")
            yield Problem(at, "is for generated passwords; this one is configured.", fix)


def versions_have_own_names(settings: StackSettings) -> Iterator[Problem]:
    """In the state, version 2 of the user `ci` is named ci-2."""
    names = {user.name for user in settings.registry.users}
    for index, user in enumerate(settings.registry.users):
        for version in user.versions:
            if version > 1 and f"{user.name}-{version}" in names:
                wrong = f"holds {version}, but another user is called {user.name}-{version}."
                fix = "Use the next number, or rename that user."
                yield Problem(path("registry", "users", index, "versions"), wrong, fix)


def node_user(settings: StackSettings) -> Iterator[Problem]:
    """The nodes' user can only pull: root on any node knows its password."""
    registry = settings.registry
    if not registry.node_user:
        return
    roles = [user.role for user in registry.users if user.name == registry.node_user]
    at, readers = path("registry", "nodeUser"), [u.name for u in registry.users if u.role == "pull"]
    fix = f"Use one with the role pull: {', '.join(readers)}." if readers else "Add a user with the role pull."
    if not roles:
        meant = closest(registry.node_user, readers)
        yield Problem(at, "is not a user of the registry.", fix, shown(registry.node_user), meant)
    elif "pull" not in roles:
        wrong = f"has the role {roles[0]}, which every node would have."
        yield Problem(at, wrong, fix, shown(registry.node_user))


def registry_name_is_free(settings: StackSettings) -> Iterator[Problem]:
    """The registry's name resolves to the balancer's address, a node's name to that node."""
    name = settings.registry.name
    for index, node in enumerate(settings.nodes):
        if node.name == name:
            wrong = f"is also the name of {path('nodes', index)}."
            fix = "Use another name, such as registry.example.com."
            yield Problem(path("registry", "name"), wrong, fix, shown(name))


def seed_is_reachable(settings: StackSettings) -> Iterator[Problem]:
    """Nodes pull Berth's own images from the deploy host, whose address is known in labs only."""
    images = settings.images
    if settings.lab is not None or images.seed.address:
        return
    needed = {"registry": images.registry, "objectStore": images.object_store, "nginx": images.nginx}
    if len(having(settings, "load-balancer")) > 1:
        needed["keepalived"] = images.keepalived
    if settings.registry.upstreams:
        needed["cache"] = images.cache
    if None in needed.values():
        *others, last = needed
        names = f"{', '.join(others)} and {last}"
        fix = f"Write the deploy host's address as the nodes see it, or name all of images.{names}."
        yield Problem(path("images", "seed", "address"), "is missing.", fix)


def deploy_host_is_known(settings: StackSettings) -> Iterator[Problem]:
    """The deploy host needs access to the object store through the nodes' firewall."""
    known = settings.lab or settings.virtualbox or settings.images.seed.address or settings.object_store.allow
    if known or settings.firewall != "berth":
        return
    if any(seed_is_reachable(settings)):
        return
    fix = f"Write the deploy host's address as the nodes see it, there or to {path('images', 'seed', 'address')}."
    yield Problem(path("objectStore", "allow"), "is missing, and the firewall would reject the deploy host.", fix)


def pins_agree(settings: StackSettings) -> Iterator[Problem]:
    """An image that is set and pinned must be the same one."""
    images, pins = settings.images, settings.pins
    if pins is None:
        return
    for field, info in type(pins.images).model_fields.items():
        name, own, pin = info.alias or field, getattr(images, field), getattr(pins.images, field)
        if own and pin and own.rpartition("@")[2] != pin.rpartition("@")[2]:
            fix = f"Remove it, and {path('pins', 'images', name)} decides; or remove that one."
            yield Problem(path("images", name), "is another image than the pinned one.", fix, shown(own))


def free_ports(settings: StackSettings) -> Iterator[Problem]:
    """Services use the node's own network: two of them cannot share a port. Each pair is reported once."""
    reported: set[tuple[str, str]] = set()
    for index, node in enumerate(settings.nodes):
        taken: dict[int, str] = {}
        for owner, port in (*_fixed_ports(node), *_chosen_ports(settings, index, node)):
            other = taken.setdefault(port, owner)
            # Fixed ports come first, so the later one has a setting.
            setting = owner.removesuffix(_HEALTH)
            pair = (other.removesuffix(_HEALTH), setting)
            if other == owner or pair in reported:
                continue
            reported.add(pair)
            wrong = "is taken" if setting == owner else "leaves no room for its health page (500 above): taken"
            yield Problem(setting, f"{wrong} by {other} on {node.name}.", "Choose another port.", str(port))


_HEALTH = " (its health page)"


def _fixed_ports(node: NodeSettings) -> Iterator[tuple[str, int]]:
    """Owner and number of every port on a node that no setting moves."""
    yield "sshd", 22
    fixed = {port: owner for role in node.roles for port, owner in _PORTS_OF_ROLES.get(role, {}).items()}
    for port, owner in fixed.items():
        yield owner, port


def _chosen_ports(settings: StackSettings, index: int, node: NodeSettings) -> Iterator[tuple[str, int]]:
    """Setting and number of every port on a node that a setting chooses."""
    registry, store, etcd = settings.registry, settings.object_store, settings.etcd
    if node.ssh.host == node.address and node.ssh.port != 22:
        yield path("nodes", index, "ssh", "port"), node.ssh.port
    if "load-balancer" in node.roles:
        yield path("registry", "port"), registry.port
        yield path("registry", "mirrorPort"), registry.mirror_port
    if "object-store" in node.roles:
        yield path("objectStore", "port"), store.port
    if "etcd" in node.roles:
        yield path("etcd", "clientPort"), etcd.client_port
        yield path("etcd", "peerPort"), etcd.peer_port
    if "load-balancer" in node.roles:
        yield path("objectStore", "endpointPort"), store.endpoint_port
    # Caches run on two nodes with this role; every one may become one of the two.
    for place, upstream in enumerate(registry.upstreams if "registry" in node.roles else ()):
        at = path("registry", "upstreams", place, "port")
        yield at, upstream.port
        yield f"{at}{_HEALTH}", upstream.port + naming.CACHE_HEALTH_ABOVE
    # The deploy host may be one of the nodes, so the seed registry counts as everywhere.
    yield path("images", "seed", "port"), settings.images.seed.port


def docker_extra(settings: StackSettings) -> Iterator[Problem]:
    """Keys with their own setting would contradict it, and some keep the daemon from starting."""
    for key in settings.docker.extra:
        at = path("docker", "extra", key)
        if key in _OWN_SETTING:
            yield Problem(at, "has its own setting.", f"Use {path('docker')}.{_OWN_SETTING[key]} instead.")
        elif key in _REFUSED:
            yield Problem(at, f"cannot be set: {_REFUSED[key]}", "Remove it.")


def docker_options(settings: StackSettings) -> Iterator[Problem]:
    """dockerd does not start with one setting in its flags and in daemon.json."""
    docker = settings.docker
    for index, option in enumerate(docker.options):
        flag = option[2:].partition("=")[0]
        at = path("docker", "options", index)
        # Flags that may be repeated have the key's name in the singular.
        for key in {flag, f"{flag}s", f"{flag[:-1]}ies"}:
            if key in _OWN_SETTING:
                yield Problem(at, "has its own setting.", f"Use {path('docker')}.{_OWN_SETTING[key]}.", option)
            elif key in _REFUSED:
                yield Problem(at, f"cannot be set: {_REFUSED[key]}", "Remove it.", option)
            elif key in docker.extra:
                yield Problem(at, f"is also {path('docker', 'extra', key)}.", "Keep one of the two.", option)


def icc_has_rules(settings: StackSettings) -> Iterator[Problem]:
    """dockerd isolates containers by its packet filter rules, and does not start if it may not make them."""
    docker = settings.docker
    if docker.icc is False and docker.extra.get("iptables") is False:
        fix = f"Remove one of the two: {path('docker', 'icc')} or {path('docker', 'extra', 'iptables')}."
        yield Problem(
            path("docker", "icc"), "is false, which needs packet filter rules, but docker.extra disables them.", fix
        )


def mirrors_are_safe(settings: StackSettings) -> Iterator[Problem]:
    """Without TLS images can be replaced on the network."""
    docker = settings.docker
    for index, mirror in enumerate(docker.registry_mirrors):
        if mirror.startswith("http://"):
            parts = urlsplit(mirror)
            if not _listed(parts.netloc, parts.hostname or "", docker.insecure_registries):
                fix = f"Use https, or add {shown(parts.netloc)} to {path('docker', 'insecureRegistries')}."
                at = path("docker", "registryMirrors", index)
                yield Problem(at, "is plain http from a host that is not listed as insecure.", fix, shown(mirror))


def _listed(netloc: str, host: str, insecure: tuple[str, ...]) -> bool:
    for entry in insecure:
        if "/" not in entry:
            if entry in (netloc, host):
                return True
            continue
        try:
            if ip_address(host) in ip_network(entry):
                return True
        except ValueError:
            continue
    return False


def router_id(settings: StackSettings) -> Iterator[Problem]:
    """Two VRRP routers with the same id on a network conflict."""
    if settings.load_balancer.router_id == 51:
        wrong = "is the VRRP router id of Kolla's own load balancer."
        yield Problem(path("loadBalancer", "routerId"), wrong, "Use another one from 1 to 255, such as 77.", "51")


RULES: tuple[Rule, ...] = (
    unique_users,
    someone_can_push,
    versions_are_used,
    versions_have_own_names,
    node_user,
    registry_name_is_free,
    seed_is_reachable,
    deploy_host_is_known,
    pins_agree,
    free_ports,
    docker_extra,
    docker_options,
    icc_has_rules,
    mirrors_are_safe,
    router_id,
)
