"""Which init system runs a machine, and where its family keeps the flags of the Docker daemon."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from components.lib.host_files.shell import MACHINE_SCRIPT

FAKE_READLINK = '#!/bin/sh\n[ "$*" = "-f /proc/1/exe" ] && echo "$PROGRAM"\n'


def asked(function: str, folder: Path, program: str = "") -> str:
    readlink = folder / "readlink"
    readlink.write_text(FAKE_READLINK, encoding="utf-8")
    readlink.chmod(0o755)
    script = f". {MACHINE_SCRIPT}\n{function}"
    environment = {"PATH": f"{folder}:/usr/bin:/bin", "PROGRAM": program}
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, env=environment).stdout


@pytest.mark.parametrize(
    ("program", "version", "wanted"),
    [
        ("usr/lib/systemd/systemd", "systemd 257", "systemd"),
        ("sbin/init", "init (upstart 1.12.1)", "upstart"),
        ("sbin/init", "SysV init version: 3.14", "sysvinit"),
    ],
)
def test_the_first_process_tells_which_init_system_it_is(
    program: str, version: str, wanted: str, tmp_path: Path
) -> None:
    path = tmp_path / program
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\necho '{version}'\n", encoding="utf-8")
    path.chmod(0o755)
    assert asked("init_system", tmp_path, str(path)) == f"{wanted}\n"
