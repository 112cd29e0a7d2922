"""`berth kolla build` and `berth kolla copy`: thin, both hand over to `run`."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from rich.console import Console

from operations import deploy
from operations.deploy import Run
from operations.workspace import StackFile, Workspace

app = typer.Typer(help="OpenStack Kolla on the stack's nodes.", no_args_is_help=True)
Stack = Annotated[str, typer.Option("--stack", "-s", metavar="NAME", help="The stack, as in Pulumi.NAME.yaml.")]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
Services = Annotated[
    list[str] | None, typer.Argument(metavar="[SERVICE]...", help="Only these services. Default: all that are enabled.")
]
WIDE = 200
"""Columns where nobody reads at a terminal."""


def _run(stack: str, as_json: bool) -> Run:
    workspace = Workspace.current()
    console = Console(stderr=as_json, highlight=False, width=None if sys.stdout.isatty() else WIDE)
    run = Run(workspace, StackFile.read(workspace, stack), console)
    deploy.check_settings(run.stack_file)
    return run


@app.command()
def build(
    services: Services = None,
    stack: Stack = "kolla",
    no_push: Annotated[bool, typer.Option("--no-push", help="Build only; the registry need not be there yet.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Build everything anew, with the packages of today.")] = False,
    as_json: Json = False,
) -> None:
    """Build the services' images from packages, and push those that the registry lacks."""
    from operations.kolla_images import run as images

    run = _run(stack, as_json)
    answer = images.build(run, images.wanted(run.stack_file, services), fresh=fresh, push=not no_push)
    typer.echo(json.dumps(answer.as_json(), indent=2) if as_json else answer.summary())


@app.command(hidden=True)
def push(stack: Stack) -> None:
    """Push what was built, for the program: registry, ca, username and password come as JSON by standard input."""
    from operations.endpoint import Endpoint, User
    from operations.kolla_images import run as images
    from operations.kolla_images.published import Target
    from operations.promote.store import Store

    run, given = _run(stack, as_json=True), json.load(sys.stdin)
    end, user = Endpoint(given["registry"], "", {}), User(given["username"], given["password"])
    want = images.wanted(run.stack_file)
    target = Target(Store(stack, end, given["ca"], user), end, user, want.namespace, want.tag)
    typer.echo(images.push_built(run, want, target).summary())


@app.command()
def copy(
    source: Annotated[
        str,
        typer.Argument(
            help="An archive of images or a folder of some, or PREFIX/NAMESPACE:TAG below an upstream's prefix."
        ),
    ],
    services: Services = None,
    stack: Stack = "kolla",
    as_json: Json = False,
) -> None:
    """Copy the services' images into the registry, from an archive or through a cache."""
    from operations.kolla_images import run as images

    run = _run(stack, as_json)
    answer = images.copy(run, images.wanted(run.stack_file, services), source)
    typer.echo(json.dumps(answer.as_json(), indent=2) if as_json else answer.summary())
