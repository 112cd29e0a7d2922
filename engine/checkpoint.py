"""The v3 checkpoint: one JSON document per stack in the file backend's layout."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine import files, order
from engine.errors import EngineError
from engine.state import Raw

VERSION_LABEL = "berth-engine-1"


def now() -> str:
    """The time in the form that Go writes."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass
class Checkpoint:
    """A stack's state; resources stay in their raw, encrypted form."""

    stack: str
    salt: str
    resources: list[Raw] = field(default_factory=list)
    time: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)

    def latest(self) -> dict[str, Any]:
        """The `latest` deployment; resources go last so that a reader sees the head first."""
        document: dict[str, Any] = {
            "manifest": {
                "time": self.time or now(),
                "magic": hashlib.sha256(VERSION_LABEL.encode()).hexdigest(),
                "version": VERSION_LABEL,
            },
            "secrets_providers": {"type": "passphrase", "state": {"salt": self.salt}},
            "metadata": self.metadata,
        }
        if self.resources:
            document["resources"] = self.resources
        return document

    def to_bytes(self) -> bytes:
        """The document, one resource a line: quick to write and still readable."""
        latest = self.latest()
        resources = latest.pop("resources", None)
        head = json.dumps(
            {"version": 3, "checkpoint": {"stack": self.stack, "latest": latest}}, ensure_ascii=False, indent=4
        )
        if resources is None:
            return f"{head}\n".encode()
        lines = ",\n".join(json.dumps(raw, ensure_ascii=False, separators=(",", ":")) for raw in resources)
        end = head.rindex("}", 0, head.rindex("}", 0, head.rindex("}")))
        return f'{head[:end].rstrip()},\n            "resources": [\n{lines}\n]}}}}}}\n'.encode()


def load(path: Path) -> tuple[Checkpoint, str]:
    """The checkpoint and the fingerprint of its bytes."""
    data = path.read_bytes()
    try:
        document = json.loads(data)
        checkpoint = document["checkpoint"]
        latest = checkpoint.get("latest") or {}
        version = document["version"]
        secrets = latest.get("secrets_providers") or {}
        result = Checkpoint(
            stack=checkpoint["stack"],
            salt=(secrets.get("state") or {}).get("salt", ""),
            resources=list(latest.get("resources") or []),
            time=(latest.get("manifest") or {}).get("time", ""),
            metadata=latest.get("metadata") or {},
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise EngineError(
            f"the state file {path} is damaged or cut off; the state before the last run is {path.name}.bak beside it"
        ) from None
    if version not in (3, 4) or document.get("features"):
        raise EngineError(f"{path}: state version {version} with features {document.get('features')} is not supported")
    if secrets.get("type", "passphrase") != "passphrase":
        raise EngineError(f"{path}: secrets provider {secrets['type']!r} is not supported, only passphrase")
    return result, fingerprint(data)


def fingerprint(data: bytes) -> str:
    """What the journal knows a checkpoint by."""
    return hashlib.sha256(data).hexdigest()


def prepare(checkpoint: Checkpoint) -> bytes:
    """The bytes to write, sorted and validated."""
    checkpoint.resources = order.sort(order.mend(checkpoint.resources))
    order.validate(checkpoint.resources)
    checkpoint.time = now()
    return checkpoint.to_bytes()


def write(path: Path, data: bytes) -> None:
    """Replace the state file, the former one becoming `.bak`."""
    files.keep_backup(path)
    files.write_atomically(path, data)
