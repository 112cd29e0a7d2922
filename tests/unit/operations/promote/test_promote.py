"""`berth promote` from end to end, with a fake CLI and two small registries: what it takes, refuses and leaves."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from ruamel.yaml import YAML

from config import stackfile
from config.model.images import PinSettings
from operations.context import CommandContext
from operations.drift.report import DriftReport
from operations.errors import BerthError
from operations.inspect import verified
from operations.inspect.collect import ClusterSnapshot
from operations.inspect.compare import Finding, Unknown
from operations.inspect.endpoint_checks import EndpointReplies, Reply
from operations.inspect.expected import Desired, Machine, Service
from operations.inspect.reports import ContainerFact
from operations.locks import Holder, Process
from operations.preview.report import Report
from operations.promote import preconditions
from operations.promote.plan import Options
from operations.promote.records import Record
from operations.promote.run import promote
from operations.pulumi.session import Session
from operations.registry import copy_images
from operations.workspace import StackFile
from tests.front.fake import Answer
from tests.unit.components.node_stack import host_key
from tests.unit.conftest import LAB, OUTPUTS, Checkout
from tests.unit.registries import PASSWORD, USERS, Registry, World

BUILT, OLDER = (f"sha256:{digit * 64}" for digit in "12")
HEALTHY = EndpointReplies(Reply(401), Reply(200), Reply(200), 3000)


@dataclass
class Stacks:
    """staging and prod, deployed; staging found right."""

    checkout: Checkout
    berth: Any
    staging: Registry
    prod: Registry
    ca: str
    replies: EndpointReplies = HEALTHY
    previewed: list[tuple[list[str], Path, str]] = field(default_factory=list)
    """The CLI's words, and the file of the pins and its content, of each preview."""
    failures: tuple[tuple[str, str], ...] = ()
    drift: DriftReport = field(default_factory=lambda: DriftReport("staging"))

    def file(self, stack: str) -> Path:
        return self.checkout.workspace.root / f"Pulumi.{stack}.yaml"

    @property
    def pins_file(self) -> Path:
        return self.checkout.workspace.root / "pins/prod.yaml"

    def pins(self) -> dict[str, Any]:
        return dict(YAML(typ="safe", pure=True).load(self.pins_file.read_text()))

    def settings(self, stack: str, config: dict[str, Any]) -> None:
        lines = "".join(f"  {key}: {json.dumps(value)}\n" for key, value in config.items())
        self.file(stack).write_text(f"# about {stack}\nconfig: # of it\n{lines}")

    def deploy(self, stack: str, registry: Registry, **more: Any) -> None:
        self.checkout.deploy(stack)
        users = {name: {"role": role, "password": PASSWORD} for name, role in USERS.items()}
        outputs = {**OUTPUTS, "registry": registry.end().registry, "registry_ca": self.ca, "registry_users": users}
        outputs |= {"images": {"objectStore": BUILT, "cache": BUILT}, **more}
        self.checkout.answer(f"stack output@{stack}", out=json.dumps(outputs))
        self.checkout.answer(f"stack export@{stack}", out=json.dumps({"deployment": {"resources": []}}))
        self.outputs = outputs

    def pending(self, stack: str) -> None:
        resource = {"urn": f"urn:pulumi:{stack}::berth::docker:index/container:Container::registry-node1"}
        latest = {"resources": [], "pending_operations": [{"type": "updating", "resource": resource}]}
        self.checkout.answer(f"stack export@{stack}", out=json.dumps({"deployment": latest}))

    def verify(self, stack: str = "staging") -> None:
        session = self.checkout.session(stack)
        verified.save_last_verify(session, verified.fingerprint(session))

    def forget_verify(self) -> None:
        (self.checkout.answers / "tags@staging.json").unlink()

    def redeploy(self) -> None:
        resources = [{"urn": "urn:pulumi:staging::berth::pulumi:pulumi:Stack::berth-staging"}]
        self.checkout.answer("stack export@staging", out=json.dumps({"deployment": {"resources": resources}}))

    def seed(self, *digests: str) -> None:
        for digest in digests:
            for name in ("minio", "registry"):
                path = self.checkout.workspace.home / "seed/docker/registry/v2/repositories/berth" / name
                path = path / "_manifests/revisions/sha256" / digest.removeprefix("sha256:") / "link"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()

    def promote(self, *words: str) -> Any:
        return self.berth("promote", "--to", "prod", "--yes", *words)

    def records(self) -> list[Path]:
        return sorted((self.checkout.workspace.root / "promotions").glob("*"))

    def preview(self, changed: CommandContext, session: Session) -> tuple[Report, dict[str, Any]]:
        pins = Path(session.environment["BERTH_PINS"])
        self.previewed.append((session.argv(["preview"]), pins, pins.read_text()))
        promoted = stackfile.parse("prod", changed.stack_file.document).pins
        assert promoted and promoted.source.stack == "staging"
        return Report("prod", {"update": 2}, 90, failures=self.failures, exit_code=len(self.failures)), {}

    def look(self, session: Any) -> ClusterSnapshot:
        service = Service("berth-object-store", "object-store", "i")
        fact = ContainerFact(**{**dict.fromkeys(ContainerFact.__dataclass_fields__, ""), **HEALTH})
        outputs = json.loads(session.ask("stack", "output"))
        report = SimpleNamespace(containers={service.name: fact})
        return ClusterSnapshot(
            Desired(outputs, {"node1": Machine(services=[service])}), {"node1": report}, self.replies
        )  # type: ignore[dict-item]


