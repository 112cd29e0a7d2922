"""What a site sets for the building of images: `images.toml` in the run-time directory, valid for all of its stacks."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from config import paths

FILE = "images.toml"
SETTABLE = "minio"

MODULE = re.compile(r"[a-z0-9][a-z0-9.-]*\.[a-z]{2,}(/[A-Za-z0-9._~-]+)+")
VERSION = re.compile(r"v\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+incompatible)?")
PSEUDO = re.compile(r"[-.](\d{14})-([0-9a-f]{12})$")


class SiteError(ValueError):
    """The site's settings make no sense; the text names file and setting, what is wrong and what to do."""


def settings(name: str, module: str) -> dict[str, Any]:
    """What the site sets over an image's pins (`module` is the pinned one); empty where it sets nothing."""
    if name != SETTABLE:
        return {}
    path = paths.home() / FILE
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SiteError(f"{path} can't be read: {error}.") from error
    for key in document:
        if key != SETTABLE:
            raise SiteError(f"{path}: [{key}] is not known. Only [{SETTABLE}] can be built from elsewhere.")
    return _checked(path, document.get(SETTABLE, {}), module)


def _checked(path: Path, given: Any, module: str) -> dict[str, Any]:
    def wrong(key: str, what: str) -> SiteError:
        return SiteError(f"{path}: {SETTABLE}.{key} {what}")

    if not isinstance(given, dict):
        raise SiteError(f"{path}: {SETTABLE} is not a table. Write [{SETTABLE}] and its settings below.")
    kinds = {"module": str, "replace": str, "version": str, "released": datetime, "edit": bool, "reason": str}
    for key, value in given.items():
        if key not in kinds:
            raise wrong(key, f"is not known. Use {', '.join(kinds)}.")
        if type(value) is not kinds[key]:
            raise wrong(key, f"is no {_KINDS[kinds[key]]}.")
    for key in ("module", "replace"):
        if key in given and not MODULE.fullmatch(given[key]):
            raise wrong(key, "is no module path. Write one such as example.com/team/fork, without a version.")
    if "version" in given and not VERSION.fullmatch(given["version"]):
        raise wrong("version", "is no exact version. Write one such as v1.2.3, as the module's proxy lists it.")
    result = {key: value for key, value in given.items() if key != "released"}
    if given.keys() & {"module", "replace", "version"}:
        if "version" not in given:
            raise wrong("version", "is missing: say which version of that module is meant.")
        result["linker"] = _linker(wrong, given.get("module", module), given["version"], given.get("released"))
        result["module"] = result["package"] = given.get("module", module)
        result["source"] = f"https://{given.get('replace', result['module'])}"
    elif "released" in given:
        raise wrong("released", "is set without a version. Remove it.")
    if given.get("edit", True) is False and not given.get("reason", "").strip():
        raise wrong("edit", "is off without a reason. Say in `reason` where the module itself refuses forged requests.")
    return result


_KINDS = {str: "text", bool: "true or false", datetime: "date and time such as 2026-09-16T00:00:00Z"}


def _linker(wrong: Any, module: str, version: str, released: datetime | None) -> list[str]:
    """What the program says about itself."""
    pseudo = PSEUDO.search(version)
    if released is None:
        if not pseudo:
            raise wrong("released", f"is missing: {version} does not say its date. Write when it was released.")
        released = datetime.strptime(pseudo[1], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    if released.tzinfo is None:
        raise wrong("released", "has no time zone. Write Z at its end.")
    time = released.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    commit = pseudo[2] if pseudo else version
    said = {
        "Version": time,
        "ReleaseTag": f"DEVELOPMENT.{time.replace(':', '-')}",
        "CommitID": commit,
        "ShortCommitID": commit,
        "CopyrightYear": str(released.year),
    }
    return [f"-X {module}/cmd.{name}={value}" for name, value in said.items()]
