"""The parts of a preview: what Docker does, differences of files, secrets in texts."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from components.lib.host_files.bundle import Block, Directive, Directory, File, render
from config.paths import ROOT
from operations.preview import daemons, differences
from operations.preview.plan import Change, Resource
from operations.pulumi.values import LATER, SIGNATURE, UNKNOWN, Redactor, Secret, read, secret_texts, shown

DAEMON_SH = ROOT / "components/docker_daemon/scripts/daemon.sh"
URN = "urn:pulumi:dev::berth::berth:docker-daemon:DockerDaemons$command:remote:Command::docker-node1"
Keys = dict[str, tuple[str, str]]


def bundle(*entries: Any) -> str:
    return render(entries)


def change(before: Any, after: Any, op: str = "update") -> Change:
    sides = [None if text is None else Resource(URN, {"stdin": text, "create": "x"}) for text in (before, after)]
    return Change(op, *sides)


CASES: list[tuple[Keys, Keys, str]] = [
    ({"mtu": ("restart", "1")}, {"mtu": ("restart", "1")}, "nothing"),
    ({"mtu": ("restart", "1")}, {"mtu": ("restart", "2")}, "restart"),
    ({"labels": ("reload", "1")}, {"labels": ("reload", "2")}, "reload"),
    ({"labels": ("reload", "1")}, {}, "restart"),
    ({}, {"labels": ("reload", "1")}, "reload"),
    ({}, {"mtu": ("restart", "1")}, "restart"),
    ({"a": ("restart", "1"), "b": ("reload", "1")}, {"a": ("restart", "1"), "b": ("reload", "2")}, "reload"),
    ({"a": ("restart", "1")}, {"a": ("reload", "1")}, "restart"),
]


@pytest.mark.parametrize(("before", "after", "force"), CASES)
def test_what_docker_does_is_worked_out_as_the_script_on_the_node_does_it(
    before: Keys, after: Keys, force: str, tmp_path: Path
) -> None:
    assert daemons.force(before, after)[0] == force
    for name, keys in (("state", before), ("work", after)):
        (tmp_path / name).mkdir()
        lines = (f"{key}\t{how}\t{digest}\n" for key, (how, digest) in keys.items())
        (tmp_path / name / "keys").write_text("".join(lines))
    script = f'. "{DAEMON_SH}"; state={tmp_path}/state; work={tmp_path}/work; force_of_change'
    assert subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout == force


def test_a_node_that_was_never_seen_is_unknown_until_ssh_bootstrap() -> None:
    assert daemons.effect("node1", change(None, bundle(), "create")).force == "unknown"


def test_a_machine_that_is_made_anew_is_unknown_too() -> None:
    before, after = (bundle(Directive("machine", [identity])) for identity in ("one", "two"))
    assert daemons.effect("node1", change(before, after)).force == "unknown"


@pytest.mark.parametrize(("live_restore", "why"), [("true", ""), ("false", "its containers, too")])
def test_a_restart_says_whether_containers_restart_with_docker(live_restore: str, why: str) -> None:
    lives = Directive("expect", ["{{.LiveRestoreEnabled}}", live_restore])
    before, after = (bundle(Directive("key", ["mtu", "restart", value]), lives) for value in ("1", "2"))
    found = daemons.effect("node1", change(before, after))
    assert (found.force, found.keys, found.why) == ("restart", ("mtu",), why)


def test_a_file_that_docker_reads_on_every_pull_costs_nothing() -> None:
    before, after = (bundle(File("/etc/docker/certs.d/r:4000/ca.crt", text)) for text in ("a\n", "b\n"))
    assert daemons.effect("node1", change(before, after)).force == "nothing"


def test_a_changed_file_is_shown_as_a_difference_with_its_mode() -> None:
    before = bundle(File("/etc/x.conf", "one\ntwo\nthree\n"), File("/etc/same", "s\n"))
    after = bundle(File("/etc/x.conf", "one\n2\nthree\n", mode="0640", owner="root:adm"), File("/etc/same", "s\n"))
    (found,) = differences.files(change(before, after.replace("0640", "0664"))) or []
    assert found.title == "/etc/x.conf"
    assert found.what == "mode 0644 -> 0664, owner root:root -> root:adm, changed"
    assert found.lines == ("@@ -1,3 +1,3 @@", " one", "-two", "+2", " three")


def test_entries_that_come_and_go_are_named() -> None:
    before = bundle(File("/etc/old", "x\n"), Block("/etc/hosts", "1.2.3.4 a\n"))
    after = bundle(Block("/etc/hosts", "1.2.3.5 a\n"), Directory("/var/lib/x", "0750", "0:0"))
    found = {item.title: item for item in differences.files(change(before, after)) or []}
    assert "comes back" in found["/etc/old"].what
    assert found["/etc/hosts (block)"].lines[1:] == ("-1.2.3.4 a", "+1.2.3.5 a")
    assert found["/var/lib/x/"].what == "new, mode 0750"


@pytest.mark.parametrize("mode", ["0600", "0640"])
def test_a_file_with_a_restricted_mode_is_only_said_to_change(mode: str) -> None:
    before, after = (bundle(File("/etc/key", text, mode=mode)) for text in ("hush\n", "psst\n"))
    (found,) = differences.files(change(before, after)) or []
    assert (found.what, found.lines) == ("changed (contents are secret)", ())
    (opened,) = differences.files(change(before, bundle(File("/etc/key", "psst\n")))) or []
    assert opened.lines == (), "a secret does not become public by a mode"


def test_files_that_depend_on_what_is_made_during_up_are_said_to() -> None:
    (found,) = differences.files(change(bundle(File("/etc/x", "x\n")), UNKNOWN)) or []
    assert "only during up" in found.what


def test_properties_are_shown_by_name_and_secret_ones_only_named() -> None:
    old = {"image": "r/a@sha256:1", "envs": ["A=1"], "password": Secret("old"), "same": 1}
    new = {"image": "r/a@sha256:2", "envs": ["A=1", "B=2"], "password": Secret("new"), "same": 1}
    found = {
        item.title: item for item in differences.properties(Change("replace", Resource(URN, old), Resource(URN, new)))
    }
    assert found["image"].lines[1:] == ("-r/a@sha256:1", "+r/a@sha256:2")
    assert '+  "B=2"' in found["envs"].lines
    assert (found["password"].what, found["password"].lines) == ("changed (it is secret)", ())
    assert "same" not in found


def test_of_a_connection_the_door_is_shown_and_never_the_key() -> None:
    sides = [
        Secret({"host": host, "user": "root", "privateKey": Secret(key)}) for host, key in (("a", "K"), ("b", "L"))
    ]
    old, new = (Resource(URN, {"connection": side}) for side in sides)
    (found,) = differences.properties(Change("update", old, new))
    text = "\n".join(found.lines)
    assert '-  "host": "a"' in text and '"K"' not in text


def test_values_are_read_with_their_marks_in_the_forms_of_both_engines() -> None:
    inner = {"host": "h", "privateKey": {SIGNATURE: "1b47", "ciphertext": '"KEY"'}}
    marked = read({"connection": {SIGNATURE: "1b47", "plaintext": json.dumps(inner)}, "later": UNKNOWN})
    assert marked["connection"] == Secret({"host": "h", "privateKey": Secret("KEY")})
    assert shown(marked) == {"connection": "[secret]", "later": LATER}
    assert read({SIGNATURE: "1b47", "plaintext": '""'}) == Secret(UNKNOWN), (
        "how the CLI's plan writes what is not known"
    )


def test_of_a_secret_object_only_the_secret_parts_are_kept_out_of_texts() -> None:
    connection = Secret({"host": "10.0.0.1", "hostKey": "ssh-ed25519 AAAA", "privateKey": "line of the private key\n"})
    assert set(secret_texts({"c": connection})) == {"line of the private key\n", "line of the private key"}


@pytest.mark.parametrize("text", ['p"4ss/wörd', "plain-password", "a\\b\tc'd"])
def test_a_secret_is_taken_out_in_every_spelling(text: str) -> None:
    from urllib.parse import quote

    redact = Redactor([text, UNKNOWN, "abc"])
    for spelling in (text, json.dumps(text), json.dumps(text, ensure_ascii=False), quote(text, "")):
        assert "[secret]" in redact(f"before {spelling} after")
        assert text not in redact(f"before {spelling} after")
    assert redact("abc") == "abc", "too short to be taken out of every text"
    assert redact("http://user:word@proxy:3128") == "http://[secret]@proxy:3128"
