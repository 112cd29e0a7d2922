"""A stack's CLI: called for an answer, or with its own text passed through."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from operations.errors import BerthError
from operations.pulumi import backend
from operations.pulumi.cli import Cli, choose
from operations.pulumi.environment import environment, secrets_provider
from operations.pulumi.events import COLOR, without_trace
from operations.pulumi.locks import LOCKED, StateLock, StateLocked, locks, named_in
from operations.workspace import StackFile, Workspace, write_private

WRONG_PASSPHRASE = "incorrect passphrase"
DAMAGED_STATE = "failed to load checkpoint"
KNOWN_STACK = "already exists"
NO_TAG = ("not found for stack", "no stack named")
LONGEST_TAG = 256
"""Characters of a tag's value, as Pulumi Cloud limits it; other backends have no limit."""
UNSAVED = ("failed to save snapshot", "there was a problem deleting the lock")
"""The CLI's messages when a backend fails during a change: the state, or its lock, is behind what was done."""
BACKEND_FAILED = re.compile(r'(?:blob \(key "[^"]*"\) \(code=\w+\)|unable to open [^"\n]*"[^"]*"): ([^\n]*)')
NETWORK_ERROR = re.compile(r"(?:dial|read|write) tcp [^\n]*|lookup [^\n]*")
ERROR_LINE = re.compile(r"^\s*error: ?", re.IGNORECASE)


