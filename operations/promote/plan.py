"""What a promotion would do: the images of another stack, or of an older record, beside what the target has."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import images as recipes
from config import stackfile
from config.model.images import PinSettings
from operations.context import CommandContext, check_settings
from operations.errors import BerthError, UsageError
from operations.inspect import verified
from operations.promote import records
from operations.promote.preconditions import CheckedSource, check
from operations.promote.records import Record
from operations.pulumi import cli
from operations.pulumi.environment import environment
from operations.pulumi.session import Session
from operations.registry import copy_images
from operations.registry.client import RegistryClient
from operations.registry.copy_images import Image, Missing
from operations.registry.endpoint import endpoint
from operations.workspace import StackFile


@dataclass(frozen=True)
class Options:
    """The command's options."""

    source: str | None = None
    """Promote what this stack has verified..."""
    record: Path | None = None
    """...or, again, what this record holds."""
    patterns: Sequence[str] = ()
    """Only images of the source that match one of these; all, where there are none."""
    dry_run: bool = False
    passphrase_file: Path | None = None
    """The source's passphrase, where it is not the target's."""


@dataclass
class Promotion:
    """What is promoted, and how far it came."""

    record: Record
    stack_file: StackFile
    """The target's, with its pins of until now."""
    before: str
    """The file of these pins; empty where there is none."""
    images: Sequence[Image]
    missing: Missing
    origin: copy_images.Origin
    preview: Mapping[str, object] = field(default_factory=dict)
    written: Path | None = None

    @property
    def pins_name(self) -> str:
        """Of the file that is to be committed."""
        return f"{self.stack_file.pins.parent.name}/{self.stack_file.pins.name}"

    @property
    def diff(self) -> str:
        before, after = self.before.splitlines(), self.record.pins_text.splitlines()
        return "\n".join(difflib.unified_diff(before, after, f"a/{self.pins_name}", f"b/{self.pins_name}", lineterm=""))

    @property
    def is_new(self) -> bool:
        """Whether the target lacks anything of it: only when it was promoted is no difference."""
        old = self.stack_file.settings.get("pins") or {}
        new = records.plain(self.record.pins)
        return self.missing.anything or any(old.get(key) != new.get(key) for key in ("images", "repositories"))

    def with_pins(self, pins: Path) -> StackFile:
        """The target's settings as they would be, the new pins being in another file."""
        config = {**self.stack_file.document["config"], stackfile.PINS: records.plain(self.record.pins)}
        return replace(self.stack_file, document={**self.stack_file.document, "config": config}, other_pins=pins)

    def as_json(self) -> dict[str, Any]:
        return {
            "from": self.record.pins.source.stack,
            "to": self.record.to,
            "pins": records.plain(self.record.pins),
            "images": len(self.images),
            "blobs_to_move": len(self.missing.blobs),
            "bytes_to_move": self.missing.bytes,
            "tags_to_set": self.missing.tags,
            "diff": self.diff,
            "preview": dict(self.preview),
            "record": str(self.written) if self.written else None,
        }


