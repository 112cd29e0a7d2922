"""Values as Pulumi exports them: what is secret, what is not known yet, and keeping secrets out of any text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from components.lib.host_files import parse

SIGNATURE = "4dabf18193072939515e22adb298388d"
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
HIDDEN = "[secret]"
LATER = "[known after up]"
# Parts of a secret object that are secret themselves; its host names, paths and modes are not.
_SECRET_PART = re.compile(r"content|pass|secret|token|auth|privatekey|^value$", re.IGNORECASE)
_SHORTEST = 4
_CREDENTIALS = re.compile(r"(://)[^/\s:@]+:[^/\s@]+@")


@dataclass(frozen=True)
class Secret:
    """A value that is marked secret, whatever is in it."""

    value: Any


def read(value: Any) -> Any:
    """The value with its marks as `Secret`; accepts what state, plan and digest have."""
    if isinstance(value, list):
        return [read(item) for item in value]
    if not isinstance(value, dict):
        return value
    if SIGNATURE not in value:
        return {key: read(item) for key, item in value.items()}
    if "value" in value:
        return Secret(read(value["value"]))
    # Inside a secret, marks are mixed with plain JSON text.
    text = value.get("plaintext", value.get("ciphertext"))
    try:
        inner = json.loads(str(text))
    except ValueError:
        return Secret(HIDDEN)
    # The CLI's plan writes a secret that is not known yet as an empty text.
    return Secret(UNKNOWN if inner == "" else read(inner))


def opened(value: Any) -> Any:
    """The value without marks."""
    if isinstance(value, Secret):
        return opened(value.value)
    if isinstance(value, dict):
        return {key: opened(item) for key, item in value.items()}
    return [opened(item) for item in value] if isinstance(value, list) else value


def shown(value: Any) -> Any:
    """The value as it may be shown."""
    if isinstance(value, Secret):
        return LATER if is_unknown(value.value) else HIDDEN
    if isinstance(value, dict):
        return {key: shown(item) for key, item in value.items() if key != "__defaults"}
    if isinstance(value, list):
        return [shown(item) for item in value]
    return LATER if value == UNKNOWN else value


def is_unknown(value: Any) -> bool:
    """Whether any part is only known during `up`."""
    value = opened(value)
    if isinstance(value, dict):
        return any(is_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(is_unknown(item) for item in value)
    return bool(value == UNKNOWN)


def secret_texts(value: Any) -> Iterator[str]:
    """Every text that must not be seen. Bundles are left out: the rules for files keep theirs."""
    if isinstance(value, Secret):
        yield from _texts(value.value)
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from secret_texts(item)


def _texts(value: Any) -> Iterator[str]:
    value = opened(value)
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, dict | list) or _SECRET_PART.search(key):
                yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str) and not parse.is_bundle(value):
        yield value
        if "\n" in value:
            yield from (line for line in value.splitlines() if len(line) > 15 and not line.startswith("-----"))


class Redactor:
    """Takes secrets out of text, in every spelling in which a text may carry them."""

    def __init__(self, secrets: Iterable[str]) -> None:
        spellings = {
            spelling
            for text in secrets
            if len(text) >= _SHORTEST and text not in (UNKNOWN, HIDDEN)
            for spelling in (text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1], quote(text, ""))
        }
        self._spellings = sorted(spellings, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        text = _CREDENTIALS.sub(rf"\1{HIDDEN}@", text)
        for spelling in self._spellings:
            if spelling in text:
                text = text.replace(spelling, HIDDEN)
        return text

    def all(self, value: Any) -> Any:
        """The JSON-like value with every text in it redacted."""
        whole = json.dumps(value, ensure_ascii=False)
        # Few of hundreds of secrets occur in it, if any: only these are searched in each text.
        few = Redactor(())
        few._spellings = [spelling for spelling in self._spellings if spelling in whole]
        return few._each(value)

    def _each(self, value: Any) -> Any:
        if isinstance(value, str):
            return self(value)
        if isinstance(value, dict):
            return {self(key): self._each(item) for key, item in value.items()}
        return [self._each(item) for item in value] if isinstance(value, list) else value
