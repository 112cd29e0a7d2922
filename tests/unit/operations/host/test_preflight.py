"""Machines that Berth refuses, each in one sentence that says what to do."""

from __future__ import annotations

import os
import platform
import shutil
import socket
from collections import namedtuple
from pathlib import Path

import pytest

from operations.host import docker_engine, preflight
from operations.host.prepare import BootstrapError

Usage = namedtuple("Usage", "total used free")


def test_another_system_than_linux_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    with pytest.raises(BootstrapError, match="runs on Linux, and this is Darwin; use a Linux machine"):
        preflight.refuse([preflight.system])


def test_neither_root_nor_sudo_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(BootstrapError, match="needs root, and sudo is not installed; run it as root or install sudo"):
        preflight.refuse([preflight.root])


def test_too_little_disk_is_refused_with_the_folder_that_has_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(0, 0, 11 * 10**9))
    wanted = tmp_path / "not" / "there" / "yet"
    with pytest.raises(BootstrapError, match=r"11\.0 GB are free for .*yet; Berth needs 12 GB"):
        preflight.refuse([lambda: preflight.disk([wanted])])


@pytest.mark.parametrize(("kilobytes", "ok"), [(4 * 2**20, False), (6 * 2**20 - 200_000, True), (8 * 2**20, True)])
def test_six_gigabytes_of_memory_are_needed(tmp_path: Path, kilobytes: int, ok: bool) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(f"MemTotal:       {kilobytes} kB\nMemFree: 1 kB\n", encoding="utf-8")
    assert preflight.memory(meminfo).ok is ok


def test_a_kernel_without_overlayfs_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    filesystems = tmp_path / "filesystems"
    filesystems.write_text("nodev\tproc\n\text4\n", encoding="utf-8")
    with pytest.raises(BootstrapError, match=r"no overlayfs.*; use a kernel with"):
        preflight.refuse([lambda: preflight.overlayfs(filesystems)])


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(BootstrapError, match=rf"127\.0\.0\.1:{port}: stop it, or choose another port"):
            preflight.refuse_taken_ports([("127.0.0.1", port)])


def test_a_port_of_an_address_that_is_not_there_yet_is_free() -> None:
    preflight.refuse_taken_ports([("192.0.2.1", 4999)])


@pytest.mark.parametrize(
    ("version", "ok"),
    [
        ("", False),
        ("19.03.13", False),
        ("20.10.24+dfsg1", True),
        ("26.1.5+dfsg1", True),
        ("29.0.1", True),
        ("30.0.0", True),
    ],
)
def test_docker_from_20_10_on_is_accepted(version: str, ok: bool) -> None:
    assert docker_engine.check(version).ok is ok


def test_a_docker_newer_than_any_that_was_tried_is_said_to_be_so() -> None:
    assert "newer than Berth was tried with" in docker_engine.check("30.0.0").found
