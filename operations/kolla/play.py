"""One run of kolla-ansible: its inputs on disk for as long as it takes, its progress shown, its log kept."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from components.kolla import render
from components.kolla.passwords import passwords
from operations.errors import BerthError
from operations.kolla.environment import Environment
from operations.kolla.exclusive_lock import exclusive_lock, inherited_lock
from operations.workspace import write_private

PLUGINS = Path(__file__).with_name("plugins")
POLL = 0.3
STOP = 10.0
"""Seconds that Ansible gets to stop in order."""
QUIET = 20.0
"""Seconds without a line after which a sign of life is given."""

# Pipelining and kept connections save trips over a network; docs/performance.md has what that is worth without one.
ANSIBLE = """\
[defaults]
forks = {forks}
gathering = smart
fact_caching = jsonfile
fact_caching_connection = {folder}/facts
fact_caching_timeout = 3600
callback_plugins = {plugins}
callbacks_enabled = berth_events
retry_files_enabled = False
inject_facts_as_vars = False
interpreter_python = auto_silent
timeout = 30

[ssh_connection]
pipelining = True
ssh_args = -o ControlMaster=auto -o ControlPersist=60s
control_path_dir = {sockets}
"""
FORKS = 20


@dataclass(frozen=True)
class Inputs:
    """What a run is made from."""

    document: Mapping[str, Any]
    """`components.kolla.render.document`."""
    access: Mapping[str, Mapping[str, Any]]
    """Ansible's SSH variables of each node."""
    secret: str
    """What every password comes from."""
    ca: str
    """The registry's CA, as PEM."""
    given: Mapping[str, str] = field(default_factory=dict)
    """Passwords that are somebody else's: the registry's."""


@dataclass
class Failure:
    """A task that failed on a host."""

    host: str
    task: str
    message: str


@dataclass
class Played:
    """How a run ended."""

    step: str
    log: Path
    status: int = 0
    seconds: float = 0.0
    hosts: dict[str, dict[str, int]] = field(default_factory=dict)
    """Ansible's own counts by host."""
    failures: list[Failure] = field(default_factory=list)

    @property
    def changed(self) -> int:
        return sum(counts.get("changed", 0) for counts in self.hosts.values())

    def summary(self) -> str:
        """One line: `prechecks: 41 s, control1 ok=43 changed=0, ...`."""
        hosts = ", ".join(f"{host} ok={c.get('ok', 0)} changed={c.get('changed', 0)}" for host, c in self.hosts.items())
        return f"{self.step}: {self.seconds:.0f} s" + (f", {hosts}" if hosts else "")

    def complaint(self) -> str:
        """What failed, on which host, and where the log is."""
        lines = [f"kolla-ansible {self.step} failed after {self.seconds:.0f} s."]
        for failure in self.failures:
            lines.append(f"  {failure.host}: {failure.task}")
            lines += [f"    {line}" for line in failure.message.splitlines()[:12]]
        if not self.failures:
            tail = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-8:]
            lines += [f"    {line}" for line in tail]
        return "\n".join([*lines, f"Log: {self.log}", "Run it again to continue where it stopped."])


@contextmanager
def inputs_on_disk(folder: Path, inputs: Inputs, environment: Environment) -> Iterator[Path]:
    """The rendered inputs in `folder`; passwords are removed at the end of the block."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with exclusive_lock(folder), _written(folder, inputs, environment):
        yield folder


@contextmanager
def _written(folder: Path, inputs: Inputs, environment: Environment) -> Iterator[None]:
    for name in ("inventory", "config"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for path, text in render.files(inputs.document, environment.sample_inventory, inputs.access).items():
        write_private(folder / path, text)
    # A socket's whole path has 108 bytes: below a checkout it may be too long.
    sockets = tempfile.mkdtemp(prefix="berth-")
    settings = {"forks": FORKS, "folder": folder, "plugins": PLUGINS, "sockets": sockets}
    write_private(folder / "ansible.cfg", ANSIBLE.format(**settings))
    secrets = folder / "passwords.yml"
    try:
        known = passwords(inputs.secret, environment.sample_passwords, inputs.given)
        write_private(secrets, yaml.safe_dump(known, sort_keys=True))
        yield
    finally:
        secrets.unlink(missing_ok=True)
        shutil.rmtree(sockets, ignore_errors=True)


def play(
    step: str,
    folder: Path,
    environment: Environment,
    log_file: Path,
    log: Callable[[str], None],
    options: Sequence[str] = (),
) -> Played:
    """Run `kolla-ansible STEP` on inputs that are on disk; `log` gets a line per task that takes its time."""
    events = log_file.with_suffix(".events.jsonl")
    events.touch(mode=0o600)
    log_file.touch(mode=0o600)
    argv = [environment.program("kolla-ansible"), step, "--configdir", str(folder)]
    argv += ["--inventory", str(folder / "inventory"), *options]
    variables = {
        **os.environ,
        "PATH": f"{environment.folder / 'bin'}:{os.environ.get('PATH', '')}",
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "BERTH_EVENTS": str(events),
    }
    # Berth's own packages are for another Python.
    variables.pop("PYTHONPATH", None)
    played, started = Played(step, log_file), time.monotonic()
    with log_file.open("ab") as output, inherited_lock(folder) as guard:
        process = subprocess.Popen(
            argv,
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            # Ansible's workers outlive it when it alone is stopped: all of them are one session, and go together.
            start_new_session=True,
            pass_fds=(guard.fileno(),),
        )
        guard.write(str(process.pid))
    try:
        _follow(process, events, played, started, log)
    except BaseException:
        _stop(process)
        raise
    played.status, played.seconds = process.returncode, time.monotonic() - started
    return played


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the whole session, in order if it does so within ten seconds."""
    for number in (signal.SIGINT, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP)


def _follow(
    process: subprocess.Popen[bytes], events: Path, played: Played, started: float, log: Callable[[str], None]
) -> None:
    task, since, shown, rest, parent = "", started, started, "", os.getppid()
    with events.open(encoding="utf-8") as lines:
        running = True
        while running:
            running = process.poll() is None
            rest += lines.read()
            *whole, rest = rest.split("\n")
            for line in filter(None, whole):
                event = json.loads(line)
                if event["event"] == "task":
                    task, since = event["task"], time.monotonic()
                _apply(event, played)
                if event["event"] == "failed" and not event["ignored"]:
                    log(f"{played.step}: {event['host']}: failed: {event['task']}")
            now = time.monotonic()
            if task and now - shown >= QUIET:
                shown = now
                log(f"{played.step}: {now - started:.0f} s: {task} ({now - since:.0f} s)")
            # PR_SET_PDEATHSIG is about the parent thread, and those of plugins come and go.
            if os.getppid() != parent:
                raise BerthError(f"kolla-ansible {played.step} was ended: its parent process is gone.")
            if running:
                time.sleep(POLL)


def _apply(event: Mapping[str, Any], played: Played) -> None:
    if event["event"] == "stats":
        played.hosts = dict(event["hosts"])
    elif event["event"] in ("failed", "unreachable") and not event.get("ignored"):
        played.failures.append(Failure(event["host"], event["task"], event["message"]))


def raise_if_failed(played: Played) -> Played:
    """The run, if it went well; otherwise an error that says what failed and where."""
    if played.status:
        raise BerthError(played.complaint())
    return played
