"""The real Pulumi CLI with Berth's plugins: whole programs from nothing to nothing, and what interrupts them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from operations.pulumi import cli
from operations.pulumi.environment import search_path
from tests.plugins.providers.conftest import Server

CLI, WHY_NOT = cli.fitting()
pytestmark = pytest.mark.skipif(
    CLI is None, reason=f"no Pulumi CLI to try Berth's plugins with ({WHY_NOT}): ./berth up compiles one"
)

FORMER = Path(__file__).parent / "data" / "former_engine"
"""What commit 88ae271 wrote for PROGRAM, with an engine of its own."""
SECRETS = ("s3cr3t-of-the-settings", "s3cr3t-of-the-program")
PROGRAM = """
import pulumi, pulumi_random as random, pulumi_tls as tls
from pulumi_command import local
from pulumi import ResourceOptions as O

class Group(pulumi.ComponentResource):
    def __init__(self, name):
        super().__init__("test:index:Group", name, {})
        self.password = random.RandomPassword(f"{name}-password", length=12, opts=O(parent=self))
        self.register_outputs({"password": self.password.result})

config = pulumi.Config()
group = Group("group")
key = tls.PrivateKey("key", algorithm="ED25519")
hello = local.Command("hello", create="wc -c; echo hello", stdin=config.require_secret("token"),
    environment={"PASSWORD": group.password.result}, triggers=[config.get("trigger") or ""])
shown = local.Command("shown", create=config.get("command") or "echo shown",
    stdin=pulumi.Output.secret("s3cr3t-of-the-program"))
random.RandomId("id", byte_length=4, keepers={"key": key.public_key_fingerprint_sha256})
pulumi.export("password", group.password.result)
pulumi.export("shown", shown.stdout)
"""


class Project:
    """A project with the stack `dev`, in a file backend of its own."""

    def __init__(self, folder: Path, plugin_home: Path) -> None:
        self.folder = folder / "project"
        self.folder.mkdir()
        self.backend = folder / "backend"
        self.backend.mkdir()
        (self.folder / "Pulumi.yaml").write_text("name: proj\nruntime: python\n")
        self.environment = {
            **os.environ,
            "PULUMI_HOME": str(plugin_home),
            "PULUMI_BACKEND_URL": self.backend.as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "correct horse",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_STACK": "dev",
            "NO_COLOR": "1",
            "PATH": search_path(os.environ),
        }
        self.said = ""
        self.do("stack", "init", "dev")
        self.do("config", "set", "--secret", "token", SECRETS[0])

    def program(self, text: str) -> None:
        (self.folder / "__main__.py").write_text(text)

    def start(self, *words: str) -> subprocess.Popen[str]:
        assert CLI is not None
        return subprocess.Popen(
            [CLI, *words, "--non-interactive"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *words: str, aside: bool = False) -> tuple[int, str]:
        with self.start(*words) as process:
            out, _ = process.communicate(timeout=120)
        self.said += "" if aside else out
        return process.returncode, out

    def do(self, *words: str) -> str:
        code, out = self.run(*words)
        assert code == 0, out
        return out

    def up(self, *words: str) -> str:
        return self.do("up", "--yes", "--skip-preview", *words)

    @property
    def state(self) -> str:
        return (self.backend / ".pulumi/stacks/proj/dev.json").read_text()

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        latest = json.loads(self.state)["checkpoint"]["latest"]
        return {each["urn"].split("::")[3]: each for each in latest.get("resources", [])}

    def outputs(self) -> dict[str, dict[str, Any]]:
        """Every resource's outputs, secrets in plain text; not part of what was `said`."""
        code, out = self.run("stack", "export", "--show-secrets", aside=True)
        assert code == 0, out
        return {each["urn"].split("::")[3]: each.get("outputs") for each in json.loads(out)["deployment"]["resources"]}

    def processes(self) -> list[int]:
        """Plugin hosts and programs of this project that run."""
        mine = f"PULUMI_BACKEND_URL={self.backend.as_uri()}".encode()
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes().split(b"\0")
                    if {b"plugins", b"plugins.program"} & set(words) and mine in (entry / "environ").read_bytes().split(
                        b"\0"
                    ):
                        found.append(int(entry.name))
                except OSError:
                    continue
        return found


