"""The code is as its own rules want it: lint, format, types, shell scripts."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from config.paths import ROOT
from operations.inspect import probe
from tests.unit.components import component_scripts

PRODUCT = ("__main__.py", "components", "config", "images", "operations", "plugins")
LONGEST_FUNCTION = 60
"""Lines."""
SHELLCHECK = Path(sys.executable).with_name("shellcheck")
PROBE_PART = ROOT / "operations" / "inspect" / "scripts" / "probe.sh"


def run_check(*words: str) -> None:
    """Fails with the tool's own words."""
    found = subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


def test_ruff_finds_nothing() -> None:
    run_check("ruff", "check", "--no-cache", ".")


def test_ruff_would_format_nothing() -> None:
    run_check("ruff", "format", "--no-cache", "--check", ".")


def test_mypy_finds_nothing() -> None:
    run_check("mypy")


def test_no_function_of_the_product_has_more_than_60_lines() -> None:
    long = set()
    for path in (path for top in PRODUCT for path in (ROOT / top, *(ROOT / top).rglob("*.py")) if path.is_file()):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    long.add(f"{path.relative_to(ROOT)}: {node.name}")
    assert long == set()


@pytest.mark.skipif(not SHELLCHECK.exists(), reason="shellcheck is not installed beside Python: ./berth up installs it")
def test_shell_scripts_outside_of_components_pass_shellcheck() -> None:
    scripts = [
        path for path in ROOT.rglob("*.sh") if not {".berth", "components"} & set(path.parts) and path != PROBE_PART
    ]
    scripts += [ROOT / "berth", *(path for path in (ROOT / ".ci").iterdir() if not path.suffix)]
    found = subprocess.run([SHELLCHECK, *scripts], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


SCRIPTS = component_scripts.found() | {"operations.inspect.probe.TEXT": probe.TEXT}


@pytest.mark.skipif(not SHELLCHECK.exists(), reason="shellcheck is not installed beside Python: ./berth up installs it")
@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_passes_shellcheck_as_a_machine_runs_it(name: str) -> None:
    # What one part defines, another one uses, and not every whole uses all of it.
    words = [SHELLCHECK, "--shell=sh", "--exclude=SC2034,SC2317,SC2329", "-"]
    found = subprocess.run(words, input=SCRIPTS[name], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_every_part_of_a_script_is_in_one_that_is_checked() -> None:
    parts = [*(ROOT / "components").rglob("*.sh"), PROBE_PART]
    left = [path for path in parts if not any(path.read_text(encoding="utf-8") in text for text in SCRIPTS.values())]
    assert left == []


def test_the_bundles_header_lists_every_stages_parts_in_their_order() -> None:
    header = (ROOT / "components/lib/host_files/scripts/bundle.sh").read_text(encoding="utf-8")
    rows = re.findall(r"^#   (?:[a-z-]+|other services) +((?:\w+\.sh ?)+)$", header, re.M)
    assert {tuple(row.split()) for row in rows} == component_scripts.stages()
