"""Which values are secret: providers see none of the marks, so they are put back on what providers answer."""

from __future__ import annotations

import json
from typing import Any

from google.protobuf.struct_pb2 import Struct

from plugins.interface import Checked, Properties
from plugins.values import Secret, from_struct, mark, plain, remark

STATE_DELTA = "__pulumi_raw_state_delta"
"""The published Terraform-based providers' recipe for their raw state; stale once somebody else has changed it."""


def outputs_of(struct: Struct) -> Properties:
    """A resource's outputs as the state has them."""
    return {key: value for key, value in from_struct(struct).items() if key != STATE_DELTA}


def inputs(given: Properties, checked: Checked) -> Properties:
    """Checked inputs, secret where the given ones or the schema mark them so."""
    marked = {key: remark(value, given.get(key)) for key, value in plain(checked.inputs).items()}
    return mark({key: value for key, value in marked.items() if value is not None}, sorted(checked.secrets))


def sealed(outputs: Properties, like: Properties, secret: frozenset[str]) -> Properties:
    """Outputs, secret where the schema or their inputs mark them so."""
    return {
        key: Secret(value) if key in secret else remark(value, like.get(key))
        for key, value in plain(outputs).items()
        if value is not None and key != STATE_DELTA
    }


def secrecy_changes(before: Properties, after: Properties) -> tuple[str, ...]:
    """Inputs with an equal value of which another part is secret now."""
    both = sorted(before.keys() & after.keys())
    return tuple(key for key in both if before[key] != after[key] and plain(before[key]) == plain(after[key]))


def compact(value: Any) -> Any:
    """Objects and lists reach a provider's settings as JSON text, and the SDK spaces it otherwise than the CLI."""
    if isinstance(value, Secret):
        return Secret(compact(value.value))
    if isinstance(value, str) and value[:1] in ("[", "{"):
        try:
            return json.dumps(json.loads(value), ensure_ascii=False, separators=(",", ":"))
        except ValueError:
            return value
    return value
