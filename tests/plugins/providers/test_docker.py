"""Docker resources against the daemon of this machine."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import docker
import pytest

from components.lib.service.confinement import Confinement
from config.model.limits import LimitsSettings
from plugins.interface import UNKNOWN, Created, Provider, ProviderError
from plugins.providers import schema
from plugins.providers.docker_connection import ssh_target
from plugins.providers.schema import DEFAULTS
from plugins.ssh import Session
from tests.plugins.providers.conftest import Made, Server, context, make

CONTAINER = "docker:index/container:Container"
NETWORK = "docker:index/network:Network"
VOLUME = "docker:index/volume:Volume"
IMAGE = "docker:index/remoteImage:RemoteImage"
Configured = Callable[..., Provider]
Maker = Callable[..., Made]


@pytest.fixture
def made(provider: Configured, daemon: docker.APIClient) -> Iterator[Maker]:
    """Make resources under names of their own; they are gone after the test."""
    everything: list[Made] = []
    end = uuid.uuid4().hex[:8]

    def maker(type_: str, resource: str, /, **inputs: Any) -> Made:
        everything.append(make(provider("docker"), type_, f"berth-test-{end}-{resource}", **inputs))
        return everything[-1]

    yield maker
    for one in reversed(everything):
        one.delete()


@pytest.mark.parametrize("sees_host", [False, True])
def test_a_container_in_bounds_reads_back_without_a_difference(made: Maker, tiny_image: str, sees_host: bool) -> None:
    given = Confinement(LimitsSettings().nginx, scratch=["/run"], host_processes=sees_host).options()
    container = made(
        CONTAINER,
        "bounds",
        image=tiny_image,
        entrypoints=["/bin/tiny"],
        command=["stay"],
        readOnly=given["read_only"],
        securityOpts=given["security_opts"],
        pidMode=given["pid_mode"],
        capabilities={"drops": ["ALL"]},
        tmpfs=given["tmpfs"],
        memory=given["memory"],
        memorySwap=given["memory_swap"],
        healthcheck={"tests": ["CMD", "/bin/tiny", "well"], "interval": "60s", "timeout": "10s", "retries": 2},
    )
    assert container.diff().is_empty
    read = container.read()
    assert read is not None
    assert container.diff().is_empty


def test_a_container_with_most_options_reads_back_without_a_difference(made: Maker, tiny_image: str) -> None:
    network = made(NETWORK, "net", ipamConfigs=[{"subnet": "172.31.252.0/24"}], labels=[{"label": "a", "value": "b"}])
    volume = made(VOLUME, "vol")
    container = made(
        CONTAINER,
        "full",
        image=tiny_image,
        entrypoints=["/bin/tiny"],
        command=["stay"],
        envs=["B=1", "A=2", "container=docker"],
        capabilities={"adds": ["CAP_NET_ADMIN"], "drops": ["MKNOD"]},
        securityOpts=["seccomp=unconfined", "systempaths=unconfined"],
        tmpfs={"/run": "size=10m", "/tmp": ""},
        volumes=[
            {"containerPath": "/var/lib/x", "volumeName": volume.created.id},
            {"containerPath": "/host", "hostPath": "/usr", "readOnly": True},
        ],
        networksAdvanced=[{"name": network.outputs["name"], "ipv4Address": "172.31.252.9", "aliases": ["other"]}],
        hosts=[{"host": "away", "ip": "1.2.3.4"}],
        labels=[{"label": "berth.node", "value": "n1"}],
        logDriver="json-file",
        logOpts={"max-size": "10m"},
        ulimits=[{"name": "nofile", "soft": 1000, "hard": 2000}],
        ports=[{"internal": 80}, {"internal": 81, "protocol": "udp"}],
        memory=64,
        stopSignal="SIGRTMIN+3",
        stopTimeout=5,
        sysctls={"net.ipv4.ip_forward": "1"},
        user="0",
        hostname="node1",
        restart="unless-stopped",
        healthcheck={"tests": ["CMD", "/bin/tiny", "well"], "interval": "1s", "timeout": "90s"},
        wait=True,
    )
    assert container.diff().is_empty
    read = container.read()
    assert read is not None
    container.created = read
    assert container.diff().is_empty
    assert container.outputs["networkDatas"][0]["ipAddress"] == "172.31.252.9"
    assert container.outputs["command"] == ["stay"]
    imported = container.imported()
    assert imported.diff(wait=None).is_empty
    assert (imported.diff().changed, imported.diff().replace) == (("wait",), ()), "Docker does not know of it"
    imported.created = imported.read() or imported.created
    assert imported.diff(wait=None).is_empty, "nor after a refresh"


def test_the_order_of_sets_is_no_difference_but_their_content_is(made: Maker, tiny_image: str) -> None:
    container = made(CONTAINER, "sets", image=tiny_image, command=["/bin/tiny"], envs=["A=1", "B=2"])
    assert container.diff(envs=["B=2", "A=1"]).is_empty
    changed = container.diff(envs=["A=1"])
    assert changed.replace == ("envs",)
    assert changed.delete_before_replace


def test_limits_and_restart_policy_change_in_place(made: Maker, tiny_image: str, daemon: docker.APIClient) -> None:
    container = made(CONTAINER, "limits", image=tiny_image, command=["/bin/tiny"], memory=64)
    diff = container.diff(memory=80, restart="always")
    assert set(diff.changed) == {"memory", "restart"}
    assert diff.replace == ()
    news = {**container.inputs, "memory": 80, "restart": "always"}
    container.provider.update(
        CONTAINER, container.created.id, container.inputs, container.outputs, news, context("limits")
    )
    host = daemon.inspect_container(container.created.id)["HostConfig"]
    assert host["Memory"] == 80 * 1024 * 1024
    assert host["RestartPolicy"]["Name"] == "always"


def test_a_stopped_container_that_must_run_is_started_by_an_update(
    made: Maker, tiny_image: str, daemon: docker.APIClient
) -> None:
    container = made(CONTAINER, "stopped", image=tiny_image, command=["/bin/tiny"])
    daemon.kill(container.created.id)
    read = container.read()
    assert read is not None
    container.created = read
    assert container.diff().changed == ("mustRun",)
    container.provider.update(
        CONTAINER, container.created.id, container.inputs, container.outputs, container.inputs, context("stopped")
    )
    assert daemon.inspect_container(container.created.id)["State"]["Running"]


def test_uploaded_files_have_their_mode_before_the_start(
    made: Maker, tiny_image: str, daemon: docker.APIClient
) -> None:
    container = made(
        CONTAINER,
        "uploads",
        image=tiny_image,
        command=["/bin/tiny"],
        uploads=[{"file": "/etc/keys/host", "content": "k", "permissions": "0600"}, {"file": "/plain", "content": "p"}],
    )
    modes = {}
    for path in ("/etc/keys/host", "/plain"):
        stream, _ = daemon.get_archive(container.created.id, path)
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
            modes[path] = archive.getmembers()[0].mode & 0o777
    assert modes == {"/etc/keys/host": 0o600, "/plain": 0o644}


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"command": ["/bin/tiny", "die"]}, r"exit code 7.*\n.*\nlast words"),
        (
            {
                "command": ["/bin/tiny"],
                "healthcheck": {"tests": ["CMD", "/bin/tiny", "sick"], "interval": "1s"},
                "wait": True,
                "waitTimeout": 2,
            },
            "not healthy within 2 seconds; its check last said: not well",
        ),
        ({"command": ["/bin/tiny"], "wait": True}, "`wait` needs a healthcheck"),
    ],
)
def test_a_container_that_does_not_come_up_is_explained_and_removed(
    made: Maker, tiny_image: str, daemon: docker.APIClient, inputs: dict[str, Any], message: str
) -> None:
    name = f"berth-test-{uuid.uuid4().hex[:8]}"
    with pytest.raises(ProviderError, match=message):
        made(CONTAINER, "bad", name=name, image=tiny_image, **inputs)
    assert not daemon.containers(all=True, filters={"name": name})


def test_what_was_removed_by_hand_is_gone_and_can_be_deleted_again(
    made: Maker, tiny_image: str, daemon: docker.APIClient
) -> None:
    container = made(CONTAINER, "gone", image=tiny_image, command=["/bin/tiny"])
    volume, network = made(VOLUME, "gone"), made(NETWORK, "gone")
    for one in (container, volume, network):
        one.delete()
        assert one.read() is None
        one.delete()


def test_an_image_that_is_only_here_needs_no_registry(made: Maker, tiny_image: str, daemon: docker.APIClient) -> None:
    image = made(IMAGE, "image", name=tiny_image, keepLocally=True)
    assert image.outputs["imageId"] == daemon.inspect_image(tiny_image)["Id"]
    assert image.created.id == image.outputs["imageId"] + tiny_image
    assert image.diff().is_empty


def test_a_name_is_drawn_once_and_then_kept(provider: Configured) -> None:
    docker_ = provider("docker")
    first = docker_.check(VOLUME, "urn::data", None, {}).inputs
    assert first["name"].startswith("data-")
    assert docker_.check(VOLUME, "urn::data", first, {}).inputs["name"] == first["name"]


def test_a_network_that_keeps_its_name_is_deleted_before_it_is_replaced(provider: Configured) -> None:
    docker_ = provider("docker")
    old = docker_.check(NETWORK, "urn::n", None, {"name": "mine"}).inputs
    new = docker_.check(NETWORK, "urn::n", old, {"name": "mine", "internal": True}).inputs
    assert docker_.diff(NETWORK, "id", old, old, new).delete_before_replace
    drawn = docker_.check(NETWORK, "urn::n", None, {}).inputs
    assert not docker_.diff(NETWORK, "id", drawn, drawn, {**drawn, "internal": True}).delete_before_replace


def test_a_provider_with_an_unknown_host_can_still_check_and_preview(provider: Configured) -> None:
    docker_ = provider("docker", host=UNKNOWN, sshOpts=UNKNOWN, registryAuth=UNKNOWN)
    inputs = docker_.check(VOLUME, "urn::v", None, {"name": UNKNOWN}).inputs
    assert docker_.create(VOLUME, inputs, context("v", preview=True)).outputs["name"] is UNKNOWN


def test_unknown_properties_are_refused_by_name(provider: Configured) -> None:
    checked = provider("docker").check(
        CONTAINER, "urn::c", None, {"image": "x", "mounts": [], "ports": [{"external": 1}]}
    )
    assert {failure.property for failure in checked.failures} == {"mounts", "ports[0].internal"}


def test_docker_over_ssh_goes_through_the_shared_connection(
    provider: Configured, server: Server, daemon: docker.APIClient, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text(server.private_key)
    (tmp_path / "known").write_text(f"[127.0.0.1]:{server.port} {server.public_host_key}")
    docker_ = provider(
        "docker",
        host=f"ssh://root@127.0.0.1:{server.port}",
        sshOpts=json.dumps(["-i", f"{tmp_path}/key", "-o", f"UserKnownHostsFile={tmp_path}/known"]),
    )
    volume = make(docker_, VOLUME, f"berth-test-{uuid.uuid4().hex[:8]}")
    volume.delete()
    command = make(provider("command"), "command:remote:Command", "c", connection=server.connection(), create="true")
    assert command.outputs["stdout"] == ""
    assert server.connections == 1


def test_a_host_that_known_hosts_does_not_have_is_refused(provider: Configured, server: Server, tmp_path: Path) -> None:
    (tmp_path / "key").write_text(server.private_key)
    (tmp_path / "known").write_text("")
    options = ["-i", f"{tmp_path}/key", "-o", f"UserKnownHostsFile={tmp_path}/known"]
    docker_ = provider("docker", host=f"ssh://root@127.0.0.1:{server.port}", sshOpts=options)
    with pytest.raises(ProviderError, match="expected none known, found ssh-ed25519"):
        make(docker_, VOLUME, "x")
    assert server.logins == 0


def test_an_ssh_option_that_is_not_known_is_refused_by_name() -> None:
    with pytest.raises(ProviderError, match="proxycommand"):
        ssh_target("ssh://root@host", ["-o", "ProxyCommand=nc"])


def test_a_network_and_a_volume_are_imported_without_a_difference(made: Maker, provider: Configured) -> None:
    full = made(
        NETWORK,
        "net",
        internal=True,
        labels=[{"label": "a", "value": "b"}],
        ipamConfigs=[{"subnet": "172.31.252.0/24"}],
    )
    plain, volume = made(NETWORK, "plain", driver="bridge"), made(VOLUME, "vol", labels=[{"label": "a", "value": "b"}])
    for one in (full, plain, volume):
        for id_ in (one.created.id, one.outputs["name"]):
            imported = one.imported(id_)
            assert imported.diff().is_empty
            assert imported.created.id == one.created.id
    nameless = {key: value for key, value in plain.inputs.items() if key not in ("name", "driver", "__defaults")}
    imported = plain.imported()
    checked = imported.provider.check(NETWORK, "urn::plain", imported.inputs, nameless)
    changed = imported.provider.diff(NETWORK, imported.created.id, imported.inputs, imported.outputs, checked.inputs)
    assert changed.is_empty, "a program that says nothing takes the network as it is"
    assert plain.imported().diff(internal=True).replace == ("internal",)


@pytest.mark.parametrize("type_", [NETWORK, VOLUME, CONTAINER])
def test_what_is_not_there_cannot_be_imported(provider: Configured, daemon: object, type_: str) -> None:
    assert provider("docker").import_(type_, "berth-test-nothing") is None


def test_an_image_is_no_type_to_import(provider: Configured) -> None:
    with pytest.raises(ProviderError, match=f"type {IMAGE} cannot be imported, nor with the published plugin"):
        provider("docker").import_(IMAGE, "some:tag")


def test_a_container_that_says_little_is_imported_without_a_difference(made: Maker, tiny_image: str) -> None:
    container = made(CONTAINER, "c", image=tiny_image, command=["/bin/tiny", "stay"], mustRun=False)
    imported = container.imported(container.outputs["name"])
    assert imported.created.id == container.created.id
    assert imported.diff(mustRun=None).is_empty
    assert imported.inputs.keys() - set(imported.inputs[DEFAULTS]) == {"image", "command", DEFAULTS}
    assert imported.diff(command=["/bin/tiny", "well"]).replace == ("command",)


def test_a_container_of_dockers_own_cli_is_imported(
    made: Maker, provider: Configured, daemon: docker.APIClient, tiny_image: str
) -> None:
    name = f"berth-test-{uuid.uuid4().hex[:8]}"
    words = ["docker", "run", "-d", "--name", name, "-p", "80", "-p", "127.0.0.1:0:81/udp", "-v", "/data", "-v"]
    words += ["/usr:/host:ro", "--memory", "64m", "--cpus", "0.5", "-e", "A=1", "--entrypoint", "/bin/tiny"]
    subprocess.run([*words, tiny_image, "stay"], check=True, capture_output=True)
    try:
        found = provider("docker").import_(CONTAINER, name)
        assert found is not None
        told = {key: value for key, value in found.inputs.inputs.items() if key not in found.inputs.inputs[DEFAULTS]}
        assert schema.plain(told) == {
            "image": tiny_image,
            "entrypoints": ["/bin/tiny"],
            "command": ["stay"],
            "envs": ["A=1"],
            "memory": 64,
            "cpus": "0.5",
            "volumes": [{"hostPath": "/usr", "readOnly": True, "containerPath": "/host"}, {"containerPath": "/data"}],
            "ports": [
                {"internal": 80, "protocol": "tcp", "ip": "0.0.0.0"},
                {"internal": 81, "protocol": "udp", "ip": "127.0.0.1"},
            ],
        }
        one = Made(provider("docker"), CONTAINER, found.inputs.inputs, Created(found.id, found.outputs))
        assert one.diff().is_empty
        one.created = one.read() or one.created
        assert one.diff().is_empty
    finally:
        daemon.remove_container(name, force=True, v=True)


def test_a_container_with_settings_that_no_property_can_say_is_refused(
    provider: Configured, daemon: docker.APIClient, tiny_image: str
) -> None:
    settings = daemon.create_host_config(devices=["/dev/null:/dev/null:r"])
    made = daemon.create_container(tiny_image, ["/bin/tiny"], host_config=settings)
    try:
        with pytest.raises(ProviderError, match="has devices, which Berth's own providers do not know"):
            provider("docker").import_(CONTAINER, made["Id"])
    finally:
        daemon.remove_container(made, force=True)


@pytest.mark.parametrize("type_", [NETWORK, VOLUME])
def test_a_cancelled_run_waits_for_no_release(made: Maker, session: Session, tiny_image: str, type_: str) -> None:
    held = made(type_, "held")
    name = held.outputs["name"]
    uses = {
        NETWORK: {"networksAdvanced": [{"name": name}]},
        VOLUME: {"volumes": [{"containerPath": "/x", "volumeName": name}]},
    }
    made(CONTAINER, "user", image=tiny_image, command=["/bin/tiny", "stay"], **uses[type_])
    with ThreadPoolExecutor(1) as pool:
        removal = pool.submit(held.delete)
        time.sleep(1.5)
        assert not removal.done(), "what holds it may be about to go"
        begun = time.monotonic()
        session.cancel()
        with pytest.raises(ProviderError, match=rf"{name} on unix:.*: the run was cancelled before this was done"):
            removal.result(5)
    assert time.monotonic() - begun < 1


def test_a_cancelled_run_waits_for_no_daemon(
    provider: Configured, session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "tunnel", lambda target: tmp_path / "nobody-listens")
    away = provider("docker", host="ssh://root@node")
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(away.read, NETWORK, "some", {}, {"name": "some"})
        time.sleep(1.5)
        assert not call.done(), "a daemon has half a minute to start"
        begun = time.monotonic()
        session.cancel()
        with pytest.raises(ProviderError, match=r"Docker on ssh://root@node: the run was cancelled"):
            call.result(5)
    assert time.monotonic() - begun < 1
