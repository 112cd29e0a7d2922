"""The order of resources in a checkpoint: the CLI refuses a state where something stands before what it needs."""

from __future__ import annotations

from collections.abc import Sequence

from engine import urns
from engine.errors import EngineError
from engine.state import Raw, entry_dependencies


def sort(resources: Sequence[Raw]) -> list[Raw]:
    """The resources, each after its provider, parent and dependencies, otherwise in the order given."""
    needs = _needs(resources)
    done: set[int] = set()
    open_: set[int] = set()
    result: list[Raw] = []
    for start in range(len(resources)):
        stack = [start]
        while stack:
            current = stack[-1]
            if current in done:
                stack.pop()
                continue
            waiting = [other for other in needs[current] if other not in done]
            if not waiting:
                stack.pop()
                open_.discard(current)
                done.add(current)
                result.append(resources[current])
            elif current in open_ and any(other in open_ for other in waiting):
                raise EngineError(f"resource {resources[current]['urn']} depends on itself through other resources")
            else:
                open_.add(current)
                stack.extend(reversed(waiting))
    return result


def _needs(resources: Sequence[Raw]) -> list[list[int]]:
    """For each resource the indices of what must stand before it."""
    by_urn: dict[str, int] = {}
    references: dict[str, int] = {}
    for index, raw in enumerate(resources):
        if not raw.get("delete") or raw["urn"] not in by_urn:
            by_urn[raw["urn"]] = index
        if urns.is_provider(raw["type"]):
            references[f"{raw['urn']}::{raw.get('id', '')}"] = index
    result = []
    for index, raw in enumerate(resources):
        wanted = {by_urn[urn] for urn in entry_dependencies(raw) if urn in by_urn}
        if raw.get("delete"):
            wanted.add(by_urn[raw["urn"]])
        if provider := raw.get("provider"):
            if provider not in references:
                raise EngineError(
                    f"resource {raw['urn']} refers to a provider that the state does not hold: {provider}"
                )
            wanted.add(references[provider])
        result.append(sorted(wanted - {index}))
    return result


def mend(resources: Sequence[Raw]) -> list[Raw]:
    """The resources without references to what the state no longer holds, such as something a refresh found gone."""
    present = {raw["urn"] for raw in resources}
    return [raw if entry_dependencies(raw) <= present else _without_dangling(raw, present) for raw in resources]


def _without_dangling(raw: Raw, present: set[str]) -> Raw:
    mended = {key: value for key, value in raw.items() if key not in ("parent", "deletedWith") or value in present}
    if "dependencies" in raw:
        mended["dependencies"] = [urn for urn in raw["dependencies"] if urn in present]
    if "propertyDependencies" in raw:
        listed = raw["propertyDependencies"].items()
        mended["propertyDependencies"] = {key: [urn for urn in deps or () if urn in present] for key, deps in listed}
    return mended


def validate(resources: Sequence[Raw]) -> None:
    """Fail if the CLI would refuse these resources."""
    seen: set[str] = set()
    providers: set[str] = set()
    for raw in resources:
        urn = raw["urn"]
        missing = sorted(entry_dependencies(raw) - seen)
        if missing:
            raise EngineError(f"state not written: {urn} refers to {missing[0]}, which is not before it")
        if raw.get("provider") and raw["provider"] not in providers:
            raise EngineError(f"state not written: the provider of {urn} is not before it")
        if urn in seen and not raw.get("delete"):
            raise EngineError(f"state not written: {urn} is there twice")
        if raw.get("id") and not raw.get("custom"):
            raise EngineError(f"state not written: {urn} has an id but is a component")
        seen.add(urn)
        if urns.is_provider(raw["type"]):
            providers.add(f"{urn}::{raw.get('id', '')}")
