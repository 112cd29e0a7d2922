"""Machines without a hypervisor, from their live system to their own one, over real SSH; in this order.

The computers are containers; their installer writes to a file that is their disk, and what starts next is read from it.
"""

from __future__ import annotations

import signal

from tests.bare_metal.conftest import Stack, until

USER_DATA = "/var/lib/coreos-install/user_data"
PARTS = ("", "-host-key", "-check", "-install", "-start", "-configuration")


def test_a_preview_names_every_step(stack: Stack) -> None:
    planned = stack.preview()
    assert {f"nodes-{node}{part}" for node in ("berth5", "berth6") for part in PARTS} <= set(planned)


def test_a_disk_with_data_is_lost_only_where_the_settings_say_so(
    stack: Stack,
) -> None:
    one, two = stack.computers
    two.run("mkswap", "/dev/berth")
    said = stack.refusal()
    assert "/dev/berth of berth6 holds data; `wipe: true` under berth:nodes[5].install" in said
    assert one.said("installed") == ""
    stack.nodes[5]["install"]["wipe"] = True


def test_a_host_unlike_the_settings_is_refused_and_gets_no_secret(stack: Stack) -> None:
    one, _ = stack.computers
    live = stack.nodes[4]["install"]["live"]
    pinned = live["hostKey"]
    live["hostKey"] = (stack.folder.parent / "user.pub").read_text().strip()
    assert "what answers for berth5 shows neither berth:nodes[4].install.live.hostKey nor the key" in stack.refusal()
    live["hostKey"] = pinned
    one.run("sh", "-c", "echo ID=debian >/etc/os-release")
    assert "berth5 runs debian, not a live CoreOS or Flatcar" in stack.refusal()
    one.run("sh", "-c", "echo ID=coreos >/etc/os-release; echo ext4 >/run/root-file-system")
    assert "berth5 runs an installed coreos, not a live one" in stack.refusal()
    one.run("sh", "-c", "echo tmpfs >/run/root-file-system")


def test_an_installation_that_was_killed_is_finished_by_the_next_run(stack: Stack) -> None:
    one, two = stack.computers
    one.run("sed", "-i", "2i sleep 8", "/usr/local/bin/coreos-install")
    running = stack.start("up", "--yes", "--skip-preview")
    until(lambda: "begun" in one.run("cat", "/run/berth-install"), 90)
    running.send_signal(signal.SIGKILL)
    running.wait()
    stack.run("cancel", "--yes")
    stack.up()
    assert one.said("installed").count("\n") == 1, "the installer that went on was waited for"
    assert one.said("installed").startswith("-d /dev/berth -C stable -c ")
    assert one.starts == two.starts == ["live", "from disk"]
    assert one.run("hostname").strip() == "berth5"
    assert "set-timezone Europe/Berlin" in one.run("cat", USER_DATA)
    assert stack.preview() == {}


def test_a_change_that_takes_a_restart_needs_the_settings_leave(stack: Stack) -> None:
    one, _ = stack.computers
    for node in stack.nodes[4:]:
        node["config"]["timezone"] = "Asia/Tokyo"
    changed = {f"nodes-{node}{part}" for node in ("berth5", "berth6") for part in ("", "-configuration")}
    assert set(stack.preview()) == changed
    assert "berth:nodes[4].install.reboot: true allows it. Nothing was changed" in stack.refusal()
    assert "Tokyo" not in one.run("cat", USER_DATA)


def test_machines_restart_one_by_one_while_the_registry_can_do_without(stack: Stack) -> None:
    one, two = stack.computers
    for node, computer in zip(stack.nodes[4:], stack.computers, strict=True):
        node["install"]["reboot"] = True
        computer.run("mkdir", "-p", "/var/lib/berth/prod/object-store")
    one.answer("registry", "503")
    running = stack.start("up", "--yes", "--skip-preview")
    until(lambda: "503 https://registry.example.com:4000/v2/" in one.said("asked"), 90)
    assert "Tokyo" not in one.run("cat", USER_DATA), "nothing is written before the registry is healthy"
    one.answer("minio", "503")
    one.answer("registry", "401")
    until(lambda: "503 https://192.0.2.13:9000/minio/health/cluster" in one.said("asked"))
    assert "Tokyo" not in one.run("cat", USER_DATA), "nor before every other MinIO server is there"
    two.answer("minio", "503")
    one.answer("minio", "200")
    until(lambda: "503 https://192.0.2.13:9000/minio/health/cluster" in two.said("asked"), 90)
    assert one.starts == ["live", "from disk", "from disk"]
    assert two.starts == ["live", "from disk"]
    assert "Tokyo" not in two.run("cat", USER_DATA)
    assert f"200 https://{two.address}:9000/minio/health/cluster" in one.said("asked")
    two.answer("minio", "200")
    assert running.wait(120) == 0, running.stdout and running.stdout.read()
    assert two.starts == ["live", "from disk", "from disk"]
    assert "Tokyo" in two.run("cat", USER_DATA)
    assert stack.preview() == {}


def test_another_live_system_is_another_installation(stack: Stack) -> None:
    one, _ = stack.computers
    stack.nodes[4]["config"]["timezone"] = "Africa/Lagos"
    stack.nodes[4]["install"] |= {"wipe": True, "live": {"hostKey": one.insert_disc()}}
    (one.folder / "forgotten").touch()
    one.restart()
    (one.folder / "forgotten").unlink()
    planned = stack.preview()
    assert planned["nodes-berth5-install"] == planned["nodes-berth5"] == "replace"
    assert "nodes-berth6-install" not in planned
    stack.up()
    assert one.starts[-2:] == ["live", "from disk"]
    assert "Lagos" in one.run("cat", USER_DATA)


def test_flatcar_reads_ignition_and_is_not_restarted_for_a_change(flatcar: Stack) -> None:
    one, _ = flatcar.computers
    flatcar.up()
    assert " -i " in one.said("installed")
    assert one.run("hostname").strip() == "berth5"
    flatcar.nodes[4]["config"]["timezone"] = "Asia/Tokyo"
    assert set(flatcar.preview()) == {"nodes-berth5-configuration"}
    flatcar.up()
    assert one.starts == ["live", "from disk"]
