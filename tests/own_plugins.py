"""Pulumi's CLI with Berth's own plugins, whatever else is installed here."""

from __future__ import annotations

from pathlib import Path

from config.paths import ROOT
from operations.pulumi import environment
from operations.pulumi.cli import Cli, missing_plugins
from operations.workspace import Workspace


def own_plugins(folder: Path, cli: Path) -> dict[str, str]:
    """Write the plugins below `folder`; the environment in which this CLI takes them."""
    # Published ones that are installed count as missing.
    chosen = Cli(cli, tuple(missing_plugins(cli)) or ("every published plugin",))
    return {
        "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        **environment.own_plugins(Workspace(ROOT, folder), chosen, {}),
    }
