"""`berth kolla`."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from operations.commands.options import Json, group
from operations.context import CommandContext, check_settings
from operations.errors import DIFFERENT, DONE
from operations.kolla import deployed, differences, inputs, steps
from operations.kolla.environment import environment
from operations.kolla.images import run as kolla_images
from operations.kolla.images.published import Target
from operations.output import print_json
from operations.pulumi.session import Session
from operations.registry.client import RegistryClient
from operations.registry.endpoint import Endpoint, User
from operations.workspace import StackFile, Workspace

app = group("OpenStack Kolla on the stack's nodes.")
Stack = Annotated[str, typer.Option("--stack", "-s", metavar="NAME", help="The stack, as in Pulumi.NAME.yaml.")]
Services = Annotated[
    list[str] | None, typer.Argument(metavar="[SERVICE]...", help="Only these services. Default: all that are enabled.")
]
Tags = Annotated[str | None, typer.Option("--tags", metavar="TAGS", help="Only these services, as Ansible's tags.")]
Limit = Annotated[str | None, typer.Option("--limit", metavar="NODES", help="Only these nodes or groups.")]


def _log(text: str) -> None:
    typer.echo(text, err=True)


@app.command()
def inventory(stack: Stack = "kolla") -> None:
    """Print kolla-ansible's inventory."""
    workspace = Workspace.current()
    settings = inputs.settings_of(StackFile.read(workspace, stack))
    files = differences.files(inputs.document(workspace, settings), environment(workspace, _log).sample_inventory)
    typer.echo(files["inventory/multinode"], nl=False)


@app.command()
def diff(stack: Stack = "kolla") -> None:
    """Show changes of globals, inventory and overrides since the last deployment, and what the next `up` will run.

    Exits with 3 if anything did.
    """
    workspace = Workspace.current()
    stack_file = StackFile.read(workspace, stack)
    document = inputs.document(workspace, inputs.settings_of(stack_file))
    session = Session.open(workspace, stack_file)
    made = environment(workspace, _log)
    before = deployed.read(session)
    old = differences.files(before.document, made.sample_inventory) if before else {}
    changed = differences.text(old, differences.files(document, made.sample_inventory))
    typer.echo(changed or "Nothing changed since the last deployment.")
    if changed:
        typer.echo(f"The next up: {steps.plan_of(session, document, made)}")
    raise typer.Exit(DIFFERENT if changed else DONE)


def _step(name: str, stack: str, tags: str | None, limit: str | None) -> None:
    options = [*(["--tags", tags] if tags else []), *(["--limit", limit] if limit else [])]
    steps.by_hand(name, stack, options)


@app.command()
def prechecks(stack: Stack = "kolla", tags: Tags = None, limit: Limit = None) -> None:
    """Run kolla-ansible's prechecks on every node."""
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
    """Reconfigure the services with changed settings."""
    _step("reconfigure", stack, tags, limit)


@app.command()
def upgrade(stack: Stack = "kolla", tags: Tags = None, limit: Limit = None) -> None:
    """Upgrade the services to the release in the settings."""
    _step("upgrade", stack, tags, limit)


@app.command(name="post-deploy")
def post_deploy(stack: Stack = "kolla") -> None:
    """Write clouds.yaml for the administrator, readable by you alone."""
    _step("post-deploy", stack, None, None)


@app.command()
def images(
    stack: Stack = "kolla",
    accept: Annotated[
        bool,
        typer.Option(
            "--accept", help="Accept tags that have moved since they were locked, and lock them as they are now."
        ),
    ] = False,
) -> None:
    """Check that the registry has every image that the nodes will pull; lock those that it has."""
    steps.by_hand("images", stack, accept=accept)


@app.command()
def verify(stack: Stack = "kolla") -> None:
    """Check every node's containers, and get a token from Keystone through the internal address."""
    _step("verify", stack, None, None)


@app.command(hidden=True)
def step(name: Annotated[str, typer.Argument()], stack: Stack) -> None:
    """Run one step on inputs from standard input, for the program."""
    steps.from_stdin(name, stack)


def _context(stack: str, as_json: bool) -> CommandContext:
    context = CommandContext.of(stack, as_json=as_json)
    check_settings(context.stack_file)
    return context


@app.command()
def build(
    services: Services = None,
    stack: Stack = "kolla",
    no_push: Annotated[bool, typer.Option("--no-push", help="Build only; the registry need not exist yet.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Rebuild everything with today's packages.")] = False,
    as_json: Json = False,
) -> None:
    """Build the services' images from packages, and push those that the registry lacks."""
    context = _context(stack, as_json)
    answer = kolla_images.build(
        context, kolla_images.wanted(context.stack_file, services), fresh=fresh, push=not no_push
    )
    _print(answer, as_json)


@app.command(hidden=True)
def push(stack: Stack) -> None:
    """Push what was built, for the program: registry, ca, username and password come as JSON by standard input."""
    context, given = _context(stack, as_json=True), json.load(sys.stdin)
    end, user = Endpoint(given["registry"], "", {}), User(given["username"], given["password"])
    want = kolla_images.wanted(context.stack_file)
    target = Target(RegistryClient(stack, end.registry, given["ca"], user), end, user, want.namespace, want.tag)
    typer.echo(kolla_images.push_built(context, want, target).summary())


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
    context = _context(stack, as_json)
    answer = kolla_images.copy(context, kolla_images.wanted(context.stack_file, services), source)
    _print(answer, as_json)


def _print(answer: kolla_images.Answer, as_json: bool) -> None:
    if as_json:
        print_json(answer.as_json())
    else:
        typer.echo(answer.summary())
