"""The `berth` command line: thin, every verb hands over to the module that does it."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import shlex
import sys
import traceback
from functools import partial
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from config import stackfile
from operations import access, deploy, teardown
from operations import endpoint as endpoints
from operations import node_config as node_configs
from operations.deploy import Run
from operations.errors import DIFFERENT, DONE, FAILED, WRONG_USE, BerthError, UsageError
from operations.kolla import commands as kolla
from operations.pulumi import cli as pulumi_cli
from operations.pulumi import environment as pulumi_environment
from operations.pulumi.follow import new_log
from operations.pulumi.session import NOT_DEPLOYED, Session, passthrough
from operations.workspace import StackFile, Workspace

# Modules that talk to nodes and certificates are imported by the commands that need them: they take half a second.
app = typer.Typer(
    name="berth",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="A private, highly available Docker registry on your own machines.",
)

Stack = Annotated[str, typer.Option("--stack", "-s", metavar="NAME", help="The stack, as in Pulumi.NAME.yaml.")]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing.")]
WIDE = 200
"""Columns where nobody reads at a terminal."""
ShowSecrets = Annotated[bool, typer.Option("--show-secrets", help="Show passwords.")]


def _run(stack: str, yes: bool = False, as_json: bool = False) -> Run:
    workspace = Workspace.current()
    # What is said beside the answer goes to stderr where the answer is for a program.
    console = Console(stderr=as_json, highlight=False, width=None if sys.stdout.isatty() else WIDE)
    confirm = typer.confirm if sys.stdin.isatty() and sys.stdout.isatty() else None
    return Run(workspace, StackFile.read(workspace, stack), console, yes, confirm)


def _quiet_session(stack: str) -> Session:
    workspace = Workspace.current()
    stack_file = StackFile.read(workspace, stack)
    if workspace.has_file_backend and not workspace.stack_exists(stack):
        # Said even where there is no CLI to ask.
        raise BerthError(NOT_DEPLOYED.format(stack=stack))
    return Session.open(workspace, stack_file)


def _answer() -> Console:
    """Where tables go: as wide as they need where nobody reads at a terminal."""
    return Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=WIDE)


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


@app.command()
def up(
    stack: Stack = "dev",
    repair: Annotated[bool, typer.Option("--repair", help="Mend what drifted, and change nothing else.")] = False,
    download: Annotated[
        bool, typer.Option("--download", help="Fetch Pulumi's CLI and plugins where they are missing.")
    ] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Deploy the stack; installs and builds what is missing first."""
    run = dataclasses.replace(_run(stack, yes, as_json), download=download)
    if repair:
        _repair(run, as_json)
    outcome = deploy.up(run)
    end = endpoints.promised(run.workspace, stackfile.parse(stack, run.stack_file.document))
    if as_json:
        _print_json({**end.as_json(), "changes": outcome.view.changes or {}, "seconds": round(outcome.seconds, 1)})
    else:
        run.say(deploy.closing_words(outcome, end, stack))


def _repair(run: Run, as_json: bool) -> NoReturn:
    from operations.drift.repair import repair

    done = repair(run)
    if as_json:
        _print_json(done.as_json())
    elif done.changed:
        done.after.show(run.console)
    raise typer.Exit(done.after.exit_code)


