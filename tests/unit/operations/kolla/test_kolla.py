"""Runs of kolla-ansible: what is on disk for how long, what a failure says; the image check; what is verified."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.kolla import render
from config import stackfile
from config.paths import ROOT
from operations.errors import BerthError
from operations.kolla import differences, image_check, play, steps, verify
from operations.kolla.environment import Environment
from operations.kolla.exclusive_lock import exclusive_lock
from operations.kolla.images.published import read_lock
from operations.workspace import write_private
from tests.unit.conftest import Checkout, Ended
from tests.unit.registries import PASSWORD, World

SAMPLE = (ROOT / "tests" / "golden" / "kolla-sample.ini").read_text(encoding="utf-8")
REGISTRY = "registry.kolla.berth.test:4000"
FAKE = """\
#!/bin/sh
verb=$1
while [ $# -gt 1 ]; do
    shift
    case $1 in --configdir) folder=$2 ;; --inventory) inventory=$2 ;; --tags) tags=$2 ;; esac
done
echo "$verb $tags of $(ls "$inventory")" >"$folder/seen"
stat -c %a "$folder/passwords.yml" >>"$folder/seen"
echo 'PLAY [all]'
cat >>"$BERTH_EVENTS" <<'EVENTS'
{events}
EVENTS
exit {status}
"""
TASK = {"event": "task", "task": "mariadb : Check port"}
FAILED = {"event": "failed", "host": "control2", "task": "mariadb : Check port", "ignored": False, "message": "in use"}
STATS = {"event": "stats", "hosts": {"control1": {"ok": 3, "changed": 1}, "control2": {"ok": 2, "changed": 0}}}


def document() -> dict[str, Any]:
    return render.document(
        stackfile.parse("kolla", stackfile.read(ROOT / "Pulumi.kolla.yaml")), {"nova.conf": "[DEFAULT]\n"}
    )


@pytest.fixture
def inputs() -> play.Inputs:
    access = {"control1": {"ansible_host": "10.78.0.11"}}
    return play.Inputs(document(), access, "secret", "CA", {"docker_registry_password": "own"})


def environment(folder: Path, events: list[dict[str, Any]] | None = None, status: int = 0) -> Environment:
    """An environment whose kolla-ansible only notes what it sees."""
    inventory = folder / "share" / "kolla-ansible" / "ansible" / "inventory" / "multinode"
    sample = folder / "share" / "kolla-ansible" / "etc_examples" / "kolla" / "passwords.yml"
    for path in (inventory, sample, folder / "bin" / "x"):
        path.parent.mkdir(parents=True)
    inventory.write_text(SAMPLE)
    sample.write_text("database_password:\nnova_ssh_key:\n  private_key:\ndocker_registry_password:\n")
    program = folder / "bin" / "kolla-ansible"
    program.write_text(FAKE.format(events="\n".join(map(json.dumps, events or [])), status=status))
    program.chmod(0o755)
    return Environment(folder)


def test_passwords_are_readable_by_their_owner_and_gone_after_the_run(tmp_path: Path, inputs: play.Inputs) -> None:
    with play.inputs_on_disk(tmp_path / "run", inputs, environment(tmp_path)) as folder:
        file = folder / "passwords.yml"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(folder.stat().st_mode) == 0o700
        known = yaml.safe_load(file.read_text())
        assert known["docker_registry_password"] == "own" and len(known["database_password"]) == 40
        assert (folder / "config" / "nova.conf").read_text() == "[DEFAULT]\n"
    assert not file.exists()


def test_passwords_are_gone_also_when_the_run_breaks_off(tmp_path: Path, inputs: play.Inputs) -> None:
    with pytest.raises(KeyboardInterrupt), play.inputs_on_disk(tmp_path / "run", inputs, environment(tmp_path)):
        raise KeyboardInterrupt
    assert not list(tmp_path.rglob("run/passwords.yml"))


def test_what_an_older_run_had_is_not_told_to_a_new_one(tmp_path: Path, inputs: play.Inputs) -> None:
    made = environment(tmp_path)
    old = tmp_path / "run" / "inventory" / "host_vars" / "control9.yml"
    old.parent.mkdir(parents=True)
    old.write_text("a: 1\n")
    with play.inputs_on_disk(tmp_path / "run", inputs, made):
        assert not old.exists()


def run(folder: Path, inputs: play.Inputs, events: list[dict[str, Any]], status: int) -> play.Played:
    return run_in(environment(folder, events, status), folder, inputs)


def run_in(made: Environment, folder: Path, inputs: play.Inputs) -> play.Played:
    with play.inputs_on_disk(folder / "run", inputs, made) as run_folder:
        return play.play("deploy", run_folder, made, folder / "deploy.log", lambda _: None, ["--tags", "mariadb"])


def test_a_run_finds_inventory_and_private_passwords_and_is_summed_up(tmp_path: Path, inputs: play.Inputs) -> None:
    played = run(tmp_path, inputs, [TASK, STATS], 0)
    seen = (tmp_path / "run" / "seen").read_text()
    assert seen == "deploy mariadb of host_vars\nmultinode\n600\n"
    assert re.fullmatch(r"deploy: \d+ s, control1 ok=3 changed=1, control2 ok=2 changed=0", played.summary())
    assert "PLAY [all]" in played.log.read_text()


def test_a_failed_task_is_told_with_host_task_message_and_log(tmp_path: Path, inputs: play.Inputs) -> None:
    played = run(tmp_path, inputs, [TASK, FAILED, STATS], 2)
    with pytest.raises(BerthError) as refused:
        play.raise_if_failed(played)
    text = str(refused.value)
    assert "control2: mariadb : Check port\n    in use" in text and str(tmp_path / "deploy.log") in text


def test_a_failure_that_kolla_ignores_is_none(tmp_path: Path, inputs: play.Inputs) -> None:
    played = run(tmp_path, inputs, [TASK, {**FAILED, "ignored": True}, STATS], 0)
    assert play.raise_if_failed(played).failures == []


def test_a_run_that_fails_without_a_task_shows_the_end_of_its_log(tmp_path: Path, inputs: play.Inputs) -> None:
    with pytest.raises(BerthError, match=r"PLAY \[all\]"):
        play.raise_if_failed(run(tmp_path, inputs, [], 1))


def test_an_interrupted_run_leaves_no_worker_of_ansible_behind(
    tmp_path: Path, inputs: play.Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(play, "STOP", 0.5)
    made = environment(tmp_path, [TASK, FAILED])
    program = Path(made.program("kolla-ansible"))
    # A child of its own, in the background, where a shell lets it ignore an interruption.
    worker = 'sleep 600 &\necho $! >"$folder/worker"'
    program.write_text(program.read_text().replace("echo 'PLAY [all]'", worker).replace("exit 0", "wait"))

    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), play.inputs_on_disk(tmp_path / "run", inputs, made) as folder:
        play.play("deploy", folder, made, tmp_path / "deploy.log", interrupted)
    goes(int((tmp_path / "run" / "worker").read_text()))


def goes(pid: int) -> None:
    """A killed process is gone when the kernel comes round to it."""
    deadline = time.monotonic() + 10
    with suppress(OSError):
        while Path(f"/proc/{pid}/cmdline").read_bytes():
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_run_that_was_killed_leaves_nothing_running_beside_the_next(tmp_path: Path) -> None:
    left = "import sys, subprocess; from pathlib import Path\n"
    left += "from operations.kolla.exclusive_lock import exclusive_lock, inherited_lock\n"
    left += "with exclusive_lock(Path(sys.argv[1])), inherited_lock(Path(sys.argv[1])) as guard:\n"
    left += "    run = subprocess.Popen(['sleep', '600'], start_new_session=True, pass_fds=(guard.fileno(),))\n"
    left += "    guard.write(str(run.pid)); guard.flush(); print(run.pid, flush=True); run.wait()\n"
    owner = subprocess.Popen([sys.executable, "-c", left, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert owner.stdout
    session = int(owner.stdout.readline())
    with pytest.raises(BerthError, match="Another run of kolla-ansible"), exclusive_lock(tmp_path):
        pass
    owner.kill()
    owner.wait()
    assert Path(f"/proc/{session}").exists(), "what it had started lives on"
    with exclusive_lock(tmp_path):
        goes(session)


def test_a_run_ends_with_the_program_that_started_it(
    tmp_path: Path, inputs: play.Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    parents = iter([1, 1, 2])
    monkeypatch.setattr(play.os, "getppid", lambda: next(parents))
    made = environment(tmp_path, [TASK])
    program = Path(made.program("kolla-ansible"))
    program.write_text(program.read_text().replace("exit 0", "sleep 600"))
    with pytest.raises(BerthError, match="its parent process is gone"):
        run_in(made, tmp_path, inputs)


def test_diff_shows_what_changed_and_nothing_else() -> None:
    now = document()
    later = {**now, "globals": {**now["globals"], "enable_etcd": False}}
    text = differences.text(differences.files(now, SAMPLE), differences.files(later, SAMPLE))
    assert "-enable_etcd: true" in text and "+enable_etcd: false" in text and "multinode" not in text
    kept = json.loads(json.dumps(now, sort_keys=True))
    assert differences.text(differences.files(kept, SAMPLE), differences.files(now, SAMPLE)) == "", "as it was kept"


# The image check


class Check:
    """`berth kolla images` on a stack whose nodes want cron and etcd, with the registry that it asks."""

    def __init__(self, checkout: Checkout, world: World, berth: Any) -> None:
        self.registry, self.checkout, self._berth = world.registry(), checkout, berth
        self._ca, self.password = world.ca, PASSWORD
        self.name = self.registry.end().registry
        raw = yaml.safe_load((ROOT / "Pulumi.kolla.yaml").read_text(encoding="utf-8"))
        checkout.settings("kolla", raw["config"])

    def __call__(self, *options: str) -> Ended:
        given = {"docker_registry_password": self.password}
        told = document()
        told["globals"] |= {"docker_registry": self.name, "docker_registry_username": "reader"}
        self.inputs = play.Inputs(told, {}, "secret", self._ca, given)
        return self._berth("kolla", "images", "--stack", "kolla", *options)

    @property
    def lock(self) -> dict[str, str]:
        """Digest by image, as locked."""
        return {name: image.digest for name, image in read_lock(self.checkout.session("kolla")).items()}


@pytest.fixture
def check(checkout: Checkout, world: World, berth: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    made, of_kolla = Check(checkout, world, berth), environment(tmp_path / "venv")
    checkout.install_pulumi()
    monkeypatch.setattr(steps.inputs, "of_stack", lambda *_: made.inputs)
    monkeypatch.setattr(steps, "environment", lambda *_: of_kolla)
    hosts = {"control1": ["kolla/cron", "kolla/etcd"], "control2": ["kolla/cron"]}
    wanted = {host: {f"{made.name}/{image}:2026.1": "cron" for image in own} for host, own in hosts.items()}
    monkeypatch.setattr(steps.image_check, "needed", lambda *_: wanted)
    return made


def test_images_are_locked_when_they_are_first_seen_whoever_brought_them(check: Check) -> None:
    pushed = {name: check.registry.push(f"kolla/{name}:2026.1", name.encode()) for name in ("cron", "etcd")}
    assert check().out == f"images: all 2 are in {check.name}; locked now: cron, etcd\n"
    assert check.lock == pushed
    assert check().out == f"images: all 2 are in {check.name}\n"


def test_missing_images_are_all_named_and_nothing_is_locked(check: Check) -> None:
    told = check()
    assert (told.code, check.lock) == (1, {})
    assert f"2 of 2 images are not in {check.name}:\n    kolla/cron:2026.1\n    kolla/etcd:2026.1\n" in told.err
    assert "./berth kolla build --stack kolla" in told.err
    check.registry.push("kolla/cron:2026.1", b"x")
    assert "1 of 2" in check().err and check.lock == {}


def test_a_tag_that_moved_since_the_lock_is_refused_until_it_is_accepted(check: Check) -> None:
    for name in ("cron", "etcd"):
        check.registry.push(f"kolla/{name}:2026.1", b"first")
    check()
    before, now = check.lock["etcd"], check.registry.push("kolla/etcd:2026.1", b"second")
    told = check()
    assert told.code == 1 and f"    kolla/etcd:2026.1 is {now}, and was {before}\n" in told.err
    assert "./berth kolla images --accept --stack kolla" in told.err and "cron" not in told.err
    assert check.lock["etcd"] == before
    assert check("--accept").out.endswith("; locked now: etcd\n")
    assert check().code == 0 and check.lock["etcd"] == now


def test_a_registry_that_does_not_answer_is_named_with_what_to_do(check: Check) -> None:
    check.registry._fake.close()
    told = check()
    assert told.code == 1 and f"kolla's registry {check.name} can't be reached" in told.err
    assert "./berth verify --stack kolla" in told.err and "Traceback" not in told.err


def test_a_wrong_password_names_the_user_and_where_it_comes_from(check: Check) -> None:
    check.password = "other-canary"
    told = check()
    assert told.code == 1 and f"kolla's registry {check.name} refuses its own user reader" in told.err
    assert "whose password is in the stack's state: ./berth up --stack kolla" in told.err
    assert "Traceback" not in told.err and "canary" not in told.err + told.out


def test_an_image_of_another_registry_is_refused() -> None:
    found = image_check.images(
        {"control1": {f"{REGISTRY}/kolla/cron:1": "cron"}, "control2": {f"{REGISTRY}/kolla/cron:1": "cron"}}, REGISTRY
    )
    assert found == [image_check.Image("kolla/cron", "1")]
    with pytest.raises(BerthError, match=r"quay.io/kolla/cron:1 is not in the stack's registry"):
        image_check.images({"control1": {"quay.io/kolla/cron:1": "cron"}}, REGISTRY)


def listed(text: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess([], status, text, "no route to host" if status else "")


@pytest.mark.parametrize(
    ("status", "good"),
    [
        ("Up 2 minutes (healthy)", True),
        ("Up 2 minutes", True),
        ("Up 5 seconds (health: starting)", False),
        ("Up 2 minutes (unhealthy)", False),
        ("Exited (1) 3 seconds ago", False),
    ],
)
def test_a_container_is_right_when_it_runs_and_is_not_sick(status: str, good: bool) -> None:
    image = f"{REGISTRY}/kolla/etcd:2026.1"
    (finding,) = verify.check_node("control1", {"control1": {image: "etcd"}}, listed(f"etcd\t{image}\t{status}\n"))
    assert (finding.ok, finding.answer) == (good, status)


def test_a_missing_container_and_a_silent_node_are_wrong() -> None:
    image = f"{REGISTRY}/kolla/etcd:2026.1"
    assert [finding.ok for finding in verify.check_node("control1", {"control1": {image: "etcd"}}, listed(""))] == [
        False
    ]
    assert verify.check_node("control1", {}, listed("", 255)) == [
        verify.Finding("control1", "Docker", False, "no route to host")
    ]


def test_what_is_wrong_is_told_line_by_line() -> None:
    good, bad = verify.Finding("a", "etcd", True, "Up"), verify.Finding("b", "etcd", False, "gone")
    assert verify.raise_if_failed([good]) == "verify: all 1 checks passed"
    with pytest.raises(BerthError, match=r"1 of 2 checks failed:\n    BAD b: etcd: gone"):
        verify.raise_if_failed([good, bad])


def test_a_token_that_nobody_issues_is_an_answer_too() -> None:
    finding = verify.token("http://127.0.0.1:9", "password")
    assert not finding.ok and "refused" in finding.answer


def test_keystone_is_asked_where_the_globals_say_that_it_is() -> None:
    plain = {"kolla_internal_vip_address": "10.78.0.20"}
    assert verify.keystone(plain) == "http://10.78.0.20:5000"
    named = {**plain, "kolla_internal_fqdn": "os.example.com", "kolla_enable_tls_internal": True}
    assert verify.keystone(named) == "https://os.example.com:5000"


def test_ansible_itself_says_which_images_every_node_will_pull(tmp_path: Path) -> None:
    made = Environment(Path(os.environ.get("BERTH_HOME") or ROOT / ".berth") / "kolla-venv")
    if not Path(made.program("ansible-playbook")).exists():
        pytest.skip("kolla-ansible is not installed here: ./berth kolla inventory installs it")
    raw = stackfile.read(ROOT / "Pulumi.kolla.yaml")
    raw["config"]["berth:kolla"]["groups"] = {"etcd": ["control1"]}
    told = render.document(stackfile.parse("kolla", raw), {})
    for path, text in render.files(told, made.sample_inventory, {}).items():
        write_private(tmp_path / path, text)
    needed = image_check.needed(made, tmp_path)
    names = {host: {image.name for image in image_check.images({host: own}, REGISTRY)} for host, own in needed.items()}
    everywhere = {"cron", "haproxy", "keepalived", "keystone", "keystone-fernet", "keystone-ssh", "kolla-toolbox"}
    everywhere |= {"mariadb-server", "memcached", "rabbitmq"}
    assert names == {"control1": everywhere | {"etcd"}, "control2": everywhere, "control3": everywhere}
    tags = {image.rpartition("/")[2]: tag for own in needed.values() for image, tag in own.items()}
    assert tags["haproxy:2026.1"] == tags["keepalived:2026.1"] == "loadbalancer"
    assert tags["mariadb-server:2026.1"] == "mariadb" and tags["keystone-fernet:2026.1"] == "keystone"
    assert image_check.needed_by(made, told) == needed
