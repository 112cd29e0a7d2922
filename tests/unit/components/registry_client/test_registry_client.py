"""What nodes know of the registry: their login, their way to the caches, and whose files are left alone."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tomllib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from components.docker_daemon.render import daemon_json
from components.lib.host_files.bundle import Directive, Entry, File
from components.lib.host_files.bundle import render as bundle
from components.lib.host_files.shell import as_root, stage_script
from components.registry_client.component import SCRIPTS
from components.registry_client.render import LOGIN, Identity, entries, hosts_toml
from config import stackfile
from config.model.docker import DockerSettings
from config.model.registry import UpstreamSettings
from config.model.stack import Settings
from config.paths import ROOT
from tests.golden import assert_golden

IDENTITY = Identity("CLIENT CERT\n", "CLIENT KEY\n")
HUB = {"name": "hub", "url": "https://registry-1.docker.io", "prefix": "docker.io"}
QUAY = {"name": "quay", "url": "https://quay.io", "prefix": "quay.io"}
Apply = Callable[..., subprocess.CompletedProcess[str]]


def stack(*upstreams: dict[str, Any], **docker: Any) -> Settings:
    """The dev stack with these upstreams."""
    document = stackfile.read(ROOT / "Pulumi.dev.yaml")
    document["config"]["berth:registry"]["upstreams"] = list(upstreams)
    return stackfile.parse("dev", {**document, "config": {**document["config"], "berth:docker": docker}})


def files(settings: Settings, password: str | None = "PASSWORD") -> dict[str, File]:
    return {entry.path: entry for entry in entries(settings, "CA\n", IDENTITY, password) if isinstance(entry, File)}


def test_the_clients_bundle_is_the_one_that_was_read_by_a_person() -> None:
    assert_golden("registry-client.bundle", bundle(entries(stack(HUB, QUAY), "CA\n", IDENTITY, "PASSWORD")))


def test_docker_reads_a_login_with_any_text_as_password() -> None:
    password = 'it\'s "quoted" $(x) : ü'
    login = files(stack(), password)[LOGIN]
    assert login.mode == "0600"
    auth = json.loads(login.content)["auths"]["registry.dev.berth.test:4000"]["auth"]
    assert base64.b64decode(auth).decode() == f"pull:{password}"


def test_without_a_user_and_without_upstreams_nothing_is_written() -> None:
    assert files(stack(), None) == {}


def test_private_keys_and_logins_are_for_root_only() -> None:
    assert sorted(entry.path.rsplit("/", 1)[-1] for entry in files(stack(HUB)).values() if entry.mode == "0600") == [
        "client.key",
        "config.json",
    ]


def test_the_mirrored_upstream_has_no_host_configuration_of_its_own() -> None:
    ways = [path for path in files(stack(HUB, QUAY)) if path.endswith("hosts.toml")]
    assert ways == ["/etc/docker/certs.d/quay.io/hosts.toml"]
    ways = [path for path in files(stack({**HUB, "mirror": False}, QUAY)) if path.endswith("hosts.toml")]
    assert ways == ["/etc/docker/certs.d/docker.io/hosts.toml", "/etc/docker/certs.d/quay.io/hosts.toml"]


def test_of_two_upstreams_at_one_host_the_first_has_the_way() -> None:
    toml = files(stack(QUAY, {**QUAY, "name": "second", "prefix": "second"}))["/etc/docker/certs.d/quay.io/hosts.toml"]
    assert "/v2/quay.io" in toml.content


def test_a_way_is_the_cache_first_and_then_the_upstream_itself() -> None:
    quay = UpstreamSettings.model_validate(QUAY)
    read = tomllib.loads(hosts_toml(quay, "registry.example.com:4001"))
    (host,) = read["host"].items()
    assert read["server"] == "https://quay.io"
    assert host[0] == "https://registry.example.com:4001/v2/quay.io"
    directory = "/etc/docker/certs.d/registry.example.com:4001"
    assert host[1] == {
        "capabilities": ["pull", "resolve"],
        "override_path": True,
        "ca": f"{directory}/ca.crt",
        "client": [[f"{directory}/client.cert", f"{directory}/client.key"]],
    }


def test_the_stacks_own_mirror_is_the_first_one_that_dockerd_asks() -> None:
    own = "https://registry.example.com:4001"
    docker = DockerSettings.model_validate({"registryMirrors": ["https://mirror.example.com", own]})
    assert daemon_json(docker, (), own)["registry-mirrors"] == [own, "https://mirror.example.com"]
    assert daemon_json(docker)["registry-mirrors"] == ["https://mirror.example.com", own]


@pytest.fixture
def apply() -> Iterator[Apply]:
    """Runs the stage's script as a node would, with a state directory of its own that is gone afterwards."""
    if os.geteuid() != 0:
        pytest.skip("the script writes below /var/lib and changes owners: it needs root")
    name = f"unit-{uuid.uuid4().hex[:8]}"

    def run(*wanted: Entry, verb: str = "apply", adopt: str = "no") -> subprocess.CompletedProcess[str]:
        command = as_root(stage_script(*SCRIPTS), verb, name, "registry-client")
        text = bundle([Directive("adopt", [adopt]), *wanted])
        return subprocess.run(
            ["sh", "-c", command], input=text, text=True, capture_output=True, check=False, timeout=60
        )

    yield run
    run(verb="remove")


@pytest.mark.parametrize("name", ["config.json", "hosts.toml"])
def test_a_file_that_somebody_else_wrote_is_refused_and_left_alone(apply: Apply, tmp_path: Path, name: str) -> None:
    theirs, ours = tmp_path / name, tmp_path / "ca.crt"
    theirs.write_text("theirs")
    done = apply(File(str(theirs), "ours\n", mode="0600"), File(str(ours), "x\n"))
    assert done.returncode != 0
    assert f"{theirs} is there already" in done.stderr and "berth:docker.adopt" in done.stderr
    assert (theirs.read_text(), ours.exists()) == ("theirs", False)


def test_an_adopted_file_comes_back_with_its_mode(apply: Apply, tmp_path: Path) -> None:
    theirs = tmp_path / "config.json"
    theirs.write_text("theirs")
    theirs.chmod(0o640)
    ours = File(str(theirs), "ours\n", mode="0600")
    assert apply(ours, adopt="yes").returncode == 0
    assert (theirs.read_text(), theirs.stat().st_mode & 0o777) == ("ours\n", 0o600)
    changed = apply(File(str(theirs), "newer\n", mode="0600"))
    assert (changed.returncode, theirs.read_text()) == (0, "newer\n"), "what Berth wrote is Berth's to change"
    assert apply(verb="remove").returncode == 0
    assert (theirs.read_text(), theirs.stat().st_mode & 0o777) == ("theirs", 0o640)


def test_an_empty_file_and_one_that_is_as_wanted_are_no_reason_to_refuse(apply: Apply, tmp_path: Path) -> None:
    empty, same = tmp_path / "config.json", tmp_path / "hosts.toml"
    empty.touch()
    same.write_text("ours\n")
    done = apply(File(str(empty), "ours\n"), File(str(same), "ours\n"))
    assert done.returncode == 0, done.stderr
    assert empty.read_text() == "ours\n"
