"""One name serves what was pushed and what an upstream has, and no trouble of an upstream's gets into a cache."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.lab import NODES, REGISTRY, STACK, Lab, run
from tests.integration.registry import (
    UPSTREAM,
    Image,
    Registry,
    Upstream,
    berth_registry,
    digest_of,
    made,
    random_image,
)

pytestmark = pytest.mark.lab

CACHES = [(node, name) for node in ("node1", "node2") for name in ("docker-hub", "quay")]


@pytest.fixture
def upstream(lab: Lab) -> Iterator[Upstream]:
    stand_in = Upstream(lab)
    yield stand_in
    stand_in.set()


@pytest.fixture
def pull(lab: Lab) -> Registry:
    return berth_registry(lab, "pull")


@pytest.fixture
def push(lab: Lab) -> Registry:
    return berth_registry(lab, "push")


def docker_image(lab: Lab, name: str) -> str:
    """A real image, pushed to the upstream under `name` from the deploy host; its digest."""
    image = json.loads((lab.home / "images.json").read_text())["registry"]["reference"]
    target = f"{UPSTREAM}/{name}"
    assert run(["docker", "tag", image, target]).returncode == 0
    done = run(["docker", "push", target], env=lab.environment)
    assert done.returncode == 0, done.stderr
    run(["docker", "rmi", target])
    return str(next(word for word in done.stdout.split() if word.startswith("sha256:")))


def test_an_image_of_the_upstream_is_pulled_by_its_own_name_on_a_node(lab: Lab, upstream: Upstream) -> None:
    digest = docker_image(lab, "library/own-name:1")
    upstream.stats("--reset")
    lab.on("node3", "docker", "pull", "--quiet", "library/own-name:1")
    assert digest in lab.on("node3", "docker", "image", "inspect", "-f", "{{.RepoDigests}}", "own-name:1")
    assert upstream.stats()["requests"] > 0, "the image came from somewhere else"
    lab.on("node3", "docker", "rmi", "own-name:1")


def test_every_node_is_logged_in_and_pulls_from_an_upstream(lab: Lab, upstream: Upstream) -> None:
    digest = docker_image(lab, "team/tool:1")
    for node in NODES:
        lab.on(node, "docker", "pull", "--quiet", f"{REGISTRY}/quay.io/team/tool:1")
        seen = lab.on(node, "docker", "image", "inspect", "-f", "{{.RepoDigests}}", f"{REGISTRY}/quay.io/team/tool:1")
        assert digest in seen
        lab.on(node, "docker", "rmi", f"{REGISTRY}/quay.io/team/tool:1")
        assert lab.on(node, "stat", "-c", "%a %U", "/root/.docker/config.json").split() == ["600", "root"]


def test_a_public_image_never_stands_in_for_a_missing_private_one(upstream: Upstream, pull: Registry) -> None:
    image = random_image()
    upstream.registry.push("team/secret", "1", image)
    for repository in ("team/secret", "docker.iox/team/secret", "other/docker.io/team/secret"):
        assert pull.manifest(repository, "1").status == 404, repository
        assert pull.blob(repository, digest_of(next(iter(image.blobs.values())))).status == 404, repository
    assert pull.manifest("docker.io/team/secret", "1").body == image.manifest


@pytest.mark.parametrize(
    "path", ["docker.io/../team/app", "docker.io/%2e%2e/team/app", "docker.io/%2e%2e%2fteam/app", "docker.io//team/app"]
)
def test_no_spelling_of_a_path_leads_from_one_prefix_into_another(pull: Registry, push: Registry, path: str) -> None:
    push.push("team/app", "private", random_image())
    answer = pull.ask("GET", f"/v2/{path}/manifests/private", accept="*/*")
    # The last two dots may be read as the plain path by the client's own library: then it is the plain path's answer.
    assert answer.status in (200, 400, 404), answer
    if answer.status == 200:
        assert answer.body == pull.manifest("team/app", "private").body


def test_what_is_cached_is_served_while_the_upstream_is_down(upstream: Upstream, pull: Registry) -> None:
    image = random_image(layers=2)
    upstream.registry.push("library/kept", "1", image)
    assert pull.has("docker.io/library/kept", image)
    assert pull.manifest("docker.io/library/kept", "1").body == image.manifest
    for fault in ("down", "500", "429"):
        upstream.set("--fault", fault)
        assert pull.manifest("docker.io/library/kept", "1").body == image.manifest, fault
        assert pull.has("docker.io/library/kept", image), fault


@pytest.mark.parametrize("fault", ["wrong", "empty", "truncated", "429", "500", "unauthorized", "down"])
def test_an_upstream_that_lies_or_fails_never_poisons_the_cache(upstream: Upstream, pull: Registry, fault: str) -> None:
    image = random_image(300_000)
    name = f"library/bad-{fault}"
    upstream.registry.push(name, "1", image)
    upstream.set("--fault", fault)
    for digest, content in image.blobs.items():
        try:
            answer = pull.blob(f"docker.io/{name}", digest)
        except (OSError, ValueError, EOFError) as error:
            assert error
        except Exception as error:  # http.client has exceptions of its own for a cut body
            assert type(error).__module__ == "http.client"
        else:
            assert answer.status >= 400 or (fault == "empty" and len(answer.body) != len(content)), answer
            assert answer.status != 401, "a client would ask its user for a password"
            assert answer.body != content
    upstream.set()
    assert pull.has(f"docker.io/{name}", image)


def test_a_herd_costs_the_upstream_one_fetch_per_blob(upstream: Upstream, pull: Registry) -> None:
    image = random_image(8_000_000)
    layer = max(image.blobs.values(), key=len)
    upstream.registry.push("library/herd", "1", image)
    upstream.set("--bandwidth", "32M")  # two seconds for the layer
    upstream.stats("--reset")
    began = time.monotonic()
    firsts, bodies = [], []

    def one() -> None:
        words = ["curl", "-s", "-K", "-", "--cacert", pull.ca_file, "-o", "-", "-w", "%{stderr}%{time_starttransfer}"]
        config = f'user = "{pull.user}:{pull.password}"\n'
        url = f"https://{pull.host}/v2/docker.io/library/herd/blobs/{digest_of(layer)}"
        import subprocess

        done = subprocess.run([*words, url], input=config.encode(), capture_output=True, check=False, timeout=60)
        firsts.append(float(done.stderr or b"99"))
        bodies.append(digest_of(done.stdout))

    herd = [threading.Thread(target=one) for _ in range(8)]
    for thread in herd:
        thread.start()
    for thread in herd:
        thread.join()
    assert bodies == [digest_of(layer)] * 8
    assert upstream.stats()["blob_requests"] == 1
    assert max(firsts) < (time.monotonic() - began) / 2, f"held back: {firsts}"


def counts(lab: Lab) -> dict[str, int]:
    """What Docker Hub's two caches say of themselves, together."""
    found: dict[str, int] = {}
    for node in ("node1", "node2"):
        said = json.loads(lab.on(node, "curl", "-s", "http://127.0.0.1:4520/debug/vars"))["berth_cache"]
        found = {name: found.get(name, 0) + value for name, value in said.items()}
    return found


