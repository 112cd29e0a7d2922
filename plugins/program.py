"""`python -m plugins.program`: runs a Pulumi program once, by the job on standard input."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import os
import runpy
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pulumi
from pulumi.runtime import reset_options, set_all_config
from pulumi.runtime.stack import run_in_stack

from plugins.language import EXPLAINED

WIDEST = 64
"""Steps at once for which threads are kept; a run without a limit gets as many as that."""


def connect(job: dict[str, Any]) -> None:
    """Connect the SDK to the CLI."""
    reset_options(
        project=job["project"],
        stack=job["stack"],
        organization=job["organization"],
        monitor_address=job["monitor"],
        engine_address=job["engine"],
        root_directory=job["root"],
        parallel=job["parallel"],
        preview=job["preview"],
    )


def run(job: dict[str, Any], connect: Callable[[dict[str, Any]], None] = connect) -> int:
    """The exit code: 0, EXPLAINED if the reason was printed, or the program's own."""
    folder = Path(job["folder"])
    entry = folder / job["entry"]
    if entry.is_dir():
        entry = entry / "__main__.py"
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    connect(job)
    set_all_config(job["config"], job["secrets"])
    sys.path.insert(0, str(entry.parent))

    def main() -> Awaitable[None]:
        runpy.run_path(str(entry), run_name="__main__")
        return _settled()

    # A run is short and leaves few cycles behind: looking for them rarely saves a fifth of its time.
    gc.set_threshold(200_000, 50, 100)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    # Registrations wait in the pool for their turn, so it must be wider than what runs at once.
    loop.set_default_executor(ThreadPoolExecutor(4 * min(max(job["parallel"], 1), WIDEST)))
    try:
        loop.run_until_complete(run_in_stack(main))
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    except grpc.RpcError as error:
        # An engine that does not answer any more has reported why, or was cancelled.
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            _print_error(f"the engine refused: {error.details()}")
        return EXPLAINED
    except BaseException as error:
        _print_error(explain(error, entry))
        return EXPLAINED
    return 0


async def _settled() -> None:
    """All outputs are known. The SDK would look at every open one again each time that one of them is."""
    from pulumi.runtime.settings import SETTINGS

    def pending() -> list[asyncio.Task[object]]:
        with SETTINGS.lock:
            return [task for task in SETTINGS.outputs if not task.done()]

    while tasks := pending():
        await asyncio.wait(tasks)


def explain(error: BaseException, entry: Path) -> str:
    """The program's own message where it is meant for users, else its traceback as Python would print it."""
    if isinstance(error, pulumi.RunError) or getattr(error, "user_message", False):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    first = next((index for index, frame in enumerate(frames) if Path(frame.filename) == entry), 0)
    listed = traceback.StackSummary.from_list(frames[first:]).format()
    lines = ["Program failed with an unhandled exception:", "Traceback (most recent call last):"]
    lines += [line.rstrip() for line in listed]
    return "\n".join([*lines, "".join(traceback.format_exception_only(error)).rstrip()])


def _print_error(text: str) -> None:
    """As an error of the run; on standard error where the engine takes none any more."""
    try:
        pulumi.log.error(text)
    except Exception:
        print(text, file=sys.stderr)


def _end_with_input() -> None:
    """Standard input ends when the language host does, however that comes."""
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    asked = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_input, daemon=True).start()
    code = run(asked)
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    # Threads may still wait for an engine that is gone.
    os._exit(code)
