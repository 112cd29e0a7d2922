"""`berth etcd`: back up the cluster, and restore a backup."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from components.etcd import render as etcd
from operations import ssh
from operations.context import CommandContext
from operations.errors import BerthError, UsageError
from operations.inspect import collect
from operations.locks import StackLock
from operations.pulumi.session import Session

MEMBER_URN = "berth:etcd:Etcd$command:remote:Command::etcd-"
SECONDS = 300


@dataclass(frozen=True)
class Member:
    """One member of a stack's etcd, and how to run commands on its node."""

    name: str
    prefix: Sequence[str]
    """Command line that runs its last argument there as root."""
    lines: str
    """The scripts' standard input about the cluster, from the state."""

    def run(self, script: str, *arguments: str, snapshot: bytes | None = None) -> bytes:
        """Output of one of the stage's scripts, run there as root; a snapshot goes along on standard input."""
        argv = [*self.prefix, shlex.join(["sh", "-c", etcd.TEXTS[script], "berth", *arguments])]
        stdin = self.lines.encode() + (b"" if snapshot is None else b"snapshot\n" + snapshot)
        try:
            done = subprocess.run(argv, input=stdin, capture_output=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise BerthError(f"{self.name} did not answer within {SECONDS} s.") from None
        if done.returncode:
            reason = done.stderr.decode(errors="replace").strip().splitlines()
            raise BerthError(f"{self.name}: {reason[-1].removeprefix('berth: ') if reason else 'no reason given'}.")
        return done.stdout


def members(session: Session) -> list[Member]:
    """Every member, in the settings' order."""
    desired = collect.desired(session)
    hosts = ssh.hosts(session.workspace, desired.outputs)
    lines = {
        str(resource["urn"]).rpartition("::etcd-")[2]: str(resource["inputs"]["stdin"])
        for resource in desired.resources
        if MEMBER_URN in str(resource.get("urn"))
    }
    # Each of these writes the file with the nodes' keys: one after the other, before members are queried.
    found = [
        Member(host.name, ssh.root_prefix(session.workspace, session.stack, hosts, host), lines[host.name])
        for host in hosts
        if host.name in lines
    ]
    if not found:
        raise UsageError(f"{session.stack} has no etcd: give three nodes the role etcd, and run up.")
    return found


def backup(session: Session, file: Path) -> str:
    """Write a snapshot to a file that only its owner reads; the name of the member that made it."""
    if file.exists():
        raise UsageError(f"{file} exists already: name a new file.")
    if not file.absolute().parent.is_dir():
        raise UsageError(f"There is no directory {file.absolute().parent}.")
    problems = []
    for member in members(session):
        try:
            snapshot = member.run("snapshot")
        except BerthError as problem:
            problems.append(str(problem))
            continue
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(snapshot)
        return member.name
    raise BerthError("No member could make a snapshot.\n" + "\n".join(problems))


def restore(run: CommandContext, file: Path, typed: Callable[[str], str] | None) -> None:
    """Replace the cluster's content by a snapshot; `typed` prompts for the stack's name."""
    if not file.is_file():
        raise UsageError(f"There is no file {file}.")
    if not run.yes:
        question = f"All of etcd's content on {run.stack} is replaced by that of {file.name}. Type the stack's name"
        if typed is None:
            raise UsageError("A restore replaces all of etcd's content: without a terminal to confirm at, add --yes.")
        if typed(question) != run.stack:
            raise BerthError("Nothing was changed.")
    with StackLock(run.workspace.stack_dir(run.stack), run.stack, "etcd restore", run.log):
        every = members(run.session())
        # Another token than any before: a member that comes back with older data is not taken for one of these.
        token = f"berth-{run.stack}-{int(time.time())}"
        try:
            snapshot = file.read_bytes()
            _on_all(every, lambda member: member.run("restore", "unpack", token, snapshot=snapshot))
            _on_all(every, lambda member: member.run("restore", "swap", token))
            _on_all(every, lambda member: member.run("restore", "start"))
        except (BerthError, KeyboardInterrupt) as problem:
            for member in every:
                with suppress(BerthError):
                    member.run("restore", "back", token)
            if isinstance(problem, KeyboardInterrupt):
                raise
            raise BerthError(f"{problem}\netcd's content is as before.") from None


def _on_all(every: Sequence[Member], act: Callable[[Member], object]) -> None:
    """On all members at once; the first problem when all have ended."""
    with ThreadPoolExecutor(len(every)) as pool:
        for done in [pool.submit(act, member) for member in every]:
            done.result()
