"""`python -m engine`: the CLI's words and flags."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.errors import EngineError, StackNotFound, UsageError
from engine.provider import Loader
from engine.run import FAILED, Options, execute, installed_packages
from engine.stacks import Stacks


def main(arguments: Sequence[str] | None = None, load: Loader = installed_packages) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return _dispatch(options, load)
    except EngineError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        return FAILED


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("-s", "--stack", default=argparse.SUPPRESS)
    shared.add_argument("-C", "--cwd", type=Path, default=argparse.SUPPRESS)
    shared.add_argument("--config-file", type=Path, default=argparse.SUPPRESS)
    shared.add_argument("--non-interactive", action="store_true", default=argparse.SUPPRESS)
    shared.add_argument("--color", default=argparse.SUPPRESS)
    parser = argparse.ArgumentParser(prog="python -m engine", parents=[shared], description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("up", "preview", "refresh", "destroy"):
        command = commands.add_parser(name, parents=[shared])
        command.add_argument("-p", "--parallel", type=int, default=16)
        command.add_argument("-r", "--refresh", nargs="?", const="true", choices=["true", "false"], default="false")
        for flag in ("--yes", "--skip-preview", "--diff", "--json", "--expect-no-changes", "--suppress-progress"):
            command.add_argument(flag, *(["-y"] if flag == "--yes" else []), action="store_true")
        command.add_argument("--event-log", type=Path)
        if name in ("preview", "up"):
            command.add_argument("--placeholders", action="store_true")
        if name == "preview":
            command.add_argument("--save-plan", type=Path)
            command.add_argument("--show-secrets", action="store_true")
            command.add_argument("--ignore-protect", action="store_true")
        if name == "up":
            command.add_argument("--pretend", action="store_true")
        if name == "destroy":
            command.add_argument("--exclude-protected", action="store_true")
    cancel = commands.add_parser("cancel", parents=[shared])
    cancel.add_argument("-y", "--yes", action="store_true")
    _stack_parser(commands.add_parser("stack", parents=[shared]), shared)
    _config_parser(commands.add_parser("config", parents=[shared]), shared)
    return parser


def _stack_parser(parser: argparse.ArgumentParser, shared: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("init", parents=[shared]).add_argument("name", nargs="?")
    actions.add_parser("ls", parents=[shared]).add_argument("--json", action="store_true")
    remove = actions.add_parser("rm", parents=[shared])
    remove.add_argument("name", nargs="?")
    remove.add_argument("-y", "--yes", action="store_true")
    remove.add_argument("-f", "--force", action="store_true")
    export = actions.add_parser("export", parents=[shared])
    export.add_argument("--show-secrets", action="store_true")
    export.add_argument("--file", type=Path)
    actions.add_parser("import", parents=[shared]).add_argument("--file", type=Path)
    output = actions.add_parser("output", parents=[shared])
    output.add_argument("name", nargs="?")
    output.add_argument("-j", "--json", action="store_true")
    output.add_argument("--show-secrets", action="store_true")


def _config_parser(parser: argparse.ArgumentParser, shared: argparse.ArgumentParser) -> None:
    parser.add_argument("-j", "--json", action="store_true")
    parser.add_argument("--show-secrets", action="store_true")
    actions = parser.add_subparsers(dest="action")
    for name in ("get", "set", "rm"):
        action = actions.add_parser(name, parents=[shared])
        action.add_argument("key")
        action.add_argument("--path", action="store_true")
        if name == "set":
            action.add_argument("value", nargs="?")
            action.add_argument("--secret", action="store_true")
            action.add_argument("--plaintext", action="store_true")


def _dispatch(options: argparse.Namespace, load: Loader) -> int:
    directory = getattr(options, "cwd", Path()).absolute()
    config_file = getattr(options, "config_file", None)
    if options.command in ("up", "preview", "refresh", "destroy"):
        return _run(options, directory, config_file, load)
    stacks = Stacks(directory, config_file)
    if options.command == "cancel":
        if not options.yes:
            raise UsageError("--yes must be passed in to proceed when running in non-interactive mode")
        stacks.cancel(_stack(options))
    elif options.command == "stack":
        _stack_command(options, stacks)
    else:
        _config_command(options, stacks)
    return 0


def _stack(options: argparse.Namespace) -> str:
    name: str | None = getattr(options, "name", None) if options.command == "stack" else None
    stack: str | None = (
        getattr(options, "stack", None)
        or (name if getattr(options, "action", "") != "output" else None)
        or os.environ.get("PULUMI_STACK")
    )
    if not stack:
        raise StackNotFound("no stack selected; name one with --stack")
    return stack.rpartition("/")[2]


def _run(options: argparse.Namespace, directory: Path, config_file: Path | None, load: Loader) -> int:
    stack = _stack(options)
    if options.command != "preview" and not (options.yes or options.skip_preview):
        raise UsageError("--yes must be passed in to proceed when running in non-interactive mode")
    if getattr(options, "save_plan", None) and not options.show_secrets:
        raise UsageError("--save-plan needs --show-secrets: a plan without secrets says too little")
    if options.parallel < 1:
        raise UsageError("--parallel must be at least 1")
    if options.command == "up" and not options.skip_preview:
        code = subprocess.run(_preview_command(options, directory, config_file, stack), check=False).returncode
        if code:
            return code
    return execute(
        Options(
            command=options.command,
            stack=stack,
            directory=directory,
            config_file=config_file.absolute() if config_file else None,
            parallel=options.parallel,
            diff=options.diff,
            json=options.json,
            refresh=options.refresh == "true",
            expect_no_changes=options.expect_no_changes,
            event_log=options.event_log.absolute() if options.event_log else None,
            exclude_protected=getattr(options, "exclude_protected", False),
            ignore_protect=getattr(options, "ignore_protect", False),
            save_plan=options.save_plan.absolute() if getattr(options, "save_plan", None) else None,
            pretend=getattr(options, "pretend", False),
            placeholders=getattr(options, "placeholders", False),
        ),
        load,
    )


def _preview_command(options: argparse.Namespace, directory: Path, config_file: Path | None, stack: str) -> list[str]:
    """A preview before `up`, in a process of its own: modules of the program stay loaded after a run."""
    command = [sys.executable, "-m", "engine", "preview", "--stack", stack, "--cwd", str(directory)]
    command += ["--parallel", str(options.parallel), "--refresh", options.refresh]
    command += ["--diff"] if options.diff else []
    return [*command, "--config-file", str(config_file)] if config_file else command


def _stack_command(options: argparse.Namespace, stacks: Stacks) -> None:
    if options.action == "ls":
        stacks.list(options.json)
    elif options.action == "init":
        stacks.init(_stack(options))
    elif options.action == "rm":
        if not options.yes:
            raise UsageError("--yes must be passed in to proceed when running in non-interactive mode")
        stacks.remove(_stack(options), options.force)
    elif options.action == "export":
        stacks.export(_stack(options), options.show_secrets, options.file)
    elif options.action == "import":
        stacks.load(_stack(options), options.file)
    else:
        stacks.output(_stack(options), options.name, options.json, options.show_secrets)


def _config_command(options: argparse.Namespace, stacks: Stacks) -> None:
    stack = _stack(options)
    if options.action is None:
        stacks.config_list(stack, options.json, options.show_secrets)
    elif options.action == "get":
        stacks.config_get(stack, options.key, options.path)
    elif options.action == "set":
        value = options.value if options.value is not None else sys.stdin.read().rstrip("\n")
        stacks.config_set(stack, options.key, value, options.path, options.secret)
    else:
        stacks.config_remove(stack, options.key, options.path)
