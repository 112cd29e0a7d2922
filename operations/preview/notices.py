"""What a preview's steps mean for the registry's users, as sentences."""

from __future__ import annotations

from collections.abc import Iterable

from operations.pulumi.events import Step
from operations.pulumi.state import CONTAINER

NODES = "::berth:nodes:"


def notices(steps: Iterable[Step]) -> list[str]:
    """One sentence per stage whose containers would be replaced or removed, and one about nodes that restart."""
    steps = list(steps)
    replaced = _containers(steps, "replace")
    found = []
    restarted = _restarted(steps)
    if restarted:
        found.append(
            f"Nodes: one after the other ({', '.join(restarted)}) restarts for its configuration, if the settings let "
            "it; before each, the registry must answer and all other MinIO servers be there."
        )
    servers = replaced.get("object-store", [])
    if servers:
        found.append(
            f"Object store: all of its servers ({', '.join(servers)}) change at the same time, as MinIO demands. "
            "Pushes and pulls fail for some seconds; bucket and IAM settings are exported first."
        )
    for stage, what, how in (
        ("registry", "Registry", "each is out of the balancers while it is replaced, and the others serve."),
        ("cache", "Caches", "the other of the two serves."),
        ("load-balancer", "Load balancer", "the other holds the address; what is in flight is cut once."),
    ):
        if stage in replaced:
            found.append(f"{what}: one after the other ({', '.join(replaced[stage])}); {how}")
    return found


def _restarted(steps: Iterable[Step]) -> list[str]:
    """Nodes whose configuration changes and is checked afterwards."""
    changed = [step.urn.rsplit("::", 1)[-1] for step in steps if step.op == "update" and NODES in step.urn]
    return [name.removeprefix("nodes-") for name in changed if f"{name}-configuration" in changed]


def _containers(steps: Iterable[Step], op: str) -> dict[str, list[str]]:
    """Names of containers by stage, in the order of the steps."""
    found: dict[str, list[str]] = {}
    for step in steps:
        parts = step.urn.split("::")
        types = parts[2].split("$") if len(parts) == 4 else [""]
        if step.op != op or types[-1] != CONTAINER:
            continue
        stage = next((type_.split(":")[1] for type_ in types if type_.startswith("berth:")), "")
        known = found.setdefault(stage, [])
        if parts[3] not in known:
            known.append(parts[3])
    return found
