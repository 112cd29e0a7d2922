"""Rules about upstreams: registries that are read through caches."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from config import naming
from config.model.stack import StackSettings
from config.problems import Problem, path, shown
from config.rules.common import Rule, duplicates


def unique_names(settings: StackSettings) -> Iterator[Problem]:
    """A name identifies a cache's processes and its directory in the object store."""
    names = [upstream.name for upstream in settings.registry.upstreams]
    for index, first in duplicates(names):
        wrong = f"is also the name of {path('registry', 'upstreams', first)}."
        at, fix = path("registry", "upstreams", index, "name"), "Give each upstream its own name."
        yield Problem(at, wrong, fix, shown(names[index]))


def own_prefixes(settings: StackSettings) -> Iterator[Problem]:
    """A path belongs to one upstream."""
    seen: list[tuple[int, str]] = []
    for index, upstream in enumerate(settings.registry.upstreams):
        at, fix = path("registry", "upstreams", index, "prefix"), "Give each upstream a prefix outside of all others."
        for other, prefix in seen:
            where = path("registry", "upstreams", other, "prefix")
            if upstream.prefix == prefix:
                yield Problem(at, f"is also the prefix of {where.removesuffix('.prefix')}.", fix, shown(prefix))
                break
            if f"{upstream.prefix}/".startswith(f"{prefix}/") or f"{prefix}/".startswith(f"{upstream.prefix}/"):
                inner = "inside" if len(upstream.prefix) > len(prefix) else "around"
                wrong = f"is {inner} {where} ({prefix}): some paths would belong to both."
                yield Problem(at, wrong, fix, shown(upstream.prefix))
                break
        seen.append((index, upstream.prefix))


def one_mirror(settings: StackSettings) -> Iterator[Problem]:
    """The mirror port has one root."""
    mirrored = [index for index, upstream in enumerate(settings.registry.upstreams) if upstream.mirror]
    for index in mirrored[1:]:
        wrong = f"is true, as for {path('registry', 'upstreams', mirrored[0])}, but the mirror port has one root."
        fix = "Set `mirror: false` for all but one (Docker Hub has true by default)."
        yield Problem(path("registry", "upstreams", index, "mirror"), wrong, fix)


def no_loop(settings: StackSettings) -> Iterator[Problem]:
    """A cache whose upstream is this registry would request from itself without end."""
    registry = settings.registry
    addresses = {name for node in settings.nodes for name in (node.address, node.name)}
    addresses.add(settings.load_balancer.address)
    ports = {registry.port, registry.mirror_port, naming.REGISTRY_REPLICA_PORT}
    ports |= {upstream.port for upstream in registry.upstreams}
    for index, upstream in enumerate(registry.upstreams):
        parts = urlsplit(upstream.url)
        if parts.hostname == registry.name or (parts.hostname in addresses and (parts.port or 443) in ports):
            fix = "Write the address of another registry."
            at = path("registry", "upstreams", index, "url")
            yield Problem(at, "leads to this registry itself.", fix, shown(upstream.url))


RULES: tuple[Rule, ...] = (unique_names, own_prefixes, one_mirror, no_loop)
