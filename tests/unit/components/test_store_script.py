"""Whether the object store can spare a node's server, before dockerd's restart ends it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "components/docker_daemon/scripts/store.sh"
SERVERS = [f"https://192.0.2.{number}:9000" for number in (11, 12, 13, 14)]


def spared(folder: Path, servers: list[str], against: dict[str, str], seconds: int = 1) -> tuple[bool, str, int]:
    """The script's word, what it printed, and how often it asked; `against` answers by server."""
    arguments = ["server", "--certs-dir", "/etc/berth/object-store/certs", *(f"{server}/data" for server in servers)]
    (folder / "arguments").write_text("\n".join(arguments) + "\n")
    cases = "".join(f"*{server}/*) printf {code}; [ {code} != 000 ] ;;" for server, code in against.items())
    programs = {
        "docker": f"case $1 in ps) {'echo abc' if servers else ':'} ;; inspect) cat {folder}/arguments ;; esac",
        "curl": f'echo . >>{folder}/asked; case "$*" in {cases} *maintenance=true) printf 200 ;; esac',
        "sleep": ":",
    }
    for name, text in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    (folder / "asked").write_text("")
    done = subprocess.run(
        ["sh", "-euc", f". {SCRIPT}\nstore_spares_this_node {seconds}"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{folder}:/usr/bin:/bin"},
    )
    assert done.stderr == ""
    return done.returncode == 0, done.stdout, len((folder / "asked").read_text().split())


def test_a_whole_store_spares_a_server(tmp_path: Path) -> None:
    assert spared(tmp_path, SERVERS, {}) == (True, "", 4)


@pytest.mark.parametrize("code", ["412", "503", "000"])
def test_a_store_that_misses_one_already_is_waited_for_and_then_named(tmp_path: Path, code: str) -> None:
    ok, said, asked = spared(tmp_path, SERVERS, {SERVERS[2]: code}, seconds=3)
    assert (ok, said, asked) == (False, f"{SERVERS[2]} ({code})", 16)


@pytest.mark.parametrize("servers", [[], SERVERS[:1]])
def test_no_server_or_one_alone_is_not_waited_for(tmp_path: Path, servers: list[str]) -> None:
    assert spared(tmp_path, servers, dict.fromkeys(servers, "412")) == (True, "", 0)
