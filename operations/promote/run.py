"""`berth promote`: check, show and confirm first; then copy the images, and only then write the pins and the record."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
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
from operations.preview import build, text
from operations.promote import records
from operations.promote.edit import with_pins
from operations.promote.preconditions import CheckedSource, check, stack_locked
from operations.promote.records import Record
from operations.pulumi import cli
from operations.pulumi.environment import environment
from operations.pulumi.session import Session
from operations.registry import copy_images
from operations.registry.client import RegistryClient
from operations.registry.copy_images import Image, Missing
from operations.registry.endpoint import endpoint
from operations.workspace import StackFile, write_private


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
    before: str
    after: str
    images: Sequence[Image]
    missing: Missing
    origin: copy_images.Origin
    file: Path
    preview: Mapping[str, object] = field(default_factory=dict)
    written: Path | None = None
    diff: str = field(init=False)

    def __post_init__(self) -> None:
        before, after, name = self.before.splitlines(), self.after.splitlines(), self.file.name
        self.diff = "\n".join(difflib.unified_diff(before, after, f"a/{name}", f"b/{name}", lineterm=""))

    @property
    def is_new(self) -> bool:
        """Whether the target lacks anything of it: only when it was promoted is no difference."""
        old = (config_of(self.before).get("berth:pins") or {}) if self.before else {}
        new = records.plain(self.record.pins)
        return self.missing.anything or any(old.get(key) != new.get(key) for key in ("images", "repositories"))

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


def config_of(text: str) -> dict[str, Any]:
    """The settings in a stack file's text."""
    from ruamel.yaml import YAML

    return dict((YAML(typ="safe", pure=True).load(text) or {}).get("config") or {})


def promote(run: CommandContext, options: Options) -> Promotion:
    """Promote to `run`'s stack."""
    check_settings(run.stack_file)
    source = None if options.source is None else _source(run, options)
    with ExitStack() as held:
        session = Session.open(run.workspace, run.stack_file)
        for one in sorted([session, *([source] if source else [])], key=lambda each: each.stack):
            held.enter_context(stack_locked(one))
        target = _store(session, session.outputs(show_secrets=True), "push")
        planned = _from_stack(run, target, source, options) if source else _from_record(run, target, options)
        return _execute(run, target, planned, options)


def _execute(run: CommandContext, target: RegistryClient, planned: Promotion, options: Options) -> Promotion:
    if not planned.is_new:
        run.log(f"{run.stack} is up to date already: nothing to promote.")
        return planned
    run.log(f"{_summary(planned)}\n{planned.diff}")
    with _as_it_would_be(run, planned.after) as changed:
        planned.preview = _preview(changed)
    if options.dry_run:
        return planned
    if run.confirm and not run.yes and not run.confirm(f"Promote this to {run.stack}?"):
        raise BerthError("Nothing was promoted.")
    if planned.missing.anything:
        copy_images.copy(target, planned.origin, planned.images, planned.missing)
        copy_images.check(target, planned.images)
    _write(run, planned)
    run.log(_closing_words(run, planned))
    return planned


def _preview(changed: CommandContext) -> dict[str, object]:
    """What `up` would do on the target; printed, and returned as JSON."""
    session = Session.open(changed.workspace, changed.stack_file)
    result, _ = build.preview_with(changed, session)
    changed.log(text.text(result, False))
    if result.failed:
        raise BerthError(f"{changed.stack} could not be deployed with these pins; nothing was changed.")
    return result.as_json()