@app.command()
def preview(
    stack: Stack = "dev",
    diff: Annotated[bool, typer.Option("--diff", help="Show every file and property that would change.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Answer in Markdown, as for a pull request.")] = False,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the answer to a file.")] = None,
    without_secrets: Annotated[
        bool, typer.Option("--without-secrets", help="Show what can be seen without passphrase and state.")
    ] = False,
    against: Annotated[
        str | None, typer.Option(metavar="COMMIT", help="Without secrets: what changes against this commit.")
    ] = None,
    requested: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="The settings of another tree with this program; of it nothing is run."),
    ] = None,
    fail_on_protected: Annotated[
        bool, typer.Option("--fail-on-protected", help="Exit with 1 if what holds data or trust would go.")
    ] = False,
    expect_no_changes: Annotated[
        bool, typer.Option("--expect-no-changes", help="Exit with 3 if anything would change.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what `up` would do, and do nothing; exit with 1 if it would fail or break a rule."""
    from operations import preview as previews

    if as_json and as_markdown:
        raise UsageError("--json and --markdown are two answers: ask for one.")
    if requested and (without_secrets or against):
        raise UsageError("--requested needs the stack's state: leave --without-secrets and --against out.")
    run = _run(stack, as_json=as_json or as_markdown)
    if requested:
        seen, document = previews.look_requested(run, requested)
    elif without_secrets or against:
        seen, document = previews.look_without_secrets(run, against)
    else:
        seen, document = previews.look(run)
    if as_json:
        answer = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    else:
        answer = previews.markdown(seen) if as_markdown else previews.text(seen, diff) + "\n"
    if output:
        output.write_text(answer, encoding="utf-8")
    else:
        typer.echo(answer, nl=False)
    if seen.failed or (fail_on_protected and seen.losses):
        raise typer.Exit(FAILED)
    raise typer.Exit(DIFFERENT if expect_no_changes and seen.changes else DONE)


@app.command()
def down(
    stack: Stack = "dev",
    delete_data: Annotated[
        str | None,
        typer.Option("--delete-data", metavar="STACK", help="Repeat the stack's name to delete its data too."),
    ] = None,
    yes: Yes = False,
) -> None:
    """Take the stack down; of a lab nothing stays, of real nodes their data."""
    teardown.down(_run(stack, yes), delete_data)


@app.command()
def endpoint(stack: Stack = "dev", show_secrets: ShowSecrets = False, as_json: Json = False) -> None:
    """Say how to reach the registry."""
    session = _quiet_session(stack)
    end = endpoints.endpoint(session.workspace, stack, session.outputs(show_secrets=True), show_secrets)
    if as_json:
        _print_json(end.as_json())
        return
    typer.echo(f"registry  {end.registry}\nca_file   {end.ca_file}")
    for word, user in end.users.items():
        typer.echo(
            f"{word:<9} {user.username} {user.password or '(--show-secrets)'}" if user else f"{word:<9} nobody may"
        )


@app.command()
def env(stack: Stack = "dev") -> None:
    """Print the shell lines with which plain `pulumi` works on the stack."""
    workspace = Workspace.current()
    for name, value in pulumi_environment.shell_environment(workspace, StackFile.read(workspace, stack)).items():
        typer.echo(f"export {name}={shlex.quote(value)}")
    for line in pulumi_environment.hand_on(workspace):
        typer.echo(f"# {line}")


@app.command(name="config", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def pulumi_config(context: typer.Context, stack: Stack = "dev") -> None:
    """Hand `config get|set|rm` to Pulumi, with the stack's own passphrase."""
    workspace = Workspace.current()
    session = Session.open(workspace, StackFile.read(workspace, stack))
    session.ensure_stack()
    raise typer.Exit(FAILED if passthrough(session, ["config", *context.args], asks=True) else DONE)


@app.command(context_settings={"ignore_unknown_options": True})
def ssh(
    node: Annotated[str, typer.Argument(help="The node's name in the settings.")],
    command: Annotated[list[str] | None, typer.Argument(help="A command, after --; a shell without one.")] = None,
    stack: Stack = "dev",
) -> None:
    """Open a shell or run a command on a node, its host key pinned."""
    session = _quiet_session(stack)
    every = access.doors(session.workspace, session.outputs())
    argv = access.ssh_command(session.workspace, stack, every, node, command or [])
    os.execvp(argv[0], argv)


@app.command()
def status(stack: Stack = "dev", as_json: Json = False) -> None:
    """Show every node with its services, and whether they are healthy."""
    from operations import look

    seen = look.look(_quiet_session(stack))
    if as_json:
        _print_json({"stack": stack, "services": [row.as_json() for row in look.rows(seen)], "notes": look.notes(seen)})
        return
    console = _answer()
    console.print(look.status_table(seen))
    for note in look.notes(seen):
        console.print(note, markup=False)


@app.command()
def verify(stack: Stack = "dev", as_json: Json = False) -> None:
    """Ask every node, read-only, whether it is as the state says; exit with 3 if one is not."""
    from operations import look, verified
    from operations.verify import answers

    session = _quiet_session(stack)
    state = verified.fingerprint(session)
    seen = look.look(session)
    found = answers(seen.desired, seen.reports, seen.front)
    wrong = sum(1 for answer in found if not answer.ok)
    if not wrong:
        verified.note(session, state)
    if as_json:
        _print_json({"stack": stack, "ok": not wrong, "answers": [answer.as_json() for answer in found]})
    else:
        console = _answer()
        console.print(look.verify_table(found))
        console.print(
            f"{wrong} of {len(found)} answers are wrong." if wrong else f"All {len(found)} answers are right."
        )
    raise typer.Exit(DIFFERENT if wrong else DONE)


@app.command()
def drift(
    stack: Stack = "dev",
    as_json: Json = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Answer in Markdown, for an issue.")] = False,
) -> None:
    """Say what on nodes and services is not as the state says; exit with 3 if something is, 1 if it is not known."""
    from operations.drift import look_for_drift

    found = look_for_drift(_quiet_session(stack))
    if as_json:
        _print_json(found.as_json())
    elif as_markdown:
        typer.echo(found.as_markdown(), nl=False)
    else:
        found.show(_answer())
    raise typer.Exit(found.exit_code)


@app.command()
def drill(
    stack: Stack = "dev",
    fault: Annotated[
        list[str] | None, typer.Option("--fault", metavar="NAME", help="Only this one, or all that match: 'kill-*'.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often to go through the faults.")] = 1,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many faults, in as many rounds.")] = None,
    hold: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="How long a fault lasts.")] = 8.0,
    gap: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="Longest time without an answer.")] = 1.0,
    load: Annotated[int, typer.Option(min=1, metavar="N", help="Workers of each kind that push and pull.")] = 1,
    report: Annotated[Path | None, typer.Option(metavar="DIRECTORY", help="Write JSON, table and plot there.")] = None,
    only_undo: Annotated[bool, typer.Option("--undo", help="Only undo what a killed drill left.")] = False,
    as_json: Json = False,
) -> None:
    """Break a lab in rehearsed ways while images are pushed and pulled; exit with 1 if it was noticed."""
    from operations.drill import run as drills

    run = _run(stack, as_json=as_json)
    if only_undo:
        run.say("Undone." if drills.undo(run) else f"No drill has left anything on {stack}.")
        return
    options = drills.Options(fault or (), rounds, count, hold, gap, load)
    shown = drills.drill(run, options, lambda so_far: so_far.write(report) if report else None)
    if report:
        shown.write(report)
    if as_json:
        _print_json(shown.as_json())
    else:
        _answer().print(shown.table())
    raise typer.Exit(DONE if shown.ok else FAILED)


