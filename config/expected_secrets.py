"""`berth:secrets`: which passwords must be there and that none stands in plain text. No value is ever repeated."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from config.fields.node_os import is_hash
from config.model.stack import StackSettings
from config.problems import Problem, closest, kind, path
from config.rules.node_os import node_configs

# bcrypt, in which the registry's password file is written, reads no more than this.
_LONGEST_PASSWORD = 72
# Tokens of public registries are long, some are whole documents.
_LONGEST_TOKEN = 65536
_SECTIONS = ("users", "upstreams", "nodeUsers", "nodeFiles")


@dataclass(frozen=True)
class _Words:
    """What is said about the secrets of one section."""

    missing: str
    instead: str
    unused: str
    nobody: str


_WORDS = {
    "users": _Words(
        "is missing, though the user's password is configured.",
        "let Berth make one with `password: generated`",
        "Set `password: configured` for this user",
        "belongs to no user of the registry.",
    ),
    "upstreams": _Words(
        "is missing, though the upstream has a user.",
        "leave `user` out to ask as anybody",
        "Give the upstream the `user` that it belongs to",
        "belongs to no upstream.",
    ),
    "nodeUsers": _Words(
        "is missing, though the password of this account of the nodes is configured.",
        "leave `password` out for an account that logs in by key only",
        "Set `password: configured` for this account",
        "belongs to no account of the nodes.",
    ),
    "nodeFiles": _Words(
        "is missing, though a file of a node has it as `secret`.",
        "give the file `content` instead",
        "Name it as `secret` of a file",
        "is no file's `secret`.",
    ),
}


def _owners(settings: StackSettings) -> dict[str, dict[str, bool]]:
    """Who secrets are for: by section, each name with whether it needs one."""
    registry, configs = settings.registry, node_configs(settings)
    # One name has one secret, on however many nodes it is.
    accounts = [user for config in configs for user in config.users]
    configured = {user.name for user in accounts if user.password == "configured"}
    return {
        "users": {user.name: user.password == "configured" for user in registry.users},
        "upstreams": {upstream.name: upstream.user is not None for upstream in registry.upstreams},
        "nodeUsers": {user.name: user.name in configured for user in accounts},
        "nodeFiles": {file.secret: True for config in configs for file in config.files if file.secret},
    }


def set_command(stack: str, name: str, section: str = "users") -> str:
    """The command that sets a user's or an upstream's password."""
    return f"./berth config --stack {stack} set --secret --path {shlex.quote(path('secrets', section, name))}"


def is_sealed(value: object) -> bool:
    """An encrypted value, as it stands in a stack file."""
    return isinstance(value, dict) and set(value) == {"secure"} and isinstance(value["secure"], str)


def check_sealed(stack: str, raw: object, settings: StackSettings | None) -> Iterator[Problem]:
    """Problems of `berth:secrets` as it stands in the file; its names need valid settings to compare with."""
    if is_sealed(raw):
        return  # encrypted as a whole: its content is validated by the loader
    yield from _shape(raw)
    yield from _names(stack, raw, settings)
    for section in _SECTIONS:
        found = _found(raw, section)
        for name, value in found.items():
            pair = value if isinstance(value, list) and section == "users" and len(value) in (1, 2) else [value]
            if not all(map(is_sealed, pair)):
                fix = f"Remove it from the file, choose another one and run `{set_command(stack, name, section)}`."
                yield Problem(path("secrets", section, name), "stands in the file without encryption.", fix)


def check_open(stack: str, raw: object, sealed: bool, settings: StackSettings | None) -> Iterator[Problem]:
    """Problems of `berth:secrets` as the engine hands it out: decrypted, and known to be a secret or not."""
    yield from _shape(raw)
    yield from _names(stack, raw, settings)
    first = next(((section, name) for section in _SECTIONS for name in _found(raw, section)), None)
    if first is not None and not sealed:
        fix = f"Remove it from the file, choose others and run `{set_command(stack, first[1], first[0])}`."
        yield Problem(path("secrets"), "stands in the file without encryption.", fix)
    for section in _SECTIONS:
        for name, value in _found(raw, section).items():
            wrong = _JUDGES[section](value)
            if wrong:
                yield Problem(path("secrets", section, name), wrong, f"Run `{set_command(stack, name, section)}`.")


def passwords(value: object) -> tuple[str, ...]:
    """A user's accepted passwords: the one, or the old and the new one."""
    return tuple(value) if isinstance(value, list) else (str(value),)


