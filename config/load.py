"""The only reader of `pulumi.Config`: everything else receives `Settings`."""

from __future__ import annotations

import json
from typing import Any

import pulumi
from pulumi.runtime import config as runtime_config

from config import expected_secrets, paths
from config.json_values import as_json
from config.model.stack import Settings
from config.naming import PROJECT
from config.problems import SettingsError
from config.stackfile import encrypted, own_keys, stack_name, with_pins
from config.validation import validate


def load() -> Settings:
    """The settings of the stack that Pulumi runs; raises SettingsError with the problems of `validate`."""
    stack = pulumi.get_stack()
    config = pulumi.Config(PROJECT)
    names = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
    given = {key: _value(runtime_config.get_config(key)) for key in names}
    values, not_json = as_json(with_pins(stack, given, paths.pins_file(stack)))
    raw, unknown_keys = own_keys(values)
    secrets = raw.pop("secrets", None)
    # Values that were encrypted are not validated, so that no message contains them.
    hidden = [key for key in raw if runtime_config.is_config_secret(config.full_key(key))]
    readable = {key: value for key, value in raw.items() if key not in hidden}
    problems, settings = validate(readable, [*stack_name(stack), *not_json, *unknown_keys, *map(encrypted, hidden)])
    secret = runtime_config.is_config_secret(config.full_key("secrets"))
    problems += expected_secrets.check_decrypted(stack, secrets, secret, settings)
    if problems or settings is None:
        raise SettingsError(stack, problems)
    passwords = secrets or {}
    return Settings.model_construct(
        **dict(settings),
        stack=stack,
        user_passwords={
            name: tuple(map(pulumi.Output.secret, expected_secrets.passwords(value)))
            for name, value in (passwords.get("users") or {}).items()
        },
        upstream_passwords={
            name: pulumi.Output.secret(value) for name, value in (passwords.get("upstreams") or {}).items()
        },
        node_secrets=tuple(
            pulumi.Output.secret(passwords.get(key) or {})
            for key in ("nodeUsers", "nodeFiles")
            if passwords.keys() & {"nodeUsers", "nodeFiles"}
        ),
    )


def _value(value: Any) -> Any:
    """Pulumi passes objects and lists as JSON text, everything else as plain text."""
    if isinstance(value, str) and value.lstrip().startswith(("{", "[")):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value