HEALTH: dict[str, Any] = {"version": "2026-02-12", "state": "running", "image": "i", "health": "healthy"}


@pytest.fixture
def stacks(checkout: Checkout, berth: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stacks]:
    checkout.install_pulumi()
    monkeypatch.setenv("NO_PROXY", "localhost")
    with World.of(tmp_path) as world:
        made = Stacks(checkout, berth, world.registry(), world.registry(), world.ca)
        monkeypatch.setattr(preconditions, "collect", made.look)
        monkeypatch.setattr(
            preconditions, "answers", lambda desired, reports, replies: _endpoint_answers(desired, replies)
        )
        monkeypatch.setattr(preconditions, "drift_in", lambda session, seen: made.drift)
        for stack, registry in (("staging", made.staging), ("prod", made.prod)):
            made.settings(stack, LAB)
            made.deploy(stack, registry)
        made.seed(BUILT)
        made.verify()
        monkeypatch.setattr("operations.preview.build.preview_with", made.preview)
        yield made


def _endpoint_answers(desired: Desired, replies: EndpointReplies) -> list[Any]:
    from operations.inspect.checks import _endpoints

    return list(_endpoints(desired, replies))


def everything(root: Path) -> dict[str, bytes]:
    """All files below, but for logs of calls."""
    return {str(path): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_what_staging_verified_is_pinned_copied_and_recorded(stacks: Stacks) -> None:
    digest = stacks.staging.push("team/app:1", b"layer")
    before = stacks.file("prod").read_text()
    done = stacks.promote("--from", "staging")
    assert done.code == 0, done.err
    pins = stacks.pins()
    assert pins["from"]["stack"] == "staging"
    assert pins["images"] == {"objectStore": BUILT, "cache": BUILT}
    assert pins["repositories"] == {"team/app:1": digest}
    assert stacks.file("prod").read_text() == before
    assert stacks.pins_file.read_text().startswith("# Written by `berth promote`, whole;")
    assert stacks.prod.tags == stacks.staging.tags
    (record,) = stacks.records()
    assert record.name.endswith("-staging-to-prod.yaml")
    kept = YAML(typ="safe", pure=True).load(record.read_text())
    assert (kept["to"], kept["pins"], kept["versions"]) == ("prod", pins, {"object-store": "2026-02-12"})
    assert kept["who"] and kept["time"] == pins["from"]["time"]
    assert "team/app:1: new, sha256:" in done.out
    assert "+++ b/pins/prod.yaml" in done.out and "+  objectStore: " + BUILT in done.out
    assert f"Commit pins/prod.yaml and promotions/{record.name}" in done.out


def test_the_preview_is_of_the_target_with_its_new_pins(stacks: Stacks) -> None:
    stacks.staging.push("team/app:1", b"layer")
    stacks.promote("--from", "staging")
    ((words, aside, pins),) = stacks.previewed
    assert words[words.index("--stack") + 1] == "prod" and "--config-file" not in words
    assert pins == stacks.pins_file.read_text()
    assert aside != stacks.pins_file and not aside.exists()


def test_a_dry_run_shows_and_writes_nothing(stacks: Stacks) -> None:
    stacks.staging.push("team/app:1", b"layer")
    root = stacks.checkout.workspace.root
    before = everything(root)
    done = stacks.promote("--from", "staging", "--dry-run")
    assert done.code == 0
    assert "+repositories:" in done.out and len(stacks.previewed) == 1
    assert everything(root) == before
    assert {method for method, _ in stacks.prod.asked} == {"HEAD"}


def test_a_no_at_the_question_leaves_all_as_it_is(stacks: Stacks) -> None:
    stacks.staging.push("team/app:1", b"layer")
    workspace = stacks.checkout.workspace
    asked = []

    def no(question: str) -> bool:
        asked.append(question)
        return False

    run = CommandContext(workspace, StackFile.read(workspace, "prod"), Console(quiet=True), confirm=no)
    before = everything(workspace.root)
    with pytest.raises(BerthError, match="Nothing was promoted"):
        promote(run, Options("staging"))
    assert asked == ["Promote this to prod?"]
    assert everything(workspace.root) == before
    assert not stacks.prod.tags


def test_as_json_it_says_what_it_did_and_nothing_beside(stacks: Stacks) -> None:
    digest = stacks.staging.push("team/app:1", b"layer")
    done = stacks.promote("--from", "staging", "--json")
    answer = json.loads(done.out)
    assert answer["preview"]["summary"] == {"update": 2, "same": 90}
    assert answer["pins"]["repositories"] == {"team/app:1": digest}
    assert answer["tags_to_set"] == {"team/app:1": None}
    assert answer["bytes_to_move"] == 5 + len('{"os":"linux"}')
    assert Path(answer["record"]) in stacks.records()


def test_a_second_promotion_of_the_same_is_no_promotion(stacks: Stacks) -> None:
    stacks.staging.push("team/app:1", b"layer")
    stacks.promote("--from", "staging")
    before = everything(stacks.checkout.workspace.root)
    done = stacks.promote("--from", "staging")
    assert done.code == 0 and "prod is up to date already" in done.out
    assert everything(stacks.checkout.workspace.root) == before


def test_chosen_images_leave_the_pins_of_others_as_they_were(stacks: Stacks) -> None:
    stacks.staging.push("team/app:1", b"a")
    tool = stacks.staging.push("team/tool:1", b"t")
    stacks.promote("--from", "staging")
    app = stacks.staging.push("team/app:1", b"newer")
    stacks.staging.push("team/tool:1", b"newer")
    assert stacks.promote("--from", "staging", "--image", "team/app").code == 0
    assert stacks.pins()["repositories"] == {"team/app:1": app, "team/tool:1": tool}


def test_going_back_to_a_record_sets_its_tags_and_pins_again(stacks: Stacks) -> None:
    old = stacks.staging.push("team/app:1", b"old")
    stacks.promote("--from", "staging")
    (first,) = stacks.records()
    first = first.rename(first.with_name("2026-01-01T000000Z-staging-to-prod.yaml"))
    then = stacks.pins()
    new = stacks.staging.push("team/app:1", b"new")
    stacks.promote("--from", "staging")
    assert stacks.prod.tags["team/app"]["1"] == new
    stacks.staging.asked.clear()
    stacks.forget_verify()
    done = stacks.promote("--record", f"promotions/{first.name}")
    assert done.code == 0, done.err
    assert stacks.prod.tags["team/app"]["1"] == old
    assert stacks.pins() == then
    assert not stacks.staging.asked, "prod still had all of it, and staging need not be right"
    again = YAML(typ="safe", pure=True).load(stacks.records()[-1].read_text())
    assert again["record"] == first.name.replace("2026-01-01T000000Z", then["from"]["time"].replace(":", ""))


def test_what_the_target_has_lost_of_a_record_comes_from_the_source_again(stacks: Stacks) -> None:
    digest = stacks.staging.push("team/app:1", b"old")
    stacks.promote("--from", "staging")
    stacks.prod.manifests.clear()
    stacks.prod.tags.clear()
    stacks.prod.blobs.clear()
    assert stacks.promote("--record", str(stacks.records()[0])).code == 0
    assert stacks.prod.tags["team/app"]["1"] == digest


def test_a_digest_of_a_record_that_nobody_has_any_more_is_named(stacks: Stacks) -> None:
    digest = stacks.staging.push("team/app:1", b"old")
    stacks.promote("--from", "staging")
    for registry in (stacks.staging, stacks.prod):
        registry.manifests.clear()
    before = stacks.pins_file.read_bytes()
    done = stacks.promote("--record", str(stacks.records()[0]))
    assert done.code == 1 and digest in done.err and "team/app:1" in done.err
    assert stacks.pins_file.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("time: x\n", "who"),
        ("a: [", "not YAML"),
        ("time: t\nwho: w\nto: qa\npins: {from: {stack: s, time: t}}\n", "promotion to qa"),
        (
            "time: t\nwho: w\nto: prod\npins: {from: {stack: s, time: t}, images: {objectStore: x}}\n",
            "pins.images.objectStore",
        ),
        (
            f"time: t\nwho: w\nto: prod\npins: {{from: {{stack: s, time: t}}, images: {{nginx: '{OLDER}'}}}}\n",
            "lost nginx",
        ),
    ],
    ids=["half a record", "no YAML", "of another target", "with a damaged pin", "an image that is not here any more"],
)
def test_a_record_that_cannot_be_promoted_is_refused(stacks: Stacks, text: str, words: str) -> None:
    folder = stacks.checkout.workspace.root / "promotions"
    folder.mkdir()
    (folder / "r.yaml").write_text(text)
    before = everything(stacks.checkout.workspace.root)
    done = stacks.promote("--record", "promotions/r.yaml")
    assert done.code in (1, 2) and words in done.err
    assert everything(stacks.checkout.workspace.root) == before


