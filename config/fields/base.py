"""What the types of settings are built from: text of bounded length, and patterns with what to do about other text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

Str = Annotated[str, Field(strict=True, max_length=4096)]

_T = TypeVar("_T")


def refused(wrong: str, fix: str) -> PydanticCustomError:
    """The error of a validator: what is wrong, how to fix it."""
    return PydanticCustomError("berth", "{wrong}", {"wrong": wrong, "fix": fix})


@dataclass(frozen=True)
class Pattern:
    """Metadata of a text type: the regular expression that a value matches as a whole."""

    regex: str
    wrong: str
    fix: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Validate after the type itself, and after the metadata in front of this one."""
        return core_schema.no_info_after_validator_function(self._validate, handler(source))

    def _validate(self, value: str) -> str:
        if not re.fullmatch(self.regex, value):
            raise refused(self.wrong, self.fix)
        return value


def parsed(parser: Callable[[str], _T], value: str, wrong: str, fix: str) -> _T:
    """What the parser makes of the value; its ValueError becomes the error of a validator."""
    try:
        return parser(value)
    except ValueError:
        raise refused(wrong, fix) from None
