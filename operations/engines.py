"""Chooses the engine that runs the program: the Pulumi CLI where it is complete, else the embedded one."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from operations.bootstrap import pulumi_cli
from operations.errors import BerthError, UsageError
from operations.pulumi_version import refusal
from operations.workspace import StackFile, Workspace, write_private

PACKAGES = ("command", "docker", "minio", "random", "tls")
LANGUAGE_HOST = "the Python language host"
NO_CLI = "pulumi is neither on PATH nor in ~/.pulumi/bin"


class Kind(StrEnum):
    """The two engines."""

    PULUMI = "pulumi"
    EMBEDDED = "embedded"


@dataclass(frozen=True)
class Engine:
    """An engine that was chosen, how to call it, and why it was chosen."""

    kind: Kind
    command: tuple[str, ...]
    reason: str
    may_download: bool = False
    own_plugins: bool = False
    """Whether the CLI is given Berth's plugins instead of the published ones."""

    @property
    def sentence(self) -> str:
        name = "the Pulumi CLI" if self.kind is Kind.PULUMI else "embedded"
        return f"Engine: {name} ({self.reason})"


def choose(wanted: Kind | None, environment: Mapping[str, str] = os.environ, download: bool = False) -> Engine:
    """The engine for this run; `wanted` insists. Nothing is downloaded unless `download` says so."""
    if wanted is Kind.EMBEDDED:
        return _embedded("asked for")
    if wanted is Kind.PULUMI:
        return _insisted(environment, download)
    cli = find_cli(environment)
    if cli is None:
        return _embedded(NO_CLI)
    unfit = refusal(cli)
    if unfit:
        return _embedded(unfit)
    missing = missing_plugins(cli, environment)
    if missing:
        return _embedded(f"{cli} is there, but lacks {', '.join(missing)}")
    return Engine(Kind.PULUMI, (str(cli),), f"{cli} and all its plugins are installed")


def _insisted(environment: Mapping[str, str], download: bool) -> Engine:
    cli, reason = fitting_cli(environment)
    if cli is None:
        raise BerthError(f"{reason[0].upper()}{reason[1:]}: ./berth up --engine pulumi brings one.")
    if download:
        return Engine(Kind.PULUMI, (str(cli),), "asked for", may_download=True)
    missing = missing_plugins(cli, environment)
    if not missing:
        return Engine(Kind.PULUMI, (str(cli),), "asked for")
    lacks = f"asked for; {cli} lacks {', '.join(missing)}, so Berth's own plugins stand in for the published ones"
    return Engine(Kind.PULUMI, (str(cli),), lacks, own_plugins=True)


def fitting_cli(environment: Mapping[str, str] = os.environ) -> tuple[Path | None, str]:
    """A `pulumi` that will do: the user's, else the one that was compiled here. Why there is none, else."""
    found = find_cli(environment)
    reason = NO_CLI if found is None else refusal(found) or ""
    if found and not reason:
        return found, ""
    compiled = pulumi_cli.program(Workspace.current().home)
    return compiled, "" if compiled else reason


def _embedded(reason: str) -> Engine:
    return Engine(Kind.EMBEDDED, (sys.executable, "-m", "engine"), reason)