def open_source(run: CommandContext, stack: str, passphrase_file: Path | None) -> Session:
    """The source stack, its settings validated."""
    if stack == run.stack:
        raise UsageError(f"{run.stack} can't be promoted to itself: name two stacks (--from staging --to prod).")
    stack_file = StackFile.read(run.workspace, stack)
    check_settings(stack_file)
    base = dict(os.environ)
    if passphrase_file is not None:
        base.pop("PULUMI_CONFIG_PASSPHRASE", None)
        base["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(passphrase_file)
    chosen = cli.choose()
    return Session(run.workspace, stack_file, chosen, environment(run.workspace, stack_file, chosen, base))


def store(session: Session, outputs: Mapping[str, Any], right: str) -> RegistryClient:
    """A stack's registry, and a user of it who has the right."""
    found = _store_if_any(session, outputs, right)
    if found is None:
        raise BerthError(f"{session.stack} has no user who may {right}: add one to berth:registry.users.")
    return found


def _store_if_any(session: Session, outputs: Mapping[str, Any], right: str) -> RegistryClient | None:
    end = endpoint(session.workspace, session.stack, outputs, show_secrets=True)
    user = end.users.get(right)
    return RegistryClient(session.stack, end.registry, str(outputs["registry_ca"]), user) if user else None


def from_stack(run: CommandContext, target: RegistryClient, source: Session, patterns: Sequence[str]) -> Promotion:
    """The plan for what the source stack has verified."""
    checked = check(source)
    origin = store(source, checked.outputs, "pull")
    chosen = copy_images.names(origin, _store_if_any(source, checked.outputs, "admin"), patterns)
    found = copy_images.each(lambda name: _present(origin, name), chosen)
    before = run.stack_file.settings.get("pins") or {}
    # What was promoted before and is not among the chosen images stays pinned.
    kept = {name: digest for name, digest in before.get("repositories", {}).items() if patterns and name not in chosen}
    pins = _pins(source.stack, checked, {**kept, **{image.name: image.digest for image in found}})
    record = Record(
        time=pins.source.time,
        who=verified.author(run.workspace.root),
        to=run.stack,
        versions=dict(checked.versions),
        pins=pins,
    )
    return _planned(run, target, record, found, lambda: origin)


def _pins(stack: str, checked: CheckedSource, repositories: Mapping[str, str]) -> PinSettings:
    source = {"stack": stack, "time": verified.now(), "commit": checked.verified.commit}
    return PinSettings.model_validate(
        {
            "from": {key: value for key, value in source.items() if value},
            "images": dict(checked.outputs.get("images") or {}),
            "repositories": dict(repositories),
        }
    )


def _present(origin: RegistryClient, name: str, digest: str | None = None) -> Image:
    found = copy_images.read(origin, name, digest)
    if found is None:
        raise BerthError(copy_images.lost(origin.stack, digest or "the tag", name))
    return found


def from_record(run: CommandContext, target: RegistryClient, path: Path, passphrase_file: Path | None) -> Promotion:
    """The plan for what was promoted to this target before."""
    older = records.read(run.workspace.root, path)
    if older.to != run.stack:
        raise UsageError(f"{path} is of a promotion to {older.to}: {run.stack} never had what it says.")

    @cache
    def origin() -> RegistryClient:
        """Needed only where the target has lost something of it."""
        stack = older.pins.source.stack
        try:
            session = open_source(run, stack, passphrase_file)
            return store(session, session.outputs(show_secrets=True), "pull")
        except BerthError as error:
            lost = f"{run.stack}'s registry has lost images of {older.name}, and {stack} can't give them"
            raise BerthError(f"{lost}: {error}") from None

    found = copy_images.each(
        lambda item: copy_images.read(target, *item) or _present(origin(), *item), older.pins.repositories.items()
    )
    who = verified.author(run.workspace.root)
    record = older.model_copy(update={"time": verified.now(), "who": who, "record": older.name})
    return _planned(run, target, record, found, origin)


def _planned(
    run: CommandContext, target: RegistryClient, record: Record, found: Sequence[Image], origin: copy_images.Origin
) -> Promotion:
    _seed_has(run, record.pins)
    pins = run.stack_file.pins
    before = pins.read_text(encoding="utf-8") if pins.is_file() else ""
    plan = Promotion(record, run.stack_file, before, found, copy_images.find_missing(target, found), origin)
    check_settings(plan.with_pins(pins))
    return plan


def _seed_has(run: CommandContext, pins: PinSettings) -> None:
    """The target's nodes take these from this machine, be they built last or long ago."""
    pinned = pins.images.model_dump(by_alias=True, exclude_none=True)
    lost = [
        f"{name} {digest}"
        for name, digest in pinned.items()
        if "@" not in digest and not recipes.stored(run.workspace.home / "seed", name, digest)
    ]
    if lost:
        commit = pins.source.commit.partition("-")[0][:12]
        build = f"check out {commit} and run ./berth up there once" if commit else "build them here again"
        raise BerthError(
            f"The seed registry's storage on this machine has lost {', '.join(lost)}: {build}, then promote again."
        )
