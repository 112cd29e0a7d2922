"""Which `pulumi` runs the program, and with which plugins."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from operations.errors import BerthError
from operations.host import pulumi_cli as build
from operations.pulumi.version import refusal
from operations.workspace import Workspace

PACKAGES = ("command", "docker", "minio", "random", "tls")
LANGUAGE_HOST = "the Python language host"
NO_CLI = "pulumi is neither on PATH nor in ~/.pulumi/bin"


@dataclass(frozen=True)
class Cli:
    """Pulumi's CLI as this run calls it."""

    program: Path
    missing: tuple[str, ...] = ()
    """Published plugins that are not installed: if there are any, Berth's own replace all of them."""
    skipped: str = ""
    """Why the user's own `pulumi` is not used, where there is one."""

    @property
    def own_plugins(self) -> bool:
        return bool(self.missing)

    @property
    def sentence(self) -> str:
        """Announced before anything is changed."""
        unused = f"; {self.skipped}" if self.skipped else ""
        if not self.missing:
            return f"Pulumi CLI: {self.program}, with the published plugins{unused}"
        lacks = f"{self.missing[0]} and {len(self.missing) - 1} more" if self.missing[1:] else self.missing[0]
        return f"Pulumi CLI: {self.program}, with Berth's own plugins ({lacks} not installed){unused}"


def choose(environment: Mapping[str, str] = os.environ) -> Cli:
    """The CLI for this run; raises BerthError where there is none that fits. Nothing is downloaded or compiled."""
    chosen, reason = available(environment)
    if chosen is None:
        raise BerthError(
            f"{reason[0].upper()}{reason[1:]}: ./berth up brings one (its options and {build.SITE_VARIABLE} say from "
            "where), or install Pulumi."
        )
    return chosen


def available(environment: Mapping[str, str] = os.environ) -> tuple[Cli | None, str]:
    """The CLI that a run would use; with None, why there is none."""
    program, reason = fitting(environment)
    return (Cli(program, tuple(missing_plugins(program, environment)), reason) if program else None), reason


def fitting(environment: Mapping[str, str] = os.environ) -> tuple[Path | None, str]:
    """A `pulumi` that will do: the user's, else the one that was compiled here; and why the user's will not."""
    found = find(environment)
    reason = (refusal(found) or "") if found else ""
    if found and not reason:
        return found, ""
    compiled = build.program(Workspace.current().home)
    return compiled, reason or ("" if compiled else NO_CLI)


def find(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The `pulumi` program on PATH or in Pulumi's own home."""
    on_path = shutil.which("pulumi", path=environment.get("PATH"))
    if on_path:
        return Path(on_path)
    own = pulumi_home(environment) / "bin" / "pulumi"
    return own if os.access(own, os.X_OK) else None


def missing_plugins(cli: Path, environment: Mapping[str, str] = os.environ) -> list[str]:
    """What the CLI would have to download before it could run this program with the published plugins."""
    path = environment.get("PATH")
    missing = []
    language = cli.resolve().with_name("pulumi-language-python")
    if not language.exists() and not shutil.which("pulumi-language-python", path=path):
        missing.append(LANGUAGE_HOST)
    plugins = pulumi_home(environment) / "plugins"
    for package, version in plugin_versions().items():
        folder = plugins / f"resource-{package}-v{version}"
        complete = (folder / f"pulumi-resource-{package}").exists() and not Path(f"{folder}.partial").exists()
        # A plugin on PATH is taken by the CLI whatever its version, unless the user forbids that.
        ambient = not environment.get("PULUMI_IGNORE_AMBIENT_PLUGINS")
        if not complete and not (ambient and shutil.which(f"pulumi-resource-{package}", path=path)):
            missing.append(f"plugin {package} {version}")
    return missing


def plugin_versions() -> dict[str, str]:
    """Plugin versions as the installed Python packages name them."""
    versions = {}
    for package in PACKAGES:
        spec = importlib.util.find_spec(f"pulumi_{package}")
        if spec is None or spec.origin is None:
            raise BerthError(
                f"The Python package pulumi-{package} is not installed: run ./berth up, which installs it."
            )
        plugin = json.loads(Path(spec.origin).with_name("pulumi-plugin.json").read_text(encoding="utf-8"))
        versions[package] = str(plugin["version"])
    return versions


def pulumi_home(environment: Mapping[str, str]) -> Path:
    """The user's own PULUMI_HOME."""
    own = environment.get("PULUMI_HOME")
    return Path(own) if own else Path(environment.get("HOME", "~")).expanduser() / ".pulumi"