def test_a_record_that_is_not_there_is_named_with_the_one_that_was_meant(stacks: Stacks) -> None:
    done = stacks.promote("--record", "promotions/no.yaml")
    assert done.code == 2 and "There is no record promotions/no.yaml. There is none in promotions/ yet." in done.err


def refused(name: str, words: str, do: Callable[[Stacks], Any] = lambda stacks: None, *command: str) -> Any:
    return pytest.param(words, do, command or ("--from", "staging"), id=name)


def unknown_key(stack: str) -> Callable[[Stacks], None]:
    return lambda stacks: stacks.settings(stack, {**LAB, "berth:regsitry": {}})


def write_pins(stacks: Stacks, text: str) -> None:
    stacks.pins_file.parent.mkdir()
    stacks.pins_file.write_text(text)


def pins_by_hand(stacks: Stacks) -> None:
    stacks.settings("prod", {**LAB, "berth:pins": {"from": {"stack": "staging", "time": "t"}}})


def killed(command: str) -> Callable[[Stacks], None]:
    def do(stacks: Stacks) -> None:
        lock = stacks.checkout.workspace.stack_dir("prod") / "lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.write_text(json.dumps(asdict(Holder(command, Process(1, 1, "another boot")))))

    return do


def changed_by(stack: str) -> Callable[[Stacks], None]:
    def do(stacks: Stacks) -> None:
        lock = stacks.checkout.workspace.stack_dir(stack) / "lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT)
        fcntl.flock(descriptor, fcntl.LOCK_EX)

    return do


