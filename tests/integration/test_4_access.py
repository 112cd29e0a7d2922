"""Who may do what, and what the front makes of bad input."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.integration.lab import NODES, STACK, Lab
from tests.integration.registry import MANIFEST, Registry, berth_registry, digest_of, made, random_image

pytestmark = pytest.mark.lab


@pytest.fixture
def push(lab: Lab) -> Registry:
    return berth_registry(lab, "push")


def test_only_an_admin_deletes_and_lists_everything(lab: Lab, push: Registry) -> None:
    image = random_image()
    push.push("team/short-lived", "1", image)
    path = f"/v2/team/short-lived/manifests/{image.digest}"
    for user in ("pull", "push"):
        asked = berth_registry(lab, user)
        assert asked.ask("DELETE", path).status in (401, 403), user
        assert asked.ask("GET", "/v2/_catalog").status in (401, 403), user
    admin = berth_registry(lab, "admin")
    assert "team/short-lived" in json.loads(admin.ask("GET", "/v2/_catalog").body)["repositories"]
    assert admin.ask("DELETE", path).status == 202
    assert push.manifest("team/short-lived", image.digest).status == 404


def test_a_users_secret_is_replaced_while_the_old_one_still_works(lab: Lab, settings: Any) -> None:
    users = [{"name": "push", "role": "push"}, {"name": "pull", "role": "pull"}, {"name": "admin", "role": "admin"}]
    registry = dict(lab.document()["config"]["berth:registry"])
    old = berth_registry(lab, "push")
    settings(registry={**registry, "users": [{**users[0], "versions": [1, 2]}, *users[1:]]})
    lab.berth("up", "--yes")
    new = berth_registry(lab, "push", fresh=True)
    assert new.password != old.password
    assert [who.ask("GET", "/v2/").status for who in (old, new)] == [200, 200]
    settings(registry={**registry, "users": [{**users[0], "versions": [2]}, *users[1:]]})
    lab.berth("up", "--yes")
    deadline = time.monotonic() + 70  # a right password is remembered for a minute
    while old.ask("GET", "/v2/").status != 401:
        assert time.monotonic() < deadline, "the old secret still opens the registry"
        time.sleep(2)
    assert new.ask("GET", "/v2/").status == 200


def test_the_stores_root_key_is_on_its_own_nodes_only(lab: Lab) -> None:
    text = lab.on("node2", "cat", "/etc/berth/object-store/environment")
    root = text.split("MINIO_ROOT_PASSWORD=")[1].split()[0]
    for node in NODES:
        found = lab.on(node, "grep", "-rlF", root, "/etc/berth", "/root", check=False).split()
        assert all(path.startswith("/etc/berth/object-store/") for path in found), (node, found)


def test_the_registrys_key_opens_its_own_directory_of_the_bucket_only(lab: Lab) -> None:
    import urllib3
    import yaml
    from minio import Minio
    from minio.error import S3Error

    end = lab.endpoint()
    pool = urllib3.PoolManager(ca_certs=end["ca_file"])
    keys = {}
    for stage in ("registry", "cache-quay"):
        s3 = yaml.safe_load(lab.on("node1", "cat", f"/etc/berth/{stage}/config.yml"))["storage"]["s3"]
        keys[s3["rootdirectory"].split("/")[1]] = Minio(
            s3["regionendpoint"].removeprefix("https://"), s3["accesskey"], s3["secretkey"], http_client=pool
        )
    for own, other in (("store", "cache"), ("cache", "store")):
        assert list(keys[own].list_objects("registry", prefix=f"{own}/")) is not None
        with pytest.raises(S3Error, match="AccessDenied"):
            list(keys[own].list_objects("registry", prefix=f"{other}/"))
        with pytest.raises(S3Error, match="AccessDenied"):
            keys[own].stat_object("registry", f"{other}/docker/registry/v2/none")


@pytest.mark.parametrize("password", ["x" * 1000, "wrong", "", "ü\n:x"])
def test_a_password_that_is_not_the_users_is_401_however_it_looks(push: Registry, password: str) -> None:
    asked = Registry(push.host, push.ca_file, "push", password).ask("GET", "/v2/")
    assert (asked.status, asked.code) == (401, "UNAUTHORIZED")
    assert "basic" in asked.headers["www-authenticate"].lower()


def test_failed_logins_are_limited_per_address_and_nobody_else_notices(lab: Lab, push: Registry) -> None:
    wrong = Registry(push.host, push.ca_file, "push", "wrong")
    assert push.ask("GET", "/v2/").status == 200
    with ThreadPoolExecutor(20) as pool:
        seen = set(pool.map(lambda _: wrong.ask("GET", "/v2/").status, range(40)))
    assert seen == {401, 429}
    # Another address logs in as ever, and so does who was known before.
    assert push.ask("GET", "/v2/").status == 200
    assert "ok" in lab.on(
        "node3", "sh", "-c", f"docker manifest inspect {push.host}/x/y 2>&1 | grep -q 'no such manifest' && echo ok"
    )
    time.sleep(12)


def test_a_manifest_that_names_a_missing_blob_is_refused(push: Registry) -> None:
    image = random_image()
    answer = push.ask("PUT", "/v2/team/holes/manifests/1", image.manifest, content_type=MANIFEST)
    assert (answer.status, answer.code) == (404, "MANIFEST_BLOB_UNKNOWN") or answer.status == 400, answer


def test_a_blob_with_another_digest_than_announced_is_refused_and_not_kept(push: Registry) -> None:
    content, other = b"what was sent", digest_of(b"what was announced")
    answer = push.upload("team/liar", content, other)
    assert (answer.status, answer.code) == (400, "DIGEST_INVALID")
    assert push.blob("team/liar", other).status == 404


def test_an_upload_that_was_left_half_way_is_forgotten_by_age(lab: Lab) -> None:
    import yaml

    maintenance = yaml.safe_load(lab.on("node1", "cat", "/etc/berth/registry/config.yml"))["storage"]["maintenance"]
    assert maintenance["uploadpurging"] == {"enabled": True, "age": "168h", "interval": "24h", "dryrun": False}


@pytest.mark.parametrize("name", ["../x", "a/../../b", "%2e%2e/x", "a/..%2fb", "A", "a" * 300, ".", "a//b", "a/\x7f"])
def test_a_name_that_is_no_repository_is_refused(push: Registry, name: str) -> None:
    from urllib.parse import quote

    answer = push.ask("POST", f"/v2/{quote(name, safe='/%.')}/blobs/uploads/")
    assert answer.status in (400, 404, 405, 414), answer


def test_a_repository_with_many_tags_is_listed_whole(lab: Lab, push: Registry, request: pytest.FixtureRequest) -> None:
    count = 10_000 if request.config.getoption("--full", False) else 300
    image = made(b"one layer for all")
    push.push("team/tags", "t00000", image)

    def tag(number: int) -> int:
        path = f"/v2/team/tags/manifests/t{number:05d}"
        return push.ask("PUT", path, image.manifest, content_type=MANIFEST).status

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(tag, range(1, count))) == {201}
    found: list[str] = []
    path = "/v2/team/tags/tags/list?n=100"
    while path:
        answer = push.ask("GET", path)
        found += json.loads(answer.body)["tags"]
        link = answer.headers.get("link", "")
        path = link[link.index("<") + 1 : link.index(">")] if link else ""
        path = path[path.index("/v2/") :] if path else ""
    assert found == sorted(found)
    assert len(found) == count


def test_a_flood_of_half_requests_from_one_address_leaves_others_served(lab: Lab, push: Registry) -> None:
    name, _, port = push.host.partition(":")
    held: list[socket.socket] = []
    context = ssl.create_default_context(cafile=push.ca_file)

    def hold() -> None:
        for _ in range(150):
            try:
                raw = socket.create_connection((name, int(port)), timeout=5)
                wrapped = context.wrap_socket(raw, server_hostname=name)
                wrapped.sendall(b"GET /v2/ HTTP/1.1\r\nX-Slow: ")
                held.append(wrapped)
            except OSError:
                return

    threads = [threading.Thread(target=hold) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    try:
        began = time.monotonic()
        words = [
            "curl",
            "-s",
            "--cacert",
            f"/etc/docker/certs.d/{push.host}/ca.crt",
            "-o",
            "/dev/null",
            "-w",
            "%{http_code}",
        ]
        assert lab.on("node3", *words, "-m", "5", f"https://{push.host}/v2/") == "401"
        assert time.monotonic() - began < 3
        big = ["-H", "X-Big: " + "x" * 100_000]
        assert lab.on("node3", *words, *big, f"https://{push.host}/v2/", check=False) in ("400", "431", "000")
    finally:
        for one in held:
            one.close()


def test_a_virtual_address_in_use_is_refused_before_keepalived_starts(lab: Lab, settings: Any) -> None:
    from tests.integration.lab import run

    outsider = "10.76.0.77"
    made_ = run(
        ["docker", "run", "-d", "--name", f"berth-{STACK}-outsider", "--network", f"berth-{STACK}", "--ip", outsider,
         json.loads((lab.home / "images.json").read_text())["nginx"]["reference"], "sleep", "600"]
    )  # fmt: skip
    assert made_.returncode == 0, made_.stderr
    try:
        for node in ("node1", "node2"):
            lab.on(node, "docker", "stop", "-t", "1", "berth-virtual-address")
        settings(loadBalancer={"address": outsider})
        code, output = lab.try_berth("up", "--yes")
        assert code == 1
        assert outsider in output
        assert "loadBalancer.address" in output
        assert "Traceback" not in output
    finally:
        run(["docker", "rm", "-f", f"berth-{STACK}-outsider"])
        for node in ("node1", "node2"):
            lab.on(node, "docker", "start", "berth-virtual-address")


def test_every_server_shows_the_certificates_that_were_issued_last(lab: Lab) -> None:
    # The test before had all of them issued anew, for another address and back.
    code, output = lab.try_berth("verify")
    assert code == 0, output
