"""The load during a drill: pushes and pulls by the deploy host's own docker, and blobs read byte by byte."""

from __future__ import annotations

import contextlib
import os
import random
import re
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from operations.drill.background import Background
from operations.drill.traffic import layer, push_image, read_slowly
from operations.errors import BerthError
from operations.registry.client import RegistryClient, WrongDigest
from operations.registry.endpoint import User

REPOSITORY = "drill/load"
LABEL = "berth.drill"
LAYER_BYTES = 512 * 1024
BLOB_BYTES = 24 * 1024 * 1024
# A blob is in transfer most of the time, and a reader that takes its time is one whom a fault meets.
BLOB_BYTES_PER_SECOND = 4 * 1024 * 1024
PAUSE_SECONDS = 0.5
REPEAT_AFTER_SECONDS = 1.0
COMMAND_SECONDS = 180
KEPT_IMAGES = 8
PUSH, PULL, BLOB, CACHED = "push", "pull", "blob", "cached"
DIGEST = re.compile(r"digest: (sha256:[0-9a-f]{64})")
WRONG = re.compile(r"verification failed|does not match|wrong digest|unexpected digest", re.IGNORECASE)


@dataclass
class Operation:
    """One command or transfer: how its first try ended, and the repeat if it needed one."""

    kind: str
    started: float
    ended: float = 0.0
    first: str = ""
    """Why the first try failed; empty where it did not."""
    repeat: str = ""
    wrong_digest: bool = False
    stall: float = 0.0


class Failed(Exception):
    """A command ended with an error, which is the text."""


