"""What leads from the last deployment to the wanted one; pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from config.kolla_release import Release
from operations.errors import BerthError
from operations.kolla.deployed import Deployed

PARTS = ("hosts", "groups", "globals", "hostVariables", "groupVariables", "overrides")
CLUSTERED = ("control", "network")
"""Roles whose services know all their members: a new one changes the others, too."""
ONE_BY_ONE = ("--extra-vars", "kolla_serial=1")
"""For `deploy`, which does what `reconfigure` does; that one sets the variable to 0 itself, and nothing outdoes it."""


@dataclass(frozen=True)
class Plan:
    """A step of kolla-ansible, with its options."""

    verb: str
    options: tuple[str, ...] = ()
    why: str = ""
    leaving: tuple[str, ...] = ()
    """Nodes whose services are stopped before, and removed after it."""

    def __str__(self) -> str:
        drained = f", {' and '.join(self.leaving)} drained first" if self.leaving else ""
        return " ".join((self.verb, *self.options)) + f" ({self.why}{drained})"


def plan(
    before: Deployed | None,
    now: Mapping[str, Any],
    images: Mapping[str, str],
    tags: Mapping[str, str],
    release: Release,
) -> Plan:
    """The step that does what differs and no more, where that is safe.

    `images` are the locked digests, `tags` each image's part of the playbook. Raises BerthError where a
    release between the two was left out.
    """
    if before is None:
        return Plan("deploy", why="nothing is known to be deployed")
    old = before.document
    if old["release"] != now["release"]:
        check_upgrade(str(old["release"]), release)
        return Plan("upgrade", why=f"{old['release']} is deployed")
    leaving = tuple(name for name in old["nodes"] if name not in now["nodes"])
    new = [name for name in now["nodes"] if name not in old["nodes"]]
    if leaving:
        return Plan("deploy", why="nodes leave", leaving=leaving)
    changed = {part for part in PARTS if _without(old[part], new) != _without(now[part], new)}
    moved = [name for name in tags if name in images and before.images.get(name, images[name]) != images[name]]
    if new:
        if changed or moved or any(name in now["hosts"][role] for role in CLUSTERED for name in new):
            return Plan("deploy", why=f"{' and '.join(new)} new, and others have to know")
        return Plan("deploy", ("--limit", ",".join(new)), f"{' and '.join(new)} new")
    services = _services(old, now, moved, tags) if changed <= {"overrides"} else None
    if services:
        return Plan("deploy", ("--tags", ",".join(services), *ONE_BY_ONE), "nothing else has changed")
    return Plan("reconfigure", why="for all services")


def _services(
    old: Mapping[str, Any], now: Mapping[str, Any], moved: Sequence[str], tags: Mapping[str, str]
) -> list[str] | None:
    """The playbook's parts that changed files and images belong to; None where one belongs to all, or nobody knows."""
    files = {path for path, _ in old["overrides"].items() ^ now["overrides"].items()}
    names = {path.split("/", 1)[0].removesuffix(".conf") for path in files}
    by_name = {image.rpartition("/")[2].partition(":")[0]: tag for image, tag in tags.items()}
    known = {**by_name, **{tag: tag for tag in tags.values()}}
    found = {known.get(name) for name in names} | {tags.get(image) for image in moved}
    return None if None in found else sorted(filter(None, found))


def _without(part: Any, new: Sequence[str]) -> Any:
    """A part of the document as it would be without the new nodes."""
    if isinstance(part, Mapping):
        return {key: _without(value, new) for key, value in part.items() if key not in new}
    return [value for value in part if value not in new] if isinstance(part, list) else part


def check_upgrade(before: str, release: Release) -> None:
    """Kolla's own order of releases: databases are migrated from one to the next."""
    if before not in (release.name, *release.after):
        raise BerthError(
            f"berth:kolla.release: {release.name} cannot follow {before}, which is deployed: "
            f"go to {' or '.join(release.after)} first."
        )
