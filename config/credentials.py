"""`berth:secrets`: which passwords must be there and that none stands in plain text. No value is ever repeated."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence

from config.problems import Problem, closest, kind, path
from config.settings import UserSettings

# bcrypt, in which the registry's password file is written, reads no more than this.
_LONGEST_PASSWORD = 72
_DIRECTLY = ("users",)


def set_command(stack: str, name: str) -> str:
    """The command that sets a user's password."""
    return f"./berth config --stack {stack} set --secret --path {shlex.quote(path('secrets', 'users', name))}"


def is_sealed(value: object) -> bool:
    """An encrypted value, as it stands in a stack file."""
    return isinstance(value, dict) and set(value) == {"secure"} and isinstance(value["secure"], str)


def check_sealed(stack: str, raw: object, users: Sequence[UserSettings] | None) -> Iterator[Problem]:
    """Judge `berth:secrets` as it stands in the file: names yes, values no."""
    if is_sealed(raw):
        return  # encrypted as a whole: its content is judged by the loader
    yield from _shape(raw)
    found = _users(raw)
    yield from _names(stack, set(found), users)
    for name, value in found.items():
        if not is_sealed(value):
            fix = f"Remove it from the file, choose another one and run `{set_command(stack, name)}`."
            yield Problem(path("secrets", "users", name), "stands in the file without encryption.", fix)


def check_open(stack: str, raw: object, sealed: bool, users: Sequence[UserSettings] | None) -> Iterator[Problem]:
    """Judge `berth:secrets` as the engine hands it out: decrypted, and known to be a secret or not."""
    yield from _shape(raw)
    found = _users(raw)
    if found and not sealed:
        fix = f"Remove it from the file, choose others and run `{set_command(stack, next(iter(found)))}`."
        yield Problem(path("secrets"), "stands in the file without encryption.", fix)
    yield from _names(stack, set(found), users)
    for name, value in found.items():
        wrong = _unusable(value)
        if wrong:
            yield Problem(path("secrets", "users", name), wrong, f"Run `{set_command(stack, name)}`.")


def _unusable(value: object) -> str | None:
    if not isinstance(value, str):
        return f"must be text, but is {kind(value)}."
    if not value.strip():
        return "is empty."
    if any(not (c.isprintable() or c == "\u00a0") for c in value):
        return "contains a line break or another control character."
    if len(value.encode()) > _LONGEST_PASSWORD:
        return f"is longer than {_LONGEST_PASSWORD} bytes, of which no more would count."
    return None


def _shape(raw: object) -> Iterator[Problem]:
    fix = "Set passwords with `./berth config set --secret --path 'berth:secrets.users.NAME'`."
    if raw is not None and not isinstance(raw, dict):
        yield Problem(path("secrets"), f"must be an object, but is {kind(raw)}.", fix)
        return
    for key, value in (raw or {}).items():
        if key not in _DIRECTLY:
            wrong = "is not a secret that Berth knows."
            yield Problem(path("secrets", key), wrong, "Remove it.", suggestion=closest(key, _DIRECTLY))
        elif value is not None and (not isinstance(value, dict) or is_sealed(value)):
            yield Problem(path("secrets", key), "must be an object of user names.", fix)


def _users(raw: object) -> Mapping[str, object]:
    users = raw.get("users") if isinstance(raw, dict) else None
    return users if isinstance(users, dict) and not is_sealed(users) else {}


def _names(stack: str, found: set[str], users: Sequence[UserSettings] | None) -> Iterator[Problem]:
    if users is None:
        return
    configured = [user.name for user in users if user.password == "configured"]
    for name in configured:
        if name not in found:
            fix = f"Run `{set_command(stack, name)}`, or let Berth make one with `password: generated`."
            yield Problem(path("secrets", "users", name), "is missing, though the user's password is configured.", fix)
    generated = {user.name for user in users} - set(configured)
    for name in sorted(found - set(configured)):
        if name in generated:
            wrong, fix = "would not be used.", "Set `password: configured` for this user, or remove the secret."
            yield Problem(path("secrets", "users", name), wrong, fix)
        else:
            wrong, fix = "belongs to no user of the registry.", "Correct the name, or remove the secret."
            meant = closest(name, configured)
            yield Problem(path("secrets", "users", name), wrong, fix, suggestion=meant)
