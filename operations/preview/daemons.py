"""What a change costs each node's Docker, by the rules of components/docker_daemon/scripts/daemon.sh."""

from __future__ import annotations

from dataclasses import dataclass

from components.lib.host_files import parse
from operations.preview.plan import Change
from operations.pulumi import values

STAGE = "docker-daemon"
NOTHING, RELOAD, RESTART, UNKNOWN = "nothing", "reload", "restart", "unknown"
_WITHOUT_LIVE_RESTORE = ("expect", "{{.LiveRestoreEnabled}}", "false")


@dataclass(frozen=True)
class Effect:
    """The least force that puts a node's new settings into force."""

    node: str
    force: str
    keys: tuple[str, ...] = ()
    """Those of daemon.json that change."""
    why: str = ""

    def as_json(self) -> dict[str, object]:
        return {"node": self.node, "force": self.force, "keys": list(self.keys), "why": self.why}


def effect(node: str, change: Change) -> Effect:
    """Worked out from the settings of the last deployment; only contact shows what nobody has deployed yet."""
    before = change.old.open.get("stdin") if change.old else None
    after = change.new.open.get("stdin") if change.new else None
    if change.old is None:
        return Effect(node, UNKNOWN, why="not seen yet")
    if change.new is None:
        return Effect(node, RESTART, why="its original settings come back")
    if before is None:
        return Effect(node, UNKNOWN, why="its last change did not end")
    if values.is_unknown(after) or not parse.is_bundle(after):
        return Effect(node, UNKNOWN, why="its settings depend on what is only made during up")
    assert isinstance(after, str)
    old = parse.parse(before) if isinstance(before, str) and parse.is_bundle(before) else parse.Bundle()
    new = parse.parse(after)
    if _machine(old) != _machine(new):
        return Effect(node, UNKNOWN, why="the machine is made anew")
    needed, keys = force(_keys(old), _keys(new))
    ends = needed == RESTART and _WITHOUT_LIVE_RESTORE in (*old.directives, *new.directives)
    return Effect(node, needed, keys, "its containers, too" if ends else "")


def force(before: dict[str, tuple[str, str]], after: dict[str, tuple[str, str]]) -> tuple[str, tuple[str, ...]]:
    """The force and the changed keys; keys are name -> (force, digest)."""
    changed = tuple(sorted(key for key in {*before, *after} if before.get(key) != after.get(key)))
    # dockerd keeps the value of a key that vanishes from the file until it is restarted.
    restarts = any(key not in after or RESTART in (after[key][0], before.get(key, after[key])[0]) for key in changed)
    return (RESTART if restarts else RELOAD if changed else NOTHING), changed


def _keys(bundle: parse.Bundle) -> dict[str, tuple[str, str]]:
    return {fact[1]: (fact[2], fact[3]) for fact in bundle.directives if fact[0] == "key" and len(fact) == 4}


def _machine(bundle: parse.Bundle) -> tuple[str, ...]:
    return next((fact for fact in bundle.directives if fact[0] == "machine"), ())
