"""One drill: refuses stacks that are no labs, undoes what a killed drill left, then injects fault after fault."""

from __future__ import annotations

import contextlib
import shutil
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from config import naming, stackfile
from config.model.stack import Settings
from operations.context import CommandContext, check_settings
from operations.drill import faults, lab_node
from operations.drill.faults import Fault, Injection
from operations.drill.health import Health
from operations.drill.load import REPOSITORY, CachedUpstream, Docker, Load, Refusal, refusals
from operations.drill.record import Record, interruptible
from operations.drill.report import Report, Result, counts
from operations.drill.traffic import OUTAGE_SECONDS
from operations.drill.watch import Watch
from operations.errors import BerthError, UsageError
from operations.inspect import collect
from operations.locks import StackLock
from operations.pulumi.backend import not_deployed
from operations.pulumi.session import Session
from operations.registry.client import RegistryClient
from operations.registry.endpoint import endpoint

HEALTHY_SECONDS = 180.0
WAIT_SECONDS = 300.0
BETWEEN_SECONDS = 2.0
# Longer than any push may take to be refused, so that a slow refusal is seen as what it is.
REFUSAL_SECONDS = 90.0


@dataclass(frozen=True)
class Options:
    """The command's options."""

    names: Sequence[str] = ()
    rounds: int = 1
    count: int | None = None
    duration: float = 8.0
    max_outage: float = 1.0
    workers: int = 1

    def plan(self) -> list[tuple[int, Fault]]:
        """Rounds and faults in order: every chosen fault once, then again, until there are enough."""
        chosen = faults.choose(self.names)
        number = len(chosen) * self.rounds if self.count is None else self.count
        return [(index // len(chosen), chosen[index % len(chosen)]) for index in range(number)]


@dataclass(frozen=True)
class DrilledStack:
    """The stack under test with its load and its checks."""

    settings: Settings
    nodes: Sequence[lab_node.LabNode]
    health: Health
    watch: Watch
    load: Load
    registry: RegistryClient
    patient: RegistryClient
    """The same for pushes that have to be refused."""
    duration: float

    @classmethod
    def of(cls, run: CommandContext, docker: Docker, options: Options) -> DrilledStack:
        session = run.session()
        desired = collect.desired(session)
        settings = stackfile.parse(run.stack, run.stack_file.document)
        end = endpoint(run.workspace, run.stack, desired.outputs, show_secrets=True)
        pusher, puller = end.users["push"], end.users["pull"]
        if pusher is None or puller is None:
            raise UsageError("berth:registry.users has no user who may push: a drill needs one.")
        docker.log_in(end.registry, pusher)
        ca = str(desired.outputs["registry_ca"])
        nodes = lab_node.of_stack(desired, run.stack)
        balancers = [node for node in nodes if "load-balancer" in node.roles]
        registry = RegistryClient(run.stack, end.registry, ca, pusher, OUTAGE_SECONDS)
        return cls(
            settings,
            nodes,
            Health(session, desired, settings, nodes),
            Watch(
                end.registry, ssl.create_default_context(cadata=ca), puller, settings.load_balancer.address, balancers
            ),
            Load(registry, docker, options.workers, _cached_upstream(settings, registry, ca)),
            registry,
            RegistryClient(run.stack, end.registry, ca, pusher, REFUSAL_SECONDS),
            options.duration,
        )

    def run_fault(self, record: Record, fault: Fault, injection: Injection) -> Result:
        """Inject one fault, undo it, wait until all is healthy and all operations that it affected have ended."""
        seen = len(self.load.operations)
        begun = time.monotonic()
        refused: list[Refusal] | None = None
        # Undone first of all when the drill is interrupted: what the fault holds would hold up the drill's end too.
        with record.injected(fault, injection):
            if fault.refuses_writes:
                refused = refusals(self.patient, self.duration)
            elif fault.undo is not None:
                time.sleep(self.duration)
            over = time.monotonic() if fault.undo is not None else begun
        wrong, last = self.healthy(lambda: fault.recovered and fault.recovered(injection))
        healthy = time.monotonic()
        time.sleep(max(BETWEEN_SECONDS, begun + self.duration - healthy))
        if not self.load.wait_for_current(WAIT_SECONDS) and not wrong:
            wrong = last = f"a push or pull affected by the fault has not ended in {WAIT_SECONDS:.0f} s"
        ended = time.monotonic()
        done = self.load.operations[seen:]
        return Result(
            fault=fault.name,
            nodes=[node.name for node in injection.nodes],
            held_seconds=round(over - begun, 2),
            outage=round(self.watch.outage(begun, ended), 3),
            stall=round(max((one.stall for one in done), default=0.0), 3),
            moves=self.watch.moves(begun, ended),
            shared=round(self.watch.shared(begun, ended, frozenset(node.name for node in injection.nodes)), 2),
            healthy_after=None if wrong else round(healthy - over, 2),
            counts=counts(done),
            wrong_digests=sum(one.wrong_digest for one in done),
            refusals=refused,
            errors=sorted({text for one in done for text in (one.first, one.repeat) if text}),
            waited_for=last,
        )

    def healthy(
        self, recovered: Callable[[], object] = lambda: None, seconds: float = HEALTHY_SECONDS
    ) -> tuple[str, str]:
        """Wait for health, bounded; what is still wrong, if anything, and what was wrong last."""
        deadline, last = time.monotonic() + seconds, ""
        while True:
            wrong = self.health.wrong()
            try:
                recovered()
                if not wrong:
                    self.registry.push_blob(REPOSITORY, b"is there room again?")
            except BerthError as error:
                wrong = wrong or str(error)
            last = wrong or last
            if not wrong or time.monotonic() > deadline:
                return wrong, last
            time.sleep(0.5)


def drill(run: CommandContext, options: Options, keep: Callable[[Report], None] = lambda _: None) -> Report:
    """Run the faults; the report says whether clients saw an outage. `keep` gets the report after every fault."""
    plan = options.plan()
    with _exclusive_record(run) as (record, was_left), _docker(run) as docker:
        drilled = DrilledStack.of(run, docker, options)
        wrong, _ = drilled.healthy(seconds=HEALTHY_SECONDS if was_left else 0)
        if wrong:
            raise BerthError(f"{run.stack} is not healthy, so a drill would prove nothing: {wrong}.")
        results: list[Result] = []
        about = {
            "stack": run.stack,
            "started": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
            "duration": drilled.duration,
        }
        with drilled.watch, drilled.load:
            time.sleep(BETWEEN_SECONDS)
            for number, (round_, fault) in enumerate(plan, 1):
                found = faults.targets(fault, drilled.nodes, round_, drilled.watch.holder)
                if found is None:
                    run.log(f"{number}/{len(plan)} {fault.name}: skipped, this stack has no target for it.")
                    continue
                result = drilled.run_fault(record, fault, Injection(*found, drilled.settings.object_store.data_dir))
                results.append(result)
                run.log(f"{number}/{len(plan)} {result.sentence(options.max_outage)}")
                keep(Report(about, options.max_outage, results))
                if result.healthy_after is None:
                    break
    watched = {"answers": len(drilled.watch.answers), "late": round(drilled.watch.late, 3)}
    return Report({**about, "watch": watched}, options.max_outage, results)


def undo(run: CommandContext) -> bool:
    """Undo what a killed drill left; whether there was anything."""
    with _exclusive_record(run) as (_, was_left), _docker(run):
        return was_left


@contextlib.contextmanager
def _exclusive_record(run: CommandContext) -> Iterator[tuple[Record, bool]]:
    """The stack's record of faults, with none under way: neither at the beginning nor, whatever happens, at the end."""
    if not run.stack_file.is_lab:
        raise UsageError(f"{run.stack} is not a lab: a drill injects faults, so it requires `berth:lab: true`.")
    check_settings(run.stack_file)
    if not Session.open(run.workspace, run.stack_file).is_deployed:
        raise not_deployed(run.workspace, run.stack)
    directory = run.workspace.stack_dir(run.stack)
    with StackLock(directory, run.stack, "drill", run.log) as lock:
        if lock.interrupted and lock.interrupted.cli:
            lock.write(lock.interrupted)
            lock.unfinished = True
            raise BerthError(
                f"The last 'berth {lock.interrupted.command}' did not end in order: finish it before a drill."
            )
        record = Record(directory, run.stack)
        with interruptible():
            yield record, record.undo(run.log)


def _cached_upstream(settings: Settings, registry: RegistryClient, ca: str) -> CachedUpstream | None:
    """The lab's stand-in for public registries, where the stack's caches lead to it."""
    address = settings.lab.upstream_address if settings.lab else None
    if address is None:
        return None
    endpoint = naming.endpoint(address, naming.LAB_UPSTREAM_PORT)
    prefixes = [one.prefix for one in settings.registry.upstreams if urlsplit(one.url).netloc == endpoint]
    if not prefixes:
        return None
    upstream = RegistryClient(settings.stack, endpoint, ca, None, OUTAGE_SECONDS)
    return CachedUpstream(upstream, [f"{registry.registry}/{prefix}" for prefix in prefixes])


@contextlib.contextmanager
def _docker(run: CommandContext) -> Iterator[Docker]:
    docker = Docker(run.workspace.stack_dir(run.stack) / "drill-docker", run.stack)
    docker.clean()
    try:
        yield docker
    finally:
        shutil.rmtree(docker.directory, ignore_errors=True)
