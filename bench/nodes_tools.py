"""The four ways to bring six items onto N hosts, each as its user would tune it, and the state that they must reach."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from bench.nodes_fleet import HOSTS_FILE, Host, ssh_config
from operations import workspace
from operations.pulumi.cli import choose
from operations.pulumi.environment import own_plugins, search_path

REPOSITORY = Path(__file__).parents[1]
SCRIPTS = Path(__file__).parent / "nodes_files"
FILES = {
    "daemon.json": "/etc/docker/daemon.json",
    "ca.crt": "/etc/docker/certs.d/registry.bench.test:4000/ca.crt",
    "drop-in.conf": "/etc/systemd/system/docker.service.d/berth-bench.conf",
}
BLOCK_FILE = "/etc/bench/hosts"
BLOCK = "".join(f"10.80.0.{number} node{number}.bench.test\n" for number in range(10, 14))
TOOLS = ("berth", "ansible", "pyinfra", "ssh-loop")


@dataclass(frozen=True)
class Command:
    """One run of a tool: what is started, and what its environment has beside the bench's own."""

    arguments: Sequence[str]
    environment: Mapping[str, str]
    stdin: Path | None = None


class Workspace:
    """A directory with everything that the tools read: hosts, keys, desired state, and each tool's own files."""

    def __init__(self, directory: Path, hosts: Sequence[Host], key: asyncssh.SSHKey, tools: Path) -> None:
        self.directory, self.hosts, self._tools = directory, hosts, tools
        self._config = ssh_config(hosts, directory, key)
        self._cli = choose()
        berth = workspace.Workspace.current()
        self._plugins = own_plugins(berth, self._cli, os.environ) if self._cli.own_plugins else {}
        self._expected = ""
        for name in ("playbook.yml", "pyinfra_deploy.py", "pyinfra_inventory.py", "package.sh", "service.sh"):
            shutil.copy(SCRIPTS / name, directory)
        shutil.copy(SCRIPTS / "program.py", directory / "__main__.py")
        (directory / "Pulumi.yaml").write_text("name: bench\nruntime: python\n")
        (directory / "addresses").write_text("".join(f"{host.address}\n" for host in hosts))
        (directory / "inventory.ini").write_text("".join(f"{host.address}\n" for host in hosts))
        (directory / "desired").mkdir()
        self._payload("reset", {"apply.sh": SCRIPTS / "reset.sh"})
        self._payload("report", {"apply.sh": SCRIPTS / "report.sh"})

    def want(self, change: str, asked: str = "") -> None:
        """Write the desired state: `change` is a value in daemon.json, `asked` makes Berth look at hosts unasked."""
        desired = self.directory / "desired"
        daemon = {"live-restore": True, "log-driver": "json-file", "log-opts": {"max-size": "10m", "tag": change}}
        contents = {
            "daemon.json": json.dumps(daemon, indent=2) + "\n",
            "ca.crt": "-----BEGIN CERTIFICATE-----\n" + f"{'A' * 64}\n" * 12 + "-----END CERTIFICATE-----\n",
            "drop-in.conf": '[Service]\nEnvironment="HTTPS_PROXY=http://proxy.bench.test:3128"\n',
            "hosts.block": BLOCK,
        }
        for name, content in contents.items():
            (desired / name).write_text(content)
        bench = {
            "hosts": [{"name": host.name, "address": host.address, "host_key": host.host_key} for host in self.hosts],
            "key_file": str(self.directory / "id_ed25519"),
            "known_hosts_file": str(self.directory / "known_hosts"),
            "stage_script": str(SCRIPTS / "stage.sh"),
            "files": FILES,
            "block": BLOCK_FILE,
            "package": "ca-certificates",
            "service": "berth-bench",
            "asked": asked,
        }
        (self.directory / "bench.json").write_text(json.dumps(bench, indent=2))
        sources = {name: desired / name for name in contents}
        scripts = {name: SCRIPTS / name for name in ("apply.sh", "package.sh", "service.sh")}
        self._payload("apply", {**sources, **scripts})
        block = f"# BEGIN berth bench\n{BLOCK}# END berth bench\n"
        wanted = [contents[name].encode() for name in FILES] + [HOSTS_FILE + block.encode()]
        digests = [hashlib.sha256(content).hexdigest() for content in wanted]
        self._expected = " ".join([*digests, *["644:root:root"] * len(wanted), "present", "running"])

    def reset(self) -> None:
        """All hosts and Berth's state as they were before any tool came."""
        self._on_all_hosts("reset")
        shutil.rmtree(self.directory / ".pulumi", ignore_errors=True)
        command = self.berth("stack", "init", "dev")
        done = subprocess.run(
            command.arguments,
            cwd=self.directory,
            env={**os.environ, **command.environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)

    def check(self, tool: str) -> None:
        """Fail unless the managed files, the package and the service are on every host as they should be."""
        found = dict(line.split(" ", 1) for line in self._on_all_hosts("report").splitlines())
        wrong = [host.name for host in self.hosts if found.get(host.name) != self._expected]
        if wrong:
            difference = f"expected: {self._expected}\nfound:    {found.get(wrong[0])}"
            raise SystemExit(f"{tool}: {len(wrong)} hosts are not as wanted, such as {wrong[0]}:\n{difference}")

    def command(self, tool: str) -> Command:
        """The run of a tool that brings the desired state to the hosts."""
        if tool == "berth":
            return self.berth("up", "--yes", "--skip-preview", "--stack", "dev", "--parallel", str(len(self.hosts)))
        if tool == "ansible":
            return self._ansible()
        if tool == "pyinfra":
            return self._pyinfra()
        return self._loop("apply")

    def berth(self, *arguments: str) -> Command:
        """Pulumi's CLI with a state of its own."""
        environment = {
            "PULUMI_BACKEND_URL": f"file://{self.directory}",
            "PULUMI_CONFIG_PASSPHRASE": "bench",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PYTHONPATH": str(REPOSITORY),
            "PATH": search_path(os.environ),
            **self._plugins,
        }
        return Command([str(self._cli.program), *arguments, "--non-interactive"], environment)

    def _ansible(self) -> Command:
        # Forks for all hosts, modules piped into Python instead of copied, one connection a host, no facts.
        environment = {
            "ANSIBLE_FORKS": str(len(self.hosts)),
            "ANSIBLE_PIPELINING": "True",
            "ANSIBLE_SSH_TRANSFER_METHOD": "piped",
            "ANSIBLE_HOST_KEY_CHECKING": "True",
            "ANSIBLE_SSH_ARGS": f"-F {self._config} -o ControlMaster=auto -o ControlPersist=60s",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.directory / "cp"),
            "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
            "ANSIBLE_LOCAL_TEMP": str(self.directory / "ansible"),
            "ANSIBLE_HOME": str(self.directory / "ansible"),
            "ANSIBLE_INVENTORY_ENABLED": "ini",
            "ANSIBLE_NOCOLOR": "1",
            "BENCH_STRATEGY": "free",
            "LC_ALL": "C.UTF-8",
        }
        arguments = ["ansible-playbook", "-i", "inventory.ini", "-e", "@bench.json", "playbook.yml"]
        return Command([str(self._tools / arguments[0]), *arguments[1:]], environment)

    def _pyinfra(self) -> Command:
        parallel = ["--parallel", str(len(self.hosts)), "--no-wait"]
        arguments = ["--yes", *parallel, "pyinfra_inventory.py", "pyinfra_deploy.py"]
        return Command([str(self._tools / "pyinfra"), *arguments], {"HOME": str(self.directory)})

    def _loop(self, payload: str) -> Command:
        tar = self.directory / f"{payload}.tar"
        arguments = ["sh", str(SCRIPTS / "loop.sh"), str(self._config), str(len(self.hosts)), str(tar)]
        return Command(arguments, {}, self.directory / "addresses")

    def _on_all_hosts(self, payload: str) -> str:
        loop = self._loop(payload)
        with (self.directory / "addresses").open() as addresses:
            done = subprocess.run(loop.arguments, stdin=addresses, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{payload}.sh failed on a host:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.stdout

    def _payload(self, name: str, members: Mapping[str, Path]) -> None:
        with tarfile.open(self.directory / f"{name}.tar", "w") as archive:
            for member, source in members.items():
                information = tarfile.TarInfo(member)
                information.size = source.stat().st_size
                archive.addfile(information, io.BytesIO(source.read_bytes()))
