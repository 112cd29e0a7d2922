"""What has to happen to one resource: nothing, an update or a replacement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from engine import paths, values
from engine.errors import StepFailed
from engine.goal import Goal
from engine.provider import Diff, Properties, Provider
from engine.state import ResourceState

STATE_DELTA = "__pulumi_raw_state_delta"


@dataclass(frozen=True)
class Decision:
    """Same if nothing changed, else an update, or a replacement when keys demand one."""

    changed: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()
    delete_first: bool = False

    @property
    def op(self) -> str:
        """The step's name in the CLI's words."""
        return "replace" if self.replace else "update" if self.changed else "same"


def checked_inputs(provider: Provider | None, goal: Goal, old: ResourceState | None) -> Properties:
    """The goal's inputs after ignoreChanges and the provider's check, secrets marked again."""
    inputs = paths.keep_old(goal.inputs, old.inputs, goal.ignore_changes) if old else goal.inputs
    if provider is None:
        return inputs
    checked = provider.check(goal.type, goal.urn, values.plain(old.inputs) if old else None, values.plain(inputs))
    if checked.failures:
        problems = "; ".join(f"{failure.property}: {failure.reason}" for failure in checked.failures)
        raise StepFailed(f"{goal.type} resource '{goal.name}' has a problem: {problems}")
    marked = {key: values.remark(value, inputs.get(key)) for key, value in values.plain(checked.inputs).items()}
    return values.mark({key: value for key, value in marked.items() if value is not None}, sorted(checked.secrets))


def decide(provider: Provider | None, goal: Goal, old: ResourceState, inputs: Properties) -> Decision:
    """Compare old and new; an output that is not known yet never forces a replacement by itself."""
    before, after = values.plain(old.inputs), values.plain(inputs)
    if provider is None:
        diff = Diff(changed=differing(before, after))
    else:
        diff = provider.diff(goal.type, old.id, before, provider_outputs(old), after)
    changed = dict.fromkeys((*diff.changed, *diff.replace))
    changed.update(dict.fromkeys(_secrecy_changes(old.inputs, inputs)))
    forced = dict.fromkeys(diff.replace)
    for pattern in map(paths.parse, goal.replace_on_changes):
        forced.update({key: None for key in changed if paths.overlaps(pattern, paths.parse(key))})
    delete_first = diff.delete_before_replace if goal.delete_before_replace is None else goal.delete_before_replace
    return Decision(tuple(changed), tuple(forced), delete_first)


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Top-level keys whose values differ."""
    return tuple(key for key in sorted({*before, *after}) if before.get(key) != after.get(key))


def _secrecy_changes(before: Properties, after: Properties) -> list[str]:
    """Keys with an equal value of which another part is secret now."""
    both = before.keys() & after.keys()
    different = [key for key in both if before[key] != after[key]]
    return [key for key in sorted(different) if values.plain(before[key]) == values.plain(after[key])]


def provider_outputs(state: ResourceState) -> Properties:
    """Outputs for a provider; the bridge's recipe for its raw state would be stale after any change."""
    return {key: value for key, value in values.plain(state.outputs).items() if key != STATE_DELTA}


def sealed_outputs(provider: Provider | None, goal: Goal, inputs: Properties, outputs: Properties) -> Properties:
    """Outputs with secrets marked: declared by program or schema, or named like a secret input."""
    secret = {*goal.additional_secret_outputs, *(provider.secret_outputs(goal.type) if provider else ())}
    sealed = {}
    for key, value in values.plain(outputs).items():
        if value is not None and key != STATE_DELTA:
            sealed[key] = values.Secret(value) if key in secret else values.remark(value, inputs.get(key))
    return sealed


def new_state(
    goal: Goal, inputs: Properties, outputs: Properties, provider: str, old: ResourceState | None
) -> ResourceState:
    """The resource's next entry, id and times still those of the old one."""
    return ResourceState(
        urn=goal.urn,
        type=goal.type,
        custom=goal.custom,
        id=old.id if old else "",
        inputs=inputs,
        outputs=outputs,
        parent=goal.parent,
        protect=bool(goal.protect),
        dependencies=goal.dependencies,
        provider=provider,
        property_dependencies=goal.property_dependencies,
        additional_secret_outputs=goal.additional_secret_outputs,
        aliases=goal.aliases,
        custom_timeouts=goal.custom_timeouts,
        retain_on_delete=bool(goal.retain_on_delete),
        deleted_with=goal.deleted_with,
        created=old.created if old else "",
        modified=old.modified if old else "",
        ignore_changes=goal.ignore_changes,
        replace_on_changes=goal.replace_on_changes,
    )


def inherit(goal: Goal, parent: Goal | None) -> Goal:
    """Options that a child takes from its parent unless it sets them itself."""
    if parent is None:
        return goal
    return replace(
        goal,
        protect=parent.protect if goal.protect is None else goal.protect,
        retain_on_delete=parent.retain_on_delete if goal.retain_on_delete is None else goal.retain_on_delete,
        deleted_with=goal.deleted_with or parent.deleted_with,
    )
