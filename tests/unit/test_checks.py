"""The code is as its own rules want it: lint, format, types, shell scripts, size."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from config.paths import ROOT

PRODUCT = ("__main__.py", "components", "config", "images", "operations", "plugins")
LONGEST_FUNCTION = 60
"""Lines."""
LONG_FUNCTIONS = {
    "components/lab_upstream/component.py: __init__",
    "components/nodes/virtualbox.py: node",
    "components/object_store/component.py: __init__",
}
"""Those that declare one resource after the other; a new one is split instead of listed."""

# Scripts whose first part is the folder's own.
PARTED = {ROOT / "components" / stage / "scripts": first for stage, first in (("etcd", "members"), ("swarm", "swarm"))}


def judge(*words: str) -> None:
    """Fails with the tool's own words."""
    found = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_ruff_finds_nothing() -> None:
    judge("ruff", "check", "--no-cache", ".")


def test_ruff_would_format_nothing() -> None:
    judge("ruff", "format", "--no-cache", "--check", ".")


def test_mypy_finds_nothing() -> None:
    judge("mypy")


def test_no_function_of_the_product_has_more_than_60_lines() -> None:
    long = set()
    for path in (path for top in PRODUCT for path in (ROOT / top, *(ROOT / top).rglob("*.py")) if path.is_file()):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    long.add(f"{path.relative_to(ROOT)}: {node.name}")
    assert long - LONG_FUNCTIONS == set()


def test_shell_scripts_that_stand_alone_pass_shellcheck() -> None:
    parts_of_a_whole = {
        "bundle.sh",
        "run.sh",
        "machine.sh",
        "store.sh",
        "daemon.sh",
        "service.sh",
        "nginx.sh",
        "client.sh",
        "firewall.sh",
        "certificate.sh",
        "in_force.sh",
    }
    parts_of_a_whole |= {
        "reload.sh",
        "pool.sh",
        "check_ip_conflict.sh",
        "probe.sh",
        "network.sh",
        "node_config.sh",
        "node.sh",
    }
    scripts = [
        path
        for path in ROOT.rglob("*.sh")
        if ".berth" not in path.parts and path.name not in parts_of_a_whole and path.parent not in PARTED
    ]
    scripts += [ROOT / "berth", *(path for path in (ROOT / ".ci").iterdir() if not path.suffix)]
    shellcheck = Path(sys.executable).with_name("shellcheck")
    if not shellcheck.exists():
        pytest.skip("shellcheck is not installed beside Python: ./berth up installs it")
    found = subprocess.run([shellcheck, *scripts], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("folder", PARTED, ids=lambda folder: folder.parent.name)
def test_scripts_with_a_common_first_part_pass_shellcheck_as_wholes(folder: Path) -> None:
    shellcheck = Path(sys.executable).with_name("shellcheck")
    if not shellcheck.exists():
        pytest.skip("shellcheck is not installed beside Python: ./berth up installs it")
    first = (folder / f"{PARTED[folder]}.sh").read_text(encoding="utf-8")
    for path in sorted(folder.glob("*.sh")):
        if path.stem in (PARTED[folder], "etcd"):
            continue
        whole = first + path.read_text(encoding="utf-8")
        found = subprocess.run(
            # What one script of a family sets, another one reads.
            [shellcheck, "--shell=sh", "--exclude=SC2034", "-"],
            input=whole,
            capture_output=True,
            text=True,
            check=False,
        )
        assert found.returncode == 0, path.name + found.stdout
