"""What the systems' own programs say of the texts: Ignition, cloud-init and systemd."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from components.node_config.cloud_config import cloud_config
from components.node_config.cloud_init import network_config, user_data
from components.node_config.ignition import ignition
from components.node_config.machine import Machine
from components.node_config.pieces import units
from tests.node_config.conftest import Box
from tests.unit.components.node_stack import EXAMPLE, document, everything, example, machines_of

# Programs and units that CoreOS has and a lab node has not; there they are only stood in for.
ELSEWHERE = ("/usr/bin/etcdctl", "/usr/sbin/ntpdate")
UNITS = ("etcd2.service", "etcd-member.service", "fleet.service", "flanneld.service")


def of(system: str) -> Machine:
    return machines_of(everything(system))[0]


def flatcar_example() -> dict[str, Any]:
    text = example()
    text["config"]["berth:nodeDefaults"] |= {"operatingSystem": "flatcar"}
    del text["config"]["berth:nodeDefaults"]["release"]
    return text


@pytest.mark.parametrize("text", [everything("flatcar"), flatcar_example(), document({"operatingSystem": "flatcar"})])
def test_ignition_takes_its_configuration_without_a_word(box: Box, text: dict[str, Any]) -> None:
    for machine in machines_of(text):
        if machine.system == "flatcar":
            ended = box.run("ignition-validate", "-", text=ignition(machine))
            assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")


def test_ignition_would_notice_a_wrong_configuration(box: Box) -> None:
    wrong = ignition(of("flatcar")).replace('"mode": 420', '"mode": "0644"')
    assert box.run("ignition-validate", "-", text=wrong).returncode != 0


@pytest.mark.parametrize("system", ["debian", "ubuntu"])
def test_cloud_init_knows_every_key(box: Box, system: str) -> None:
    box.put("/tmp/user-data", user_data(of(system)))
    box.put("/tmp/network-config", network_config(of(system)))
    assert "Valid schema" in box.out("cloud-init", "schema", "-c", "/tmp/user-data")
    assert "Valid schema" in box.out("cloud-init", "schema", "-t", "network-config", "-c", "/tmp/network-config")


def test_cloud_init_would_notice_a_wrong_key(box: Box) -> None:
    box.put("/tmp/wrong", user_data(of("debian")).replace("lock_passwd: false", "lock_passwd: 3"))
    assert box.run("cloud-init", "schema", "-c", "/tmp/wrong").returncode != 0


def old_coreos() -> dict[str, Any]:
    text = everything("coreos")
    text["config"]["berth:nodes"][0]["config"]["release"] = "1185.5.0"
    return text


@pytest.mark.parametrize("text", [example(), everything("coreos"), old_coreos(), everything("flatcar")])
def test_systemd_finds_nothing_wrong_in_the_units(box: Box, text: dict[str, Any]) -> None:
    machine = machines_of(text)[0]
    box.out("rm", "-rf", "/tmp/units")
    for name in UNITS:
        box.put(f"/tmp/units/{name}", "[Service]\nType=oneshot\nExecStart=/bin/true\n")
    for program in ELSEWHERE:
        box.out("sh", "-c", 'test -e "$0" || { ln -s /bin/true "$0"; }', program)
    found = [unit for unit in units(machine) if not unit.of_networkd]
    for unit in found:
        for file in unit.files():
            box.put(f"/tmp/units/{file.path.removeprefix('/etc/systemd/system/')}", file.content)
    box.out("cp", "-n", "/usr/lib/systemd/system/docker.service", "/tmp/units/docker.service")
    names = [f"/tmp/units/{unit.name}" for unit in found]
    verify = ("env", "SYSTEMD_UNIT_PATH=/tmp/units:/usr/lib/systemd/system", "systemd-analyze", "verify", "--man=no")
    ended = box.run(*verify, *names)
    assert (ended.returncode, ended.stdout + ended.stderr) == (0, "")
    box.put("/tmp/units/docker.service.d/99-wrong.conf", "[Service]\nExecStart=\nExecStart=/no/such/dockerd\n")
    assert box.run(*verify, "/tmp/units/docker.service").returncode != 0, "and it would notice"


# As its own account, for a container may not hand capabilities on.
NETWORKD = ("setpriv", "--reuid=systemd-network", "--regid=systemd-network", "--clear-groups", "env")
NETWORKD += ("SYSTEMD_LOG_LEVEL=info", "SYSTEMD_LOG_TARGET=console", "/usr/lib/systemd/systemd-networkd")


def test_networkd_knows_every_key_of_its_units(box: Box) -> None:
    def unknown(config: dict[str, Any]) -> list[str]:
        box.out("sh", "-c", "rm -rf /run/systemd/network && mkdir /run/systemd/network")
        for unit in config["coreos"]["units"]:
            if unit.get("runtime"):
                box.put(f"/run/systemd/network/{unit['name']}", unit["content"])
        said = box.run("timeout", "4", *NETWORKD)
        lines = (said.stdout + said.stderr).splitlines()
        assert any("Link UP" in line for line in lines), "it has read its units"
        return [line for line in lines if line.startswith("/")]

    assert unknown(yaml.safe_load(cloud_config(of("coreos")))) == []
    (line,) = unknown(EXAMPLE)
    assert "Unknown key" in line and "Search" in line