@dataclass(frozen=True)
class Docker:
    """The deploy host's docker with a login of the drill's own: the user's stays as it is."""

    directory: Path
    stack: str

    def log_in(self, registry: str, user: User) -> None:
        """From now on as this user."""
        user.log_in(registry, self.directory)

    def run(self, *words: str, stdin: bytes = b"") -> str:
        """Run it; its output. Every failure is a `Failed`."""
        argv = ["docker", "--config", str(self.directory), *words]
        try:
            done = subprocess.run(argv, input=stdin, capture_output=True, timeout=COMMAND_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise Failed(f"docker {words[0]} took more than {COMMAND_SECONDS} s") from None
        if done.returncode:
            raise Failed(done.stderr.decode(errors="replace").strip() or f"exit code {done.returncode}")
        return done.stdout.decode(errors="replace")

    def make_image(self, reference: str) -> None:
        """A small image with one random layer."""
        label = f"LABEL {LABEL}={self.stack}"
        self.run("import", "--change", label, "-", reference, stdin=layer(LAYER_BYTES))

    def forget(self, reference: str) -> None:
        """Remove an image from this machine, if it is there."""
        with contextlib.suppress(Failed):
            self.run("image", "rm", "--force", reference)

    def clean(self) -> None:
        """Remove every image that a drill of this stack has left, killed ones included."""
        with contextlib.suppress(Failed):
            found = self.run("image", "ls", "--quiet", "--filter", f"label={LABEL}={self.stack}").split()
            if found:
                self.run("image", "rm", "--force", *sorted(set(found)))


@dataclass(frozen=True)
class CachedUpstream:
    """A registry cached the stack's caches, and the names under which they serve it."""

    upstream: RegistryClient
    names: Sequence[str]

    def new_image(self, labels: Mapping[str, str]) -> str:
        """Put a new image there; the reference by which a cache gets it."""
        found = push_image(self.upstream, REPOSITORY, "latest", layer(LAYER_BYTES), labels)
        return f"{random.choice(self.names)}/{REPOSITORY}@{found}"


class Load(Background):
    """Workers that push and pull until they are stopped, each recording its operations."""

    def __init__(
        self, registry: RegistryClient, docker: Docker, workers: int, cached: CachedUpstream | None = None
    ) -> None:
        self._registry = registry
        self._docker = docker
        self._cached = cached
        self._pushed: list[str] = []
        self._blob = ""
        self._number = 0
        self._name = f"{int(time.time()):x}"
        self._busy: dict[int, float] = {}
        loops = [self._push, self._pull, self._read] + ([self._pull_cached] if cached else [])
        super().__init__(partial(self._again, loop) for loop in loops for _ in range(workers))
        self.operations: list[Operation] = []

    def __enter__(self) -> Self:
        try:
            self._blob = self._registry.push_blob(REPOSITORY, os.urandom(BLOB_BYTES))
        except BerthError as error:
            raise BerthError(f"The registry accepts no push before the drill: {error}") from None
        self._push()
        if not self._pushed:
            raise BerthError(f"docker can't push before the drill: {self.operations[-1].repeat}")
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._docker.clean()

    def wait_for_current(self, seconds: float) -> bool:
        """Wait until all that is under way now has ended; whether it did."""
        now, deadline = time.monotonic(), time.monotonic() + seconds
        while any(since < now for since in list(self._busy.values())):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def _again(self, loop: Callable[[], None]) -> None:
        while not self._stop.wait(0 if loop == self._read else PAUSE_SECONDS):
            loop()

    def _try(self, kind: str, do: Callable[[Operation], object]) -> bool:
        """Do it, once more after a second if it failed, and record the result; whether it succeeded."""
        done = Operation(kind, time.monotonic())
        self._busy[threading.get_ident()] = done.started
        done.first = self._once(done, do)
        if done.first:
            time.sleep(REPEAT_AFTER_SECONDS)
            done.repeat = self._once(done, do)
        done.ended = time.monotonic()
        self.operations.append(done)
        del self._busy[threading.get_ident()]
        return not done.repeat

    @staticmethod
    def _once(done: Operation, do: Callable[[Operation], object]) -> str:
        try:
            do(done)
        except WrongDigest as error:
            done.wrong_digest = True
            return str(error)
        except (Failed, BerthError) as error:
            done.wrong_digest = done.wrong_digest or bool(WRONG.search(str(error)))
            return str(error) or type(error).__name__
        return ""

    def _push(self) -> None:
        self._number += 1
        reference = f"{self._registry.registry}/{REPOSITORY}:{self._name}-{self._number}-{threading.get_ident() % 997}"
        self._docker.make_image(reference)
        found: list[str] = []

        def push(_: Operation) -> None:
            found.extend(DIGEST.findall(self._docker.run("push", reference)))

        if self._try(PUSH, push) and found:
            self._pushed = [*self._pushed, f"{self._registry.registry}/{REPOSITORY}@{found[-1]}"][-KEPT_IMAGES:]
        self._docker.forget(reference)

    def _pull(self) -> None:
        # The newest is still in the pusher's hands.
        self._pull_one(PULL, random.choice(self._pushed[:-1] or self._pushed))

    def _pull_cached(self) -> None:
        assert self._cached is not None
        self._pull_one(CACHED, self._cached.new_image({LABEL: self._docker.stack}))

    def _pull_one(self, kind: str, reference: str) -> None:
        self._try(kind, lambda _: self._docker.run("pull", "--quiet", reference) and None)
        self._docker.forget(reference)

    def _read(self) -> None:
        def read(done: Operation) -> None:
            def waited(seconds: float) -> None:
                done.stall = max(done.stall, seconds)

            read_slowly(self._registry, REPOSITORY, self._blob, BLOB_BYTES_PER_SECOND, waited)

        self._try(BLOB, read)


@dataclass(frozen=True)
class Refusal:
    """A push while writes have to be refused: seconds to the answer, and the error; none if it was taken."""

    seconds: float
    error: str


def refusals(registry: RegistryClient, seconds: float) -> list[Refusal]:
    """Small pushes, one after the other, for so long."""
    found: list[Refusal] = []
    until = time.monotonic() + seconds
    while not found or time.monotonic() < until:
        begun, error = time.monotonic(), ""
        try:
            registry.push_blob(REPOSITORY, os.urandom(1024))
        except BerthError as refused:
            error = str(refused)
        found.append(Refusal(time.monotonic() - begun, error))
        time.sleep(REPEAT_AFTER_SECONDS)
    return found


def within(operations: Sequence[Operation], start: float, end: float) -> list[Operation]:
    """Those that were under way at some time from start to end."""
    return [one for one in operations if one.ended >= start and one.started <= end]