@dataclass(frozen=True)
class Session:
    """The CLI with everything that a call of it needs for one stack."""

    workspace: Workspace
    stack_file: StackFile
    cli: Cli
    environment: Mapping[str, str]

    @classmethod
    def open(cls, workspace: Workspace, stack_file: StackFile, chosen: Cli | None = None) -> Session:
        """With the CLI that `choose` finds, unless one was chosen already."""
        backend.check(workspace)
        chosen = chosen or choose()
        return cls(workspace, stack_file, chosen, environment(workspace, stack_file, chosen))

    @property
    def stack(self) -> str:
        return self.stack_file.stack

    def argv(self, words: Sequence[str]) -> list[str]:
        """The command line; the stack is named on each, as none is ever selected."""
        aside = words[0] in ("preview", "config") and self.stack_file.path != self.workspace.stack_file(self.stack)
        settings = ["--config-file", str(self.stack_file.path)] if aside else []
        return [str(self.cli.program), *words, *settings, "--stack", self.stack]

    def ask(self, *words: str) -> str:
        """Standard output of a call that changes little or nothing; raises with the CLI's message if it fails."""
        return self._output(self.argv(words))

    def _output(self, argv: Sequence[str]) -> str:
        result = subprocess.run(
            argv,
            cwd=self.workspace.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if result.returncode:
            raise self.refusal(f"{result.stderr}\n{result.stdout}")
        return result.stdout

    def ask_json(self, *words: str) -> Any:
        """The JSON that a call prints; raises BerthError where it is none."""
        return self._parsed(words, self.ask(*words))

    def _parsed(self, words: Sequence[str], text: str) -> Any:
        try:
            return json.loads(text)
        except ValueError:
            raise BerthError(
                f"`pulumi {' '.join(words[:2])}` printed no JSON ({text.strip()[:50]!r}): {self.cli.program} is broken "
                "or not Pulumi's CLI. Install it anew, or take it off PATH."
            ) from None

    def refusal(self, text: str) -> BerthError:
        """The CLI's error as one sentence where the reason is known."""
        return self.known_refusal(text) or BerthError(explain(text))

    def known_refusal(self, text: str) -> BerthError | None:
        """The sentence for a reason that has nothing to do with the program; None for any other."""
        output = explain(text)
        if LOCKED in output:
            return StateLocked(self.stack, named_in(output))
        if WRONG_PASSPHRASE in output:
            return BerthError(
                f"The passphrase is not the one of stack {self.stack}: "
                "see PULUMI_CONFIG_PASSPHRASE_FILE or PULUMI_CONFIG_PASSPHRASE."
            )
        if DAMAGED_STATE in output and self.workspace.has_file_backend:
            return BerthError(backend.damaged(self.workspace.checkpoint(self.stack), output.rpartition(": ")[2]))
        if failed := BACKEND_FAILED.search(output):
            return BerthError(self._backend_failed(output, failed[1]))
        return None

    def _backend_failed(self, output: str, answer: str) -> str:
        network = NETWORK_ERROR.search(answer)
        backend = f"the state backend {self.workspace.backend_name} fails ({network[0] if network else answer})"
        if any(words in output for words in UNSAVED):
            return (
                f"The state of {self.stack} could not be saved: {backend}. Completed changes stay; repair the "
                f"backend, then ./berth up --stack {self.stack} continues from there."
            )
        remedy = "repair it, or check PULUMI_BACKEND_URL and the backend's credentials"
        return f"T{backend[1:]}: {remedy}. Nothing was changed."

    def locks(self) -> list[StateLock]:
        """Who holds the state of a stack that is deployed.

        Backends other than files name a lock only to a change that tries to take it.
        """
        if self.workspace.has_file_backend:
            return locks(self.workspace.locks(self.stack))
        try:
            self._init()
        except StateLocked as refused:
            return refused.locks
        return []

    @property
    def is_deployed(self) -> bool:
        """Whether the backend knows the stack."""
        if self.workspace.has_file_backend:
            return backend.in_files(self.workspace, self.stack)
        words = ("stack", "ls", "--json")
        listed = self._parsed(words, self._output([str(self.cli.program), *words]) or "[]")
        return any(str(entry["name"]).rpartition("/")[2] == self.stack for entry in listed)

    def outputs(self, show_secrets: bool = False) -> dict[str, Any]:
        """The stack's outputs, or an error that names how to get some."""
        if not self.is_deployed:
            raise backend.not_deployed(self.workspace, self.stack)
        outputs = self.ask_json("stack", "output", "--json", *(["--show-secrets"] if show_secrets else []))
        if not outputs:
            raise BerthError(f"Stack {self.stack} has no outputs yet: finish it with ./berth up --stack {self.stack}.")
        return dict(outputs)

    def export(self, show_secrets: bool = False) -> dict[str, Any]:
        """The state, as `stack export` gives it."""
        return dict(self.ask_json("stack", "export", *(["--show-secrets"] if show_secrets else [])))

    def import_state(self, document: Mapping[str, Any]) -> None:
        """Replace the state by another one, as `stack export` gives it; the CLI forgets pending operations."""
        path = self.workspace.stack_dir(self.stack) / "import.json"
        write_private(path, json.dumps(document))
        try:
            self.ask("stack", "import", "--file", str(path))
        finally:
            path.unlink(missing_ok=True)

    def tag(self, name: str) -> str | None:
        """A tag of the stack, which its backend keeps beside the state; None where it, or the stack, does not exist."""
        try:
            return self.ask("stack", "tag", "get", name).removesuffix("\n")
        except BerthError as error:
            if any(words in str(error) for words in NO_TAG):
                return None
            raise

    def set_tag(self, name: str, value: str) -> None:
        """Set a tag: a name of 40 characters at most, a value of `LONGEST_TAG` where a service keeps it."""
        self.ask("stack", "tag", "set", name, value)

    def ensure_stack(self) -> None:
        """Make the stack, and the folder of a file backend, where they are missing."""
        if self.workspace.has_file_backend:
            self.workspace.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not self.is_deployed:
            self._init()

    def _init(self) -> None:
        provider = secrets_provider(self.workspace, self.stack_file)
        try:
            self.ask("stack", "init", "--no-select", "--secrets-provider", provider)
        except BerthError as error:
            if KNOWN_STACK not in str(error):
                raise

    def forget_stack(self) -> None:
        """Remove the stack from its backend with all that the backend keeps of it; its settings stay."""
        if self.workspace.has_file_backend:
            self.workspace.forget_stack(self.stack)
        elif self.is_deployed:
            self.ask("stack", "rm", "--yes", "--force", "--preserve-config")


def explain(text: str) -> str:
    """A complaint of the CLI without usage text, colour or stack trace."""
    clean = COLOR.sub("", without_trace(text)).strip()
    lines = [line for line in clean.splitlines() if line.strip()]
    for index, line in enumerate(lines):
        if ERROR_LINE.match(line):
            kept = [other for other in lines[index:] if not other.startswith("Usage:")]
            return ERROR_LINE.sub("", "\n".join(kept), count=1)
    return "\n".join(lines[-15:]) or "Pulumi ended without output"


def passthrough(session: Session, words: Sequence[str], asks: bool = False) -> int:
    """Run a command whose own text is the answer (and whose prompts go to the user with `asks`); its exit code."""
    result = subprocess.run(
        session.argv(words),
        cwd=session.workspace.root,
        env=dict(session.environment),
        stdin=None if asks else subprocess.DEVNULL,
        check=False,
    )
    return result.returncode
