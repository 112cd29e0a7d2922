"""The Docker daemon on machines that systemd does not run, and on those of Red Hat's family, over real SSH."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from components.docker_daemon.component import SCRIPTS
from components.docker_daemon.render import entries
from components.lib.host_files.bundle import render
from components.lib.host_files.shell import as_root, stage_script
from config.model.docker import DockerSettings
from plugins.ssh import Session
from tests.integration.lab import Lab, run
from tests.integration.machines import CENTOS, SYSVINIT, Machine, build, start

pytestmark = pytest.mark.lab


def machine(kind: str, script: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    session = Session()
    try:
        yield start(kind, build(kind, script, tmp_path_factory.mktemp(kind)), session)
    finally:
        session.close()
        run(["docker", "rm", "--force", "--volumes", f"berth-test-{kind}"])


@pytest.fixture(scope="module")
def sysvinit(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    yield from machine("sysvinit", SYSVINIT, tmp_path_factory)


@pytest.fixture(scope="module")
def centos(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    yield from machine("centos", CENTOS, tmp_path_factory)


def stage(verb: str) -> str:
    return as_root(stage_script(*SCRIPTS), verb, "layouts", "docker-daemon")


def apply(on: Machine, **settings: Any) -> str:
    """What the stage says of a change that must work."""
    result = on.run(stage("apply"), render(entries(DockerSettings.model_validate(settings))))
    assert result.exit == 0, result.stderr.decode()
    return result.stdout.decode()


def refusal(on: Machine, **settings: Any) -> str:
    result = on.run(stage("apply"), render(entries(DockerSettings.model_validate(settings))))
    assert result.exit != 0
    return result.stderr.decode()


def remove(on: Machine) -> None:
    result = on.run(stage("remove"))
    assert result.exit == 0, result.stderr.decode()


def info(on: Machine, format_: str) -> str:
    return on.say(f"docker info --format '{format_}'")


def process(on: Machine) -> str:
    return on.say("cat /var/run/docker.pid")


def test_sysvinit_reloads_or_restarts_the_daemon_as_each_key_needs(sysvinit: Machine) -> None:
    assert sysvinit.say("readlink /proc/1/exe").endswith("/init")
    before = sysvinit.say("cat /etc/default/docker")
    assert "docker: restart" in apply(sysvinit)
    first = process(sysvinit)
    assert "docker: reload" in apply(sysvinit, registryMirrors=["https://mirror.example.com"])
    assert process(sysvinit) == first
    assert info(sysvinit, "{{.RegistryConfig.Mirrors}}") == "[https://mirror.example.com/]"
    assert "nothing to change" in apply(sysvinit, registryMirrors=["https://mirror.example.com"])
    proxies = {"http": "http://proxy.example.com:3128"}
    assert "docker: restart" in apply(sysvinit, proxies=proxies, options=["--label=rack=7"])
    assert process(sysvinit) != first
    assert info(sysvinit, "{{.HTTPProxy}} {{.Labels}}") == "http://proxy.example.com:3128 [rack=7]"
    assert sysvinit.run("ls /etc/systemd/system/docker.service.d").exit != 0
    remove(sysvinit)
    assert info(sysvinit, "{{.HTTPProxy}} {{.Labels}} {{.RegistryConfig.Mirrors}}") == "[] []"
    assert sysvinit.say("cat /etc/default/docker") == before
    assert sysvinit.run("ls /etc/docker/daemon.json").exit != 0


def test_a_daemon_under_sysvinit_gets_its_old_settings_back(sysvinit: Machine) -> None:
    apply(sysvinit)
    said = refusal(sysvinit, options=["--no-such-flag"], restartTimeout=8)
    assert "the old settings were put back and dockerd answers again" in said
    assert info(sysvinit, "{{.LoggingDriver}}") == "json-file"
    remove(sysvinit)


def test_flags_of_centos_are_refused_by_name_and_adopted_on_request(
    centos: Machine,
) -> None:
    before = centos.say("cat /etc/sysconfig/docker")
    first = process(centos)
    said = refusal(centos)
    assert "--insecure-registry" in said
    assert "--log-driver" in said
    assert "/etc/sysconfig/docker" in said
    assert process(centos) == first
    assert "docker: restart" in apply(centos, adopt=True, insecureRegistries=["old.example.com:5000"])
    assert info(centos, "{{.LoggingDriver}} {{.Labels}}") == "json-file []"
    assert "old.example.com:5000" in info(centos, "{{.RegistryConfig.IndexConfigs}}")
    assert "nothing to change" in apply(centos, adopt=True, insecureRegistries=["old.example.com:5000"])
    assert "docker: restart" in apply(centos, adopt=True, options=["--label=rack=8"])
    assert info(centos, "{{.Labels}}") == "[rack=8]"
    remove(centos)
    assert centos.say("cat /etc/sysconfig/docker") == before
    assert info(centos, "{{.LoggingDriver}} {{.Labels}}") == "journald [rack=7]"


def test_a_unit_of_dockers_own_packages_learns_of_the_file_with_flags(centos: Machine) -> None:
    unit = "/lib/systemd/system/docker.service"
    centos.say(f"cp -p {unit} /root/unit; sed -i '/^EnvironmentFile/d; s# [$]OPTIONS [$]INSECURE_REGISTRY##' {unit}")
    centos.say("ln -sf /usr/sbin/dockerd /usr/bin/dockerd; systemctl daemon-reload; systemctl restart docker")
    try:
        apply(centos, options=["--label=rack=9"])
        assert info(centos, "{{.Labels}}") == "[rack=9]"
        assert "nothing to change" in apply(centos, options=["--label=rack=9"])
        remove(centos)
        assert info(centos, "{{.Labels}}") == "[]"
    finally:
        centos.say(f"mv /root/unit {unit}; systemctl daemon-reload; systemctl restart docker")
