"""What the rules share: their type, the nodes with a role, values that are in a list more than once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator

from config.model.nodes import NodeSettings, Role
from config.model.stack import StackSettings
from config.problems import Problem

Rule = Callable[[StackSettings], Iterable[Problem]]


def having(settings: StackSettings, role: Role) -> list[tuple[int, NodeSettings]]:
    """The nodes with a role, each with its index in the list."""
    return [(index, node) for index, node in enumerate(settings.nodes) if role in node.roles]


def duplicates(values: Iterable[Hashable]) -> Iterator[tuple[int, int]]:
    """The index of every value that is a repetition, and the index at which it is first."""
    first: dict[Hashable, int] = {}
    for index, value in enumerate(values):
        if first.setdefault(value, index) != index:
            yield index, first[value]
