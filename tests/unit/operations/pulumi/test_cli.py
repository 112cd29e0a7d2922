"""Which CLI and which plugins run the program, what the CLI is told, and how both are fetched."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from operations.errors import BerthError
from operations.pulumi import cli
from operations.pulumi.cli import Cli
from operations.pulumi.environment import environment, own_plugins, secrets_provider
from operations.pulumi.version import refusal
from operations.workspace import StackFile, Workspace
from tests.unit.conftest import Checkout

CURRENT = Workspace.current.__func__


def test_without_pulumi_the_error_says_what_brings_one(checkout: Checkout) -> None:
    with pytest.raises(BerthError, match=r"^Pulumi is neither on PATH nor in ~/\.pulumi/bin: \./berth up brings one"):
        cli.choose()


def test_pulumi_with_all_its_plugins_runs_with_them(checkout: Checkout) -> None:
    program = checkout.install_pulumi()
    chosen = cli.choose()
    assert (chosen.program, chosen.own_plugins) == (program, False)
    assert chosen.sentence == f"Pulumi CLI: {program}, with the published plugins"


def test_an_unfit_pulumi_is_named_beside_the_compiled_one(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    program = checkout.install_pulumi()
    program.write_text("#!/bin/sh\necho v3.100.0\n")
    compiled = checkout.user / "compiled"
    compiled.touch(mode=0o755)
    monkeypatch.setattr("operations.host.pulumi_cli.program", lambda home: compiled)
    chosen = cli.choose()
    assert chosen.program == compiled
    assert chosen.sentence.endswith(f"; {program} is version 3.100.0, and Berth needs 3.260.0 or newer")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("#!/bin/sh\necho v4.0.0\n", "is version 4.0.0, and Berth needs one below 4.0.0"),
        ("#!/bin/sh\necho v3.259.9\n", "is version 3.259.9, and Berth needs 3.260.0 or newer"),
        ("#!/bin/sh\necho hello\n", "does not print a version, so it is not Pulumi's CLI"),
        ("\0rubbish", "can't be run (Exec format error)"),
    ],
    ids=["too new", "too old", "another program", "no program"],
)
def test_an_unfit_pulumi_is_refused_with_the_reason(checkout: Checkout, text: str, why: str) -> None:
    program = checkout.install_pulumi()
    program.write_text(text)
    assert refusal(program) == f"{program} {why}"


def test_a_pulumi_that_hangs_is_killed_with_its_children(checkout: Checkout, tmp_path: Path) -> None:
    program = checkout.install_pulumi()
    program.write_text(f"#!/bin/sh\nsleep 300 & echo $! >{tmp_path}/child\nwait\n")
    assert refusal(program, timeout=1) == f"{program} does not print its version within 1 s"
    with pytest.raises(ProcessLookupError):
        for _ in range(50):
            os.kill(int((tmp_path / "child").read_text()), 0)
            time.sleep(0.1)


def test_asking_for_the_version_leaves_nothing_in_the_users_home(checkout: Checkout) -> None:
    program = checkout.install_pulumi()
    program.write_text('#!/bin/sh\nmkdir -p "$PULUMI_HOME/logs"; echo v3.276.0\n')
    assert refusal(program) is None
    assert not (checkout.user / ".pulumi" / "logs").exists()


def test_pulumi_in_its_own_home_is_found(checkout: Checkout) -> None:
    own = checkout.user / ".pulumi" / "bin"
    own.mkdir(parents=True)
    for name in ("pulumi", "pulumi-language-python"):
        (own / name).touch(mode=0o755)
    assert cli.find() == own / "pulumi"


def test_berths_plugins_stand_in_where_a_published_one_is_missing(checkout: Checkout) -> None:
    checkout.install_pulumi()
    docker = cli.plugin_versions()["docker"]
    (checkout.user / ".pulumi" / "plugins" / f"resource-docker-v{docker}" / "pulumi-resource-docker").unlink()
    chosen = cli.choose()
    assert chosen.own_plugins
    assert chosen.sentence.endswith(f"with Berth's own plugins (plugin docker {docker} not installed)")
    result = environment(checkout.workspace, StackFile.read(checkout.workspace, "dev"), chosen)
    plugins = Path(result["PULUMI_HOME"]) / "plugins"
    assert (plugins / f"resource-docker-v{docker}" / "PulumiPlugin.yaml").is_file()
    assert result["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] == "true"


def test_the_users_own_pulumi_home_is_left_alone(checkout: Checkout) -> None:
    checkout.install_pulumi(plugins=False)
    chosen = cli.choose()
    assert chosen.sentence.endswith("(plugin command 1.2.1 and 4 more not installed)")
    environment(checkout.workspace, StackFile.read(checkout.workspace, "dev"), chosen)
    assert not (checkout.user / ".pulumi").exists()


def test_a_plugin_that_is_half_downloaded_counts_as_missing(checkout: Checkout) -> None:
    program = checkout.install_pulumi()
    tls = cli.plugin_versions()["tls"]
    (checkout.user / ".pulumi" / "plugins" / f"resource-tls-v{tls}.partial").touch()
    assert cli.missing_plugins(program) == [f"plugin tls {tls}"]


def test_plugins_on_path_are_taken_whatever_their_version(checkout: Checkout) -> None:
    program = checkout.install_pulumi(plugins=False)
    for package in cli.PACKAGES:
        (checkout.bin / f"pulumi-resource-{package}").touch(mode=0o755)
    assert cli.missing_plugins(program) == []
    forbidden = {**os.environ, "PULUMI_IGNORE_AMBIENT_PLUGINS": "true"}
    assert len(cli.missing_plugins(program, forbidden)) == len(cli.PACKAGES)


def test_the_users_logins_count_with_berths_plugins_too(checkout: Checkout) -> None:
    checkout.install_pulumi(plugins=False)
    logins = checkout.user / ".pulumi" / "credentials.json"
    logins.parent.mkdir()
    logins.touch()
    result = own_plugins(checkout.workspace, cli.choose(), os.environ)
    assert result["PULUMI_CREDENTIALS_PATH"] == str(logins.parent)


def test_a_stack_with_another_secrets_provider_needs_no_passphrase(checkout: Checkout) -> None:
    checkout.settings("prod", {})
    path = checkout.workspace.stack_file("prod")
    path.write_text('{"secretsprovider": "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k", "config": {}}')
    stack_file = StackFile.read(checkout.workspace, "prod")
    for given in ({}, {"PULUMI_CONFIG_PASSPHRASE": ""}):
        result = environment(checkout.workspace, stack_file, Cli(Path("pulumi")), given)
        assert not [name for name in result if "PASSPHRASE" in name], "nothing may be sealed with an empty one"


@pytest.mark.parametrize(
    ("backend", "document", "provider"),
    [
        ("", {}, "passphrase"),
        ("s3://states", {"secretsprovider": "default"}, "passphrase"),
        ("https://api.pulumi.com", {}, "default"),
        ("https://api.pulumi.com", {"encryptionsalt": "v1:x"}, "passphrase"),
        ("", {"secretsprovider": "awskms://key"}, "awskms://key"),
    ],
)
def test_the_secrets_provider_is_the_stack_files_or_the_backends(
    checkout: Checkout, backend: str, document: dict[str, str], provider: str
) -> None:
    workspace = Workspace(checkout.workspace.root, checkout.workspace.home, backend)
    assert secrets_provider(workspace, StackFile("prod", Path("Pulumi.prod.yaml"), document)) == provider


def test_the_backend_is_the_users_the_projects_or_the_checkouts_own(checkout: Checkout) -> None:
    root, home = checkout.workspace.root, checkout.workspace.home
    assert Workspace(root, home).backend_url == (home / "state").as_uri()
    theirs = Workspace(root, home, "s3://states?region=x")
    assert (theirs.backend_url, theirs.has_file_backend) == ("s3://states?region=x", False)
    elsewhere = Workspace(root, home, "file:///srv/berth%20states?no_tmp_dir=true")
    assert elsewhere.has_file_backend and elsewhere.state == Path("/srv/berth states")


@pytest.mark.parametrize(
    ("project", "environ", "url"),
    [
        ("backend: {url: 'postgres://x/y'}", {}, "postgres://x/y"),
        ("backend: {url: 'postgres://x/y'}", {"PULUMI_BACKEND_URL": "s3://z"}, "s3://z"),
        ("name: berth", {}, ""),
    ],
)
def test_pulumis_variable_counts_before_the_projects_backend(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, project: str, environ: dict[str, str], url: str
) -> None:
    (checkout.workspace.root / "Pulumi.yaml").write_text(project)
    monkeypatch.setattr("operations.workspace.ROOT", checkout.workspace.root)
    assert CURRENT(Workspace, environ).backend == url
