"""A bundle as text, and what the script makes of it on a real file system."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components.lib.host_files.bundle import Block, BundleError, Directive, Directory, Entry, File, render
from components.lib.host_files.shell import apply_stage, as_root, remove_stage, stage_script

Apply = Callable[..., subprocess.CompletedProcess[str]]
NASTY = 'it\'s "quoted" $(touch {canary}) `touch {canary}` ; & | * ? ~ ü ß 漢 \\n \\t %s\n\n  spaces  \n'


@pytest.fixture
def apply() -> Iterator[Apply]:
    """Runs the script as a node would, with a state directory of its own that is gone afterwards."""
    if os.geteuid() != 0:
        pytest.skip("the script writes below /var/lib and changes owners: it needs root")
    stack = f"unit-{uuid.uuid4().hex[:8]}"

    def run(*entries: Entry, verb: str = "apply", stage: str = "stage") -> subprocess.CompletedProcess[str]:
        if verb == "apply":
            command = apply_stage(stage_script(), stack, stage, "root")
        else:
            command = remove_stage(stack, stage, "root")
        return subprocess.run(
            ["sh", "-c", command], input=render(entries), text=True, capture_output=True, check=False, timeout=60
        )

    yield run
    run(verb="remove")


def test_a_new_file_has_its_mode_and_owner_and_its_parents_are_made(apply: Apply, tmp_path: Path) -> None:
    target = tmp_path / "a b" / "ü" / "file"
    done = apply(File(str(target), "content\n", mode="0600", owner="65532:65532"))
    assert done.returncode == 0, done.stderr
    assert target.read_text() == "content\n"
    assert (target.stat().st_mode & 0o7777, target.stat().st_uid) == (0o600, 65532)


def test_a_parent_that_another_bundle_makes_at_once_is_accepted(
    apply: Apply, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    faster = programs / "mkdir"
    # Whatever is to be made is there a moment before.
    faster.write_text('#!/bin/sh\ncase $* in *together*) /bin/mkdir "$@" ;; esac\nexec /bin/mkdir "$@"\n')
    faster.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    target = tmp_path / "together" / "file"
    done = apply(File(str(target), "content\n"))
    assert done.returncode == 0, done.stderr
    assert target.read_text() == "content\n"


def test_a_stage_is_taken_back_by_the_script_that_applied_it(apply: Apply, tmp_path: Path) -> None:
    target = tmp_path / "file"
    apply(File(str(target), "content\n"))
    kept = next(Path("/var/lib/berth").glob("unit-*/stage/script"))
    kept.write_text(kept.read_text() + "\necho by the kept script\n")
    done = apply(verb="remove")
    assert (done.returncode, done.stdout.endswith("by the kept script\n"), target.exists()) == (0, True, False)
    assert not kept.exists()


def test_a_stage_that_is_not_there_is_taken_back_without_a_word(apply: Apply) -> None:
    done = apply(verb="remove", stage="never")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_second_run_changes_nothing_and_says_so(apply: Apply, tmp_path: Path) -> None:
    entries = [File(str(tmp_path / "file"), "content\n"), Block(str(tmp_path / "hosts"), "192.0.2.1 a\n")]
    apply(*entries)
    before = (tmp_path / "file").stat().st_ino
    assert apply(*entries).stdout == "nothing to change\n"
    assert (tmp_path / "file").stat().st_ino == before


def test_a_changed_mode_or_owner_is_repaired(apply: Apply, tmp_path: Path) -> None:
    named, numeric = tmp_path / "named", tmp_path / "numeric"
    entries = [File(str(named), "x\n"), File(str(numeric), "x\n", mode="0040", owner="65532:0")]
    apply(*entries)
    assert apply(*entries).stdout == "nothing to change\n"
    named.chmod(0o666)
    os.chown(numeric, 0, 0)
    assert apply(*entries).stdout == f"changed {named}\nchanged {numeric}\n"
    assert (named.stat().st_mode & 0o777, numeric.stat().st_uid) == (0o644, 65532)


def test_what_a_killed_run_left_beside_a_file_is_replaced(apply: Apply, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("theirs")
    for name in ("file", "hosts"):
        (tmp_path / f"{name}.berth-new").symlink_to(victim)
    done = apply(File(str(tmp_path / "file"), "x\n"), Block(str(tmp_path / "hosts"), "192.0.2.1 a\n"))
    assert done.returncode == 0, done.stderr
    assert victim.read_text() == "theirs"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "hosts", "victim"]


def test_hostile_text_is_data_and_arrives_byte_for_byte(apply: Apply, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    text = NASTY.format(canary=canary)
    contents = [text, text.rstrip("\n"), "", "\n", "no newline", "|end\nend\nfile 0644 root:root /x\n", "tab\tcr\r\n"]
    done = apply(*(File(str(tmp_path / f"file{index}"), content) for index, content in enumerate(contents)))
    assert done.returncode == 0, done.stderr
    assert [(tmp_path / f"file{index}").read_bytes().decode() for index in range(len(contents))] == contents
    assert not canary.exists()


def test_remove_puts_back_what_was_there_before(apply: Apply, tmp_path: Path) -> None:
    kept, hosts = tmp_path / "kept", tmp_path / "hosts"
    kept.write_text("theirs")
    kept.chmod(0o640)
    hosts.write_text("127.0.0.1 localhost\n")
    apply(File(str(kept), "ours\n"), File(str(tmp_path / "new" / "file"), "x"), Block(str(hosts), "192.0.2.1 a\n"))
    assert apply(verb="remove").returncode == 0
    assert (kept.read_text(), kept.stat().st_mode & 0o777) == ("theirs", 0o640)
    assert hosts.read_text() == "127.0.0.1 localhost\n"
    assert not (tmp_path / "new").exists()


def test_an_entry_that_leaves_the_bundle_is_taken_back(apply: Apply, tmp_path: Path) -> None:
    kept, mine = tmp_path / "kept", tmp_path / "mine"
    kept.write_text("theirs")
    apply(File(str(kept), "ours"), File(str(mine), "x"))
    done = apply(File(str(mine), "x"))
    assert (done.returncode, kept.read_text(), mine.read_text()) == (0, "theirs", "x")


def test_the_original_survives_a_second_change(apply: Apply, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("theirs")
    apply(File(str(kept), "first"))
    apply(File(str(kept), "second"))
    apply(verb="remove")
    assert kept.read_text() == "theirs"


def test_a_block_keeps_the_lines_around_it_and_is_replaced_as_a_whole(apply: Apply, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n")
    apply(Block(str(hosts), "192.0.2.1 old\n"))
    with hosts.open("a") as stream:
        stream.write("198.51.100.1 theirs\n")
    apply(Block(str(hosts), "192.0.2.2 new\n"))
    text = hosts.read_text()
    assert "127.0.0.1 localhost\n" in text
    assert "198.51.100.1 theirs\n" in text
    assert "old" not in text
    assert text.count("192.0.2.2 new") == 1


def test_a_full_disk_leaves_every_old_file_intact(apply: Apply, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(small)], check=False)
    if mounted.returncode != 0:
        pytest.skip("this machine does not allow a small file system to be mounted")
    try:
        (small / "a").write_text("old a")
        (small / "b").write_text("old b")
        done = apply(File(str(small / "a"), "new a"), File(str(small / "b"), "x" * 200_000))
        assert done.returncode != 0
        assert f"{small}/b" in done.stderr
        assert "disk full" in done.stderr
        assert ((small / "a").read_text(), (small / "b").read_text()) == ("old a", "old b")
        assert sorted(path.name for path in small.iterdir()) == ["a", "b"], "no half-written file stays"
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_file_that_cannot_be_renamed_over_is_written_in_place(apply: Apply, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("127.0.0.1 localhost\n")
    target.touch()
    if subprocess.run(["mount", "--bind", str(source), str(target)], check=False).returncode != 0:
        pytest.skip("this machine does not allow bind mounts")
    try:
        done = apply(Block(str(target), "192.0.2.1 a\n"))
        assert done.returncode == 0, done.stderr
        assert "192.0.2.1 a" in source.read_text()
    finally:
        subprocess.run(["umount", str(target)], check=True)


def test_an_unknown_owner_is_named_and_nothing_is_changed(apply: Apply, tmp_path: Path) -> None:
    done = apply(File(str(tmp_path / "file"), "x", owner="nobody-here:nobody-here"))
    assert done.returncode != 0
    assert "nobody-here" in done.stderr
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("path", ["relative", "/with\nnewline", "/up/../there", ""])
def test_a_path_that_could_mean_something_else_is_refused(path: str) -> None:
    with pytest.raises(BundleError):
        render([File(path, "x")])


def test_modes_and_owners_are_checked_before_anything_is_sent() -> None:
    with pytest.raises(BundleError):
        render([File("/x", "x", mode="644")])
    with pytest.raises(BundleError):
        render([Directory("/x", owner="root; reboot")])
    with pytest.raises(BundleError):
        render([Directive("key", ["a\nb"])])


def test_a_user_other_than_root_goes_through_sudo_that_never_asks() -> None:
    line = as_root("true", "apply", user="core")
    assert "sudo -n true ||" in line
    assert "NOPASSWD" in line


@pytest.mark.parametrize("owner", [0, 65534])
def test_a_link_in_somebody_elses_folder_gives_nothing_away(apply: Apply, tmp_path: Path, owner: int) -> None:
    folder, ours = tmp_path / "folder", tmp_path / "ours"
    for made in (folder, ours):
        made.mkdir()
    (folder / "data").symlink_to(ours)
    os.chown(folder, owner, owner)
    done = apply(Directory(str(folder / "data"), mode="0700", owner="65532:65532"))
    # Of root's own folder a link is as good as what it leads to.
    assert (done.returncode == 0, ours.stat().st_uid) == ((True, 65532) if owner == 0 else (False, 0))
    assert owner == 0 or f"{folder}/data is a link, in a folder that is not root's" in done.stderr