def state_lock(stacks: Stacks) -> None:
    folder = stacks.checkout.workspace.locks("prod")
    folder.mkdir(parents=True)
    (folder / "1.json").touch()


def set_(name: str, value: Any) -> Callable[[Stacks], None]:
    return lambda stacks: setattr(stacks, name, value)


DRIFTED = DriftReport("staging", [Finding("node2", "file", "/etc/hosts", "as written", "changed")])
UNKNOWN = DriftReport("staging", unknown=[Unknown("node3", "no route")])


REFUSED = [
    refused("neither source nor record", "--from STACK, or --record FILE", lambda _: None, "--image", "x"),
    refused("both", "--from STACK, or --record FILE", lambda _: None, "--from", "a", "--record", "b"),
    refused("to itself", "prod can't be promoted to itself", lambda _: None, "--from", "prod"),
    refused("a source that does not exist", "There is no stack 'stagign'", lambda _: None, "--from", "stagign"),
    refused("an unknown key in the source", "Did you mean `berth:registry`?", unknown_key("staging")),
    refused("broken pins of the target", "pins/prod.yaml", lambda s: write_pins(s, "from: [")),
    refused("pins in the target's stack file", "pins/prod.yaml alone may hold", pins_by_hand),
    refused("an unknown key in the target", "Did you mean `berth:registry`?", unknown_key("prod")),
    refused(
        "never deployed", "Stack staging is not deployed", lambda s: s.checkout.workspace.checkpoint("staging").unlink()
    ),
    refused(
        "a target that was never deployed",
        "Stack prod is not deployed",
        lambda s: s.checkout.workspace.checkpoint("prod").unlink(),
    ),
    refused(
        "never verified",
        "was never verified: ./berth verify --stack staging",
        Stacks.forget_verify,
    ),
    refused(
        "deployed since",
        "deployed after its last green verify",
        Stacks.redeploy,
    ),
    refused(
        "not healthy",
        "staging is not healthy",
        set_("replies", EndpointReplies(Reply(401), Reply(503), Reply(200), 3000)),
    ),
    refused("drifted", "node2: file /etc/hosts is changed, not as written", set_("drift", DRIFTED)),
    refused("a node that is out of reach", "node3 could not be checked: no route", set_("drift", UNKNOWN)),
    refused(
        "pending in the source",
        "staging has operations that never ended (1, the first on registry-node1)",
        lambda s: s.pending("staging"),
    ),
    refused("pending in the target", "prod has operations that never ended", lambda s: s.pending("prod")),
    refused("a killed deployment of the target", "The last deployment of prod never ended", killed("up")),
    refused("a target that is changed now", "Stack prod is being changed", changed_by("prod")),
    refused("a source that is changed now", "Stack staging is being changed", changed_by("staging")),
    refused("a lock on the state", "The state of prod is locked by", state_lock),
    refused(
        "an image that is not there",
        "staging's registry has no image team/none",
        lambda _: None,
        "--from",
        "staging",
        "--image",
        "team/none",
    ),
    refused("a vanished layer", "staging's registry has lost sha256:", lambda s: s.staging.blobs.clear()),
    refused(
        "a vanished service image",
        "has lost objectStore sha256:222",
        lambda s: s.deploy("staging", s.staging, images={"objectStore": OLDER}) or s.verify(),
    ),  # type: ignore[func-returns-value]
    refused(
        "an image that the target names itself",
        "berth:images.objectStore",
        lambda s: s.settings("prod", {**LAB, "berth:images": {"objectStore": f"r.x/minio@{OLDER}"}}),
    ),
    refused(
        "a preview that fails",
        "prod could not be deployed with these pins",
        set_("failures", (("registry-node1", "no"),)),
    ),
    refused(
        "a password that is not in force",
        " refuses its own user ",
        lambda s: s.prod.breaks.update({("HEAD", "/"): [Answer(401)] * 99}),
    ),
]


