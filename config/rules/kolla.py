"""Rules about OpenStack Kolla and the nodes that it shares with the registry, where it is enabled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from config.kolla_release import Release, release
from config.model.kolla import KollaSettings
from config.model.node_os import resolve
from config.model.stack import KOLLA_ROLES, StackSettings
from config.problems import Problem, closest, path, shown
from config.rules.common import Rule, having

# Roles that only these services need; control and network are needed by every deployment.
_NEEDED_BY = {"compute": ("nova",), "monitoring": ("prometheus", "grafana"), "storage": ("cinder", "manila")}
# Enabled by default, unless openstack_core is off.
_CORE = ("nova",)
# Variables with their own setting: two values for one thing would contradict each other.
_OWN = {
    "docker_registry": "the registry is always this stack's own",
    "docker_registry_username": "nodes log in as registry.nodeUser",
    "docker_registry_password": "it comes from the state",
    "docker_namespace": "use kolla.images.namespace",
    "docker_custom_config": "Berth owns daemon.json: use berth:docker",
    "openstack_release": "use kolla.release",
    "openstack_tag": "use kolla.images.tag",
    "kolla_base_distro": "use kolla.base",
    "kolla_internal_vip_address": "use kolla.internalAddress",
    "kolla_external_vip_address": "use kolla.externalAddress",
    "network_interface": "use kolla.interface",
    "neutron_external_interface": "use kolla.externalInterface",
    "node_custom_config": "use kolla.overrides",
}


def known_services(settings: StackSettings, kolla: KollaSettings, known: Release) -> Iterator[Problem]:
    """A service that the release does not have would silently be left out."""
    for name in kolla.services:
        if name not in known.services:
            fix = f"Use a name that stands behind `enable_` in kolla-ansible's globals for {known.name}."
            meant = closest(name, known.services)
            yield Problem(path("kolla", "services", name), f"is no service of {known.name}.", fix, None, meant)


def nodes_for_roles(settings: StackSettings, kolla: KollaSettings, known: Release) -> Iterator[Problem]:
    """With an empty group Kolla skips services, or fails during the deployment."""
    core = kolla.has("openstack_core", True)
    for role in KOLLA_ROLES:
        if having(settings, role):
            continue
        services = _NEEDED_BY.get(role, ())
        needed = [name for name in services if kolla.has(name, name in _CORE and core)]
        if needed or not services:
            why = f"{needed[0]} runs there" if needed else "Kolla needs it"
            fix = f"Give the role {role} to a node" + (f", or switch {needed[0]} off." if needed else ".")
            yield Problem(path("nodes"), f"has none with the role {role}, and {why}.", fix)


def supported_systems(settings: StackSettings, kolla: KollaSettings, known: Release) -> Iterator[Problem]:
    """Kolla supports Debian, Ubuntu, Rocky and CentOS; systems without packages can run the registry only."""
    for index, node in enumerate(settings.nodes):
        found = resolve(settings.node_defaults, node.config)
        system = found.operating_system if found else None
        role = next((role for role in node.roles if role in KOLLA_ROLES), None)
        if role and system in ("coreos", "flatcar"):
            wrong = f"has the role {role}, but runs {system}, which Kolla cannot deploy to."
            fix = "Take the role away, or install Debian or Ubuntu on it."
            yield Problem(path("nodes", index, "roles"), wrong, fix)


def image_source(settings: StackSettings, kolla: KollaSettings, known: Release) -> Iterator[Problem]:
    """Kolla's images on quay.io are for its developers' tests: its prechecks refuse them, through a cache too."""
    images = kolla.images
    if images.source != "cache":
        if images.upstream is not None:
            wrong = f"is set, but images are {images.source}."
            yield Problem(path("kolla", "images", "upstream"), wrong, "Remove it, or set `source: cache`.")
        return
    at, names = path("kolla", "images", "upstream"), {up.name: up for up in settings.registry.upstreams}
    if images.upstream is None:
        yield Problem(at, "is missing: images come through a cache.", f"Name one of: {', '.join(names) or 'none yet'}.")
    elif images.upstream not in names:
        meant = closest(images.upstream, names)
        fix = f"Use one of registry.upstreams: {', '.join(names) or 'none yet'}."
        yield Problem(at, "is no upstream of the registry.", fix, shown(images.upstream), meant)
    elif names[images.upstream].host == "quay.io":
        wrong = "is quay.io, whose Kolla images are for tests only: Kolla's prechecks refuse to deploy them."
        yield Problem(at, wrong, "Copy them into the registry (source: archive) or build them (source: built).")


def addresses(settings: StackSettings, kolla: KollaSettings, known: Release) -> Iterator[Problem]:
    """keepalived moves the internal address: it must not be a node's nor the registry's."""
    at = path("kolla", "internalAddress")
    if kolla.internal_address is None:
        fix = "Write a free address of the nodes' network; without haproxy, that of a control node."
        yield Problem(at, "is missing.", fix)
        return
    moves = kolla.has("haproxy", True)
    for key, name in (("internalAddress", "internal_address"), ("externalAddress", "external_address")):
        value = getattr(kolla, name)
        if value is None:
            continue
        owner = next((node for node in settings.nodes if node.address == value), None)
        if moves and owner is not None:
            wrong = f"is the address of the node {owner.name}, but keepalived moves it between nodes."
            yield Problem(path("kolla", key), wrong, "Use a free address of their network.", shown(value))
        elif not moves and key == "internalAddress" and (owner is None or "control" not in owner.roles):
            wrong = "is no control node's address, and without haproxy nothing else would answer at it."
            yield Problem(at, wrong, "Use a control node's address, or switch haproxy on.", shown(value))
        elif owner is None and settings.load_balancer.address == value:
            wrong = "is the registry's own address (loadBalancer.address)."
            yield Problem(path("kolla", key), wrong, "Use another free address.", shown(value))


def inventory(settings: StackSettings, kolla: KollaSettings, known: Release) -> Iterator[Problem]:
    """Groups and hosts must exist: Ansible takes any other name for a new host."""
    names = {node.name for node in settings.nodes}
    for key, groups in (("groups", kolla.groups), ("groupVariables", kolla.group_variables)):
        for group in groups:
            if group not in known.groups and group != "all":
                fix = f"Use a group of kolla-ansible's inventory for {known.name}."
                meant = closest(group, known.groups)
                yield Problem(path("kolla", key, group), f"is no group of {known.name}.", fix, None, meant)
    for group, members in kolla.groups.items():
        for index, member in enumerate(members):
            if member not in names and member not in known.groups:
                at, meant = path("kolla", "groups", group, index), closest(member, [*names, *known.groups])
                fix = "Use the name of a node or of a group."
                yield Problem(at, "is neither a node nor a group.", fix, shown(member), meant)
    for host in kolla.host_variables:
        if host not in names:
            at, fix = path("kolla", "hostVariables", host), f"Use one of: {', '.join(sorted(names))}."
            yield Problem(at, "is no node of this stack.", fix, None, closest(host, names))


def variables(settings: StackSettings, kolla: KollaSettings, known: Release) -> Iterator[Problem]:
    """A wrong type would fail in a template during the deployment, if at all."""
    places: list[tuple[tuple[str, ...], dict[str, Any]]] = [(("globals",), kolla.globals)]
    for key, nested in (("hostVariables", kolla.host_variables), ("groupVariables", kolla.group_variables)):
        places += [((key, name), values) for name, values in nested.items()]
    for place, values in places:
        for name, value in values.items():
            at = path("kolla", *place, name)
            if name == "docker_registry_insecure" and value is not False:
                wrong = "would make Kolla pull without login, which the registry refuses."
                yield Problem(at, wrong, "Remove it: the nodes trust the registry's certificate.")
            elif name in _OWN and (place == ("globals",) or name == "docker_custom_config"):
                yield Problem(at, f"is not set here: {_OWN[name]}.", "Remove it.")
            elif place == ("globals",) and name.removeprefix("enable_") in known.services and name.startswith("enable"):
                yield Problem(at, "has its own setting.", f"Write it as kolla.services.{name[7:]}.")
            elif (expected := known.expected_type(name, value)) is not None:
                yield Problem(at, f"must be {expected}, as in kolla-ansible.", f"Write {expected}.", shown(value))


_RULES = (known_services, nodes_for_roles, supported_systems, image_source, addresses, inventory, variables)


def valid_kolla(settings: StackSettings) -> Iterator[Problem]:
    """All of the above, if Kolla is enabled."""
    if settings.kolla.enabled:
        for rule in _RULES:
            yield from rule(settings, settings.kolla, release(settings.kolla.release))


RULES: tuple[Rule, ...] = (valid_kolla,)
