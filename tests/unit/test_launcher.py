"""The launcher `berth`, with programs of its own on PATH in the place of the machine's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from config.paths import ROOT

TOOLS = ("cat", "cmp", "cp", "dirname", "env", "mkdir", "rm", "sh", "tail")


class Checkout:
    """A copy of the launcher whose Python, apt and sudo only write down how they were called."""

    def __init__(self, folder: Path) -> None:
        self.root, self.bin, self.calls = folder / "berth dir", folder / "bin", folder / "calls"
        self.home = self.root / ".berth"
        self.root.mkdir()
        self.bin.mkdir()
        shutil.copy(ROOT / "berth", self.root / "berth")
        (self.root / "operations").mkdir()
        shutil.copy(ROOT / "operations" / "help.txt", self.root / "operations")
        (self.root / "requirements.lock").write_text("x==1 --hash=sha256:0\n", encoding="utf-8")
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool) or f"/bin/{tool}")
        self.program("uname", "echo Linux")
        self.program("id", "echo 0")
        # Stands in for an interpreter new enough, with venv: `-m venv DIR` copies it to where the launcher expects it.
        self.program(
            "python3.11",
            f'echo "python $*" >>"{self.calls}"\n'
            'if [ "$1 $2" = "-m venv" ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; fi\n'
            'if [ "$1 $2" = "-m operations" ]; then echo "cwd=$PWD home=$BERTH_HOME path=$PYTHONPATH"; fi',
        )

    def program(self, name: str, body: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
        path.chmod(0o755)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        self.calls.write_text("", encoding="utf-8")
        return subprocess.run(
            [str(self.root / "berth"), *arguments],
            env={"PATH": str(self.bin), **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def called(self) -> str:
        return self.calls.read_text(encoding="utf-8")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_it_makes_the_environment_with_hashes_and_hands_over(checkout: Checkout) -> None:
    answer = checkout.run("up", "--stack", "two words")
    assert answer.returncode == 0, answer.stderr
    assert "--require-hashes" in checkout.called()
    assert checkout.called().endswith("python -m operations up --stack two words\n")
    assert answer.stdout == f"cwd={checkout.root} home={checkout.home} path={checkout.root}\n"


def test_a_second_run_installs_nothing_and_is_quick(checkout: Checkout) -> None:
    checkout.run("status")
    begun = time.monotonic()
    answer = checkout.run("status")
    assert time.monotonic() - begun < 0.5
    assert checkout.called() == "python -m operations status\n"
    assert answer.stderr == ""


def test_a_changed_lock_file_installs_again(checkout: Checkout) -> None:
    checkout.run("status")
    (checkout.root / "requirements.lock").write_text("x==2 --hash=sha256:1\n", encoding="utf-8")
    checkout.run("status")
    assert "pip install" in checkout.called()


def test_an_installation_that_failed_is_tried_again(checkout: Checkout) -> None:
    working = (checkout.bin / "python3.11").read_text()
    checkout.program(
        "python3.11", working.removeprefix("#!/bin/sh\n") + 'case "$*" in "-m pip"*) echo no route; exit 1; esac'
    )
    answer = checkout.run("status")
    assert answer.returncode == 1
    assert "no route" in answer.stderr and "pip install --require-hashes" in answer.stderr
    checkout.program("python3.11", working.removeprefix("#!/bin/sh\n"))
    assert checkout.run("status").returncode == 0


def test_berth_home_may_be_elsewhere_and_relative(checkout: Checkout, tmp_path: Path) -> None:
    answer = checkout.run("status", BERTH_HOME=str(tmp_path / "else where"))
    assert f"home={tmp_path}/else where " in answer.stdout
    assert not checkout.home.exists()


def test_another_system_is_refused_in_one_sentence(checkout: Checkout) -> None:
    checkout.program("uname", "echo Darwin")
    answer = checkout.run("up")
    assert (answer.returncode, answer.stderr) == (1, "berth: Berth runs on Linux only, and this is Darwin.\n")


def test_neither_root_nor_sudo_is_refused_in_one_sentence(checkout: Checkout) -> None:
    checkout.program("id", "echo 1000")
    answer = checkout.run("up")
    assert answer.returncode == 1
    assert answer.stderr.count("\n") == 1
    assert "run it as root or install sudo" in answer.stderr


def test_another_user_goes_through_sudo_with_path_and_settings(checkout: Checkout) -> None:
    checkout.program("id", "echo 1000")
    checkout.program("sudo", 'printf "%s\\n" "$@"')
    answer = checkout.run("up", "--stack", "a b")
    assert answer.stdout.splitlines() == [
        "--preserve-env",
        "env",
        f"PATH={checkout.bin}",
        f"BERTH_HOME={checkout.home}",
        f"{checkout.root}/berth",
        "up",
        "--stack",
        "a b",
    ]


def test_help_needs_no_sudo_once_the_environment_is_there(checkout: Checkout) -> None:
    checkout.run("status")
    checkout.program("id", "echo 1000")
    assert checkout.run("up", "--help").returncode == 0


def test_no_python_that_is_new_enough_is_refused(checkout: Checkout) -> None:
    checkout.program("python3.11", "exit 1")
    answer = checkout.run("up")
    assert answer.returncode == 1
    assert "Python 3.11 or newer" in answer.stderr


def test_a_missing_venv_module_is_installed_by_apt_and_announced(checkout: Checkout) -> None:
    checkout.program("apt-get", f'echo "apt-get $*" >>"{checkout.calls}"')
    working = (checkout.bin / "python3.11").read_text().removeprefix("#!/bin/sh\n")
    checkout.program(
        "python3.11", f'case "$2" in *ensurepip*) exit 1;; *version_info?:2?*) echo 3.11; exit;; esac\n{working}'
    )
    answer = checkout.run("up")
    assert answer.returncode == 0, answer.stderr
    assert "apt-get install --yes --no-install-recommends python3.11-venv" in checkout.called()
    assert "installing python3.11-venv (apt): Berth's Python packages get an environment of their own." in answer.stderr


def test_it_works_with_the_interpreter_that_runs_these_tests() -> None:
    assert sys.version_info >= (3, 11)
    assert os.access(ROOT / "berth", os.X_OK)


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",), ("up", "--help")])
def test_help_on_a_fresh_clone_installs_nothing(checkout: Checkout, arguments: tuple[str, ...]) -> None:
    done = checkout.run(*arguments)
    assert (done.returncode, done.stderr, checkout.called()) == (0, "", "")
    assert done.stdout.startswith((ROOT / "operations" / "help.txt").read_text(encoding="utf-8"))
    assert not checkout.home.exists()


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",)])
def test_help_is_the_same_with_an_environment_and_starts_no_python(
    checkout: Checkout, arguments: tuple[str, ...]
) -> None:
    fresh = checkout.run(*arguments)
    checkout.run("status")
    done = checkout.run(*arguments)
    assert (done.returncode, done.stdout) == (0, fresh.stdout) and checkout.called() == ""


def test_what_comes_after_two_dashes_is_no_help_of_berths(checkout: Checkout) -> None:
    checkout.run("ssh", "node1", "--", "ls", "--help")
    assert checkout.called().endswith("python -m operations ssh node1 -- ls --help\n")


def test_the_help_of_a_fresh_clone_is_that_of_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "operations", "--help"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=True,
    )
    written = (ROOT / "operations" / "help.txt").read_text(encoding="utf-8")
    assert done.stdout == written, "COLUMNS=100 ./berth --help >operations/help.txt"