@pytest.mark.parametrize(("words", "do", "command"), REFUSED)
def test_refused_with_a_sentence_before_anything_is_touched(
    stacks: Stacks, words: str, do: Callable[[Stacks], Any], command: tuple[str, ...]
) -> None:
    stacks.staging.push("team/app:1", b"layer")
    do(stacks)
    before = everything(stacks.checkout.workspace.root)
    done = stacks.promote(*command)
    assert done.code in (1, 2), done.out
    assert words in done.err
    assert "Traceback" not in done.err and PASSWORD not in done.err + done.out
    assert everything(stacks.checkout.workspace.root) == before
    assert not stacks.prod.tags and not stacks.prod.manifests


def test_a_killed_deployment_is_still_the_next_ups_to_clear_up(stacks: Stacks) -> None:
    killed("up")(stacks)
    lock = stacks.checkout.workspace.stack_dir("prod") / "lock"
    before = json.loads(lock.read_text())
    stacks.promote("--from", "staging")
    assert json.loads(lock.read_text()) == before


def test_a_killed_promotion_is_finished_by_the_next_one(stacks: Stacks) -> None:
    digest = stacks.staging.push("team/app:1", b"layer")
    killed("promote")(stacks)
    assert stacks.promote("--from", "staging").code == 0
    assert stacks.prod.tags["team/app"]["1"] == digest


