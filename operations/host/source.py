"""Where a program's source comes from: the pinned module or the site's, with Berth's changes laid over it."""

from __future__ import annotations

import shutil
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import images
from config import paths
from operations.host.errors import BootstrapError
from operations.host.shell import CommandFailed, Shell

# Any version will do where a replacement decides.
NO_VERSION = "v0.0.0"


@dataclass(frozen=True)
class Source:
    """Where `go build` runs, and with which flags of its own."""

    folder: Path
    flags: tuple[str, ...]


def prepare(name: str, go: str, shell: Shell, environment: Mapping[str, str], work: Path) -> Source:
    """Have the source of an image's program, changed where Berth changes it; compiles nothing.

    `work` is an empty directory that lives as long as the build. A module that can't be had, or whose source is not
    what a change expects, is a `BootstrapError`.
    """
    pins, pinned, changes = images.recipe(name), images.versions()[name], images.edited(name)
    own = "replace" in pins or (pins["module"], pins["version"]) != (pinned["module"], pinned["version"])
    if pins.get("edit") is False:
        shell.note(f"Berth's changes to {name} are left out: {pins['reason']}")
    if not own and not changes:
        return Source(images.folder(name), ("-mod=readonly",))
    file, mode = work / "go.mod", "-mod=mod" if own else "-mod=readonly"
    if own:
        file.write_text(_module_file(name, pins), encoding="utf-8")
        _have(name, pins, go, shell, environment, work)
    else:
        for one in ("go.mod", "go.sum"):
            shutil.copy(images.folder(name) / one, work / one)
        shell.run([go, "mod", "download", "-modcacherw", pins["module"]], folder=work, environment=environment)
    if changes:
        listed = _ask([go, "list", mode, "-modcacherw", "-m", "-f={{.Dir}}", pins["module"]], shell, environment, work)
        # Go lays nothing over files of its module cache, so that the changed source is a copy.
        shutil.copytree(listed.strip(), work / "module", copy_function=shutil.copyfile)
        change(changes, work / "module", pins["module"])
        shell.run([go, "mod", "edit", f"-replace={pins['module']}=./module"], folder=work, environment=environment)
    return Source(work, (mode,))


def change(changes: Path, module: Path, path: str) -> None:
    """Change a copy of a module's source (its path is `path`) as `edit.toml` defines, or refuse it as a whole."""
    document = tomllib.loads((changes / "edit.toml").read_text(encoding="utf-8"))
    new: dict[Path, str] = {}
    for one in document.get("after", []):
        file = module / one["file"]
        text = new.get(file) or (file.read_text(encoding="utf-8") if file.is_file() else "")
        found = text.count(one["anchor"])
        if found != 1:
            raise BootstrapError(
                f"{path}: {one['file']} has `{one['anchor']}` {found} times instead of once, so that Berth's change"
                f" does not fit this source. Nothing was compiled: adapt {changes / 'edit.toml'} to it."
            )
        new[file] = text.replace(one["anchor"], one["anchor"] + one["insert"])
    for one in document.get("add", []):
        if (module / one["file"]).exists():
            raise BootstrapError(
                f"{path}: {one['file']} is there already, and Berth's build would replace it. Nothing was compiled."
            )
        text = (changes / one["from"]).read_text(encoding="utf-8")
        new[module / one["file"]] = text.replace(f'"{document["module"]}/', f'"{path}/')
    for file, text in new.items():
        # The module cache's files and folders may be read-only, and so are copies of its folders.
        file.parent.chmod(0o755)
        file.unlink(missing_ok=True)
        file.write_text(text, encoding="utf-8")


def _module_file(name: str, pins: Mapping[str, Any]) -> str:
    """The site's module brings its own dependencies: the pinned one's are not imposed on it."""
    minimum, module, version = images.versions()["go"]["minimum"], pins["module"], pins["version"]
    lines = [f"module berth.invalid/images/{name}", f"go {minimum}"]
    if "replace" in pins:
        lines += [f"require {module} {NO_VERSION}", f"replace {module} => {pins['replace']} {version}"]
    else:
        lines.append(f"require {module} {version}")
    return "\n".join([*lines, ""])


def _have(
    name: str, pins: Mapping[str, Any], go: str, shell: Shell, environment: Mapping[str, str], work: Path
) -> None:
    """Download the site's module and what it needs; checksums by Go's own settings of this machine."""
    wanted = f"{pins.get('replace', pins['module'])} {pins['version']}"
    where = paths.home() / images.site.FILE
    try:
        shell.run([go, "mod", "download", "-modcacherw", pins["module"]], folder=work, environment=environment)
    except CommandFailed as error:
        raise BootstrapError(
            f"{where}: {name} is to be built from {wanted}, which Go can't have: no proxy serves it, or with another"
            f" checksum. Nothing was compiled. {error.log} has Go's words, and `go env GOPROXY` says who was asked."
        ) from error
    _ask([go, "list", "-mod=mod", "-modcacherw", "-deps", pins["package"]], shell, environment, work)


def _ask(command: list[str], shell: Shell, environment: Mapping[str, str], folder: Path) -> str:
    with tempfile.TemporaryFile() as answer:
        shell.run(command, folder=folder, environment=environment, target=answer)
        answer.seek(0)
        return answer.read().decode()
