"""Reads and validates a stack file and its pins without Pulumi, for `berth` and CI."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from config import expected_secrets, paths
from config.json_values import as_json
from config.model.stack import Settings, StackSettings
from config.problems import Problem, SettingsError, closest, key_path, kind, path
from config.pydantic_errors import unknown_key
from config.validation import validate

PINS = "berth:pins"
LARGEST = 4 << 20
# What Pulumi itself keeps in a stack file, beside `config`.
_PULUMI_KEYS = ("config", "encryptionsalt", "encryptedkey", "secretsprovider")


def read(file: Path) -> dict[str, Any]:
    """A stack file's content, and as `berth:pins` that of the file of pins beside it."""
    stack = file.name.removeprefix("Pulumi.").removesuffix(".yaml")
    if not file.exists():
        fix = "Choose one of the stacks that have a file, or write it (Pulumi.prod.yaml is an example)."
        raise SettingsError(stack, [Problem(file.name, "does not exist.", fix)])
    document = _parsed(stack, file, file.name)
    if not isinstance(document, dict):
        return {"config": document}
    config = document.get("config")
    if config is not None and not isinstance(config, dict):
        return document
    merged = with_pins(stack, config or {}, pins_file(file))
    return {**document, "config": merged} if merged else document


def pins_file(file: Path) -> Path:
    """Where the pins of a stack file's stack are."""
    return file.parent / paths.PINS / file.name.removeprefix("Pulumi.")


def with_pins(stack: str, config: Mapping[str, Any], pins: Path) -> dict[str, Any]:
    """A stack file's settings with the pins, which have no other place than their own file."""
    name, own = f"{paths.PINS}/{stack}.yaml", f"Pulumi.{stack}.yaml"
    if PINS in config:
        fix = f"Remove it there; ./berth promote writes {name}."
        raise SettingsError(stack, [Problem(own, f"has {PINS}, which {name} alone may hold.", fix)])
    if not os.path.lexists(pins):
        return dict(config)
    return {**config, PINS: _parsed(stack, pins, name) or {}}


def _parsed(stack: str, file: Path, name: str) -> Any:
    """A file as Pulumi parses it: YAML 1.2, where `yes` is text, and no key twice."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        # A device or a pipe never ends.
        if file.exists() and (not (file.is_file() or file.is_dir()) or file.stat().st_size > LARGEST):
            fix = f"Write a plain file of at most {LARGEST} bytes."
            raise SettingsError(stack, [Problem(name, "is no plain file, or is too long.", fix)])
        return YAML(typ="safe", pure=True).load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(stack, [Problem(name, f"cannot be read: {reason}.", "Correct the file.")]) from None
    except (YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}" if mark else ""
        fix = "Correct that line; an editor that knows YAML shows it."
        raise SettingsError(stack, [Problem(name, f"is not YAML{where}: {_reason(error)}.", fix)]) from None


def _reason(error: Exception) -> str:
    # The parser's text may quote a secret of the file: only what is in front of a quotation mark is kept.
    text = str(getattr(error, "problem", None) or "it cannot be parsed").splitlines()[0]
    return re.split(r'["\']', text)[0].strip().removesuffix(", but found")


def check(stack: str, document: object) -> list[Problem]:
    """The problems of a parsed stack file: invalid fields or, if there are none, violated rules.

    Encrypted values count as present.
    """
    problems, _ = _validate(stack, document)
    return problems


def parse(stack: str, document: object) -> Settings:
    """The settings of a parsed stack file, without passwords; raises SettingsError with the problems of `check`."""
    problems, settings = _validate(stack, document)
    if problems or settings is None:
        raise SettingsError(stack, problems)
    return Settings.model_construct(**dict(settings), stack=stack, user_passwords={}, upstream_passwords={})


def _validate(stack: str, document: object) -> tuple[list[Problem], StackSettings | None]:
    problems = stack_name(stack)
    if not isinstance(document, dict):
        wrong = f"must be an object, but is {kind(document)}."
        return [*problems, Problem("config", wrong, "Begin the file with `config:`.")], None
    problems += [_unknown_top(str(key)) for key in document if key not in _PULUMI_KEYS]
    config = document.get("config")
    if config is not None and not isinstance(config, dict):
        problems.append(Problem("config", f"must be an object, but is {kind(config)}.", "Put `berth:` keys into it."))
        config = {}
    values, not_json = as_json(config or {})
    raw, unknown_keys = own_keys(values)
    secrets = raw.pop("secrets", None)
    problems, settings = validate(raw, [*problems, *not_json, *unknown_keys, *_encrypted_values(raw)])
    return [*problems, *expected_secrets.check_encrypted(stack, secrets, settings)], settings


def stack_name(stack: str) -> list[Problem]:
    """A stack's name becomes part of file and container names."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}", stack):
        return []
    fix = "Use at most 40 letters, digits, `-`, `_` and `.`, beginning with a letter or digit."
    return [Problem("stack", "cannot be part of the names of containers and files.", fix)]


def own_keys(config: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Berth's own keys without their namespace, and a problem for every other one."""
    raw, problems = {}, []
    for key, value in config.items():
        space, colon, name = key.partition(":")
        if space == "berth" and colon:
            raw[name] = value
        elif space == "pulumi" and colon:
            continue  # options of the engine itself, such as pulumi:disable-default-providers
        else:
            problems.append(unknown_key(key))
    return raw, problems


def _unknown_top(key: str) -> Problem:
    if key.startswith("berth:"):
        return Problem(key_path(key), "is outside of `config:`.", "Move it under `config:` and indent it.")
    fix = f"Remove it or use one of: {', '.join(_PULUMI_KEYS)}."
    wrong = "is not part of a stack file that Berth can read."
    return Problem(key_path(key), wrong, fix, suggestion=closest(key, _PULUMI_KEYS))


def encrypted(*at: str | int) -> Problem:
    """The problem of an encrypted value outside of `berth:secrets`."""
    fix = "Set it without `--secret`; passwords go to `berth:secrets.users` and `.upstreams`."
    return Problem(path(*at), "is encrypted, but is not a secret setting.", fix)


def _encrypted_values(value: object, *at: str | int) -> Iterator[Problem]:
    """Only `berth:secrets` may be encrypted: Berth reads everything else before a run."""
    if expected_secrets.is_encrypted(value):
        yield encrypted(*at)
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _encrypted_values(item, *at, key)
