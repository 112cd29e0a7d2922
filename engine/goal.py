"""What the program asks for: one registration, read from the SDK's request."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from engine import urns, values
from engine.errors import EngineError
from engine.provider import Properties

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Goal:
    """A resource as the program wants it."""

    urn: str
    type: str
    name: str
    custom: bool
    inputs: Properties
    parent: str = ""
    dependencies: tuple[str, ...] = ()
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    provider: str = ""
    version: str = ""
    protect: bool | None = None
    retain_on_delete: bool | None = None
    delete_before_replace: bool | None = None
    deleted_with: str = ""
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()
    additional_secret_outputs: tuple[str, ...] = ()
    custom_timeouts: dict[str, float] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()


def read_goal(request: Any, stack: str, project: str, parent_aliases: tuple[str, ...]) -> Goal:
    """The goal of a RegisterResource request; options that are not implemented are refused by name."""
    urn = urns.make(stack, project, request.parent, request.type, request.name)
    _refuse_unsupported(request, urn)
    return Goal(
        urn=urn,
        type=request.type,
        name=request.name,
        custom=request.custom,
        inputs=values.from_struct(request.object),
        parent=request.parent,
        dependencies=tuple(sorted(set(request.dependencies))),
        property_dependencies={key: sorted(set(deps.urns)) for key, deps in request.propertyDependencies.items()},
        provider=request.provider,
        version=request.version,
        protect=_optional(request, "protect"),
        retain_on_delete=_optional(request, "retainOnDelete"),
        delete_before_replace=request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None,
        deleted_with=request.deletedWith,
        ignore_changes=tuple(request.ignoreChanges),
        replace_on_changes=tuple(request.replaceOnChanges),
        additional_secret_outputs=tuple(request.additionalSecretOutputs),
        custom_timeouts=_timeouts(request, urn),
        aliases=_aliases(request, stack, project, parent_aliases),
    )


def _optional(request: Any, name: str) -> bool | None:
    return bool(getattr(request, name)) if request.HasField(name) else None


def _refuse_unsupported(request: Any, urn: str) -> None:
    used = {
        "import": bool(request.importId),
        "remote component": request.remote,
        "plugin_download_url": bool(request.pluginDownloadURL),
        "replacement_trigger": request.HasField("replacement_trigger"),
        "replace_with": bool(request.replace_with),
        "transforms": bool(request.transforms),
        "state_migrations": bool(request.state_migrations),
        "hide_diffs": bool(request.hideDiffs),
        "env_var_mappings": bool(request.envVarMappings),
        "parameterized package": bool(request.packageRef),
        "hooks": request.HasField("hooks") and bool(request.hooks.ListFields()),
    }
    names = [name for name, given in used.items() if given]
    if names:
        raise EngineError(f"{urn}: the embedded engine does not support the resource option {', '.join(names)}")


def _timeouts(request: Any, urn: str) -> dict[str, float]:
    found = {}
    for name in ("create", "update", "delete"):
        text = getattr(request.customTimeouts, name)
        if text:
            if not re.fullmatch(f"(?:{_DURATION.pattern})+", text):
                raise EngineError(f"{urn}: custom timeout {name}={text!r} is not a duration such as 90s or 5m")
            seconds = sum((float(number) * _UNITS[unit] for number, unit in _DURATION.findall(text)), 0.0)
            found[name] = int(seconds) if seconds.is_integer() else seconds
    return found


def _aliases(request: Any, stack: str, project: str, parent_aliases: tuple[str, ...]) -> tuple[str, ...]:
    """URNs under which the state may still know this resource; a parent's old names give its children old names."""
    found: list[str] = list(request.aliasURNs)
    for parent in parent_aliases:
        found.append(urns.make(stack, project, parent, request.type, request.name))
    for alias in request.aliases:
        if alias.WhichOneof("alias") == "urn":
            found.append(alias.urn)
            continue
        spec = alias.spec
        parents = [""] if spec.noParent else [spec.parentUrn] if spec.parentUrn else [request.parent, *parent_aliases]
        for parent in parents:
            found.append(
                urns.make(
                    spec.stack or stack,
                    spec.project or project,
                    parent,
                    spec.type or request.type,
                    spec.name or request.name,
                )
            )
    return tuple(dict.fromkeys(found))