def _unusable_user(value: object) -> str | None:
    if not isinstance(value, list):
        return _unusable_password(value)
    if not 1 <= len(value) <= 2:
        return f"is a list of {len(value)}; it may be one password, or the old and the new one."
    if value[0] == value[-1] and len(value) == 2:
        return "is the same password twice."
    return next((wrong for wrong in map(_unusable_password, value) if wrong), None)


def _unusable_hash(value: object) -> str | None:
    # Whatever else it is, perhaps a password in clear: it is not repeated.
    return None if is_hash(value) else "is not a hash as `openssl passwd -6` prints it; a password itself is no use."


def _unusable_password(value: object) -> str | None:
    if isinstance(value, str) and value.strip() and any(not (c.isprintable() or c == "\u00a0") for c in value):
        return "contains a line break or another control character."
    return _unusable(value, _LONGEST_PASSWORD, "; bcrypt, in which it is kept, reads no more")


def _unusable(value: object, longest: int, why: str = "") -> str | None:
    if not isinstance(value, str):
        return f"must be text, but is {kind(value)}."
    if not value.strip():
        return "is empty."
    if "\0" in value:
        return "contains a NUL character."
    return f"is longer than {longest} bytes{why}." if len(value.encode()) > longest else None


def _shape(raw: object) -> Iterator[Problem]:
    fix = "Set passwords with `./berth config set --secret --path 'berth:secrets.users.NAME'`."
    if raw is not None and not isinstance(raw, dict):
        yield Problem(path("secrets"), f"must be an object, but is {kind(raw)}.", fix)
        return
    for key, value in (raw or {}).items():
        if key not in _SECTIONS:
            wrong = "is not a secret that Berth knows."
            yield Problem(path("secrets", key), wrong, "Remove it.", suggestion=closest(key, _SECTIONS))
        elif value is not None and (not isinstance(value, dict) or is_sealed(value)):
            fix = fix.replace("users", key)
            yield Problem(path("secrets", key), f"must be an object of names of {key}.", fix)


def _found(raw: object, section: str) -> Mapping[str, object]:
    found = raw.get(section) if isinstance(raw, dict) else None
    return found if isinstance(found, dict) and not is_sealed(found) else {}


def _names(stack: str, raw: object, settings: StackSettings | None) -> Iterator[Problem]:
    """Every owner that needs a secret has one, and nobody else."""
    if settings is None:
        return
    for section, owners in _owners(settings).items():
        found, words = _found(raw, section), _WORDS[section]
        needing = [name for name, needs in owners.items() if needs]
        for name in needing:
            if name not in found:
                fix = f"Run `{set_command(stack, name, section)}`, or {words.instead}."
                yield Problem(path("secrets", section, name), words.missing, fix)
        for name in sorted(set(found) - set(needing)):
            at = path("secrets", section, name)
            if name in owners:
                yield Problem(at, "would not be used.", f"{words.unused}, or remove the secret.")
            else:
                meant = closest(name, needing)
                yield Problem(at, words.nobody, "Correct the name, or remove the secret.", suggestion=meant)


_JUDGES: dict[str, Callable[[object], str | None]] = {
    "users": _unusable_user,
    "upstreams": lambda value: _unusable(value, _LONGEST_TOKEN),
    "nodeUsers": _unusable_hash,
    "nodeFiles": lambda value: _unusable(value, _LONGEST_TOKEN),
}
