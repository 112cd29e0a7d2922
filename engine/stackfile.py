"""The project and stack files: Pulumi.yaml and Pulumi.<stack>.yaml. Only `config set` and `config rm` write one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from engine import paths
from engine.errors import EngineError

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except FileNotFoundError:
        return {}
    except yaml.YAMLError as error:
        raise EngineError(f"{path} is not valid YAML: {error}") from None
    if document is not None and not isinstance(document, dict):
        raise EngineError(f"{path} must hold a mapping")
    return document or {}


@dataclass(frozen=True)
class Project:
    """Pulumi.yaml."""

    root: Path
    name: str
    main: Path
    config: dict[str, Any]
    stack_directory: Path

    @classmethod
    def find(cls, start: Path) -> Project:
        """The project whose root is `start` or above it."""
        for directory in (start, *start.parents):
            for file in ("Pulumi.yaml", "Pulumi.yml"):
                if (directory / file).exists():
                    return cls._load(directory, directory / file)
        raise EngineError(f"no Pulumi.yaml project file found in {start} or above it")

    @classmethod
    def _load(cls, root: Path, path: Path) -> Project:
        document = _read(path)
        name, runtime = document.get("name"), document.get("runtime")
        if not isinstance(name, str):
            raise EngineError(f"{path}: name is missing")
        if (runtime.get("name") if isinstance(runtime, dict) else runtime) != "python":
            raise EngineError(f"{path}: runtime must be python, the embedded engine runs no other")
        return cls(
            root,
            name,
            (root / str(document.get("main") or ".")).resolve(),
            document.get("config") or {},
            root / str(document.get("stackConfigDir") or "."),
        )

    def stack_file(self, stack: str) -> Path:
        """Pulumi.<stack>.yaml."""
        return self.stack_directory / f"Pulumi.{stack}.yaml"

    def key(self, key: str) -> str:
        """The key with its namespace; the project's own when none is given."""
        return key if ":" in key else f"{self.name}:{key}"

    def defaults(self) -> dict[str, Any]:
        """Values that Pulumi.yaml gives to every stack."""
        found = {}
        for key, entry in self.config.items():
            value = entry.get("value", entry.get("default")) if isinstance(entry, dict) else entry
            if value is not None:
                found[self.key(key)] = value
        return found


@dataclass(frozen=True)
class StackFile:
    """Pulumi.<stack>.yaml as it is on the disk."""

    project: Project
    path: Path
    document: dict[str, Any]

    @classmethod
    def load(cls, project: Project, path: Path) -> StackFile:
        """Read the file; a missing one is empty."""
        return cls(project, path, _read(path))

    @property
    def salt(self) -> str | None:
        """`encryptionsalt`, if the file has one."""
        return self.document.get("encryptionsalt")

    @property
    def values(self) -> dict[str, Any]:
        """Configuration by full key, secrets still encrypted."""
        own = {self.project.key(key): value for key, value in (self.document.get("config") or {}).items()}
        return {**self.project.defaults(), **own}

    def decrypted(self, decrypt: Callable[[str], str]) -> tuple[dict[str, str], list[str]]:
        """What the program gets: text by key (objects as JSON), and which keys hold a secret."""
        texts, secret_keys = {}, []
        for key, value in self.values.items():
            if _has_secure(value):
                secret_keys.append(key)
            texts[key] = as_text(_open(value, decrypt))
        return texts, secret_keys


def as_text(value: Any) -> str:
    """A configuration value as text."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _is_secure(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"secure"} and isinstance(value["secure"], str)


def _has_secure(value: Any) -> bool:
    if isinstance(value, dict):
        return _is_secure(value) or any(_has_secure(item) for item in value.values())
    return isinstance(value, list) and any(_has_secure(item) for item in value)


def _open(value: Any, decrypt: Callable[[str], str]) -> Any:
    if _is_secure(value):
        return decrypt(value["secure"])
    if isinstance(value, dict):
        return {key: _open(item, decrypt) for key, item in value.items()}
    return [_open(item, decrypt) for item in value] if isinstance(value, list) else value


def lookup(values: dict[str, Any], key: str, path: paths.Path, decrypt: Callable[[str], str]) -> str | None:
    """One decrypted value, or None when it is not set."""
    value = _open(values.get(key), decrypt)
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return None if value is None else as_text(value)


def split_path(project: Project, text: str) -> tuple[str, paths.Path]:
    """`berth:secrets.users.alice` as key and path below it."""
    namespace, colon, rest = text.partition(":")
    steps = paths.parse(rest if colon else namespace)
    return (f"{namespace}:{steps[0]}" if colon else project.key(str(steps[0]))), steps[1:]


def edit(file: StackFile, key: str, path: paths.Path, value: Any, salt: str | None = None) -> None:
    """Set a value (None removes it), keeping the file's comments and order."""
    from ruamel.yaml import YAML

    from engine import files

    parser = YAML()
    parser.preserve_quotes = True
    parser.width = 4096
    # Lists stay indented below their key, as they are in the files that come with the program.
    parser.indent(mapping=2, sequence=4, offset=2)
    document = (parser.load(file.path.read_text(encoding="utf-8")) if file.path.exists() else None) or {}
    if salt is not None:
        document["encryptionsalt"] = salt
    target: Any = document.setdefault("config", {})
    if document["config"] is None:
        target = document["config"] = {}
    if key not in target and key.startswith(f"{file.project.name}:") and (short := key.split(":", 1)[1]) in target:
        key = short
    steps: list[str | int] = [key, *path]
    for step, following in pairwise(steps):
        target = _descend(target, step, [] if isinstance(following, int) else {}, create=value is not None)
        if target is None:
            return
    _assign(target, steps[-1], value)
    text = StringIO()
    parser.dump(document, text)
    mode = file.path.stat().st_mode & 0o777 if file.path.exists() else 0o644
    files.write_atomically(file.path, text.getvalue().encode(), mode)


def _descend(target: Any, step: str | int, empty: Any, create: bool) -> Any:
    if isinstance(target, list) and isinstance(step, int):
        if step == len(target) and create:
            target.append(empty)
        return target[step] if step < len(target) else None
    if not isinstance(target, dict):
        raise EngineError(f"configuration: {step!r} lies inside a value that is not an object")
    if step not in target and create:
        target[step] = empty
    return target.get(step)


def _assign(target: Any, step: str | int, value: Any) -> None:
    if isinstance(target, list) and isinstance(step, int):
        if value is None:
            del target[step : step + 1]
        elif step < len(target):
            target[step] = value
        else:
            target.append(value)
    elif value is None:
        target.pop(step, None)
    else:
        target[step] = value
