"""`berth test`."""

from __future__ import annotations

import importlib.util
import os
import sys
from functools import partial

import typer
from rich.console import Console

from operations.errors import BerthError
from operations.host import prepare
from operations.kolla.environment import environment
from operations.pulumi import cli as pulumi_cli
from operations.pulumi import environment as pulumi_environment
from operations.workspace import Workspace

CONTEXT = {"allow_extra_args": True, "ignore_unknown_options": True}


def test(context: typer.Context) -> None:
    """Run the tests that this machine can run; takes pytest's arguments, --full adds the long tests.

    Prepares the machine first, as `up` does, with what the tests need besides, and asks nothing.
    """
    if importlib.util.find_spec("pytest") is None:
        raise BerthError("pytest is not installed here: ./berth up installs what development needs.")
    workspace = Workspace.current()
    os.chdir(workspace.root)
    try:
        _, no_cli = pulumi_cli.fitting()
        prepare.run(yes=True, console=Console(highlight=False), tests=True, pulumi=no_cli)
        environment(workspace, partial(typer.echo, err=True))
    except BerthError as problem:
        if os.environ.get("CI"):
            raise
        os.environ["BERTH_NO_LAB"] = str(problem)
    os.environ["PATH"] = pulumi_environment.search_path(os.environ)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", "-p", "tests.plugin", *context.args])
