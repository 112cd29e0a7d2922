"""Runs the user's program once in this process, its SDK wired to the monitor."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import runpy
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from pathlib import Path

from engine.deployment import Deployment
from engine.errors import EngineError
from engine.monitor import EngineService, Monitor
from engine.report import Reporter
from engine.stackfile import Project


def run_program(
    project: Project,
    deployment: Deployment,
    reporter: Reporter,
    config: tuple[Mapping[str, str], list[str]],
    preview: bool,
    parallel: int,
) -> bool:
    """Whether the program came to its end without an error of its own."""
    import pulumi
    from pulumi.runtime import Settings
    from pulumi.runtime.stack import run_in_stack

    entry = project.main / "__main__.py" if project.main.is_dir() else project.main
    if not entry.exists():
        raise EngineError(f"the program {entry} does not exist")
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    pulumi.runtime.set_all_config(dict(config[0]), config[1])
    pulumi.runtime.configure(
        Settings(
            project=project.name,
            stack=deployment.stack,
            monitor=Monitor(deployment, reporter),
            engine=EngineService(reporter),
            parallel=parallel,
            dry_run=preview,
            organization="organization",
            root_directory=str(project.root),
        )
    )
    os.chdir(entry.parent)
    sys.path.insert(0, str(entry.parent))

    def main() -> Awaitable[None]:
        runpy.run_path(str(entry), run_name="__main__")
        return _settled()

    # A run is short and leaves few cycles behind: looking for them rarely saves a fifth of its time.
    gc.set_threshold(200_000, 50, 100)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # Registrations wait in the pool for their turn, so it must be wider than what runs at once.
    pool = ThreadPoolExecutor(max_workers=parallel * 4, thread_name_prefix="register")
    loop.set_default_executor(pool)
    try:
        # What the program prints must not get between the lines of the engine's own output.
        with redirect_stdout(sys.stderr):
            loop.run_until_complete(run_in_stack(main))
    except SystemExit as error:
        if error.code not in (None, 0):
            reporter.diagnostic("error", f"the program exited with code {error.code}")
            return False
    except BaseException as error:
        reporter.diagnostic("error", _explain(error, entry))
        return False
    finally:
        # Operations in flight are finished and recorded before anybody saves the state.
        pool.shutdown(wait=True)
        loop.close()
    return True


async def _settled() -> None:
    """All outputs are known. The SDK would look at every open one again each time that one of them is."""
    from pulumi.runtime.settings import SETTINGS

    def pending() -> list[asyncio.Task[object]]:
        with SETTINGS.lock:
            return [task for task in SETTINGS.outputs if not task.done()]

    while tasks := pending():
        await asyncio.wait(tasks)


def _explain(error: BaseException, entry: Path) -> str:
    """The program's own message where it is meant for users, else its traceback as Python would print it."""
    from pulumi import RunError

    if isinstance(error, EngineError | RunError) or getattr(error, "user_message", False):
        return str(error)
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    frames = traceback.extract_tb(error.__traceback__)
    first = next((index for index, frame in enumerate(frames) if Path(frame.filename) == entry), 0)
    lines = ["Program failed with an unhandled exception:", "Traceback (most recent call last):"]
    listed = traceback.StackSummary.from_list(frames[first:]).format()
    return (
        "\n".join([*lines, *(line.rstrip() for line in listed)])
        + "\n"
        + "".join(traceback.format_exception_only(error)).rstrip()
    )


def on_interrupt(cancel: Callable[[], None]) -> None:
    """First signal: finish what runs and stop; second: leave at once, the journal keeps what was done."""
    state = {"count": 0}

    def handle(_number: int, _frame: object) -> None:
        state["count"] += 1
        if state["count"] > 1:
            os._exit(130)
        print("interrupted: waiting for running operations; interrupt again to leave at once", file=sys.stderr)
        cancel()

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)
