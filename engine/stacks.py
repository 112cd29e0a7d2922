"""Commands on stacks and their configuration, without running the program."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from engine import ledger as ledgers
from engine import stackfile, values
from engine.backend import Backend
from engine.checkpoint import Checkpoint, prepare, write
from engine.crypto import Crypter, new_salt, passphrase_from_environment
from engine.errors import EngineError
from engine.lock import holders
from engine.run import stack_crypter, stack_outputs
from engine.stackfile import Project, StackFile


class Stacks:
    """The stacks of one project in one backend."""

    def __init__(self, directory: Path, config_file: Path | None) -> None:
        self.project = Project.find(directory)
        self._config_file = config_file

    @property
    def backend(self) -> Backend:
        """The backend of the environment; configuration alone needs none."""
        return Backend.from_environment(self.project.name)

    def file(self, stack: str) -> StackFile:
        """The stack's settings."""
        return StackFile.load(self.project, self._config_file or self.project.stack_file(stack))

    def init(self, stack: str) -> None:
        """Create a stack; a settings file that has a salt already is left as it is."""
        file = self.file(stack)
        if self.backend.exists(stack):
            raise EngineError(f"stack '{stack}' already exists")
        salt = file.salt
        if salt is None:
            salt = new_salt(passphrase_from_environment())
            self._write_salt(file, salt)
        else:
            Crypter(salt).check()
        self.backend.create(stack, salt)
        print(f"Created stack '{stack}'")

    def list(self, as_json: bool) -> None:
        """Print all stacks."""
        rows = []
        for stack in self.backend.stacks():
            checkpoint, _ = self.backend.load(stack)
            rows.append({"name": stack, "lastUpdate": checkpoint.time, "resourceCount": len(checkpoint.resources)})
        if as_json:
            print(json.dumps(rows, indent=2))
            return
        print(f"{'NAME':<20} {'LAST UPDATE':<30} RESOURCE COUNT")
        for row in rows:
            print(f"{row['name']:<20} {row['lastUpdate']:<30} {row['resourceCount']}")

    def remove(self, stack: str, force: bool) -> None:
        """Forget a stack; its settings file stays."""
        checkpoint, _, remains = ledgers.recover(self.backend, stack, persist=False)
        if (checkpoint.resources or remains) and not force:
            raise EngineError(f"'{stack}' still has resources; removal rejected. Use `destroy` first, or --force")
        self._refuse_locked(stack)
        self.backend.remove(stack)
        print(f"Stack '{stack}' has been removed!")

    def export(self, stack: str, show_secrets: bool, target: Path | None) -> None:
        """Print the deployment in the CLI's form."""
        checkpoint, _, _ = ledgers.recover(self.backend, stack, persist=False)
        latest = checkpoint.latest()
        if show_secrets:
            crypter = stack_crypter(self.file(stack), checkpoint)
            latest["resources"] = [_opened(raw, crypter) for raw in checkpoint.resources]
        text = json.dumps({"version": 3, "deployment": latest}, indent=4, ensure_ascii=False)
        if target:
            target.write_text(f"{text}\n", encoding="utf-8")
        else:
            print(text)

    def load(self, stack: str, source: Path | None) -> None:
        """Put an exported deployment in the place of the state; its secrets stay encrypted as they are."""
        text = source.read_text(encoding="utf-8") if source else sys.stdin.read()
        self._refuse_locked(stack)
        checkpoint, _, _ = ledgers.recover(self.backend, stack, persist=True)
        try:
            deployment = json.loads(text)["deployment"]
            salt = deployment.get("secrets_providers", {}).get("state", {}).get("salt", checkpoint.salt)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise EngineError("what is to be imported is no exported deployment") from None
        if salt != checkpoint.salt:
            raise EngineError("the deployment's secrets are encrypted with another salt than the stack's")
        checkpoint.resources = deployment.get("resources") or []
        write(self.backend.state_file(stack), prepare(checkpoint))
        print("Import complete.")

    def output(self, stack: str, name: str | None, as_json: bool, show_secrets: bool) -> None:
        """Print the stack's outputs, or one of them."""

        def crypter(checkpoint: Checkpoint) -> Crypter:
            return stack_crypter(self.file(stack), checkpoint)

        outputs = stack_outputs(self.backend, stack, crypter)
        shown: dict[str, Any] = (values.plain if show_secrets else values.redact)(outputs)
        if name is not None:
            if name not in shown:
                raise EngineError(f"current stack does not have output property '{name}'")
            print(json.dumps(shown[name], indent=2) if as_json else stackfile.as_text(shown[name]))
        elif as_json:
            print(json.dumps(shown, indent=2, ensure_ascii=False, sort_keys=True))
        else:
            print(f"Current stack outputs ({len(shown)}):")
            for key in sorted(shown):
                print(f"    {key:<20} {stackfile.as_text(shown[key])}")

    def cancel(self, stack: str) -> None:
        """Remove every lock; what an interrupted run finished is folded in first."""
        journal = self.backend.journal_file(stack)
        try:
            _, _, remains = ledgers.recover(self.backend, stack, persist=True)
            for operation, urn in remains.pending if remains else ():
                print(f"warning: {urn}: {operation} was interrupted before its outcome was known", file=sys.stderr)
        except EngineError:
            if not journal.exists():
                raise
            journal.replace(journal.with_suffix(".journal.orphaned"))
            print(
                f"warning: the journal does not belong to the state; set aside as {journal}.orphaned", file=sys.stderr
            )
        for holder in holders(self.backend.lock_directory(stack)):
            holder.path.unlink(missing_ok=True)
        print(f"The currently running update for '{stack}' has been canceled!")

    def config_list(self, stack: str, as_json: bool, show_secrets: bool) -> None:
        """Print all values, those with a secret in them hidden as a whole unless asked for."""
        file = self.file(stack)
        texts, secret = file.decrypted(Crypter(file.salt).decrypt if show_secrets else lambda _: "[secret]")
        if as_json:
            shown = {key: {"value": text, "secret": key in secret} for key, text in sorted(texts.items())}
            hidden = {key: {"secret": True} for key in secret if not show_secrets}
            print(json.dumps({**shown, **hidden}, indent=2, ensure_ascii=False))
            return
        print(f"{'KEY':<30} VALUE")
        for key, text in sorted(texts.items()):
            print(f"{key.removeprefix(f'{self.project.name}:'):<30} {text}")

    def config_get(self, stack: str, name: str, is_path: bool) -> None:
        """Print one decrypted value."""
        file = self.file(stack)
        key, path = stackfile.split_path(self.project, name) if is_path else (self.project.key(name), ())
        value = stackfile.lookup(file.values, key, path, Crypter(file.salt).decrypt)
        if value is None:
            raise EngineError(f"configuration key '{name}' not found for stack '{stack}'")
        print(value)

    def config_set(self, stack: str, name: str, value: str, is_path: bool, secret: bool) -> None:
        """Write one value into the settings file."""
        file = self.file(stack)
        key, path = stackfile.split_path(self.project, name) if is_path else (self.project.key(name), ())
        written: Any = _typed(value) if path else value
        salt = None
        if secret:
            salt = None if file.salt else self._state_salt(stack)
            written = {"secure": Crypter(file.salt or salt).encrypt(value)}
        stackfile.edit(file, key, path, written, salt)

    def config_remove(self, stack: str, name: str, is_path: bool) -> None:
        """Remove one value from the settings file."""
        key, path = stackfile.split_path(self.project, name) if is_path else (self.project.key(name), ())
        stackfile.edit(self.file(stack), key, path, None)

    def _state_salt(self, stack: str) -> str:
        """The salt for a settings file without one: the stack's own if there is a stack."""
        known = self.backend.load(stack)[0].salt if self.backend.exists(stack) else ""
        return known or new_salt(passphrase_from_environment())

    def _write_salt(self, file: StackFile, salt: str) -> None:
        old = file.path.read_text(encoding="utf-8") if file.path.exists() else ""
        file.path.write_text(f"encryptionsalt: {salt}\n{old}", encoding="utf-8")

    def _refuse_locked(self, stack: str) -> None:
        for holder in holders(self.backend.lock_directory(stack)):
            if not holder.surely_dead():
                raise EngineError(f"the stack is currently locked by {holder}")


def _typed(value: str) -> Any:
    """Inside an object the CLI reads numbers and booleans as such."""
    if value in ("true", "false"):
        return value == "true"
    if value.lstrip("-").isdigit() and str(int(value)) == value:
        return int(value)
    return value


def _opened(raw: dict[str, Any], crypter: Crypter) -> dict[str, Any]:
    """An entry with its secrets in plain text, in the CLI's form."""

    def opened(value: Any) -> Any:
        if isinstance(value, dict):
            if value.get(values.SIGNATURE) == values.SECRET:
                return {values.SIGNATURE: values.SECRET, "plaintext": crypter.decrypt(value["ciphertext"])}
            return {key: opened(item) for key, item in value.items()}
        return [opened(item) for item in value] if isinstance(value, list) else value

    return {key: opened(value) for key, value in raw.items()}
