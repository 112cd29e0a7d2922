"""`up`: from settings to a running stack."""

from __future__ import annotations

import json
from collections.abc import Callable

from config import stackfile
from operations.context import CommandContext, check_settings
from operations.errors import BerthError
from operations.host import prepare
from operations.kolla.images.published import follow_other_hosts
from operations.locks import StackLock
from operations.preview import build, text
from operations.pulumi import backend, cli, download, recovery
from operations.pulumi.events import QUIET_OPS
from operations.pulumi.follow import Outcome, failure, follow
from operations.pulumi.session import Session
from operations.registry.endpoint import Endpoint
from operations.workspace import write_private


def up(run: CommandContext) -> Outcome:
    """Deploy the stack; `run.yes` confirms every prompt."""

    check_settings(run.stack_file)
    with StackLock(run.workspace.stack_dir(run.stack), run.stack, "up", run.log) as lock:
        prepare.run(run.yes or run.confirm is None, run.console, pulumi=_cli_needed(run))
        _build_kolla_images(run)
        session = run.session()
        recovery.resume(session, lock.interrupted, run.log)
        if not session.is_deployed:
            backend.refuse_lost(run.workspace, run.stack)
            _refuse_taken(run)
            session.ensure_stack()
        follow_other_hosts(run, session)
        if run.confirm and not run.stack_file.is_lab and not run.yes:
            _ask_first(run, session, run.confirm)
        outcome = follow(
            session,
            ["up", "--yes", "--skip-preview"],
            lock,
            console=run.console,
            title=f"Deploying {run.stack}",
            expected=_expected(run),
        )
        # A CLI that ends without a summary of the run has done nothing that anybody could rely on.
        if outcome.failed or outcome.view.changes is None:
            raise failure(f"Deploying {run.stack}", outcome)
        write_private(run.workspace.deployed_file(run.stack), json.dumps({"resources": outcome.view.done}) + "\n")
        return outcome


def _cli_needed(run: CommandContext) -> str:
    """Why the CLI has to be compiled here; empty where one is there, or was fetched."""
    found, reason = cli.fitting()
    if run.download or (found is None and _wants_download(run)):
        download.download(run.log)
        found, reason = cli.fitting()
    return "" if found else reason


def _wants_download(run: CommandContext) -> bool:
    if run.confirm is None or run.yes:
        return False
    return run.confirm("There is no Pulumi CLI here. Download it with its plugins? Otherwise it is compiled, once.")


def _build_kolla_images(run: CommandContext) -> None:
    """What the settings have built here, before anything waits for it; pushed once there is a registry."""
    kolla = stackfile.parse(run.stack, run.stack_file.document).kolla
    if kolla.enabled and kolla.images.source == "built":
        from operations.kolla.images import run as images

        images.build(run, images.wanted(run.stack_file), push=False)


def _refuse_taken(run: CommandContext) -> None:
    """Before the first `up`: what the stack needs of this machine must not be somebody else's."""
    from operations.host import doctor

    network = doctor.subnet(run.stack_file)
    if not network.ok:
        raise BerthError(f"{network.found}. {network.remedy}")
    seed = stackfile.parse(run.stack, run.stack_file.document).images.seed
    if not run.stack_file.is_lab and seed.address:
        prepare.refuse_taken_ports([(seed.address, seed.port)])


def _ask_first(run: CommandContext, session: Session, confirm: Callable[[str], bool]) -> None:

    result, _ = build.preview_with(run, session)
    run.log(text.text(result))
    if result.failed:
        raise BerthError(f"The preview of {session.stack} failed; nothing was changed.")
    if not confirm(f"Deploy this to {session.stack}?"):
        raise BerthError(f"Nothing was changed on {session.stack}.")


def _expected(run: CommandContext) -> int | None:
    """How many resources the last complete run had, the measure of this one's progress."""
    try:
        return int(json.loads(run.workspace.deployed_file(run.stack).read_text(encoding="utf-8"))["resources"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def closing_words(outcome: Outcome, end: Endpoint, stack: str) -> str:
    """What `up` ends with: what it did, where the registry is, how to use it."""
    if outcome.view.changed:
        changes = (outcome.view.changes or {}).items()
        parts = [f"{count} {op.removesuffix('e')}ed" for op, count in changes if op not in QUIET_OPS]
        did = f"Done in {outcome.seconds:.0f} s: {', '.join(parts)}."
    else:
        did = f"No change ({outcome.view.done} resources, {outcome.seconds:.0f} s)."
    option = "" if stack == "dev" else f" --stack {stack}"
    lines = [did, f"Registry: {end.registry}", *(f"  {command}" for command in end.commands())]
    return "\n".join([*lines, f"Passwords: ./berth endpoint --show-secrets{option}"])
