"""`up` and `preview`: from settings to a running stack."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from config import stackfile
from config.problems import Problem, SettingsError
from operations import recovery
from operations.endpoint import Endpoint
from operations.errors import BerthError, UsageError
from operations.events import QUIET_OPS
from operations.lock import StackLock
from operations.pulumi import cli, download
from operations.pulumi.follow import Outcome, follow
from operations.pulumi.session import Session
from operations.workspace import StackFile, Workspace, write_private


@dataclass(frozen=True)
class Run:
    """What every command that changes or previews a stack starts from."""

    workspace: Workspace
    stack_file: StackFile
    console: Console
    yes: bool = False
    confirm: Callable[[str], bool] | None = None
    """Asks a question; None where there is no terminal to ask at."""
    download: bool = False
    """Whether Pulumi's own installer may fetch the CLI and the published plugins."""

    @property
    def stack(self) -> str:
        return self.stack_file.stack

    def say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def session(self) -> Session:
        """The CLI, announced, ready to be called."""
        chosen = cli.choose()
        self.say(chosen.sentence)
        return Session.open(self.workspace, self.stack_file, chosen)


def problems(stack_file: StackFile) -> list[Problem]:
    """Everything that is wrong with a stack's settings."""
    return stackfile.check(stack_file.stack, stack_file.document)


def check_settings(stack_file: StackFile) -> None:
    """Refuse settings before anything starts; all problems at once."""
    found = problems(stack_file)
    if found:
        raise UsageError(str(SettingsError(stack_file.stack, found)))


def up(run: Run) -> Outcome:
    """Deploy the stack; `run.yes` answers what would be asked."""
    from operations import bootstrap

    check_settings(run.stack_file)
    with StackLock(run.workspace.stack_dir(run.stack), run.stack, "up", run.say) as lock:
        bootstrap.run(run.yes or run.confirm is None, run.console, pulumi=_cli_needed(run))
        _build_kolla_images(run)
        session = run.session()
        recovery.go_on(session, lock.interrupted, run.say)
        if not session.is_deployed:
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
        if outcome.failed:
            raise BerthError(describe_failure(f"Deploying {run.stack} failed", outcome))
        write_private(_count_file(run), json.dumps({"resources": outcome.view.done}) + "\n")
        return outcome


def follow_other_hosts(run: Run, session: Session) -> None:
    """Before a run of the program on a stack that the backend knows: what another deploy host may have done since."""
    from operations.kolla_images.published import take_brought

    if stackfile.parse(run.stack, run.stack_file.document).kolla.enabled:
        take_brought(session)


def _cli_needed(run: Run) -> str:
    """Why the CLI has to be compiled here; empty where one is there, or was fetched."""
    found, reason = cli.fitting()
    if run.download or (found is None and _wants_download(run)):
        download.download(run.say)
        found, reason = cli.fitting()
    return "" if found else reason


def _wants_download(run: Run) -> bool:
    if run.confirm is None or run.yes:
        return False
    return run.confirm("There is no Pulumi CLI here. Download it with its plugins? Otherwise it is compiled, once.")


def _build_kolla_images(run: Run) -> None:
    """What the settings have built here, before anything waits for it; pushed once there is a registry."""
    kolla = stackfile.parse(run.stack, run.stack_file.document).kolla
    if kolla.enabled and kolla.images.source == "built":
        from operations.kolla_images import run as images

        images.build(run, images.wanted(run.stack_file), push=False)


def _refuse_taken(run: Run) -> None:
    """Before the first `up`: what the stack needs of this machine must not be somebody else's."""
    from operations import bootstrap, doctor

    network = doctor.subnet(run.stack_file)
    if not network.ok:
        raise BerthError(f"{network.found}. {network.mend}")
    seed = stackfile.parse(run.stack, run.stack_file.document).images.seed
    if not run.stack_file.is_lab and seed.address:
        bootstrap.refuse_taken_ports([(seed.address, seed.port)])


def _ask_first(run: Run, session: Session, confirm: Callable[[str], bool]) -> None:
    from operations import preview

    seen, _ = preview.look_with(run, session)
    run.say(preview.text(seen))
    if seen.failed:
        raise BerthError(f"The preview of {session.stack} failed; nothing was changed.")
    if not confirm(f"Deploy this to {session.stack}?"):
        raise BerthError(f"Nothing was changed on {session.stack}.")


def _count_file(run: Run) -> Path:
    return run.workspace.stack_dir(run.stack) / "resources.json"


def _expected(run: Run) -> int | None:
    """How many resources the last complete run had, the measure of this one's progress."""
    try:
        return int(json.loads(_count_file(run).read_text(encoding="utf-8"))["resources"])
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


def describe_failure(headline: str, outcome: Outcome) -> str:
    """What failed and why, in full, and where the whole log is."""
    blocks = [f"{headline} after {outcome.seconds:.0f} s."]
    for what, why in outcome.reasons():
        indented = "\n".join(f"    {line}" for line in why.splitlines())
        blocks.append(f"  {what}:\n{indented}")
    blocks.append(f"Log: {outcome.log}")
    return "\n".join(blocks)
