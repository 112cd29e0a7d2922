"""What the CLI finds in its environment: state backend, passphrase, plugins, the interpreter."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from config.paths import PINS_VARIABLE
from operations.errors import UsageError
from operations.host import pulumi_cli as build
from operations.pulumi import backend, cli
from operations.pulumi.cli import LANGUAGE_HOST, Cli, plugin_versions, pulumi_home
from operations.workspace import StackFile, Workspace

PASSPHRASE_PROVIDER = "passphrase"
DEFAULT_PROVIDER = "default"


def environment(
    workspace: Workspace, stack_file: StackFile, chosen: Cli, base: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """The environment in which the CLI runs for a stack."""
    result = {**base, "PULUMI_BACKEND_URL": workspace.backend_url}
    result |= {"PULUMI_SKIP_UPDATE_CHECK": "true", "NO_COLOR": "1", "BERTH_HOME": str(workspace.home)}
    result[PINS_VARIABLE] = str(stack_file.pins)
    # The CLI knows --event-log only among its commands for debugging.
    result["PULUMI_DEBUG_COMMANDS"] = "true"
    # A run takes what was announced and nothing else.
    result["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
    if chosen.own_plugins:
        result |= own_plugins(workspace, chosen, base)
    result["PATH"] = search_path(base)
    result.pop("PULUMI_CONFIG_PASSPHRASE", None)
    return result | passphrase(workspace, stack_file, base)


def own_plugins(workspace: Workspace, chosen: Cli, base: Mapping[str, str]) -> dict[str, str]:
    """Install Berth's plugins where the CLI looks for them, and return the path; the user's logins stay valid."""
    from plugins import home

    folder = workspace.home / "pulumi-home"
    hosted = LANGUAGE_HOST not in chosen.missing
    home.write(folder, plugin_versions(), None if hosted else importlib.metadata.version("pulumi"))
    result = {"PULUMI_HOME": str(folder)}
    if (pulumi_home(base) / "credentials.json").is_file():
        result["PULUMI_CREDENTIALS_PATH"] = str(pulumi_home(base))
    return {**result, **{key: value for key, value in base.items() if key == "PULUMI_CREDENTIALS_PATH"}}


def search_path(base: Mapping[str, str]) -> str:
    """PATH with this interpreter's own directory first, so that the program runs with it."""
    own = str(Path(sys.executable).parent)
    rest = [entry for entry in base.get("PATH", os.defpath).split(os.pathsep) if entry and entry != own]
    return os.pathsep.join([own, *rest])


def secrets_provider(workspace: Workspace, stack_file: StackFile) -> str:
    """The one that the stack file names; without one a service for states keeps its own key, else a passphrase."""
    named = str(stack_file.document.get("secretsprovider") or DEFAULT_PROVIDER)
    if named == DEFAULT_PROVIDER and not (workspace.is_service and "encryptionsalt" not in stack_file.document):
        return PASSPHRASE_PROVIDER
    return named


def passphrase(workspace: Workspace, stack_file: StackFile, base: Mapping[str, str]) -> dict[str, str]:
    """Where the passphrase comes from: fixed and public for a lab, the user's own otherwise.

    A stack with another secrets provider needs none; what the user has set is left as it is.
    """
    if stack_file.is_lab:
        return {"PULUMI_CONFIG_PASSPHRASE_FILE": str(workspace.root / "lab" / "passphrase")}
    needed = secrets_provider(workspace, stack_file) == PASSPHRASE_PROVIDER
    own = base.get("PULUMI_CONFIG_PASSPHRASE")
    # Where none is needed, an empty one is a variable without a value: nothing may be sealed with it.
    if own is not None and (own or needed):
        return {"PULUMI_CONFIG_PASSPHRASE": own}
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
    if not needed:
        return {}
    if sys.stdin.isatty() and sys.stderr.isatty():
        return {"PULUMI_CONFIG_PASSPHRASE": _ask(stack_file.stack)}
    raise UsageError(
        f"Stack {stack_file.stack} needs its passphrase: set PULUMI_CONFIG_PASSPHRASE_FILE to a file that holds it "
        "(or PULUMI_CONFIG_PASSPHRASE to the passphrase). Without it, preview --offline shows what can be seen."
    )


def _ask(stack: str) -> str:
    from getpass import getpass

    return getpass(f"Passphrase of stack {stack}: ")


def shell_environment(
    workspace: Workspace, stack_file: StackFile, base: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """What a shell needs so that plain `pulumi` works on the stack; never the passphrase itself."""
    backend.check(workspace)
    result = {"PULUMI_BACKEND_URL": workspace.backend_url, "BERTH_HOME": str(workspace.home)}
    result["PULUMI_STACK"] = stack_file.stack
    if stack_file.is_lab or base.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
        result |= passphrase(workspace, stack_file, {k: v for k, v in base.items() if k != "PULUMI_CONFIG_PASSPHRASE"})
    path = search_path(base)
    chosen, _ = cli.available(base)
    if chosen is not None:
        if chosen.own_plugins:
            result |= own_plugins(workspace, chosen, base) | {"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true"}
        if chosen.program == build.program(workspace.home):
            path = f"{chosen.program.parent}{os.pathsep}{path}"
    return result | {"PATH": path}


def hand_on(workspace: Workspace) -> list[str]:
    """How other machines are spared compiling the CLI; nothing where it was not compiled here."""
    if build.program(workspace.home) is None:
        return []
    place = build.folder(workspace.home)
    return [
        f"The Pulumi CLI was compiled here. A copy of {place}, named in {build.SITE_VARIABLE},",
        f"spares that to every other machine with the same lock ({build.lock()}).",
    ]
