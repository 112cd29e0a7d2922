"""Pydantic's errors as problems of a stack file."""

from __future__ import annotations

import re
import types
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from config.model.stack import StackSettings
from config.problems import Location, Problem, closest, key_path, kind, path, shown

_EXPECTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}


def problem(error: ErrorDetails) -> Problem:
    """One error as a problem."""
    # Without pydantic's own `[key]` for a key of an object.
    at = tuple(part for part in error["loc"] if part != "[key]")
    value = shown(error["input"], at)
    context: dict[str, Any] = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            return _unknown_key(at)
        case "missing":
            return Problem(path(*at), "is missing.", f"Add it. {_documentation(at)}")
        case "berth":
            return Problem(path(*at), _sentence(context["wrong"]), context["fix"], value)
        case "literal_error":
            return _not_one_of(at, error["input"], str(context["expected"]), value)
        case "greater_than_equal" | "less_than_equal":
            return Problem(path(*at), _range(at), _documentation(at), value)
        case "string_too_long":
            return Problem(path(*at), f"is longer than {context['max_length']} characters.", "Shorten it.")
        case name if name in _EXPECTED:
            return _wrong_type(at, error["input"], _EXPECTED[name], value)
    return Problem(path(*at), f"cannot be used: {error['msg']}.", _documentation(at))


def unknown_key(key: str) -> Problem:
    """A key directly under `config:` that Berth does not know."""
    own = (field.alias or name for name, field in StackSettings.model_fields.items() if name != "pins")
    known = [*(f"berth:{name}" for name in own), "berth:secrets"]
    fix = f"Remove it or use one of: {', '.join(known)}."
    # The shared namespace would make every two keys look alike.
    name = key.rpartition(":")[2]
    suggestion = closest(name, [option.removeprefix("berth:") for option in known])
    return Problem(key_path(key), "is not a setting of Berth.", fix, suggestion=suggestion and f"berth:{suggestion}")


def _unknown_key(at: Location) -> Problem:
    *parent, key = at
    if not parent:
        return unknown_key(f"berth:{key}")
    cls = _model_at(tuple(parent))
    known = _keys(cls) if cls else []
    fix = f"Remove it or use one of: {', '.join(known)}."
    return Problem(path(*at), "is not a setting of Berth.", fix, suggestion=closest(str(key), known))


def _not_one_of(at: Location, value: object, expected: str, text: str | None) -> Problem:
    options = re.findall(r"'([^']*)'", expected)
    suggestion = closest(value, options) if isinstance(value, str) else None
    fix = f"Use one of: {', '.join(options)}."
    if at[-1] == "password":
        fix += " The password itself goes to `berth:secrets`, encrypted."
    return Problem(path(*at), f"is not one of the {len(options)} possible values.", fix, text, suggestion)


def _wrong_type(at: Location, value: object, expected: str, text: str | None) -> Problem:
    fix = f"Write {expected}. {_documentation(at)}"
    if expected == "text" and isinstance(value, (bool, int, float)):
        fix = "Put it in quotes."
    elif expected != "text" and isinstance(value, str) and re.fullmatch(r"[0-9]+|true|false", value):
        fix = "Write it without quotes."
    return Problem(path(*at), f"must be {expected}, but is {kind(value)}.", fix, text)


def _range(at: Location) -> str:
    limits: dict[str, Any] = {}
    for limit in _metadata(_field(at)):
        limits[type(limit).__name__] = limit
    return f"is not between {limits['Ge'].ge} and {limits['Le'].le}."


def _metadata(field: Any) -> list[Any]:
    """The limits of a number, be it optional or not."""
    inner = [part for option in get_args(field.annotation) for part in getattr(option, "__metadata__", ())]
    return [*field.metadata, *(limit for part in inner for limit in part.metadata)]


def _documentation(at: Location) -> str:
    """The setting's own documentation and an example."""
    field = _field(at)
    if field is None or field.description is None:
        return "See the documentation of the setting around it."
    example = f" Example: {field.examples[0]}" if field.examples else ""
    return " ".join(field.description.split()) + example


def _field(at: Location) -> Any:
    names = [part for part in at if isinstance(part, str)]
    cls = _model_at(tuple(names[:-1])) if names else None
    fields = cls.model_fields.items() if cls else ()
    return next((field for name, field in fields if (field.alias or name) == names[-1]), None)


def _model_at(location: Location) -> type[BaseModel] | None:
    """The model whose keys stand at this place of the file; None where there is none."""
    cls: type[BaseModel] | None = StackSettings
    for part in location:
        if cls is None or isinstance(part, int):
            continue
        field = next((f for n, f in cls.model_fields.items() if (f.alias or n) == part), None)
        if field is None:
            return None
        item = get_args(field.annotation)[0] if get_origin(field.annotation) is tuple else field.annotation
        cls = _model_class(item)
    return cls


def _model_class(annotation: Any) -> type[BaseModel] | None:
    """The model in an annotation, be it optional or not."""
    options = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    return next((option for option in options if isinstance(option, type) and issubclass(option, BaseModel)), None)


def _keys(cls: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in cls.model_fields.items()]


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
