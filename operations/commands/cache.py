"""`berth cache`."""

from __future__ import annotations

from typing import Annotated

import typer

from config import stackfile
from operations.commands.options import Json, Stack, Yes, group
from operations.context import CommandContext, check_settings, quiet_session
from operations.errors import BerthError
from operations.inspect import collect, object_store
from operations.output import print_json
from operations.registry import purge as purging

app = group("Manage the contents of the pull-through caches.")


@app.callback()
def _cache() -> None:
    """With one command alone typer would leave its name out."""


@app.command()
def purge(
    repository: Annotated[str, typer.Argument(help="As in image names: docker.io/library/x.")],
    stack: Stack = "dev",
    tag: Annotated[
        str | None, typer.Option("--tag", metavar="TAG", help="Only this tag, and manifests that no other tag uses.")
    ] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Remove a repository from a cache, so that the next pull goes to the upstream. Pushed images are kept."""
    run = CommandContext.of(stack, yes, as_json)
    check_settings(run.stack_file)
    known = stackfile.parse(stack, run.stack_file.document)
    target = purging.target(known, repository, tag)
    state = collect.desired(quiet_session(stack))
    if not yes and run.confirm and not run.confirm(f"Remove {target.name} from the cache {target.upstream}?"):
        raise BerthError("Nothing was removed.")
    with object_store.client(state) as store:
        done = purging.purge(store, known.object_store.bucket, target)
    if as_json:
        print_json(done.as_json())
    else:
        run.log(str(done))
