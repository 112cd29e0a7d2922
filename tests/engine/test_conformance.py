"""The same programs through this engine and the real Pulumi CLI, in both orders: neither may see a difference.

Runs only where `pulumi` and the plugins of command, random and tls are on PATH.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
NEEDED = (
    "pulumi",
    "pulumi-language-python",
    "pulumi-resource-command",
    "pulumi-resource-random",
    "pulumi-resource-tls",
)
MISSING = [name for name in NEEDED if shutil.which(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"two-way tests need the real CLI; not on PATH: {MISSING}")

PROGRAM = """
import pulumi, pulumi_random as random, pulumi_tls as tls
from pulumi_command import local
from pulumi import ResourceOptions as O

class Group(pulumi.ComponentResource):
    def __init__(self, name, size):
        super().__init__("test:index:Group", name, {"size": size})
        self.password = random.RandomPassword(f"{name}-password", length=12, opts=O(parent=self))
        self.register_outputs({"password": self.password.result})

VERSION = "1"
group = Group("group", 1)
key = tls.PrivateKey("key", algorithm="ED25519")
ec = tls.PrivateKey("ec", algorithm="ECDSA", ecdsa_curve="P256")
hello = local.Command(
    "hello",
    create="echo hello",
    delete="echo bye",
    environment={"PASSWORD": group.password.result},
    triggers=[VERSION],
    opts=O(depends_on=[group], custom_timeouts=pulumi.CustomTimeouts(create="5m")),
)
first = local.Command("first", create="echo first", triggers=[VERSION], opts=O(delete_before_replace=True))
local.Command("second", create="echo second", triggers=[first.id], opts=O(parent=group))
local.Command("updated", create=f"echo {VERSION}", update="echo updated", stdin=VERSION)
local.Command("ignored", create=f"echo {VERSION}", opts=O(ignore_changes=["create"]))
random.RandomId("id", byte_length=4, keepers={"hello": hello.stdout}, opts=O(additional_secret_outputs=["hex"]))
pulumi.export("secret", pulumi.Output.secret({"nested": ["s3cr3t", 1, 2.5, True]}))
pulumi.export("password", group.password.result)
pulumi.export("key", key.public_key_openssh)
pulumi.export("setting", pulumi.Config().require_secret_object("setting"))
"""

Engine = Callable[..., subprocess.CompletedProcess[str]]


class Both:
    """One project that both engines work on."""

    def __init__(self, root: Path) -> None:
        self.root = root / "project"
        self.root.mkdir()
        (self.root / "Pulumi.yaml").write_text("name: proj\nruntime: python\n")
        self.state_file = root / "backend/.pulumi/stacks/proj/dev.json"
        (root / "backend").mkdir()
        self._environment = {
            **os.environ,
            "PULUMI_BACKEND_URL": f"file://{root}/backend",
            "PULUMI_CONFIG_PASSPHRASE": "correct horse",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PYTHONPATH": str(REPOSITORY),
        }
        self.program(PROGRAM)

    def program(self, text: str) -> None:
        (self.root / "__main__.py").write_text(text)

    def engine(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run([sys.executable, "-m", "engine"], arguments)

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self._run(["pulumi"], (*arguments, "--non-interactive", "--color", "never"))

    def _run(self, command: list[str], arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *arguments, "--stack", "dev"],
            cwd=self.root,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def entries(self) -> list[dict[str, Any]]:
        return list(json.loads(self.state_file.read_text())["checkpoint"]["latest"].get("resources", []))


@pytest.fixture
def both(tmp_path: Path) -> Both:
    return Both(tmp_path)


def ok(result: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    assert result.returncode == 0, result.stdout + result.stderr
    return result


def plan(result: subprocess.CompletedProcess[str]) -> dict[str, str]:
    """Operation by name of what a preview would change."""
    document = json.loads(ok(result).stdout)
    return {step["urn"].split("::")[3]: step["op"] for step in document["steps"] if step["op"] != "same"}


def prepare(both: Both, engine: Engine) -> None:
    ok(engine("stack", "init"))
    ok(engine("config", "set", "--secret", "--path", "setting.token", "t0ken"))


def in_both_orders(test: Callable[[Both, Engine, Engine], None]) -> Callable[..., None]:
    @pytest.mark.parametrize("order", ["engine-first", "cli-first"])
    def run(both: Both, order: str) -> None:
        first, second = (both.engine, both.cli) if order == "engine-first" else (both.cli, both.engine)
        prepare(both, first)
        ok(first("up", "--yes", "--skip-preview"))
        test(both, first, second)

    run.__name__ = test.__name__
    return run


@in_both_orders
def test_what_one_engine_made_the_other_leaves_as_it_is(both: Both, first: Engine, second: Engine) -> None:
    ok(second("preview", "--diff", "--expect-no-changes"))
    ok(second("up", "--yes", "--skip-preview", "--expect-no-changes"))
    ok(first("preview", "--diff", "--expect-no-changes"))
    ok(second("refresh", "--yes"))
    ok(first("preview", "--diff", "--expect-no-changes"))


@in_both_orders
def test_both_engines_plan_the_same_steps_for_a_changed_program(both: Both, first: Engine, second: Engine) -> None:
    both.program(PROGRAM.replace('VERSION = "1"', 'VERSION = "2"').replace('Group("group", 1)', 'Group("group", 2)'))
    expected = {"group": "update", "hello": "replace", "first": "replace", "second": "replace", "updated": "update"}
    expected["id"] = "replace"
    assert plan(first("preview", "--json")) == expected
    assert plan(second("preview", "--json")) == expected
    assert (
        first("preview", "--expect-no-changes").returncode == second("preview", "--expect-no-changes").returncode == 7
    )


@in_both_orders
def test_one_engine_changes_what_the_other_made(both: Both, first: Engine, second: Engine) -> None:
    changed = PROGRAM.replace('VERSION = "1"', 'VERSION = "2"').replace('ec = tls.PrivateKey("ec", ', "dict(")
    both.program(changed)
    ok(second("up", "--yes", "--skip-preview"))
    ok(first("preview", "--diff", "--expect-no-changes"))
    ok(first("destroy", "--yes", "--skip-preview"))
    assert both.entries() == []
    ok(second("preview"))


@in_both_orders
def test_outputs_and_settings_read_the_same(both: Both, first: Engine, second: Engine) -> None:
    for flags in ([], ["--show-secrets"]):
        one, two = (json.loads(ok(engine("stack", "output", "--json", *flags)).stdout) for engine in (first, second))
        assert one == two
    assert one["setting"] == {"token": "t0ken"}
    for engine in (first, second):
        assert ok(engine("config", "get", "--path", "setting.token")).stdout.strip() == "t0ken"


@in_both_orders
def test_after_a_failed_run_the_other_engine_goes_on(both: Both, first: Engine, second: Engine) -> None:
    both.program(PROGRAM.replace('"echo hello"', '"exit 3"').replace('"1"', '"2"'))
    assert first("up", "--yes", "--skip-preview").returncode == 1
    both.program(PROGRAM.replace('"1"', '"3"'))
    ok(second("up", "--yes", "--skip-preview"))
    ok(first("preview", "--diff", "--expect-no-changes"))


def test_entries_of_both_engines_have_the_same_fields(both: Both) -> None:
    prepare(both, both.engine)
    fields = []
    for engine in (both.engine, both.cli):
        ok(engine("up", "--yes", "--skip-preview"))
        own = {"sourcePosition", "stackTrace"}
        fields.append({raw["urn"].split("::", 2)[2]: sorted(raw.keys() - own) for raw in both.entries()})
        ok(engine("destroy", "--yes", "--skip-preview"))
    assert fields[0] == fields[1]


def test_the_cli_refuses_a_stack_that_this_engine_has_locked(both: Both) -> None:
    prepare(both, both.engine)
    both.program(PROGRAM.replace('"echo hello"', '"sleep 8"'))
    process = subprocess.Popen(
        [sys.executable, "-m", "engine", "up", "--yes", "--skip-preview", "--stack", "dev"],
        cwd=both.root,
        env=both._environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while "hello creating" not in process.stdout.readline():
        assert process.poll() is None
    process.kill()
    process.communicate()
    refused = both.cli("up", "--yes", "--skip-preview")
    assert refused.returncode != 0
    assert "locked" in refused.stderr + refused.stdout
    both.program(PROGRAM)
    ok(both.engine("up", "--yes", "--skip-preview"))
    ok(both.cli("preview", "--diff", "--expect-no-changes"))
