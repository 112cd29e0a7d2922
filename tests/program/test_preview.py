"""A preview on the embedded engine, of stacks whose nodes nobody can reach from here."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("stack", ["staging", "prod"])
def test_a_preview_of_a_stack_that_was_never_deployed_is_complete_and_leaves_no_trace(
    stack: str, tmp_path: Path
) -> None:
    stack_file = ROOT / f"Pulumi.{stack}.yaml"
    before = stack_file.read_bytes()
    environment = {
        **os.environ,
        "BERTH_HOME": str(tmp_path),
        "PULUMI_CONFIG_PASSPHRASE": "a passphrase of the user's own",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-m", "operations", "preview", "--stack", stack, "--engine", "embedded"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "to create" in done.stdout
    assert stack_file.read_bytes() == before
    assert not list((tmp_path / "state" / ".pulumi" / "stacks").rglob(f"{stack}.json*"))