@app.command(name="node-config")
def node_config(
    node: Annotated[str, typer.Argument(help="The node's name in the settings.")],
    stack: Stack = "dev",
    format_: Annotated[
        node_configs.Format | None, typer.Option("--format", help="Default: what the node's system reads.")
    ] = None,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Write to a file that only you read.")] = None,
    show_secrets: ShowSecrets = False,
) -> None:
    """Print what a node is installed with: cloud-config, Ignition or cloud-init."""
    stack_file = StackFile.read(Workspace.current(), stack)
    deploy.check_settings(stack_file)
    machine = node_configs.machine(stack_file, node, lambda: _quiet_session(stack))
    text, secret = node_configs.text(machine, format_)
    if secret and not show_secrets and output is None:
        raise UsageError(f"The configuration of {node} holds secrets: add --output FILE, or --show-secrets.")
    for note in node_configs.notes(machine):
        typer.echo(f"{node}: {note}", err=True)
    if output is None:
        typer.echo(text, nl=False)
    else:
        node_configs.write(output, text)


@app.command()
def promote(
    to: Annotated[str, typer.Option("--to", metavar="STACK", help="The stack that gets the pins and the images.")],
    source: Annotated[
        str | None, typer.Option("--from", metavar="STACK", help="The stack that has proved them: healthy, verified.")
    ] = None,
    record: Annotated[
        Path | None, typer.Option("--record", metavar="FILE", help="Go back to an older promotion instead.")
    ] = None,
    image: Annotated[
        list[str] | None,
        typer.Option("--image", metavar="PATTERN", help="Only these images: 'team/*', team/app:1. Default: all tags."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show everything, write nothing.")] = False,
    from_passphrase: Annotated[
        Path | None,
        typer.Option("--from-passphrase-file", metavar="FILE", help="Passphrase of --from, where it has another one."),
    ] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Pin in one stack what another one has proved, and copy its images; shows the preview and asks first."""
    from operations.promote import run as promotions

    if (source is None) == (record is None):
        raise UsageError("Say what to promote: --from STACK, or --record FILE to go back to an older promotion.")
    options = promotions.Options(source, record, image or (), dry_run, from_passphrase)
    promotion = promotions.promote(_run(to, yes, as_json), options)
    if as_json:
        _print_json(promotion.as_json())


@app.command()
def doctor(stack: Stack = "dev", as_json: Json = False) -> None:
    """Say what on this machine will not work, and how to mend it."""
    from operations import doctor as doctors
    from operations import look

    workspace = Workspace.current()
    found = doctors.findings(StackFile.read(workspace, stack))
    if as_json:
        _print_json([finding.as_json() for finding in found])
    else:
        _answer().print(look.doctor_table(found))
    raise typer.Exit(DONE if all(finding.ok for finding in found) else FAILED)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def test(context: typer.Context) -> None:
    """Run the tests that this machine can run; arguments are pytest's own, --full adds the long ones."""
    if importlib.util.find_spec("pytest") is None:
        raise BerthError("pytest is not installed here: ./berth up installs what development needs.")
    from operations import bootstrap
    from operations.kolla.environment import environment

    workspace = Workspace.current()
    os.chdir(workspace.root)
    try:
        _, no_cli = pulumi_cli.fitting()
        bootstrap.run(yes=True, console=Console(highlight=False), tests=True, pulumi=no_cli)
        environment(workspace, partial(typer.echo, err=True))
    except (bootstrap.BootstrapError, BerthError) as problem:
        if os.environ.get("CI"):
            raise
        os.environ["BERTH_NO_LAB"] = str(problem)
    os.environ["PATH"] = pulumi_environment.search_path(os.environ)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", "-p", "operations.testing", *context.args])


@app.command()
def clean(yes: Yes = False) -> None:
    """Remove the images and caches that `up` made on this machine; needs every stack to be down."""
    from operations import bootstrap

    workspace = Workspace.current()
    standing = workspace.standing()
    if standing:
        raise BerthError(f"Still deployed: {', '.join(standing)}. Take them down first (./berth down --stack NAME).")
    if not yes and sys.stdin.isatty() and not typer.confirm("Remove Berth's images and caches from this machine?"):
        raise BerthError("Nothing was removed.")
    bootstrap.clean()


etcd = typer.Typer(help="Save what a stack's etcd holds, and bring it back.", no_args_is_help=True)
app.add_typer(etcd, name="etcd")


@etcd.command()
def backup(
    file: Annotated[Path, typer.Argument(help="Where the snapshot goes; nothing may be there yet.")],
    stack: Stack = "dev",
) -> None:
    """Write a snapshot of everything that etcd holds to a file."""
    from operations import etcd as stage

    member = stage.backup(_quiet_session(stack), file)
    typer.echo(f"{file}: {file.stat().st_size} bytes, from {member}. It holds every value in plain text.")


@etcd.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A snapshot, as `backup` writes it.")],
    stack: Stack = "dev",
    yes: Yes = False,
) -> None:
    """Replace everything that etcd holds by a snapshot; it does not answer for some seconds."""
    from operations import etcd as stage

    run = _run(stack, yes=yes)
    stage.restore(run, file, typer.prompt if run.confirm else None)
    run.say(f"etcd of {stack} holds what {file} holds. What it held before is kept beside its data, on each member.")


@app.command()
def unseal(
    file: Annotated[Path, typer.Argument(help="A file below .berth/stacks/STACK/exports.")],
    output: Annotated[Path, typer.Argument(help="Where its content goes, in plain text; nothing may be there yet.")],
    stack: Stack = "dev",
) -> None:
    """Open an export of the object store's settings with the stack's passphrase."""
    from operations import sealed

    if not file.is_file():
        raise UsageError(f"There is no file {file}.")
    if output.exists() or not output.absolute().parent.is_dir():
        raise UsageError(f"{output} is there already, or its folder is not: name a new file.")
    workspace = Workspace.current()
    known = pulumi_environment.passphrase(workspace, StackFile.read(workspace, stack), os.environ)
    try:
        content = sealed.unseal(file.read_bytes(), sealed.passphrase(known))
    except BerthError as problem:
        raise BerthError(f"{file} cannot be opened: {problem}") from None
    sealed.write(output, content)
    typer.echo(f"{output}: {len(content)} bytes. Secret keys are in it: remove it when you have read it.")


cache = typer.Typer(help="Work with what the caches keep.", no_args_is_help=True)
app.add_typer(cache, name="cache")


@cache.callback()
def _cache() -> None:
    """With one command alone typer would leave its name out."""


@cache.command()
def purge(
    repository: Annotated[str, typer.Argument(help="As in image names: docker.io/library/x.")],
    stack: Stack = "dev",
    tag: Annotated[
        str | None, typer.Option("--tag", metavar="TAG", help="Only this tag, and the manifests that no other has.")
    ] = None,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Take a repository out of a cache: the next pull asks the upstream. What was pushed is left alone."""
    from operations import look, object_store, purge

    run = _run(stack, yes, as_json)
    deploy.check_settings(run.stack_file)
    known = stackfile.parse(stack, run.stack_file.document)
    wanted = purge.target(known, repository, tag)
    state = look.wanted(_quiet_session(stack))
    if not yes and run.confirm and not run.confirm(f"Take {wanted.name} out of the cache {wanted.upstream}?"):
        raise BerthError("Nothing was removed.")
    with object_store.client(state) as store:
        done = purge.purge(store, known.object_store.bucket, wanted)
    if as_json:
        _print_json(done.as_json())
    else:
        run.say(str(done))


settings = typer.Typer(help="Work with a stack's settings.", no_args_is_help=True)
app.add_typer(settings, name="settings")


@settings.command()
def check(stack: Stack = "dev", as_json: Json = False) -> None:
    """Judge a stack's settings, all problems at once; exit with 2 if there are any."""
    stack_file = StackFile.read(Workspace.current(), stack)
    if as_json:
        problems = deploy.problems(stack_file)
        _print_json([dataclasses.asdict(problem) for problem in problems])
        raise typer.Exit(WRONG_USE if problems else DONE)
    deploy.check_settings(stack_file)
    typer.echo(f"{stack_file.path.name} is accepted.")


app.add_typer(kolla.app, name="kolla")


def main(arguments: list[str] | None = None) -> None:
    """Run the command; known errors are shown as text, unexpected ones as one sentence and a file."""
    try:
        app(arguments, prog_name="berth")
    except BerthError as error:
        _fail(str(error), error.exit_code)
    except BrokenPipeError:
        sys.exit(FAILED)
    except Exception as error:
        from operations.bootstrap import BootstrapError

        if isinstance(error, BootstrapError):
            _fail(str(error), FAILED)
        log = new_log(Workspace.current(), "berth", "crash")
        log.write_text(traceback.format_exc(), encoding="utf-8")
        typer.echo(
            f"berth stopped on something unexpected ({type(error).__name__}); the details are in {log}.", err=True
        )
        sys.exit(FAILED)


def _fail(text: str, code: int) -> NoReturn:
    Console(stderr=True, highlight=False, soft_wrap=True).print(text, markup=False, style="red")
    sys.exit(code)
