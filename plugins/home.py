"""The folder in which Pulumi's CLI finds Berth's plugins: a `PULUMI_HOME` of the checkout's own.

The user's own `~/.pulumi` is left alone: another project there must not be given these plugins for the published ones.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = Path(__file__).with_name("scripts") / "language.sh"
HOST = "berth"
"""The runtime that the providers name beside a Python host of the CLI's own: it looks for `pulumi-language-berth`."""
HOST_VERSION = "1.0.0"
"""Raised when nothing else would tell two versions of the host apart; nobody asks for one."""

PROJECT = """\
# Pulumi's CLI hands this provider to Berth's language host, which serves it in its own process.
runtime:
  name: {runtime}
  options:
    package: {package}
    version: {version}
"""


def files(
    versions: Mapping[str, str], python_version: str | None, root: Path = ROOT, python: str = sys.executable
) -> dict[str, str]:
    """Every file by its path below `plugins/`; `versions` are the providers'.

    `python_version` is that of the SDK where the CLI has no language host for Python, as when it was compiled here:
    Berth's then runs the program too, and one process is enough.
    """
    script = SCRIPT.read_text(encoding="utf-8")
    name, host_version = ("python", python_version) if python_version else (HOST, HOST_VERSION)
    found = {
        f"resource-{package}-v{version}/PulumiPlugin.yaml": PROJECT.format(
            runtime=name, package=package, version=version
        )
        for package, version in sorted(versions.items())
    }
    return {**found, **_host(name, host_version, script, root, python)}


def _host(name: str, version: str, script: str, root: Path, python: str) -> dict[str, str]:
    folder = f"language-{name}-v{version}"
    return {
        f"{folder}/pulumi-language-{name}": script,
        f"{folder}/interpreter": f"{python}\n",
        f"{folder}/checkout": f"{root}\n",
    }


def write(home: Path, versions: Mapping[str, str], python_version: str | None) -> None:
    """Bring `home/plugins` to exactly these plugins; nothing is written where it is so already."""
    wanted = files(versions, python_version)
    top = home / "plugins"
    folders = {path.split("/")[0] for path in wanted}
    for old in top.iterdir() if top.is_dir() else ():
        # The CLI keeps a file of its own for each plugin, and locks: only plugins of another version go.
        if old.is_dir() and old.name not in folders:
            shutil.rmtree(old)
    for name, text in wanted.items():
        path = top / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_name(f".{path.name}.{os.getpid()}")
            unfinished.write_text(text, encoding="utf-8")
            unfinished.chmod(0o755 if path.name.startswith("pulumi-") else 0o644)
            unfinished.replace(path)
