"""A preview's report: counts, nodes, protected resources at risk, broken rules, and every difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from config.model.stack import StackSettings
from config.rollout import waves
from operations.preview import daemons, differences, policies
from operations.preview.daemons import Effect
from operations.preview.differences import Difference
from operations.preview.machines import Machines
from operations.preview.notices import notices
from operations.preview.plan import Change, Planned
from operations.pulumi.events import Step, display_name
from operations.pulumi.state import CONTAINER
from operations.pulumi.values import Redactor

LABEL = "docker-restarts"
BY_HAND = "preview-by-hand"
_VOLUME = "docker:index/volume:Volume"
_BUCKET = "minio:index/s3Bucket:S3Bucket"
_CA = ("tls:index/privateKey:PrivateKey", "tls:index/selfSignedCert:SelfSignedCert")
_OPS = ("create", "update", "replace", "delete")


@dataclass(frozen=True)
class Loss:
    """A resource with data or trust that would be replaced or deleted."""

    resource: str
    what: str
    op: str
    refused: bool
    """`up` itself refuses it, for the program marks it as protected."""

    def __str__(self) -> str:
        refusal = "; up refuses that: it is marked as protected" if self.refused else ""
        return f"{self.what} {self.resource} would be {self.op}d{refusal}"


@dataclass(frozen=True)
class Section:
    """Differences that are the same for all of `names`."""

    names: tuple[str, ...]
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Report:
    """The data behind every output format of the preview."""

    stack: str
    counts: dict[str, int]
    unchanged: int
    daemons: tuple[Effect, ...] = ()
    """In the order of the settings."""
    waves: tuple[tuple[str, ...], ...] = ()
    """Names of all nodes whose daemons change together, wave after wave."""
    notices: tuple[str, ...] = ()
    losses: tuple[Loss, ...] = ()
    violations: tuple[policies.Violation, ...] = ()
    failures: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    files: tuple[Section, ...] = ()
    properties: tuple[Section, ...] = ()
    steps: tuple[tuple[str, str], ...] = ()
    """(operation, resource) of everything that changes, in Pulumi's order."""
    exit_code: int = 0
    incomplete: str = ""
    """What this preview could not see, and why; empty for a complete one."""
    by_hand: bool = False
    """Whether code is changed, too, which nobody has run for this preview."""
    redact: Redactor = field(default_factory=lambda: Redactor(()), repr=False)

    @property
    def changes(self) -> bool:
        return bool(self.steps)

    @property
    def restarting(self) -> list[str]:
        """Nodes whose Docker would restart."""
        return [effect.node for effect in self.daemons if effect.force == daemons.RESTART]

    @property
    def labels(self) -> list[str]:
        """For the pull request."""
        return [*([LABEL] if len(self.restarting) > 1 else []), *([BY_HAND] if self.by_hand else [])]

    @property
    def failed(self) -> bool:
        """Whether `up` would fail, be refused, or break a rule."""
        return bool(self.exit_code or self.violations or any(loss.refused for loss in self.losses))

    def as_json(self) -> dict[str, object]:
        """What workflows read, beside Pulumi's own document."""
        return {
            "summary": {**self.counts, "same": self.unchanged},
            "docker": [effect.as_json() for effect in self.daemons],
            "notices": list(self.notices),
            "protected": [{"resource": loss.resource, "what": loss.what, "op": loss.op} for loss in self.losses],
            "policies": [violation.as_json() for violation in self.violations],
            "labels": self.labels,
            "incomplete": self.incomplete,
        }


def report(
    stack: str, planned: Planned, settings: StackSettings, incomplete: str = "", more: Iterable[str] = ()
) -> Report:
    """The report on a plan, with `more` notices that do not come from it."""
    machines = Machines(
        planned.outputs.get("node_access") or (),
        ((node.name, node.ssh.host or node.address, node.ssh.port) for node in settings.nodes),
    )
    counts = Counter(change.op for change in planned.changes)
    same = (planned.document.get("changeSummary") or {}).get("same", 0)
    return Report(
        stack=stack,
        counts={op: counts[op] for op in _OPS if counts[op]},
        unchanged=int(same),
        daemons=tuple(_daemons(planned.changes, machines)),
        waves=tuple(tuple(wave) for wave in waves(settings.nodes, settings.docker.rollout)),
        notices=(
            *notices(Step(change.resource.urn, change.op) for change in planned.changes),
            *_scripts(planned.changes),
            *more,
        ),
        losses=tuple(loss for change in planned.changes if (loss := _loss(change))),
        violations=tuple(policies.violations(planned.resources, settings)) if planned.resources else (),
        failures=planned.failures,
        warnings=planned.warnings,
        files=tuple(_files(planned.changes, machines)),
        properties=tuple(_properties(planned.changes)),
        steps=tuple((change.op, display_name(change.resource.urn)) for change in planned.changes),
        exit_code=planned.exit_code,
        incomplete=incomplete,
        redact=Redactor(planned.secrets),
    )


def _daemons(changes: Iterable[Change], machines: Machines) -> Iterable[Effect]:
    for change in changes:
        if change.resource.stage == daemons.STAGE and differences.files(change) is not None:
            yield daemons.effect(machines.of(change), change)


def _scripts(changes: Iterable[Change]) -> Iterator[str]:
    """One sentence about the commands of which nothing but the script changes."""
    again = [change.resource.name for change in changes if differences.is_script_only(change)]
    if again:
        shown = ", ".join(again[:4]) + (f" and {len(again) - 4} more" if again[4:] else "")
        count = "1 command runs" if len(again) == 1 else f"{len(again)} commands run"
        yield f"{count} again because Berth's scripts changed ({shown}); what they write stays as it is."


def _loss(change: Change) -> Loss | None:
    if change.op not in ("replace", "delete") or change.old is None:
        return None
    old = change.old
    if old.type == CONTAINER and old.stage == "object-store":
        what = "object store server"
    elif old.type == _BUCKET:
        what = "bucket"
    elif old.type == _VOLUME:
        what = "disk"
    elif old.type in _CA and old.stage == "certificates":
        what = "CA"
    elif old.protect:
        what = "protected"
    else:
        return None
    return Loss(old.name, what, change.op, old.protect)


def _files(changes: Sequence[Change], machines: Machines) -> list[Section]:
    """Changed files by machine; machines with the same differences are grouped."""
    by_machine: dict[str, list[Difference]] = {}
    for change in changes:
        found = differences.files(change) or []
        if change.op == "create":
            # All of a new stage's files are new: their names suffice.
            found = [Difference(item.title, item.what) for item in found]
        if found:
            by_machine.setdefault(machines.of(change) or change.resource.name, []).extend(found)
    return _together({name: tuple(found) for name, found in by_machine.items()})


def _properties(changes: Sequence[Change]) -> list[Section]:
    found = {display_name(c.resource.urn): tuple(differences.properties(c)) for c in changes if c.old and c.new}
    return _together({name: items for name, items in found.items() if items})


def _together(found: dict[str, tuple[Difference, ...]]) -> list[Section]:
    names: dict[tuple[Difference, ...], list[str]] = {}
    for name, items in found.items():
        names.setdefault(items, []).append(name)
    return [Section(tuple(listed), items) for items, listed in names.items()]