def test_half_copied_images_are_not_pinned_and_the_next_run_finishes(stacks: Stacks) -> None:
    stacks.staging.push("team/app:1", b"layer")
    stacks.prod.breaks["PUT", "/manifests/sha256"] = [Answer(500)]
    before = everything(stacks.checkout.workspace.root)
    done = stacks.promote("--from", "staging")
    assert done.code == 1 and "prod's registry answers 500" in done.err
    assert everything(stacks.checkout.workspace.root) == before
    assert stacks.promote("--from", "staging").code == 0
    assert stacks.prod.tags == stacks.staging.tags


def test_pins_that_somebody_wrote_meanwhile_are_not_overwritten(
    stacks: Stacks, monkeypatch: pytest.MonkeyPatch
) -> None:
    stacks.staging.push("team/app:1", b"layer")
    copy = copy_images.copy

    def slowly(*arguments: Any) -> None:
        stacks.pins_file.parent.mkdir()
        stacks.pins_file.write_text("# mine\n")
        copy(*arguments)

    monkeypatch.setattr(copy_images, "copy", slowly)
    done = stacks.promote("--from", "staging")
    assert done.code == 1 and "was changed while images were copied" in done.err
    assert stacks.pins_file.read_text() == "# mine\n"
    assert not stacks.records()


def test_pins_that_cannot_be_written_leave_no_record(stacks: Stacks) -> None:
    stacks.staging.push("team/app:1", b"layer")
    stacks.pins_file.parent.write_text("not a folder\n")
    done = stacks.promote("--from", "staging")
    assert done.code == 1 and "pins/prod.yaml can't be written" in done.err
    assert not stacks.records()


def test_the_same_promotion_writes_the_same_bytes_in_any_order(stacks: Stacks) -> None:
    source = {"stack": "staging", "time": "2026-11-22T10:41:07Z"}
    names = ["team/b:1", "team/a:2", "team/a:1"]
    written = [
        Record(time="t", who="w", to="prod", pins=PinSettings.model_validate({"from": source, "repositories": some}))
        for some in (dict.fromkeys(names, BUILT), dict.fromkeys(sorted(names), BUILT))
    ]
    assert written[0].pins_text == written[1].pins_text
    assert written[0].text == written[1].text


def test_no_password_is_in_any_file_or_output(stacks: Stacks) -> None:
    stacks.staging.push("team/app:1", b"layer")
    done = stacks.promote("--from", "staging")
    assert PASSWORD not in done.out + done.err
    files = {**everything(stacks.checkout.workspace.root), **everything(stacks.checkout.workspace.home)}
    assert not [path for path, data in files.items() if PASSWORD.encode() in data]


def test_a_source_with_a_passphrase_of_its_own_is_read_with_it(stacks: Stacks, tmp_path: Path) -> None:
    stacks.staging.push("team/app:1", b"layer")
    real = {key: value for key, value in LAB.items() if key != "berth:lab"}
    doors = ({"keyFile": "/k", "hostKey": host_key(number)} for number in range(len(LAB["berth:nodes"])))
    nodes = [{**node, "ssh": ssh} for node, ssh in zip(LAB["berth:nodes"], doors, strict=True)]
    real |= {"berth:nodes": nodes, "berth:images": {"seed": {"address": "10.77.0.2"}}}
    stacks.settings("staging", real)
    own = tmp_path / "own"
    own.write_text("own\n")
    assert stacks.promote("--from", "staging").code == 2, "a stack that is no lab needs a passphrase"
    assert stacks.promote("--from", "staging", "--from-passphrase-file", str(own)).code == 0
    used = {
        call["arguments"][call["arguments"].index("--stack") + 1]: call["environment"]["PULUMI_CONFIG_PASSPHRASE_FILE"]
        for call in stacks.checkout.calls
    }
    assert used["staging"] == str(own) and used["prod"].endswith("lab/passphrase")