def find_cli(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The `pulumi` program on PATH or in Pulumi's own home."""
    on_path = shutil.which("pulumi", path=environment.get("PATH"))
    if on_path:
        return Path(on_path)
    own = _pulumi_home(environment) / "bin" / "pulumi"
    return own if os.access(own, os.X_OK) else None


def missing_plugins(cli: Path, environment: Mapping[str, str] = os.environ) -> list[str]:
    """What the CLI would have to download before it could run this program."""
    path = environment.get("PATH")
    missing = []
    language = cli.resolve().with_name("pulumi-language-python")
    if not language.exists() and not shutil.which("pulumi-language-python", path=path):
        missing.append(LANGUAGE_HOST)
    plugins = _pulumi_home(environment) / "plugins"
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


def _pulumi_home(environment: Mapping[str, str]) -> Path:
    own = environment.get("PULUMI_HOME")
    return Path(own) if own else Path(environment.get("HOME", "~")).expanduser() / ".pulumi"


def download_cli() -> Path:
    """Have Pulumi's own installer fetch the CLI."""
    from pulumi.automation import PulumiCommand

    try:
        return Path(PulumiCommand.install(root=str(_pulumi_home(os.environ))).command)
    except Exception as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BerthError(
            f"The Pulumi CLI is not installed and could not be downloaded ({first}). Install it by hand and put it on "
            "PATH, or leave --download out: it is then compiled here."
        ) from None


def record_path(workspace: Workspace, stack: str) -> Path:
    return workspace.stack_dir(stack) / "engine.json"


def recorded(workspace: Workspace, stack: str) -> Kind | None:
    """The engine that deployed the stack last, if any did."""
    try:
        return Kind(json.loads(record_path(workspace, stack).read_text(encoding="utf-8"))["engine"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def record(workspace: Workspace, stack: str, engine: Engine) -> None:
    """Keep which engine a stack is deployed with; unchanged when it is the same one."""
    if recorded(workspace, stack) is engine.kind:
        return
    entry = {"engine": engine.kind.value, "reason": engine.reason, "since": datetime.now(UTC).isoformat("T", "seconds")}
    write_private(record_path(workspace, stack), json.dumps(entry, indent=2) + "\n")


def change(workspace: Workspace, stack: str, engine: Engine) -> str | None:
    """One sentence when this run uses another engine than the last one did."""
    before = recorded(workspace, stack)
    if before is None or before is engine.kind:
        return None
    return (
        f"Stack {stack} was last deployed with the {before.value} engine; "
        f"the {engine.kind.value} engine continues from the same state."
    )


def environment(
    workspace: Workspace, stack_file: StackFile, engine: Engine, base: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The environment in which either engine finds state, passphrase and interpreter."""
    result = {**base, **backend(workspace)}
    result |= {"PULUMI_SKIP_UPDATE_CHECK": "true", "NO_COLOR": "1", "BERTH_HOME": str(workspace.home)}
    # The CLI knows --event-log only among its commands for debugging.
    result["PULUMI_DEBUG_COMMANDS"] = "true"
    if not engine.may_download:
        result["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
    if engine.own_plugins:
        result |= own_plugins(workspace, Path(engine.command[0]), base)
    result["PATH"] = search_path(base)
    if stack_file.is_lab:
        result.pop("PULUMI_CONFIG_PASSPHRASE", None)
    result |= passphrase(workspace, stack_file, base)
    return result


def own_plugins(workspace: Workspace, cli: Path, base: Mapping[str, str]) -> dict[str, str]:
    """Put Berth's plugins where the CLI looks for them, and say where; the user's logins go on to count."""
    from plugins import home

    folder = workspace.home / "pulumi-home"
    hosted = LANGUAGE_HOST not in missing_plugins(cli, base)
    home.write(folder, plugin_versions(), None if hosted else importlib.metadata.version("pulumi"))
    told = {"PULUMI_HOME": str(folder)}
    if (_pulumi_home(base) / "credentials.json").is_file():
        told["PULUMI_CREDENTIALS_PATH"] = str(_pulumi_home(base))
    return {**told, **{key: value for key, value in base.items() if key == "PULUMI_CREDENTIALS_PATH"}}


def backend(workspace: Workspace) -> dict[str, str]:
    return {"PULUMI_BACKEND_URL": workspace.state.as_uri()}


def search_path(base: Mapping[str, str]) -> str:
    """PATH with this interpreter's own directory first, so that an engine runs the program with it."""
    own = str(Path(sys.executable).parent)
    rest = [entry for entry in base.get("PATH", os.defpath).split(os.pathsep) if entry and entry != own]
    return os.pathsep.join([own, *rest])


def passphrase(workspace: Workspace, stack_file: StackFile, base: Mapping[str, str]) -> dict[str, str]:
    """Where the passphrase comes from: fixed and public for a lab, the user's own otherwise."""
    if stack_file.is_lab:
        return {"PULUMI_CONFIG_PASSPHRASE_FILE": str(workspace.root / "lab" / "passphrase")}
    if "PULUMI_CONFIG_PASSPHRASE" in base:
        return {"PULUMI_CONFIG_PASSPHRASE": base["PULUMI_CONFIG_PASSPHRASE"]}
    file = base.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    if file:
        if not Path(file).expanduser().is_file():
            raise UsageError(f"PULUMI_CONFIG_PASSPHRASE_FILE names {file}, which is not a file.")
        if Path(file).expanduser().resolve() == (workspace.root / "lab" / "passphrase").resolve():
            raise UsageError(
                f"PULUMI_CONFIG_PASSPHRASE_FILE names the lab's passphrase, which is public; {stack_file.stack} is no "
                "lab: name a file with a passphrase of its own."
            )
        return {"PULUMI_CONFIG_PASSPHRASE_FILE": str(Path(file).expanduser().absolute())}
    if sys.stdin.isatty() and sys.stderr.isatty():
        return {"PULUMI_CONFIG_PASSPHRASE": _ask(stack_file.stack)}
    raise UsageError(
        f"Stack {stack_file.stack} needs its passphrase: set PULUMI_CONFIG_PASSPHRASE_FILE to a file that holds it "
        "(or PULUMI_CONFIG_PASSPHRASE to the passphrase). Without it, preview --without-secrets shows what can be seen."
    )


def _ask(stack: str) -> str:
    from getpass import getpass

    return getpass(f"Passphrase of stack {stack}: ")


def shell_environment(
    workspace: Workspace, stack_file: StackFile, base: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """What a shell needs so that plain `pulumi` works on the stack; never the passphrase itself."""
    result = {**backend(workspace), "BERTH_HOME": str(workspace.home), "PULUMI_STACK": stack_file.stack}
    if stack_file.is_lab or base.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
        result |= passphrase(workspace, stack_file, {k: v for k, v in base.items() if k != "PULUMI_CONFIG_PASSPHRASE"})
    path = search_path(base)
    compiled = pulumi_cli.program(workspace.home)
    if compiled and fitting_cli(base)[0] == compiled:
        result |= own_plugins(workspace, compiled, base) | {"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true"}
        path = f"{compiled.parent}{os.pathsep}{path}"
    return result | {"PATH": path}


def hand_on(workspace: Workspace) -> list[str]:
    """How other machines are spared compiling the CLI; nothing where it was not compiled here."""
    if pulumi_cli.program(workspace.home) is None:
        return []
    place = pulumi_cli.folder(workspace.home)
    return [
        f"The Pulumi CLI was compiled here. A copy of {place}, named in {pulumi_cli.SITE_VARIABLE},",
        f"spares that to every other machine with the same lock ({pulumi_cli.lock()}).",
    ]
