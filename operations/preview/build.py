"""`berth preview`: validates the settings, runs the CLI's preview, builds a report."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from config import stackfile
from operations.context import CommandContext, check_settings
from operations.host.seed import read_lock
from operations.kolla.images.published import follow_other_hosts
from operations.preview import rebuilt
from operations.preview.plan import Planned, plan
from operations.preview.report import Report, report
from operations.pulumi import backend
from operations.pulumi.session import Session


def preview(run: CommandContext) -> tuple[Report, dict[str, Any]]:
    """What `up` would do, and the CLI's own document with what Berth adds."""
    check_settings(run.stack_file)
    session = run.session()
    with _temporary_stack(run, session):
        follow_other_hosts(run, session)
        return preview_with(run, session)


def preview_with(run: CommandContext, session: Session, incomplete: str = "") -> tuple[Report, dict[str, Any]]:
    """The same, of settings that were validated, with a session that is open already."""
    planned: Planned = plan(session)
    settings = stackfile.parse(run.stack, run.stack_file.document)
    anew = rebuilt.notices(planned.outputs, settings, read_lock(run.workspace.home))
    result = report(run.stack, planned, settings, incomplete, anew)
    return result, result.redact.all({**planned.document, "berth": result.as_json()})


@contextmanager
def _temporary_stack(run: CommandContext, session: Session) -> Iterator[None]:
    """A stack that was never deployed is made for the preview only: neither state nor stack file keep a trace."""
    if session.is_deployed:
        yield
        return
    backend.refuse_lost(run.workspace, run.stack)
    settings = run.stack_file.path.read_bytes()
    try:
        session.ensure_stack()
        yield
    finally:
        session.forget_stack()
        run.stack_file.path.write_bytes(settings)
