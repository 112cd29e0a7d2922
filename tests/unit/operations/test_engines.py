"""Which engine is chosen, what it is told, and that a change of engine is announced."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from operations import engines
from operations.engines import Kind
from operations.errors import BerthError, UsageError
from operations.workspace import StackFile
from tests.unit.operations.conftest import Checkout


def test_without_pulumi_the_embedded_engine_is_chosen(checkout: Checkout) -> None:
    engine = engines.choose(None)
    assert engine.kind is Kind.EMBEDDED
    assert engine.command == (sys.executable, "-m", "engine")
    assert "neither on PATH nor in ~/.pulumi/bin" in engine.sentence


def test_pulumi_with_all_its_plugins_is_chosen(checkout: Checkout) -> None:
    program = checkout.install_pulumi()
    engine = engines.choose(None)
    assert (engine.kind, engine.command) == (Kind.PULUMI, (str(program),))
    assert not engine.may_download, "only --engine pulumi may download"


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
    checkout.install_pulumi(plugins=False)
    assert engines.choose(Kind.EMBEDDED).kind is Kind.EMBEDDED
    insisted = engines.choose(Kind.PULUMI)
    assert insisted.kind is Kind.PULUMI and insisted.may_download


def test_pulumi_asked_for_and_not_to_be_had_says_what_to_do(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pulumi.automation

    def offline(**_: object) -> None:
        raise RuntimeError("no route to host\nmore")

    monkeypatch.setattr(pulumi.automation.PulumiCommand, "install", offline)
    with pytest.raises(BerthError, match=r"could not be downloaded \(no route to host\).*the embedded engine needs"):
        engines.choose(Kind.PULUMI)


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
