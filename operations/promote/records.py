"""promotions/: one small file per promotion, to read in a review and to go back to."""

from __future__ import annotations

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


def plain(pins: PinSettings) -> dict[str, Any]:
    """The pins as they are written to a file."""
    return dict(pins.model_dump(by_alias=True, exclude_defaults=True))


def write(root: Path, record: Record) -> Path:
    """Keep a record; its path."""
    path = root / FOLDER / record.name
    path.parent.mkdir(exist_ok=True)
    document = {**record.model_dump(by_alias=True, exclude_defaults=True), "pins": plain(record.pins)}
    writer = YAML()
    writer.width = 4096
    text = StringIO()
    writer.dump(document, text)
    back = f"berth promote --record {FOLDER}/{path.name} --to {record.to}"
    path.write_text(f"# Written by `berth promote`; to go back to it: {back}\n{text.getvalue()}", encoding="utf-8")
    return path


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
