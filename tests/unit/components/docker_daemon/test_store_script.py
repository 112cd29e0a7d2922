"""Whether the object store keeps its quorum without a node, before a restart of dockerd ends its server."""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from components.lib.host_files.shell import script
from config.paths import ROOT
from tests.front.certificates import Authority

SCRIPT = script(ROOT / "components/docker_daemon/scripts/store.sh")
SERVERS = [f"https://192.0.2.{number}:9000" for number in (11, 12, 13, 14)]


def keeps_quorum(folder: Path, servers: list[str], against: dict[str, str], seconds: int = 1) -> tuple[bool, str, int]:
    """The script's word, what it printed, and how often it asked; `against` answers by server."""
    cases = "".join(f"*{server}/*) printf {code}; [ {code} != 000 ] ;;" for server, code in against.items())
    curl = f'echo . >>{folder}/asked; case "$*" in {cases} *maintenance=true) printf 200 ;; esac'
    (folder / "asked").write_text("")
    ok, said = run(folder, Path("/etc/berth/object-store/certs"), servers, {"curl": curl}, seconds)
    return ok, said, len((folder / "asked").read_text().split())


def run(folder: Path, certs: Path, servers: list[str], programs: dict[str, str], seconds: int) -> tuple[bool, str]:
    """The script on a node whose server was started with these; some programs stood in for."""
    arguments = ["server", "--certs-dir", str(certs), *(f"{server}/data" for server in servers)]
    (folder / "arguments").write_text("\n".join(arguments) + "\n")
    docker = f"case $1 in ps) {'echo abc' if servers else ':'} ;; inspect) cat {folder}/arguments ;; esac"
    clock = folder / "clock"
    clock.write_text("0\n")
    pause = f'echo "$(($(cat {clock}) + 1))" >{clock}'
    for name, text in {"docker": docker, "sleep": pause, **programs}.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    done = subprocess.run(
        ["sh", "-euc", f"{SCRIPT}\nquorum_without_this_node {seconds}".replace("/proc/uptime", str(clock))],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": f"{folder}:/usr/bin:/bin"},
    )
    assert done.stderr == ""
    return done.returncode == 0, done.stdout


def test_a_whole_store_keeps_its_quorum_without_a_server(tmp_path: Path) -> None:
    assert keeps_quorum(tmp_path, SERVERS, {}) == (True, "", 4)


@pytest.mark.parametrize("code", ["412", "503", "000"])
def test_a_store_that_misses_one_already_is_waited_for_and_then_named(tmp_path: Path, code: str) -> None:
    ok, said, asked = keeps_quorum(tmp_path, SERVERS, {SERVERS[2]: code}, seconds=3)
    assert (ok, said, asked) == (False, f"{SERVERS[2]} ({code})", 20)


@pytest.mark.parametrize("servers", [[], SERVERS[:1]])
def test_no_server_or_one_alone_is_not_waited_for(tmp_path: Path, servers: list[str]) -> None:
    assert keeps_quorum(tmp_path, servers, dict.fromkeys(servers, "412")) == (True, "", 0)


class Healthy(BaseHTTPRequestHandler):
    """Says yes to whatever is asked."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("known", [True, False])
def test_only_a_server_with_a_certificate_of_the_stores_ca_is_believed(tmp_path: Path, known: bool) -> None:
    ours, others = Authority(), Authority()
    shown = ours.issue("node", "127.0.0.1")
    (tmp_path / "pem").write_text(shown.key + shown.certificate)
    authority = tmp_path / "certs" / "CAs" / "ca.crt"
    authority.parent.mkdir(parents=True)
    authority.write_text((ours if known else others).certificate)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "pem")
    with ThreadingHTTPServer(("127.0.0.1", 0), Healthy) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        name = f"https://127.0.0.1:{server.server_address[1]}"
        ok, said = run(tmp_path, tmp_path / "certs", [name] * 4, {}, 0)
        server.shutdown()
    assert (ok, said) == (known, "" if known else " ".join([f"{name} (000)"] * 4))


def test_every_program_checks_the_certificate_of_its_server() -> None:
    parts = ("components", "config", "engine", "images", "operations", ".ci")
    text = {
        path: path.read_text() for part in parts for path in (ROOT / part).rglob("*") if path.suffix in (".sh", ".py")
    }
    unchecked = (
        "curl.*(--insecure|-k )",
        r"verify\s*=\s*False",
        "StrictHostKeyChecking=(no|accept)",
        "known_hosts=None",
    )
    found = {path.name for path, one in text.items() for pattern in unchecked if re.search(pattern, one)}
    assert found == set()
    # The probe compares the certificate with the state's by itself.
    assert {path.name for path, one in text.items() if "CERT_NONE" in one} == {"tls.py"}
