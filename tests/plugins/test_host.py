"""The one process behind all providers: connections, its end, and the end of others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from google.protobuf import empty_pb2

from plugins import home
from tests.plugins.conftest import SDK, Host
from tests.plugins.providers.conftest import Server

LOCAL, REMOTE = "command:local:Command", "command:remote:Command"


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_all_instances_share_one_connection_to_a_host(own_host: Host, server: Server) -> None:
    connection = server.connection()
    with own_host.instance("command") as first, own_host.instance("command") as second:
        work = [(one, name) for one in (first, second) for name in "abcd"]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda each: each[0].make(REMOTE, each[1], create="true", connection=connection), work))
    assert server.connections == 1


def test_a_hundred_instances_are_one_process(own_host: Host) -> None:
    opened = [own_host.instance("docker", host=f"ssh://root@node-{number}") for number in range(100)]
    for one in opened:
        one.__enter__()
    status = Path(f"/proc/{own_host.process.pid}/status").read_text().splitlines()
    kilobytes = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    children = Path(f"/proc/{own_host.process.pid}/task/{own_host.process.pid}/children").read_text()
    for one in opened:
        one.__exit__(None, None, None)
    assert children == ""
    assert kilobytes < 300 * 1024


def test_the_port_of_an_instance_closes_with_its_call(own_host: Host) -> None:
    with own_host.instance("random") as instance:
        assert instance.stub.GetPluginInfo(empty_pb2.Empty())
    time.sleep(0.5)
    with own_host.instance("random") as instance:
        assert instance.stub.GetPluginInfo(empty_pb2.Empty()), "another one is not touched by it"


def test_the_host_ends_when_its_pipe_does(own_host: Host) -> None:
    own_host.end()
    assert own_host.process.returncode == 0


def test_the_host_ends_when_the_process_that_started_it_is_killed(plugin_home: Path) -> None:
    program = plugin_home / "plugins" / f"language-python-v{SDK}" / "pulumi-language-python"
    script = (
        "import subprocess, sys, time\n"
        "host = subprocess.Popen([sys.argv[1], 'x'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "host.stdout.readline()\nprint(host.pid, flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 10
    while not gone(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert gone(pid)


def test_the_host_ends_at_once_when_the_cli_interrupts_it(own_host: Host) -> None:
    begun = time.monotonic()
    own_host.process.send_signal(signal.SIGINT)
    assert own_host.process.wait(10) == 0
    assert time.monotonic() - begun < 4, "the CLI would kill it after five seconds"


def test_a_host_that_is_killed_ends_calls_instead_of_letting_them_wait(own_host: Host) -> None:
    with own_host.instance("command") as instance:
        inputs = instance.checked(LOCAL, "slow", create="exec sleep 20")
        with ThreadPoolExecutor(1) as pool:
            call = pool.submit(instance.make, LOCAL, "slow", **inputs)
            time.sleep(0.5)
            own_host.process.kill()
            with pytest.raises(grpc.RpcError) as caught:
                call.result(10)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_plugins_of_another_version_go_and_the_rest_is_left(tmp_path: Path) -> None:
    home.write(tmp_path, {"docker": "5.1.0"}, SDK)
    note = tmp_path / "plugins" / "resource-docker-v5.1.0.lock"
    note.touch()
    home.write(tmp_path, {"docker": "5.2.0"}, SDK)
    names = {path.name for path in (tmp_path / "plugins").iterdir()}
    assert "resource-docker-v5.2.0" in names and "resource-docker-v5.1.0" not in names
    assert note.name in names


def test_nothing_is_written_where_all_is_there(tmp_path: Path) -> None:
    home.write(tmp_path, {"docker": "5.2.0"}, SDK)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    home.write(tmp_path, {"docker": "5.2.0"}, SDK)
    assert times == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}


def test_a_checkout_that_is_gone_is_said_with_what_to_do(tmp_path: Path) -> None:
    home.write(tmp_path, {}, SDK)
    folder = tmp_path / "plugins" / f"language-python-v{SDK}"
    (folder / "checkout").write_text("/nowhere\n")
    done = subprocess.run([folder / "pulumi-language-python", "x"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "run ./berth up again" in done.stderr


def test_beside_a_language_host_of_the_clis_own_berths_has_another_name(tmp_path: Path) -> None:
    home.write(tmp_path, {"docker": "5.2.0"}, None)
    found = {str(path.relative_to(tmp_path / "plugins")) for path in tmp_path.rglob("*") if path.is_file()}
    assert "language-berth-v1.0.0/pulumi-language-berth" in found
    assert not any("python" in path for path in found)
    assert "name: berth" in (tmp_path / "plugins/resource-docker-v5.2.0/PulumiPlugin.yaml").read_text()
