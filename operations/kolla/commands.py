"""`berth kolla ...`: thin; each verb hands over to the module that does it."""

from __future__ import annotations

from typing import Annotated

import typer

from operations.errors import DIFFERENT, DONE
from operations.kolla_images.commands import Stack, app
from operations.workspace import StackFile, Workspace

__all__ = ["app"]

Tags = Annotated[str | None, typer.Option("--tags", metavar="TAGS", help="Only these services, as Ansible's tags.")]
Limit = Annotated[str | None, typer.Option("--limit", metavar="NODES", help="Only these nodes or groups.")]


def _say(text: str) -> None:
    typer.echo(text, err=True)


@app.command()
def inventory(stack: Stack = "kolla") -> None:
    """Print the inventory that kolla-ansible gets."""
    from operations.kolla import differences, inputs
    from operations.kolla.environment import environment

    workspace = Workspace.current()
    settings = inputs.settings_of(StackFile.read(workspace, stack))
    files = differences.files(inputs.document(workspace, settings), environment(workspace, _say).sample_inventory)
    typer.echo(files["inventory/multinode"], nl=False)


@app.command()
def diff(stack: Stack = "kolla") -> None:
    """Show what changed in globals, inventory and overrides since the last deployment, and what that asks for.

    Exits with 3 if anything did.
    """
    from operations.kolla import deployed, differences, inputs, steps
    from operations.kolla.environment import environment
    from operations.pulumi.session import Session

    workspace = Workspace.current()
    stack_file = StackFile.read(workspace, stack)
    document = inputs.document(workspace, inputs.settings_of(stack_file))
    session = Session.open(workspace, stack_file)
    made = environment(workspace, _say)
    before = deployed.read(session)
    old = differences.files(before.document, made.sample_inventory) if before else {}
    changed = differences.text(old, differences.files(document, made.sample_inventory))
    typer.echo(changed or "Nothing changed since the last deployment.")
    if changed:
        typer.echo(f"The next up: {steps.plan_of(session, document, made)}")
    raise typer.Exit(DIFFERENT if changed else DONE)


def _step(name: str, stack: str, tags: str | None, limit: str | None) -> None:
    from operations.kolla import steps

    options = [*(["--tags", tags] if tags else []), *(["--limit", limit] if limit else [])]
    steps.by_hand(name, stack, options)


@app.command()
def prechecks(stack: Stack = "kolla", tags: Tags = None, limit: Limit = None) -> None:
    """Ask every node whether Kolla may deploy to it."""
    _step("prechecks", stack, tags, limit)


@app.command()
def pull(stack: Stack = "kolla", tags: Tags = None, limit: Limit = None) -> None:
    """Pull every image to the nodes that run it."""
    _step("pull", stack, tags, limit)


@app.command(name="deploy")
def deploy_(stack: Stack = "kolla", tags: Tags = None, limit: Limit = None) -> None:
    """Deploy the services."""
    _step("deploy", stack, tags, limit)


@app.command()
def reconfigure(stack: Stack = "kolla", tags: Tags = None, limit: Limit = None) -> None:
    """Bring the services to changed settings."""
    _step("reconfigure", stack, tags, limit)


@app.command()
def upgrade(stack: Stack = "kolla", tags: Tags = None, limit: Limit = None) -> None:
    """Bring the services to the release of the settings."""
    _step("upgrade", stack, tags, limit)


@app.command(name="post-deploy")
def post_deploy(stack: Stack = "kolla") -> None:
    """Write clouds.yaml for the administrator, readable by you alone."""
    _step("post-deploy", stack, None, None)


@app.command()
def images(
    stack: Stack = "kolla",
    accept: Annotated[
        bool, typer.Option("--accept", help="Take tags that have moved since they were locked as they are now.")
    ] = False,
) -> None:
    """Ask the registry for every image that the nodes will pull, name those that it lacks, and lock the others."""
    from operations.kolla import steps

    steps.by_hand("images", stack, accept=accept)


@app.command()
def verify(stack: Stack = "kolla") -> None:
    """Ask every node for its containers, and Keystone for a token through the internal address."""
    _step("verify", stack, None, None)


@app.command(hidden=True)
def step(name: Annotated[str, typer.Argument()], stack: Stack) -> None:
    """Run one step on inputs from standard input, for the program."""
    from operations.kolla import steps

    steps.from_stdin(name, stack)