def _source(run: CommandContext, options: Options) -> Session:
    """The source stack, its settings validated."""
    assert options.source is not None
    if options.source == run.stack:
        raise UsageError(f"{run.stack} can't be promoted to itself: name two stacks (--from staging --to prod).")
    stack_file = StackFile.read(run.workspace, options.source)
    check_settings(stack_file)
    base = dict(os.environ)
    if options.passphrase_file is not None:
        base.pop("PULUMI_CONFIG_PASSPHRASE", None)
        base["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(options.passphrase_file)
    chosen = cli.choose()
    return Session(run.workspace, stack_file, chosen, environment(run.workspace, stack_file, chosen, base))


def _store(session: Session, outputs: Mapping[str, Any], right: str) -> RegistryClient:
    store = _store_if_any(session, outputs, right)
    if store is None:
        raise BerthError(f"{session.stack} has no user who may {right}: add one to berth:registry.users.")
    return store


def _store_if_any(session: Session, outputs: Mapping[str, Any], right: str) -> RegistryClient | None:
    end = endpoint(session.workspace, session.stack, outputs, show_secrets=True)
    user = end.users.get(right)
    return RegistryClient(session.stack, end.registry, str(outputs["registry_ca"]), user) if user else None


def _from_stack(run: CommandContext, target: RegistryClient, source: Session, options: Options) -> Promotion:
    checked = check(source)
    store = _store(source, checked.outputs, "pull")
    chosen = copy_images.names(store, _store_if_any(source, checked.outputs, "admin"), options.patterns)
    found = copy_images.each(lambda name: _present(store, name), chosen)
    kept = _others(run.stack_file, chosen) if options.patterns else {}
    pins = _pins(source.stack, checked, {**kept, **{image.name: image.digest for image in found}})
    record = Record(
        time=pins.source.time,
        who=verified.author(run.workspace.root),
        to=run.stack,
        versions=dict(checked.versions),
        pins=pins,
    )
    return _planned(run, target, record, found, lambda: store)


def _others(stack_file: StackFile, chosen: Sequence[str]) -> dict[str, str]:
    """What was promoted before and is not among the chosen images: it stays pinned."""
    pins = stackfile.parse(stack_file.stack, stack_file.document).pins
    return {name: digest for name, digest in (pins.repositories if pins else {}).items() if name not in chosen}


def _pins(stack: str, checked: CheckedSource, repositories: Mapping[str, str]) -> PinSettings:
    source = {"stack": stack, "time": verified.now(), "commit": checked.verified.commit}
    return PinSettings.model_validate(
        {
            "from": {key: value for key, value in source.items() if value},
            "images": dict(checked.outputs.get("images") or {}),
            "repositories": dict(repositories),
        }
    )


def _present(store: RegistryClient, name: str, digest: str | None = None) -> Image:
    found = copy_images.read(store, name, digest)
    if found is None:
        raise BerthError(copy_images.lost(store.stack, digest or "the tag", name))
    return found


def _from_record(run: CommandContext, target: RegistryClient, options: Options) -> Promotion:
    assert options.record is not None
    older = records.read(run.workspace.root, options.record)
    if older.to != run.stack:
        raise UsageError(f"{options.record} is of a promotion to {older.to}: {run.stack} never had what it says.")

    @cache
    def origin() -> RegistryClient:
        return _origin(run, older, options)

    def image(item: tuple[str, str]) -> Image:
        return copy_images.read(target, *item) or _present(origin(), *item)

    found = copy_images.each(image, older.pins.repositories.items())
    who, again = verified.author(run.workspace.root), older.name
    record = older.model_copy(update={"time": verified.now(), "who": who, "record": again})
    return _planned(run, target, record, found, origin)


def _origin(run: CommandContext, older: Record, options: Options) -> RegistryClient:
    """The stack that a record came from, needed only where the target has lost something of it."""
    stack = older.pins.source.stack
    try:
        session = _source(run, replace(options, source=stack))
        return _store(session, session.outputs(show_secrets=True), "pull")
    except BerthError as error:
        raise BerthError(
            f"{run.stack}'s registry has lost images of {older.name}, and {stack} can't give them: {error}"
        ) from None


def _planned(
    run: CommandContext, target: RegistryClient, record: Record, found: Sequence[Image], origin: copy_images.Origin
) -> Promotion:
    _seed_has(run, record.pins)
    path = run.stack_file.path
    before = path.read_bytes().decode("utf-8")
    after = with_pins(path.name, before, records.plain(record.pins))
    check_settings(replace(run.stack_file, document={**run.stack_file.document, "config": config_of(after)}))
    return Promotion(record, before, after, found, copy_images.find_missing(target, found), origin, path)


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


@contextmanager
def _as_it_would_be(run: CommandContext, text: str) -> Iterator[CommandContext]:
    """The target with the settings that it would get, in a file aside."""
    aside = run.workspace.stack_dir(run.stack) / "promote.yaml"
    write_private(aside, text)
    try:
        yield replace(
            run, stack_file=StackFile(run.stack, aside, {**run.stack_file.document, "config": config_of(text)})
        )
    finally:
        aside.unlink(missing_ok=True)


def _write(run: CommandContext, planned: Promotion) -> None:
    """The record and the stack file, which is replaced whole or not at all, unless somebody wrote it meanwhile."""
    if planned.file.read_bytes() != planned.before.encode():
        raise BerthError(
            f"{planned.file.name} was changed while images were copied: nothing was pinned; promote again."
        )
    written = records.write(run.workspace.root, planned.record)
    target = planned.file.resolve()
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        temporary.write_bytes(planned.after.encode())
        temporary.chmod(target.stat().st_mode & 0o777)
        temporary.replace(target)
    except OSError as error:
        for path in (temporary, written):
            path.unlink(missing_ok=True)
        raise BerthError(f"{planned.file.name} can't be written ({error.strerror}): nothing was pinned.") from None
    planned.written = written


def _summary(planned: Promotion) -> str:
    record, missing = planned.record, planned.missing
    of = f"record {record.record}" if record.record else record.pins.source.stack
    lines = [f"Promoting {len(planned.images)} images of {of} to {record.to}: {_size(missing)} to copy."]
    for name, digest in sorted(missing.tags.items()):
        new = record.pins.repositories[name]
        lines.append(f"  {name}: {_short(digest)} -> {_short(new)}" if digest else f"  {name}: new, {_short(new)}")
    return "\n".join(lines)


def _size(missing: Missing) -> str:
    return f"{len(missing.blobs)} blobs ({missing.bytes / 1e6:.1f} MB)" if missing.blobs else "nothing"


def _short(digest: str) -> str:
    return digest[:19]


def _closing_words(run: CommandContext, planned: Promotion) -> str:
    assert planned.written is not None
    kept = planned.written.relative_to(run.workspace.root)
    return (
        f"Promoted. Commit {planned.file.name} and {kept}, "
        f"then put it in force: ./berth up --stack {run.stack}, ./berth verify --stack {run.stack}."
    )
