"""Validates `berth:secrets`: the expected secrets are there, and encrypted. No message contains a value."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from config.fields.node_os import is_hash
from config.model.stack import StackSettings
from config.problems import Problem, closest, kind, path
from config.rules.node_os import node_configs

# The registry's password file holds bcrypt hashes, and bcrypt reads no more bytes.
_MAX_PASSWORD_BYTES = 72
# Tokens of public registries are long, some are whole JSON documents.
_MAX_TOKEN_BYTES = 65536
_SECTIONS = ("users", "upstreams", "nodeUsers", "nodeFiles")


@dataclass(frozen=True)
class _Messages:
    """Texts of the problems with names in one section."""

    missing: str
    alternative: str
    unused: str
    unknown: str


_MESSAGES = {
    "users": _Messages(
        "is missing, though the user's password is configured.",
        "let Berth make one with `password: generated`",
        "Set `password: configured` for this user",
        "belongs to no user of the registry.",
    ),
    "upstreams": _Messages(
        "is missing, though the upstream has a user.",
        "leave `user` out to log in anonymously",
        "Give the upstream the `user` that it belongs to",
        "belongs to no upstream.",
    ),
    "nodeUsers": _Messages(
        "is missing, though the password of this account of the nodes is configured.",
        "leave `password` out for an account that logs in by key only",
        "Set `password: configured` for this account",
        "belongs to no account of the nodes.",
    ),
    "nodeFiles": _Messages(
        "is missing, though a file of a node has it as `secret`.",
        "give the file `content` instead",
        "Name it as `secret` of a file",
        "is no file's `secret`.",
    ),
}


def _owners(settings: StackSettings) -> dict[str, dict[str, bool]]:
    """By section: each name that may have a secret, and whether it needs one."""
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


def is_encrypted(value: object) -> bool:
    """Whether this is an encrypted value of a stack file."""
    return isinstance(value, dict) and set(value) == {"secure"} and isinstance(value["secure"], str)


def check_encrypted(stack: str, raw: object, settings: StackSettings | None) -> Iterator[Problem]:
    """Problems of `berth:secrets` in a stack file; names are validated once there are valid settings."""
    if is_encrypted(raw):
        return  # encrypted as a whole: validated after decryption
    yield from _shape(raw)
    yield from _names(stack, raw, settings)
    for section in _SECTIONS:
        entries = _entries(raw, section)
        for name, value in entries.items():
            pair = value if isinstance(value, list) and section == "users" and len(value) in (1, 2) else [value]
            if not all(map(is_encrypted, pair)):
                fix = f"Remove it from the file, choose another one and run `{set_command(stack, name, section)}`."
                yield Problem(path("secrets", section, name), "is in the file without encryption.", fix)


def check_decrypted(stack: str, raw: object, secret: bool, settings: StackSettings | None) -> Iterator[Problem]:
    """Problems of `berth:secrets` as Pulumi passes it on: decrypted, and marked as secret or not."""
    yield from _shape(raw)
    yield from _names(stack, raw, settings)
    first = next(((section, name) for section in _SECTIONS for name in _entries(raw, section)), None)
    if first is not None and not secret:
        fix = f"Remove it from the file, choose others and run `{set_command(stack, first[1], first[0])}`."
        yield Problem(path("secrets"), "is in the file without encryption.", fix)
    for section in _SECTIONS:
        for name, value in _entries(raw, section).items():
            wrong = _VALIDATORS[section](value)
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
    # It may be a password in plain text: the message does not contain it.
    return None if is_hash(value) else "is not a hash as `openssl passwd -6` prints it; a plain password does not work."


def _unusable_password(value: object) -> str | None:
    if isinstance(value, str) and value.strip() and any(not (c.isprintable() or c == "\u00a0") for c in value):
        return "contains a line break or another control character."
    return _unusable(value, _MAX_PASSWORD_BYTES, "; bcrypt reads no more")


def _unusable(value: object, max_bytes: int, why: str = "") -> str | None:
    if not isinstance(value, str):
        return f"must be text, but is {kind(value)}."
    if not value.strip():
        return "is empty."
    if "\0" in value:
        return "contains a NUL character."
    return f"is longer than {max_bytes} bytes{why}." if len(value.encode()) > max_bytes else None


def _shape(raw: object) -> Iterator[Problem]:
    fix = "Set passwords with `./berth config set --secret --path 'berth:secrets.users.NAME'`."
    if raw is not None and not isinstance(raw, dict):
        yield Problem(path("secrets"), f"must be an object, but is {kind(raw)}.", fix)
        return
    for key, value in (raw or {}).items():
        if key not in _SECTIONS:
            wrong = "is not a section of secrets."
            yield Problem(path("secrets", key), wrong, "Remove it.", suggestion=closest(key, _SECTIONS))
        elif value is not None and (not isinstance(value, dict) or is_encrypted(value)):
            fix = fix.replace("users", key)
            yield Problem(path("secrets", key), f"must be an object of names of {key}.", fix)


def _entries(raw: object, section: str) -> Mapping[str, object]:
    found = raw.get(section) if isinstance(raw, dict) else None
    return found if isinstance(found, dict) and not is_encrypted(found) else {}


def _names(stack: str, raw: object, settings: StackSettings | None) -> Iterator[Problem]:
    """Every owner that needs a secret has one, and there are no others."""
    if settings is None:
        return
    for section, owners in _owners(settings).items():
        found, messages = _entries(raw, section), _MESSAGES[section]
        needing = [name for name, needs in owners.items() if needs]
        for name in needing:
            if name not in found:
                fix = f"Run `{set_command(stack, name, section)}`, or {messages.alternative}."
                yield Problem(path("secrets", section, name), messages.missing, fix)
        for name in sorted(set(found) - set(needing)):
            at = path("secrets", section, name)
            if name in owners:
                yield Problem(at, "would not be used.", f"{messages.unused}, or remove the secret.")
            else:
                meant = closest(name, needing)
                yield Problem(at, messages.unknown, "Correct the name, or remove the secret.", suggestion=meant)


_VALIDATORS: dict[str, Callable[[object], str | None]] = {
    "users": _unusable_user,
    "upstreams": lambda value: _unusable(value, _MAX_TOKEN_BYTES),
    "nodeUsers": _unusable_hash,
    "nodeFiles": lambda value: _unusable(value, _MAX_TOKEN_BYTES),
}