def test_more_fetches_than_allowed_are_refused_and_unread_ones_end(
    lab: Lab, upstream: Upstream, pull: Registry
) -> None:
    image = random_image(2_000_000, layers=18)
    layers = [digest for digest, content in image.blobs.items() if len(content) == 2_000_000]
    upstream.registry.push("library/many", "1", image)
    small = random_image()
    upstream.registry.push("library/small", "1", small)
    assert pull.has("docker.io/library/small", small)
    before = counts(lab)
    upstream.set("--bandwidth", "1M")
    refused: list[str] = []

    def one(digest: str) -> None:
        import subprocess

        # Longer than a request waits for a place; who has one leaves in the middle.
        words = ["curl", "-s", "-m", "13", "-K", "-", "--cacert", pull.ca_file, "-i"]
        url = f"https://{pull.host}/v2/docker.io/library/many/blobs/{digest}"
        config = f'user = "{pull.user}:{pull.password}"\n'
        done = subprocess.run([*words, url], input=config.encode(), capture_output=True, check=False, timeout=60)
        if b" 503" in done.stdout.partition(b"\n")[0]:
            refused.append(done.stdout.decode())

    clients = [threading.Thread(target=one, args=(digest,)) for digest in layers]
    for client in clients:
        client.start()
    time.sleep(3)
    assert counts(lab)["fetches"] == 16
    assert pull.has("docker.io/library/small", small), "what is cached goes on"
    for client in clients:
        client.join()
    assert len(refused) == 2, refused
    assert all("retry-after: 10" in answer.lower() and "registry.cache.fetches" in answer for answer in refused)
    for _ in range(45):
        after = counts(lab)
        if not after["fetches"] and not after["spool_bytes"]:
            break
        time.sleep(1)
    assert (after["fetches"], after["spool_bytes"]) == (0, 0)
    assert after["abandoned"] > before["abandoned"]
    upstream.set()
    assert pull.has("docker.io/library/many", image)


