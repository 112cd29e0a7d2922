"""Which engine is chosen, what it is told, and that a change of engine is announced."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from operations import engines, pulumi_version
from operations.bootstrap import pulumi_cli
from operations.engines import Kind
from operations.errors import BerthError, UsageError
from operations.workspace import StackFile
from tests.unit.operations.conftest import Checkout, executable


def test_without_pulumi_the_embedded_engine_is_chosen(checkout: Checkout) -> None:
    engine = engines.choose(None)
    assert engine.kind is Kind.EMBEDDED
    assert engine.command == (sys.executable, "-m", "engine")
    assert "neither on PATH nor in ~/.pulumi/bin" in engine.sentence


def test_pulumi_with_all_its_plugins_is_chosen(checkout: Checkout) -> None:
    program = checkout.install_pulumi()
    engine = engines.choose(None)
    assert (engine.kind, engine.command) == (Kind.PULUMI, (str(program),))
    assert not engine.may_download and not engine.own_plugins


def test_pulumi_in_its_own_home_is_found(checkout: Checkout) -> None:
    own = checkout.user / ".pulumi" / "bin"
    own.mkdir(parents=True)
    for name in ("pulumi", "pulumi-language-python"):
        (own / name).touch(mode=0o755)
    assert engines.find_cli() == own / "pulumi"


def test_pulumi_without_a_plugin_is_not_chosen_and_the_plugin_is_named(checkout: Checkout) -> None:
    checkout.install_pulumi()
    version = engines.plugin_versions()["docker"]
    (checkout.user / ".pulumi" / "plugins" / f"resource-docker-v{version}" / "pulumi-resource-docker").unlink()
    engine = engines.choose(None)
    assert engine.kind is Kind.EMBEDDED
    assert f"lacks plugin docker {version}" in engine.reason


def test_a_plugin_that_is_half_downloaded_counts_as_missing(checkout: Checkout) -> None:
    cli = checkout.install_pulumi()
    version = engines.plugin_versions()["tls"]
    (checkout.user / ".pulumi" / "plugins" / f"resource-tls-v{version}.partial").touch()
    assert engines.missing_plugins(cli) == [f"plugin tls {version}"]


def test_plugins_on_path_are_taken_whatever_their_version(checkout: Checkout) -> None:
    cli = checkout.install_pulumi(plugins=False)
    for package in engines.PACKAGES:
        (checkout.bin / f"pulumi-resource-{package}").touch(mode=0o755)
    assert engines.missing_plugins(cli) == []
    forbidden = {**os.environ, "PULUMI_IGNORE_AMBIENT_PLUGINS": "true"}
    assert len(engines.missing_plugins(cli, forbidden)) == len(engines.PACKAGES)


def test_an_engine_that_is_asked_for_is_taken(checkout: Checkout) -> None:
    program = checkout.install_pulumi()
    assert engines.choose(Kind.EMBEDDED).kind is Kind.EMBEDDED
    insisted = engines.choose(Kind.PULUMI)
    assert (insisted.command, insisted.own_plugins) == ((str(program),), False)


def test_berths_plugins_stand_in_for_published_ones_that_are_missing(checkout: Checkout) -> None:
    checkout.install_pulumi(plugins=False)
    engine = engines.choose(Kind.PULUMI)
    assert engine.own_plugins and not engine.may_download
    assert "lacks plugin command 1.2.1" in engine.reason
    told = engines.environment(checkout.workspace, StackFile.read(checkout.workspace, "dev"), engine)
    plugins = Path(told["PULUMI_HOME"]) / "plugins"
    assert (plugins / "resource-docker-v5.2.0" / "PulumiPlugin.yaml").is_file()
    assert told["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] == "true"
    assert not (checkout.user / ".pulumi").exists(), "the user's own plugins are left alone"


def test_the_users_logins_count_with_berths_plugins_too(checkout: Checkout) -> None:
    checkout.install_pulumi(plugins=False)
    logins = checkout.user / ".pulumi" / "credentials.json"
    logins.parent.mkdir()
    logins.touch()
    told = engines.own_plugins(checkout.workspace, checkout.bin / "pulumi", os.environ)
    assert told["PULUMI_CREDENTIALS_PATH"] == str(logins.parent)


def test_only_a_run_that_may_download_leaves_plugins_to_the_cli(checkout: Checkout) -> None:
    checkout.install_pulumi(plugins=False)
    engine = engines.choose(Kind.PULUMI, download=True)
    assert engine.may_download and not engine.own_plugins


def test_pulumi_asked_for_and_not_there_says_what_brings_it(checkout: Checkout) -> None:
    with pytest.raises(BerthError, match=r"^Pulumi is neither on PATH.*: ./berth up --engine pulumi brings one"):
        engines.choose(Kind.PULUMI)


def test_an_installer_that_fails_says_what_to_do(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    import pulumi.automation

    def offline(**_: object) -> None:
        raise RuntimeError("no route to host\nmore")

    monkeypatch.setattr(pulumi.automation.PulumiCommand, "install", offline)
    with pytest.raises(BerthError, match=r"could not be downloaded \(no route to host\).*it is then compiled here"):
        engines.download_cli()


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("print('v3.100.0')", "is version 3.100.0, and Berth needs 3.260.0 or newer"),
        ("print('v4.0.1')", "is version 4.0.1, and Berth needs one below 4.0.0"),
        ("print('Copyright 1993 by somebody')", "does not say a version, so it is not Pulumi's CLI"),
        ("import sys; sys.exit(3)", "does not say a version, so it is not Pulumi's CLI"),
    ],
)
def test_a_pulumi_that_will_not_do_is_passed_over_with_the_reason(checkout: Checkout, program: str, why: str) -> None:
    checkout.install_pulumi()
    executable(checkout.bin / "pulumi", program)
    engine = engines.choose(None)
    assert engine.kind is Kind.EMBEDDED and why in engine.reason
    with pytest.raises(BerthError, match=why):
        engines.choose(Kind.PULUMI)


def test_a_pulumi_that_is_no_program_is_passed_over(checkout: Checkout) -> None:
    (checkout.bin / "pulumi").write_bytes(b"\x7fELF and nothing more")
    (checkout.bin / "pulumi").chmod(0o755)
    assert "pulumi can't be run (Exec format error)" in engines.choose(None).reason


def test_a_pulumi_that_does_not_answer_is_passed_over(checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> None:
    executable(checkout.bin / "pulumi", "import time; time.sleep(60)")
    monkeypatch.setattr(pulumi_version, "PATIENCE", 0.2)
    assert "does not say its version within 0.2 s" in engines.choose(None).reason


def test_a_development_build_of_a_fitting_version_will_do(checkout: Checkout) -> None:
    executable(checkout.bin / "pulumi", "print('v3.275.0-alpha.12+dirty')")
    assert pulumi_version.refusal(checkout.bin / "pulumi") is None


def test_the_compiled_cli_is_taken_where_the_users_will_not_do(checkout: Checkout) -> None:
    executable(checkout.bin / "pulumi", "print('v3.100.0')")
    place = pulumi_cli.folder(checkout.workspace.home)
    (place / "bin").mkdir(parents=True)
    executable(place / "bin" / "pulumi", "print('v3.274.1')")
    (place / "lock").write_text(pulumi_cli.lock())
    engine = engines.choose(Kind.PULUMI)
    assert engine.command == (str(place / "bin" / "pulumi"),) and engine.own_plugins
    told = engines.shell_environment(checkout.workspace, StackFile.read(checkout.workspace, "dev"))
    assert told["PATH"].split(":")[0] == str(place / "bin")
    assert told["PULUMI_HOME"] == str(checkout.workspace.home / "pulumi-home")
    assert f"# The Pulumi CLI was compiled here. A copy of {place}" in "\n# ".join(
        ["", *engines.hand_on(checkout.workspace)]
    )


def test_a_lab_uses_its_fixed_passphrase_whatever_the_user_has_set(checkout: Checkout) -> None:
    stack = StackFile.read(checkout.workspace, "dev")
    base = {"PULUMI_CONFIG_PASSPHRASE": "production's", "PATH": "/usr/bin"}
    told = engines.environment(checkout.workspace, stack, engines.choose(None), base)
    assert "PULUMI_CONFIG_PASSPHRASE" not in told
    assert told["PULUMI_CONFIG_PASSPHRASE_FILE"] == str(checkout.workspace.root / "lab" / "passphrase")
    assert told["PULUMI_BACKEND_URL"] == f"file://{checkout.workspace.state}"
    assert told["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] == "true"
    assert told["PATH"].split(":")[0] == str(Path(sys.executable).parent)


def test_another_stack_needs_the_users_own_passphrase(checkout: Checkout) -> None:
    checkout.settings("prod", {})
    stack, engine = StackFile.read(checkout.workspace, "prod"), engines.choose(None)
    with pytest.raises(UsageError, match="Stack prod needs its passphrase: set PULUMI_CONFIG_PASSPHRASE_FILE"):
        engines.environment(checkout.workspace, stack, engine, {})
    with pytest.raises(UsageError, match="/nowhere, which is not a file"):
        engines.environment(checkout.workspace, stack, engine, {"PULUMI_CONFIG_PASSPHRASE_FILE": "/nowhere"})
    told = engines.environment(checkout.workspace, stack, engine, {"PULUMI_CONFIG_PASSPHRASE": "x"})
    assert told["PULUMI_CONFIG_PASSPHRASE"] == "x"


def test_the_engine_is_recorded_and_a_change_is_announced(checkout: Checkout) -> None:
    embedded = engines.choose(Kind.EMBEDDED)
    assert engines.change(checkout.workspace, "dev", embedded) is None
    engines.record(checkout.workspace, "dev", embedded)
    assert engines.recorded(checkout.workspace, "dev") is Kind.EMBEDDED
    checkout.install_pulumi()
    assert "last deployed with the embedded engine; the pulumi engine continues" in (
        engines.change(checkout.workspace, "dev", engines.choose(None)) or ""
    )
