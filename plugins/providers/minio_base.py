"""What MinIO's resources share: their server, and policies that compare by meaning."""

from __future__ import annotations

import json
import secrets
import string
from typing import Any

from plugins.interface import UNKNOWN, CheckFailure, Imported, Properties
from plugins.providers.base import Resource
from plugins.providers.minio_connection import Server
from plugins.providers.schema import Prop

_LETTERS = string.ascii_letters + string.digits


def drawn_secret() -> str:
    """A new secret key."""
    return "".join(secrets.choice(_LETTERS) for _ in range(40))


class OnServer(Resource):
    """A resource of one MinIO server."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def _outputs(self, known: Properties, **facts: Any) -> Properties:
        return {**known, **facts}

    def _import_as_read(self, id_: str) -> Imported | None:
        """An import whose inputs are what the server shows."""
        found = self.read(id_, {}, {})
        if found is None:
            return None
        inputs = self.imported_inputs(found.outputs)
        return Imported(id_, inputs, inputs.inputs)


class WithPolicy(OnServer):
    """A resource with a policy, which is the same in any spelling."""

    def validate(self, inputs: Properties) -> list[CheckFailure]:
        policy = inputs.get("policy", UNKNOWN)
        bad = policy is not UNKNOWN and not isinstance(_meaning(policy), dict)
        return [CheckFailure("policy", "must be a JSON object")] if bad else []

    def same(self, name: str, prop: Prop, old: Any, new: Any) -> bool:
        if name == "policy" and isinstance(old, str) and isinstance(new, str):
            return bool(_meaning(old) == _meaning(new))
        return super().same(name, prop, old, new)


def _meaning(policy: str) -> Any:
    """A policy in a form in which texts that mean the same compare equal."""
    try:
        return _listed(json.loads(policy))
    except ValueError:
        return policy


def _listed(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _listed(item, name) for name, item in value.items() if item not in ("", [], {})}
    many = key in ("Action", "Resource", "Statement", "AWS")
    if many and not isinstance(value, list):
        value = [value]
    if isinstance(value, list):
        return sorted((_listed(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    return value