def test_a_tag_that_the_upstream_has_taken_back_is_not_found(upstream: Upstream, pull: Registry) -> None:
    image = random_image()
    upstream.registry.push("library/taken", "1", image)
    assert pull.manifest("docker.io/library/taken", "1").body == image.manifest
    assert upstream.registry.ask("DELETE", "/v2/library/taken/manifests/1").status == 202
    answer = pull.manifest("docker.io/library/taken", "1")
    assert (answer.status, answer.code) == (404, "MANIFEST_UNKNOWN")
    assert pull.manifest("docker.io/library/taken", image.digest).body == image.manifest
    upstream.set("--fault", "down")
    assert pull.manifest("docker.io/library/taken", "1").status in (404, 502), "the tag has come back"


def test_what_was_purged_is_asked_of_the_upstream_again(lab: Lab, upstream: Upstream, pull: Registry) -> None:
    image, newer = random_image(), random_image()
    for tag, one in (("1", image), ("2", newer)):
        upstream.registry.push("library/purged", tag, one)
        assert pull.manifest("docker.io/library/purged", tag).body == one.manifest
        assert pull.has("docker.io/library/purged", one)
    output = lab.berth("cache", "purge", "docker.io/library/purged", "--tag", "1", "--yes", "--json")
    assert json.loads(output[output.index("{") :])["manifests"] == 1
    assert upstream.registry.ask("DELETE", f"/v2/library/purged/manifests/{image.digest}").status == 202
    time.sleep(5)
    assert pull.manifest("docker.io/library/purged", image.digest).status == 404
    assert pull.manifest("docker.io/library/purged", "2").body == newer.manifest
    said = lab.berth("cache", "purge", "docker.io/library/purged", "--yes")
    assert "1 tags, 1 manifests and 3 layers" in said
    time.sleep(5)
    upstream.set("--fault", "down")
    assert pull.manifest("docker.io/library/purged", "2").status == 502
    assert all(pull.blob("docker.io/library/purged", digest).status == 502 for digest in newer.blobs)
    upstream.set()
    assert pull.has("docker.io/library/purged", newer)
    code, said = lab.try_berth("cache", "purge", "team/app", "--yes")
    assert code == 2 and "is not cached" in said


def test_all_caches_down_leave_the_store_as_it_was(lab: Lab, pull: Registry) -> None:
    push = berth_registry(lab, "push")
    image = random_image()
    for node, name in CACHES:
        lab.on(node, "docker", "stop", "-t", "0", f"berth-cache-{name}")
    try:
        push.push("docker.io/own/while-down", "1", image)
        assert pull.has("docker.io/own/while-down", image)
        assert pull.manifest("docker.io/library/never-seen", "1").status == 502
        assert pull.manifest("team/never-seen", "1").status == 404
    finally:
        for node, name in CACHES:
            lab.on(node, "docker", "start", f"berth-cache-{name}")


def test_a_store_that_is_down_leaves_the_mirror_as_it_was(lab: Lab, upstream: Upstream, pull: Registry) -> None:
    docker_image(lab, "library/mirrored:1")
    for node in ("node1", "node2"):
        lab.on(node, "docker", "stop", "-t", "0", "berth-registry")
    try:
        lab.on("node4", "docker", "pull", "--quiet", "library/mirrored:1")
        answer = pull.manifest("docker.io/library/mirrored", "1")
        assert answer.status in (502, 503, 504), "a cache must not answer for a store that cannot be asked"
    finally:
        for node in ("node1", "node2"):
            lab.on(node, "docker", "start", "berth-registry")
        lab.on("node4", "docker", "rmi", "mirrored:1", check=False)


