"""The script that puts Berth's names back into /etc/hosts of a lab node at boot."""

from __future__ import annotations

import subprocess
from pathlib import Path

import images

SCRIPT = images.FOLDER / "lab_node" / "rootfs" / "usr" / "local" / "libexec" / "berth" / "merge-hosts"
BLOCK = "# BEGIN berth dev\n10.77.0.11 registry.berth.test\n# END berth dev\n"


def merged(folder: Path, hosts: str, **blocks: str) -> str:
    file, directory = folder / "hosts", folder / "hosts.d"
    directory.mkdir(exist_ok=True)
    file.write_text(hosts, encoding="utf-8")
    for name, text in blocks.items():
        (directory / f"{name}.block").write_text(text, encoding="utf-8")
    before = file.stat().st_ino
    subprocess.run(["sh", str(SCRIPT), str(file), str(directory)], check=True)
    assert file.stat().st_ino == before, "a bind mount can't be replaced by another file"
    return file.read_text(encoding="utf-8")


def test_a_block_is_appended_to_what_docker_wrote(tmp_path: Path) -> None:
    assert merged(tmp_path, "127.0.0.1 localhost\n", dev=BLOCK) == "127.0.0.1 localhost\n" + BLOCK


def test_an_older_block_is_replaced_in_its_place(tmp_path: Path) -> None:
    old = "127.0.0.1 localhost\n# BEGIN berth dev\n10.0.0.1 gone\n10.0.0.2 gone\n# END berth dev\n10.9.9.9 mine\n"
    assert merged(tmp_path, old, dev=BLOCK) == "127.0.0.1 localhost\n" + BLOCK + "10.9.9.9 mine\n"


def test_merging_twice_changes_nothing(tmp_path: Path) -> None:
    once = merged(tmp_path, "127.0.0.1 localhost\n", dev=BLOCK)
    assert merged(tmp_path, once) == once


def test_blocks_of_several_stacks_stand_side_by_side(tmp_path: Path) -> None:
    other = BLOCK.replace("dev", "test")
    result = merged(tmp_path, "127.0.0.1 localhost\n", dev=BLOCK, test=other)
    assert result == "127.0.0.1 localhost\n" + BLOCK + other


def test_no_blocks_leave_the_file_alone(tmp_path: Path) -> None:
    assert merged(tmp_path, "127.0.0.1 localhost\n") == "127.0.0.1 localhost\n"


def test_an_empty_block_leaves_the_file_alone(tmp_path: Path) -> None:
    assert merged(tmp_path, "127.0.0.1 localhost\n", dev="") == "127.0.0.1 localhost\n"