@pytest.fixture
def project(tmp_path: Path, plugin_home: Path) -> Iterator[Project]:
    made = Project(tmp_path, plugin_home)
    yield made
    deadline = time.monotonic() + 10
    while made.processes() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert made.processes() == [], "whatever happened, nothing stays behind"


def test_a_program_goes_from_nothing_to_nothing(project: Project) -> None:
    project.program(PROGRAM)
    first = project.do("preview", "--diff")
    assert "7 to create" in first
    created = project.up()
    assert "+ 7 created" in created
    assert "warning" not in first + created, "the plugins are where the CLI wants them"
    kept = project.outputs()
    project.do("preview", "--expect-no-changes", "--diff")
    project.do("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    assert "7 unchanged" in project.up("--expect-no-changes")
    assert project.outputs() == kept
    assert json.loads(project.do("stack", "output", "--json"))["password"] == "[secret]"
    secrets = {*SECRETS, kept["proj-dev"]["password"]["plaintext"].strip('"')}
    assert not any(secret in project.state for secret in secrets)
    project.do("destroy", "--yes", "--skip-preview")
    assert project.resources == {}
    assert not any(secret in project.said for secret in secrets)


def test_a_state_of_berths_former_engine_goes_on_without_a_difference(project: Project) -> None:
    project.program(PROGRAM)
    shutil.copy(FORMER / "Pulumi.dev.yaml", project.folder)
    shutil.copy(FORMER / "state.json", project.backend / ".pulumi/stacks/proj/dev.json")
    project.do("preview", "--diff", "--expect-no-changes")
    project.do("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    assert "7 unchanged" in project.up("--expect-no-changes")


def test_changes_are_updates_or_replacements_as_ever(project: Project) -> None:
    project.program(PROGRAM)
    project.up()
    project.do("config", "set", "command", "echo other")
    assert "~ 1 updated" in project.up()
    project.do("config", "set", "trigger", "2")
    assert "+-1 replaced" in project.up()


def test_a_container_on_the_local_daemon_survives_a_refresh(project: Project, tiny_image: str) -> None:
    end = uuid.uuid4().hex[:8]
    project.program(
        f"""
import pulumi_docker as docker
network = docker.Network("net", name="berth-test-{end}", internal=True)
volume = docker.Volume("vol", name="berth-test-{end}")
docker.Container("c", name="berth-test-{end}", image="{tiny_image}", command=["/bin/tiny", "stay"], must_run=True,
    networks_advanced=[docker.ContainerNetworksAdvancedArgs(name=network.name)], envs=["A=1"], restart="no",
    volumes=[docker.ContainerVolumeArgs(volume_name=volume.name, container_path="/data")])
"""
    )
    try:
        project.up()
        project.do("refresh", "--yes", "--skip-preview", "--expect-no-changes")
        project.do("preview", "--expect-no-changes", "--diff")
        project.up("--expect-no-changes")
        subprocess.run(["docker", "rm", "-f", f"berth-test-{end}"], check=True, capture_output=True)
        assert "1 to create" in project.do("preview", "--refresh")
    finally:
        project.do("destroy", "--yes", "--skip-preview")


IMPORTED = """
import pulumi, pulumi_docker as docker, pulumi_random as random
def found(id_):
    return pulumi.ResourceOptions(import_=id_) if {by_option} else None
docker.Network("net", name="{name}", internal=True, opts=found("{name}"))
docker.Volume("vol", name="{name}", opts=found("{name}"))
docker.Container("c", name="{name}", image="{image}", command=["/bin/tiny", "stay"], envs=["A=1"], restart="always",
    network_mode="{name}", networks_advanced=[docker.ContainerNetworksAdvancedArgs(name="{name}")],
    volumes=[docker.ContainerVolumeArgs(volume_name="{name}", container_path="/data")], opts=found("{name}"))
random.RandomPassword("password", length=20, special=False, opts=found("abcdefghij0123456789"))
"""


@pytest.fixture
def there(daemon: docker.APIClient, tiny_image: str) -> Iterator[str]:
    """A network, a volume and a container of one name, made by Docker's own CLI."""
    name = f"berth-test-{uuid.uuid4().hex[:8]}"
    run = ["run", "-d", "--name", name, "--network", name, "-v", f"{name}:/data", "-e", "A=1", "--restart", "always"]
    for words in (
        ["network", "create", "--internal", name],
        ["volume", "create", name],
        [*run, tiny_image, "/bin/tiny", "stay"],
    ):
        subprocess.run(["docker", *words], check=True, capture_output=True)
    yield name
    subprocess.run(["docker", "rm", "-f", name], check=True, capture_output=True)
    subprocess.run(["docker", "network", "rm", name], check=True, capture_output=True)
    subprocess.run(["docker", "volume", "rm", name], check=True, capture_output=True)


def test_what_is_there_is_imported_by_the_clis_own_command(project: Project, there: str, tiny_image: str) -> None:
    ids = {
        "docker:index/network:Network net": there,
        "docker:index/volume:Volume vol": there,
        "docker:index/container:Container c": there,
        "random:index/randomPassword:RandomPassword password": "abcdefghij0123456789",
    }
    for words, id_ in ids.items():
        project.do("import", "--yes", "--skip-preview", "--generate-code=false", "--protect=false", *words.split(), id_)
    project.program(IMPORTED.format(name=there, image=tiny_image, by_option=False))
    project.do("preview", "--expect-no-changes", "--diff")
    project.do("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    assert "5 unchanged" in project.up("--expect-no-changes")
    assert "abcdefghij0123456789" not in project.state


def test_what_is_there_is_imported_by_an_option_of_the_program(project: Project, there: str, tiny_image: str) -> None:
    project.program(IMPORTED.format(name=there, image=tiny_image, by_option=True))
    said = project.up()
    assert "= 4 imported" in said and "updated" not in said and "replaced" not in said, said
    project.program(IMPORTED.format(name=there, image=tiny_image, by_option=False))
    project.do("preview", "--expect-no-changes", "--diff")


def test_an_import_of_what_is_not_there_says_so(project: Project, daemon: object) -> None:
    words = ("import", "--yes", "--skip-preview", "--generate-code=false")
    code, said = project.run(*words, "docker:index/network:Network", "net", "berth-test-nothing")
    assert code != 0 and "resource 'berth-test-nothing' does not exist" in said
    code, said = project.run(*words, "command:local:Command", "c", "some")
    assert code != 0 and "type command:local:Command cannot be imported" in said


@pytest.mark.parametrize("package", ["command", "docker", "minio", "random", "tls"])
def test_the_cli_reads_the_schema_of_a_package(project: Project, package: str) -> None:
    versions = cli.plugin_versions()
    schema = json.loads(project.do("package", "get-schema", f"{package}@{versions[package]}"))
    assert (schema["name"], schema["version"]) == (package, versions[package])
    assert all("inputProperties" in resource for resource in schema["resources"].values())


def test_an_interrupt_ends_the_dialling_of_a_host(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        port = silent.getsockname()[1]
        told = {"host": "127.0.0.1", "port": port, "password": "some-password"}
        project.program(f"from pulumi_command import remote\nremote.Command('x', create='true', connection={told})\n")
        with project.start("up", "--yes", "--skip-preview") as process:
            accepted, _ = silent.accept()
            begun = time.monotonic()
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=60)
            accepted.close()
    assert process.returncode != 0 and time.monotonic() - begun < 5
    assert f"root@127.0.0.1:{port}: the run was cancelled before this was done" in said


def test_a_host_is_dialled_once_in_a_run_whatever_asks_for_it(project: Project, server: Server) -> None:
    project.program(
        f"""
import pulumi
from pulumi_command import Provider, remote
connection = remote.ConnectionArgs(**{connection(server)})
for number in range(3):
    opts = pulumi.ResourceOptions(provider=Provider(f"p{{number}}"))
    for word in ("a", "b"):
        remote.Command(f"{{word}}{{number}}", create="cat", stdin=word, connection=connection, opts=opts)
"""
    )
    project.up()
    assert server.connections == 1
    project.up("--expect-no-changes")
    assert server.connections == 1, "nothing to do needs no connection"
    assert server.private_key.splitlines()[2] not in project.state + project.said


def connection(server: Server) -> dict[str, Any]:
    """How the program is told the way to a server."""
    names = {"privateKey": "private_key", "hostKey": "host_key"}
    return {names.get(key, key): value for key, value in server.connection().items()}


def test_an_unknown_property_is_refused_before_anything_is_touched(project: Project) -> None:
    project.program("import pulumi_docker as d\nd.Container('c', image='x', gpus='all')\n")
    code, said = project.run("up", "--yes", "--skip-preview")
    assert code != 0 and re.search("property gpus value .* is not supported by", said), said


def test_a_resource_type_that_is_not_known_is_refused_by_name(project: Project) -> None:
    project.program("import pulumi_random as r\nr.RandomPet('pet')\n")
    code, said = project.run("up", "--yes", "--skip-preview")
    assert code != 0 and "does not know the resource type random:index/randomPet:RandomPet" in said


def test_a_program_that_fails_is_shown_from_its_own_first_line(project: Project) -> None:
    project.program("def inner():\n    raise ValueError('no such thing')\ninner()\n")
    code, said = project.run("preview")
    assert code != 0 and "ValueError: no such thing" in said and "runpy" not in said


def test_what_is_not_known_in_a_preview_is_not_made_up(project: Project) -> None:
    project.program(
        "import pulumi, pulumi_docker as docker\nfrom pulumi_command import local\n"
        "a = local.Command('a', create='echo ssh://root@nowhere.invalid')\n"
        "p = docker.Provider('p', host=a.stdout)\n"
        "docker.Network('n', opts=pulumi.ResourceOptions(provider=p))\n"
        "local.Command('b', create=a.stdout)\n"
    )
    assert "5 to create" in project.do("preview")


SLOW = """
from pulumi_command import local
import pulumi
first = local.Command("first", create="echo one")
slow = local.Command("slow", create="touch {mark}; sleep {seconds}", opts=pulumi.ResourceOptions(depends_on=[first]))
last = local.Command("last", create="echo three", opts=pulumi.ResourceOptions(depends_on=[slow]))
"""


def started(project: Project, mark: Path, seconds: float) -> subprocess.Popen[str]:
    """An `up` in the middle of its slow resource."""
    project.program(SLOW.format(mark=mark, seconds=seconds))
    process = project.start("up", "--yes", "--skip-preview")
    deadline = time.monotonic() + 60
    while not mark.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert mark.exists()
    return process


def converges(project: Project, mark: Path) -> None:
    project.program(SLOW.format(mark=mark, seconds=0))
    project.up()
    assert {"first", "slow", "last"} <= project.resources.keys()


def test_a_host_killed_in_the_middle_is_said_and_made_up_for(project: Project, tmp_path: Path) -> None:
    with started(project, tmp_path / "mark", 20) as process:
        for pid in project.processes():
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if b"plugins" in command and b"plugins.program" not in command:
                os.kill(pid, signal.SIGKILL)
        said, _ = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "slow" in said and ("Unavailable" in said or "exited prematurely" in said)
    converges(project, tmp_path / "mark")


def test_a_program_killed_in_the_middle_is_said_and_made_up_for(project: Project, tmp_path: Path) -> None:
    with started(project, tmp_path / "mark", 1) as process:
        for pid in project.processes():
            if b"plugins.program" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                os.kill(pid, signal.SIGKILL)
        said, _ = process.communicate(timeout=60)
    assert process.returncode != 0 and "the program was ended by SIGKILL" in said
    converges(project, tmp_path / "mark")


def test_after_the_first_interrupt_what_runs_ends_and_nothing_begins(project: Project, tmp_path: Path) -> None:
    with started(project, tmp_path / "mark", 3) as process:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode != 0
    assert "slow" in project.resources and "last" not in project.resources
    converges(project, tmp_path / "mark")


def test_the_second_interrupt_ends_at_once(project: Project, tmp_path: Path) -> None:
    with started(project, tmp_path / "mark", 30) as process:
        begun = time.monotonic()
        process.send_signal(signal.SIGINT)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode != 0 and time.monotonic() - begun < 20
    converges(project, tmp_path / "mark")


def test_a_killed_cli_takes_its_plugins_with_it(project: Project, tmp_path: Path) -> None:
    with started(project, tmp_path / "mark", 20) as process:
        process.kill()
        process.wait()
    deadline = time.monotonic() + 10
    while project.processes() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert project.processes() == []
    project.do("cancel", "--yes")
    converges(project, tmp_path / "mark")