def test_the_mirror_reads_only_and_knows_nodes_by_their_certificate(lab: Lab, pull: Registry) -> None:
    host = pull.host.replace(":4000", ":4001")
    words = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}"]
    assert run([*words, "--cacert", pull.ca_file, f"https://{host}/v2/"]).stdout in ("400", "403")

    def node(*more: str) -> str:
        # curl takes a colon in the certificate's path for the beginning of a passphrase.
        known = ["--cacert", "ca.crt", "--cert", "client.cert", "--key", "client.key"]
        where = ["docker", "exec", "-w", f"/etc/docker/certs.d/{host}", f"berth-{STACK}-node4"]
        return str(run([*where, *words, *known, *more]).stdout)

    assert node(f"https://{host}/v2/") == "200"
    assert node("-X", "POST", f"https://{host}/v2/x/blobs/uploads/") == "405"
    # What opens the mirror opens no replica and no cache.
    for port in (4010, 4020):
        assert node("--insecure", f"https://10.76.0.11:{port}/v2/") == "000", port


def test_a_client_that_reads_hosts_toml_finds_the_other_upstreams(lab: Lab) -> None:
    text = lab.on("node3", "cat", f"/etc/docker/certs.d/{UPSTREAM}/hosts.toml")
    assert f'[host."https://registry.{STACK}.berth.test:4001/v2/quay.io"]' in text


def test_upload_and_index_in_a_falling_back_prefix_land_whole_in_the_store(
    upstream: Upstream, pull: Registry, push: Registry
) -> None:
    child = random_image()
    index = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [
                {
                    "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "digest": child.digest,
                    "size": len(child.manifest),
                }
            ],
        }
    ).encode()
    for registry, repository in ((upstream.registry, "library/multi"), (push, "docker.io/library/multi")):
        registry.push(repository, child.digest, child)
        put = registry.ask(
            "PUT",
            f"/v2/{repository}/manifests/1",
            index,
            content_type="application/vnd.oci.image.index.v1+json",
        )
        assert put.status == 201
    upstream.set("--fault", "down")
    assert pull.has("docker.io/library/multi", child)
    assert pull.manifest("docker.io/library/multi", "1").body == index


def oci_layout(folder: Path, image: Image) -> Path:
    """The image as a directory that skopeo and ctr read."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for digest, content in {**image.blobs, image.digest: image.manifest}.items():
        (blobs / digest.removeprefix("sha256:")).write_bytes(content)
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    entry = {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": image.digest,
        "size": len(image.manifest),
        "annotations": {"org.opencontainers.image.ref.name": "1"},
    }
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    return folder


@pytest.mark.parametrize("client", ["docker", "docker with containerd's store", "skopeo", "containerd", "podman"])
def test_a_push_of_what_the_upstream_has_lands_whole_in_the_store(
    lab: Lab, upstream: Upstream, pull: Registry, push: Registry, tmp_path: Path, client: str
) -> None:
    from tests.integration import clients

    name = f"library/both-{client.split(maxsplit=1)[0]}{len(client)}"
    clients.push(client, lab, push, tmp_path, UPSTREAM, name, upstream=True)
    clients.push(client, lab, push, tmp_path, push.host, f"docker.io/{name}", upstream=False)
    upstream.set("--fault", "down")
    for node, cache in CACHES:
        lab.on(node, "docker", "stop", "-t", "0", f"berth-cache-{cache}")
    try:
        found = pull.manifest(f"docker.io/{name}", "1")
        assert found.status == 200, "the push was skipped: the store has no manifest"
        parts = json.loads(found.body)
        assert digest_of(found.body) == found.headers["docker-content-digest"]
        for part in (parts["config"], *parts["layers"]):
            assert digest_of(pull.blob(f"docker.io/{name}", part["digest"]).body) == part["digest"]
    finally:
        for node, cache in CACHES:
            lab.on(node, "docker", "start", f"berth-cache-{cache}")


def test_a_mount_of_another_repositorys_blob_works_in_the_store(push: Registry, pull: Registry) -> None:
    image = made(b"mounted layer" * 1000)
    push.push("team/source", "1", image)
    for digest in image.blobs:
        answer = push.ask("POST", f"/v2/team/target/blobs/uploads/?mount={digest}&from=team/source")
        assert answer.status == 201
        assert pull.blob("team/target", digest).status == 200
