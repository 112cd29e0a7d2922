"""A preview of requested settings with a stack's state and passphrase: settings are data, no requested code runs.

Whoever may open a request must not choose what runs here. Of the requested tree one stack file and its pins are read,
validated and written anew; the program, `berth` and everything else is this checkout's.
"""

from __future__ import annotations

import json
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from config import stackfile
from config.local_paths import local_paths
from config.naming import PROJECT
from config.paths import PINS
from config.problems import SettingsError
from operations.context import CommandContext
from operations.errors import BerthError, UsageError
from operations.preview.build import preview_with
from operations.preview.report import Report
from operations.pulumi.session import Session
from operations.workspace import StackFile, Workspace

LARGEST = 256 * 1024
"""Bytes of a stack file."""
SHOWN = 20
_NOT_ITS_OWN = {".git", ".berth"}
# What Python has left here; in a request it is as much code as any.
_COMPILED = "__pycache__"
# What no preview depends on.
_PROSE = re.compile(r"(docs|tests|promotions)/.*|[^/]*\.md|LICENSE|(Pulumi\.|pins/)[^/]+\.yaml")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9._/@+-]{1,120}")
# JSON is YAML but for these, which YAML requires to be escaped.
_NOT_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff]")
_WHOSE = "The settings are the request's, the program is this checkout's: nothing of the request was run."
_BY_HAND = "What they do is seen by whoever has read them and runs ./berth preview of that tree by hand."


def preview(run: CommandContext, folder: Path) -> tuple[Report, dict[str, Any]]:
    """What `up` would do with the requested settings; `folder` is the root of the requested tree."""
    session = run.session()
    if not session.is_deployed:
        raise BerthError(f"Stack {run.stack} is not deployed here: there is nothing to compare a request with.")
    changed = changed_code(run.workspace.root, folder)
    with tempfile.TemporaryDirectory(prefix="berth-requested-") as directory:
        asked = replace(run, stack_file=requested(run.workspace, run.stack_file, folder, Path(directory)))
        result, document = preview_with(
            asked, Session.open(asked.workspace, asked.stack_file, session.cli), sentence(changed)
        )
        result = replace(result, by_hand=bool(changed))
        return result, {**document, "berth": result.redact.all(result.as_json())}


def requested(workspace: Workspace, ours: StackFile, folder: Path, directory: Path) -> StackFile:
    """The requested settings as a file of our own in `directory`; raises UsageError if they are refused."""
    name = ours.path.name
    copy = directory / name
    copy.write_bytes(_read(folder, name))
    pins = stackfile.pins_file(copy)
    pins.parent.mkdir()
    asked = str(pins.relative_to(directory))
    if (folder / asked).parent.is_symlink():
        raise UsageError(f"{PINS} of the request is a link.")
    if os.path.lexists(folder / asked):
        pins.write_bytes(_read(folder, asked))
    try:
        document = stackfile.read(copy)
    except SettingsError as error:
        raise UsageError(str(error)) from None
    problems = stackfile.check(ours.stack, document)
    if problems:
        raise UsageError(str(SettingsError(ours.stack, problems)))
    for what in _not_for_a_request(ours, document):
        raise UsageError(f"{name} of the request has another {what}. {_for_a_person(ours.stack)}")
    config = dict(document["config"])
    if stackfile.PINS in config:
        _write(pins, config.pop(stackfile.PINS))
    _write(copy, {**ours.document, "config": config})
    return StackFile(ours.stack, copy, {**ours.document, "config": document["config"]})


def _for_a_person(stack: str) -> str:
    return f"That is not previewed for a request: read it, then run ./berth preview --stack {stack} with it by hand."


def _not_for_a_request(ours: StackFile, document: Mapping[str, Any]) -> Iterator[str]:
    """Settings that decide how secrets are read, how Pulumi is configured, or which local files are read."""
    for key in sorted({*ours.document, *document} - {"config"}):
        if ours.document.get(key) != document.get(key):
            yield key
    before, after = (one.get("config") or {} for one in (ours.document, document))
    for key in sorted({*before, *after}):
        if not key.startswith(f"{PROJECT}:") and before.get(key) != after.get(key):
            yield key
    if before.get(f"{PROJECT}:lab") != after.get(f"{PROJECT}:lab"):
        yield f"{PROJECT}:lab"
    known = set(local_paths(stackfile.parse(ours.stack, ours.document)))
    for path in local_paths(stackfile.parse(ours.stack, document)):
        if path not in known:
            yield f"path on the deploy host ({_shown(path)})"


def changed_code(ours: Path, theirs: Path) -> list[str]:
    """Paths, beside prose and settings, at which the trees differ, in order."""
    ours_has, theirs_has = _tree(ours), _tree(theirs)
    names = sorted({*(name for name in ours_has if _COMPILED not in name.split("/")), *theirs_has})
    return [
        name
        for name in names
        if not _PROSE.fullmatch(name)
        and (ours_has.get(name) != theirs_has.get(name) or _content(ours / name) != _content(theirs / name))
    ]


def _tree(root: Path) -> dict[str, tuple[str, int]]:
    """Kind and size of everything that is no folder; no link is followed."""
    found = {}
    for folder, folders, files in os.walk(root):
        here = PurePosixPath(Path(folder).relative_to(root).as_posix())
        links = [name for name in folders if Path(folder, name).is_symlink()]
        skipped = _NOT_ITS_OWN if here == PurePosixPath(".") else ()
        folders[:] = [name for name in folders if name not in skipped and name not in links]
        for name in (*files, *links):
            if name not in skipped:
                about = Path(folder, name).lstat()
                kind = "link" if stat.S_ISLNK(about.st_mode) else "program" if about.st_mode & 0o100 else "file"
                found[str(here / name)] = kind, about.st_size
    return found


def _content(path: Path) -> bytes:
    """What a file holds, or where a link leads."""
    return os.fsencode(path.readlink()) if path.is_symlink() else _opened(path)


def _read(folder: Path, name: str) -> bytes:
    try:
        content = _opened(folder / name, LARGEST + 1)
    except FileNotFoundError:
        raise UsageError(f"The request has no {name}: removing a stack is up to a person.") from None
    except OSError:
        raise UsageError(f"{name} of the request is no plain file.") from None
    if len(content) > LARGEST:
        raise UsageError(f"{name} of the request is longer than {LARGEST} bytes.")
    return content


def _opened(path: Path, size: int = -1) -> bytes:
    """A plain file's content: a link is not followed, nothing else is waited for."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"{path} is no plain file")
        return file.read(size)


def sentence(changed: list[str]) -> str:
    """What such a preview does not show, for the head of the report."""
    if not changed:
        return _WHOSE
    names = [_shown(name) for name in changed[:SHOWN]]
    more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
    return f"{_WHOSE} Not seen are changes of {', '.join(names)}{more}. {_BY_HAND}"


def _shown(name: str) -> str:
    """A name that somebody else chose, without anything that a page would take for markup."""
    return f"`{name}`" if _PLAIN_NAME.fullmatch(name) else "(a name with other characters)"


def _write(file: Path, document: Mapping[str, Any]) -> None:
    file.write_text("".join(f"{key}: {_json(value)}\n" for key, value in document.items()), encoding="utf-8")


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return _NOT_YAML.sub(lambda found: f"\\u{ord(found.group()):04x}", text)
