"""A report in sentences: the part that every form of the preview has in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from operations.preview import daemons
from operations.preview.daemons import Effect
from operations.preview.report import Report

_MEANING = {
    daemons.RESTART: "Docker restarts",
    daemons.RELOAD: "Docker reloads its settings, nothing restarts",
    daemons.NOTHING: "Docker stays as it is: it reads what changes on every pull",
    daemons.UNKNOWN: "unknown until contact whether Docker restarts",
}


def counts(report: Report) -> str:
    """`2 to create, 1 to replace, 174 unchanged`."""
    parts = [f"{count} to {op}" for op, count in report.counts.items()]
    return ", ".join([*(parts or ["no change"]), f"{report.unchanged} unchanged"])


def nodes(report: Report) -> Iterator[str]:
    """What Docker does on each node, grouped by effect, and the order of the nodes."""
    groups: dict[tuple[str, tuple[str, ...], str], list[str]] = {}
    for effect in report.daemons:
        groups.setdefault((effect.force, effect.keys, effect.why), []).append(effect.node)
    for (force, keys, why), names in groups.items():
        reason = "; ".join(filter(None, (", ".join(keys), why)))
        yield f"{', '.join(names)}: {_MEANING[force]}" + (f" ({reason})" if reason else "")
    moved = {effect.node for effect in report.daemons if _touches(effect)}
    if len(moved) > 1:
        yield (
            f"Order: {_order(moved, report.waves)}; when a daemon does not come back, "
            "the nodes after it are not touched."
        )


def _order(moved: set[str], waves: Sequence[Sequence[str]]) -> str:
    """The waves as text: `one node after the other (node1, node2), then together (node3, node4)`."""
    parts: list[str] = []
    alone: list[str] = []
    for wave in ([name for name in wave if name in moved] for wave in waves):
        if len(wave) == 1:
            alone += wave
        elif wave:
            parts += [*_one_by_one(alone), f"together ({', '.join(wave)})"]
            alone = []
    return ", then ".join([*parts, *_one_by_one(alone)])


def _one_by_one(names: Sequence[str]) -> list[str]:
    if len(names) == 1:
        return [f"{names[0]} alone"]
    return [f"one node after the other ({', '.join(names)})"] if names else []


def _touches(effect: Effect) -> bool:
    return effect.force != daemons.NOTHING
