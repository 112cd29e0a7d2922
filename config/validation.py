"""Settings are validated in two rounds: each field by itself, then the rules across fields."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from config.defaults import with_defaults
from config.model.stack import StackSettings
from config.problems import Problem
from config.pydantic_errors import problem
from config.rules import clusters, garbage_collection, kolla, machines, node_os, nodes, services, upstreams

RULES = (
    *nodes.RULES,
    *clusters.RULES,
    *machines.RULES,
    *services.RULES,
    *upstreams.RULES,
    *garbage_collection.RULES,
    *node_os.RULES,
    *kolla.RULES,
)


def validate(raw: dict[str, Any], known: Sequence[Problem] = ()) -> tuple[list[Problem], StackSettings | None]:
    """The first round's problems and None, or the second round's and the settings.

    `known` are problems of the first round that the caller found, such as unknown keys and encrypted values.
    """
    # A section whose lines are all commented out has the value None.
    raw = {key: value for key, value in raw.items() if value is not None}
    try:
        settings = StackSettings.model_validate(raw)
    except ValidationError as error:
        found = map(problem, error.errors(include_url=False))
        return [*known, *(field for field in found if not _is_below(field.path, known))], None
    if known:
        return list(known), None
    settings = with_defaults(settings)
    # What is wrong in nodeDefaults is found again for every node.
    return list(dict.fromkeys(found for rule in RULES for found in rule(settings))), settings


def _is_below(path: str, known: Sequence[Problem]) -> bool:
    """Whether a problem only follows from a known one above it in the file."""
    return any(path.startswith(other.path) and path[len(other.path) :][:1] in ("", ".", "[") for other in known)
