"""From nothing to a pushed and pulled image."""

from __future__ import annotations

import json
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.integration.lab import NODES, REGISTRY, ROOT, Lab, run

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def pushed(lab: Lab) -> str:
    """An image that was pushed from the deploy host with plain docker, by its digest reference."""
    user = lab.endpoint()["users"]["push"]
    env = lab.environment
    login = run(
        ["docker", "login", "-u", user["username"], "--password-stdin", REGISTRY], stdin=user["password"], env=env
    )
    assert login.returncode == 0, login.stderr
    image = json.loads((lab.home / "images.json").read_text())["registry"]["reference"]
    name = f"{REGISTRY}/team/app:1"
    assert run(["docker", "tag", image, name]).returncode == 0
    push = run(["docker", "push", name], env=env)
    assert push.returncode == 0, push.stderr
    run(["docker", "rmi", name])
    digest = next(word for word in push.stdout.split() if word.startswith("sha256:"))
    return f"{REGISTRY}/team/app@{digest}"


def test_the_endpoint_names_registry_ca_and_users(lab: Lab) -> None:
    end = lab.endpoint()
    assert end["registry"] == REGISTRY
    assert Path(end["ca_file"]).read_text().startswith("-----BEGIN CERTIFICATE-----")
    assert {"push", "pull"} <= end["users"].keys()
    assert all(len(user["password"]) >= 20 for user in end["users"].values())


def test_without_show_secrets_no_password_is_shown(lab: Lab) -> None:
    end = json.loads(lab.berth("endpoint", "--json"))
    assert all(user["password"] is None for user in end["users"].values())


@pytest.mark.parametrize("node", NODES)
def test_a_pushed_image_is_pulled_on_every_node_with_its_digest(lab: Lab, pushed: str, node: str) -> None:
    user = lab.endpoint()["users"]["pull"]
    container = f"berth-citest-{node}"
    login = ["docker", "exec", "-i", container, "docker", "login", "-u", user["username"], "--password-stdin", REGISTRY]
    assert run(login, stdin=user["password"]).returncode == 0
    lab.on(node, "docker", "pull", "--quiet", pushed)
    assert pushed in lab.on(node, "docker", "image", "inspect", "--format", "{{.RepoDigests}}", pushed)
    lab.on(node, "docker", "rmi", pushed)


def test_the_deploy_host_pulls_with_no_step_by_hand(lab: Lab, pushed: str) -> None:
    assert run(["docker", "pull", "--quiet", pushed], env=lab.environment).returncode == 0
    run(["docker", "rmi", pushed])


def test_nobody_reads_or_writes_without_a_password(lab: Lab) -> None:
    import ssl

    context = ssl.create_default_context(cafile=lab.endpoint()["ca_file"])
    for method, path in [("GET", "/v2/"), ("GET", "/v2/team/app/tags/list"), ("POST", "/v2/team/app/blobs/uploads/")]:
        request = urllib.request.Request(f"https://{REGISTRY}{path}", method=method)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, context=context, timeout=10)
        assert refused.value.code == 401, path


def test_a_pull_user_cannot_push_and_only_an_admin_lists_everything(lab: Lab, pushed: str) -> None:
    end = lab.endpoint()

    def answer(user: str, method: str, path: str) -> str:
        who = end["users"][user]
        config = f'user = "{who["username"]}:{who["password"]}"\n'
        words = ["curl", "--silent", "-K", "-", "--cacert", end["ca_file"], "-o", "/dev/null", "-w", "%{http_code}"]
        return str(run([*words, "-X", method, f"https://{REGISTRY}{path}"], stdin=config).stdout)

    assert answer("pull", "GET", "/v2/team/app/tags/list") == "200"
    assert answer("pull", "POST", "/v2/team/app/blobs/uploads/") == "401"
    assert answer("push", "POST", "/v2/team/app/blobs/uploads/") == "202"
    for spelling in ("/v2/_catalog", "/v2/%5fcatalog", "/v2//_catalog", "/v2/./_catalog"):
        assert answer("push", "GET", spelling) in ("400", "401"), spelling


def test_a_replica_talks_to_the_balancer_only(lab: Lab) -> None:
    direct = run(["curl", "--silent", "--insecure", "-o", "/dev/null", "https://10.76.0.12:4010/v2/"])
    assert direct.returncode != 0, "a replica answered somebody without a client certificate"


def test_the_registry_holds_no_root_key(lab: Lab) -> None:
    root = lab.on("node2", "cat", "/etc/berth/object-store/environment").split("MINIO_ROOT_PASSWORD=")[1].split()[0]
    assert root not in lab.on("node2", "cat", "/etc/berth/registry/config.yml")


def test_no_secret_is_in_a_containers_environment_or_command_line(lab: Lab) -> None:
    secrets = [
        lab.on("node1", "cat", "/etc/berth/object-store/environment").split("MINIO_ROOT_PASSWORD=")[1].split()[0],
        *(user["password"] for user in lab.endpoint()["users"].values()),
    ]
    for node in NODES:
        names = lab.on(node, "docker", "ps", "-aq").split()
        seen = lab.on(node, "docker", "inspect", *names) + lab.on(
            node, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"
        )
        assert not any(secret in seen for secret in secrets), node


def test_a_second_up_changes_nothing_and_opens_no_connection_to_any_node(lab: Lab) -> None:
    before = lab.logins()
    assert "No change" in lab.berth("up", "--yes")
    assert lab.logins() == before


def test_a_preview_expects_no_changes(lab: Lab) -> None:
    assert lab.try_berth("preview", "--expect-no-changes")[0] == 0


def test_verify_is_green_and_status_lists_every_service(lab: Lab) -> None:
    lab.berth("verify")
    rows = json.loads(lab.berth("status", "--json"))
    text = json.dumps(rows)
    assert all(node in text for node in NODES)
    assert all(service in text for service in ("registry", "object-store", "load-balancer"))


def test_a_command_runs_on_a_node_by_name(lab: Lab) -> None:
    assert (
        "node3"
        in subprocess.run(
            [str(lab.root / "berth"), "ssh", "--stack", "citest", "node3", "--", "hostname"],
            cwd=lab.root,
            env=lab.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        ).stdout
    )


def test_the_checkout_is_clean_after_all_of_this(lab: Lab) -> None:
    for name in ("Pulumi.dev.yaml", "Pulumi.staging.yaml", "Pulumi.prod.yaml", "Pulumi.yaml"):
        assert (lab.root / name).read_bytes() == (ROOT / name).read_bytes()
