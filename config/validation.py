"""One door for all rules: every problem of a stack's settings at once, and the settings as far as they can be read."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from config import (
    rules_clusters,
    rules_kolla,
    rules_machines,
    rules_node_config,
    rules_nodes,
    rules_services,
    rules_upstreams,
)
from config.draft import draft, with_defaults
from config.problems import Location, Problem
from config.settings import StackFile
from config.translate import location, problem

RULES = (
    *rules_nodes.RULES,
    *rules_clusters.RULES,
    *rules_machines.RULES,
    *rules_services.RULES,
    *rules_upstreams.RULES,
    *rules_node_config.RULES,
    *rules_kolla.RULES,
)


def validate(raw: dict[str, Any]) -> tuple[list[Problem], StackFile]:
    """All problems, and the settings; where problems were found, what could not be read is None in them."""
    raw = with_defaults(raw)
    problems: list[Problem] = []
    try:
        settings = StackFile.model_validate(raw)
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
