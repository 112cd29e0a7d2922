"""One door for all rules: every problem of a stack's settings at once, and the settings as far as they can be read."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from config.model.stack import StackSettings
from config.partial import draft, with_defaults
from config.problems import Location, Problem
from config.pydantic_errors import location, problem
from config.rules import clusters, kolla, machines, node_os, nodes, services, upstreams

RULES = (
    *nodes.RULES,
    *clusters.RULES,
    *machines.RULES,
    *services.RULES,
    *upstreams.RULES,
    *node_os.RULES,
    *kolla.RULES,
)


def validate(raw: dict[str, Any]) -> tuple[list[Problem], StackSettings]:
    """All problems, and the settings; where problems were found, what could not be read is None in them."""
    raw = with_defaults(raw)
    problems: list[Problem] = []
    try:
        settings = StackSettings.model_validate(raw)
    except ValidationError as error:
        details = error.errors(include_url=False)
        problems += [problem(detail) for detail in details]
        unreadable = [_judged_whole(location(detail)) for detail in details if detail["type"] != "extra_forbidden"]
        settings = draft(raw, unreadable)
    for rule in RULES:
        problems += rule(settings)
    return problems, settings


def _judged_whole(at: Location) -> Location:
    """A node's configuration is judged across its fields only where all of it can be read."""
    if at[:1] == ("nodeDefaults",):
        return at[:1]
    return at[:3] if at[:1] == ("nodes",) and at[2:3] == ("config",) else at
