"""The files of a promotion: pins/STACK.yaml, which is in force, and promotions/, a record of each to go back to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from config.model.base import Model
from config.model.images import PinSettings
from config.problems import closest
from operations.errors import UsageError

FOLDER = "promotions"


class Record(Model):
    """Who promoted what to where, and when."""

    time: str
    """UTC, to the second."""
    who: str
    to: str
    """The target stack."""
    record: str | None = None
    """The older record that was promoted again, if it was not the source stack itself."""
    versions: dict[str, str] = Field(default={})
    """What ran in the source stack, by service, by the programs' own version numbers."""
    pins: PinSettings

    @property
    def name(self) -> str:
        """The file's name: in order of time, and without the colons that some file systems refuse."""
        return f"{self.time.replace(':', '')}-{self.pins.source.stack}-to-{self.to}.yaml"

    @property
    def text(self) -> str:
        """What the record's file holds."""
        back = f"berth promote --record {FOLDER}/{self.name} --to {self.to}"
        own = {**self.model_dump(by_alias=True, exclude_defaults=True), "pins": plain(self.pins)}
        return _yaml(f"Written by `berth promote`; to go back to it: {back}", own)

    @property
    def pins_text(self) -> str:
        """What the file of the target's pins holds."""
        return _yaml(f"Written by `berth promote`, whole; committed beside Pulumi.{self.to}.yaml.", plain(self.pins))


def plain(pins: PinSettings) -> dict[str, Any]:
    """The pins as they are written to a file, in an order of their own."""
    found = pins.model_dump(by_alias=True, exclude_defaults=True)
    return {key: dict(sorted(value.items())) if key == "repositories" else value for key, value in found.items()}


def _yaml(comment: str, document: Mapping[str, Any]) -> str:
    writer, text = YAML(), StringIO()
    writer.width = 4096
    writer.dump(document, text)
    return f"# {comment}\n{text.getvalue()}"


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read(root: Path, path: Path) -> Record:
    """A record from its file."""
    found = next((place for place in (path, root / path, root / FOLDER / path) if place.is_file()), None)
    if found is None:
        known = sorted(file.name for file in (root / FOLDER).glob("*.yaml"))
        meant = closest(path.name, known)
        last = f" The last one is {FOLDER}/{known[-1]}." if known else f" There is none in {FOLDER}/ yet."
        raise UsageError(f"There is no record {path}." + (f" Did you mean {FOLDER}/{meant}?" if meant else last))
    try:
        return Record.model_validate(YAML(typ="safe", pure=True).load(found.read_text(encoding="utf-8")))
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, wrong["loc"])) or "the file"
        raise UsageError(f"{found.name} is no record of a promotion: {where}: {wrong['msg']}") from None
    except (YAMLError, UnicodeDecodeError, ValueError):
        raise UsageError(f"{found.name} is no record of a promotion: it is not YAML that can be read.") from None
