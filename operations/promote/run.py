"""`berth promote`: check, show and confirm first; then copy the images, and only then write the pins and the record."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from operations.context import CommandContext, check_settings
from operations.errors import BerthError
from operations.preview import build, text
from operations.promote import records
from operations.promote.plan import Options, Promotion, from_record, from_stack, open_source, store
from operations.promote.preconditions import stack_locked
from operations.pulumi.session import Session
from operations.registry import copy_images
from operations.registry.client import RegistryClient
from operations.workspace import write_private


def promote(run: CommandContext, options: Options) -> Promotion:
    """Promote to `run`'s stack."""
    check_settings(run.stack_file)
    source = None if options.source is None else open_source(run, options.source, options.passphrase_file)
    with ExitStack() as held:
        session = Session.open(run.workspace, run.stack_file)
        for one in sorted([session, *([source] if source else [])], key=lambda each: each.stack):
            held.enter_context(stack_locked(one))
        target = store(session, session.outputs(show_secrets=True), "push")
        if source:
            plan = from_stack(run, target, source, options.patterns)
        else:
            assert options.record is not None
            plan = from_record(run, target, options.record, options.passphrase_file)
        if plan.is_new:
            _execute(run, target, plan, options.dry_run)
        else:
            run.log(f"{run.stack} is up to date already: nothing to promote.")
        return plan


def _execute(run: CommandContext, target: RegistryClient, plan: Promotion, dry_run: bool) -> None:
    run.log(f"{_summary(plan)}\n{plan.diff}")
    plan.preview = _preview(run, plan)
    if dry_run:
        return
    if run.confirm and not run.yes and not run.confirm(f"Promote this to {run.stack}?"):
        raise BerthError("Nothing was promoted.")
    if plan.missing.anything:
        copy_images.copy(target, plan.origin, plan.images, plan.missing)
        copy_images.check(target, plan.images)
    _write(run, plan)


def _preview(run: CommandContext, plan: Promotion) -> dict[str, object]:
    """What `up` would do on the target with the new pins, in a file aside; printed, and returned as JSON."""
    aside = run.workspace.stack_dir(run.stack) / "pins.yaml"
    changed = replace(run, stack_file=plan.with_pins(aside))
    write_private(aside, plan.record.pins_text)
    try:
        result, _ = build.preview_with(changed, Session.open(run.workspace, changed.stack_file))
    finally:
        aside.unlink(missing_ok=True)
    run.log(text.text(result, False))
    if result.failed:
        raise BerthError(f"{run.stack} could not be deployed with these pins; nothing was changed.")
    return result.as_json()


def _write(run: CommandContext, plan: Promotion) -> None:
    """The record, then the pins; neither if one can't be written, or if somebody wrote pins meanwhile."""
    pins, record = run.stack_file.pins, run.workspace.root / records.FOLDER / plan.record.name
    now = pins.read_text(encoding="utf-8") if pins.is_file() else ""
    if now != plan.before:
        raise BerthError(f"{plan.pins_name} was changed while images were copied: nothing was pinned; promote again.")
    try:
        records.write(record, plan.record.text)
        records.write(pins, plan.record.pins_text)
    except OSError as error:
        record.unlink(missing_ok=True)
        raise BerthError(f"{plan.pins_name} can't be written ({error.strerror}): nothing was pinned.") from None
    plan.written = record
    run.log(
        f"Promoted. Commit {plan.pins_name} and {records.FOLDER}/{record.name}, "
        f"then put it in force: ./berth up --stack {run.stack}, ./berth verify --stack {run.stack}."
    )


def _summary(plan: Promotion) -> str:
    record, missing = plan.record, plan.missing
    of = f"record {record.record}" if record.record else record.pins.source.stack
    size = f"{len(missing.blobs)} blobs ({missing.bytes / 1e6:.1f} MB)" if missing.blobs else "nothing"
    lines = [f"Promoting {len(plan.images)} images of {of} to {record.to}: {size} to copy."]
    for name, digest in sorted(missing.tags.items()):
        new = _short(record.pins.repositories[name])
        lines.append(f"  {name}: {_short(digest)} -> {new}" if digest else f"  {name}: new, {new}")
    return "\n".join(lines)


def _short(digest: str) -> str:
    return digest[:19]
