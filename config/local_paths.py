"""The settings that are paths on the deploy host: a program that gets them may read those files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from config.fields import common as v


def local_paths(value: Any) -> Iterator[str]:
    """Every such path in settings, or in a part of them; defaults too."""
    if isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            below = getattr(value, name, None)
            if isinstance(below, str) and is_local_path(field):
                yield below
            else:
                yield from local_paths(below)
    elif isinstance(value, dict | list | tuple):
        for below in value.values() if isinstance(value, dict) else value:
            yield from local_paths(below)


def is_local_path(field: FieldInfo) -> bool:
    """Whether a field of a model holds one."""
    marks = [*field.metadata, *(mark for kind in get_args(field.annotation) for mark in get_args(kind)[1:])]
    return any(isinstance(mark, v.DeployHostPath) for mark in marks)
