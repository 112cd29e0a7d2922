"""Taking a repository out of a cache: what is meant, what goes, and what stays; against a real MinIO."""

from __future__ import annotations

import copy
import hashlib
import io
import ipaddress
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3
from cryptography import x509
from minio import Minio

from config import stackfile
from config.paths import ROOT
from operations.errors import BerthError, UsageError
from operations.registry import purge
from tests.unit.components.object_store.test_export import PASSWORD, USER, minio
from tests.unit.conftest import LAB, Checkout
from tests.unit.operations.inspect.test_checks import export

UPSTREAMS = [
    {"name": "docker-hub", "url": "https://registry-1.docker.io", "prefix": "docker.io"},
    {"name": "quay", "url": "https://quay.io", "prefix": "quay.io"},
]
DOCUMENT: dict[str, Any] = copy.deepcopy(LAB)
DOCUMENT["berth:registry"]["upstreams"] = UPSTREAMS
SETTINGS = stackfile.parse("dev", {"config": DOCUMENT})
HUB = "cache/docker-hub/docker/registry/v2"


def digest(text: str) -> str:
    return f"sha256/{hashlib.sha256(text.encode()).hexdigest()}"


def links(repository: str, tags: dict[str, list[str]], layers: list[str]) -> list[str]:
    """Keys of a repository as distribution makes them: tags with all that they have shown, the current one last."""
    found = [f"_layers/{digest(layer)}/link" for layer in layers]
    for tag, manifests in tags.items():
        found.append(f"_manifests/tags/{tag}/current/link")
        for manifest in manifests:
            found.append(f"_manifests/tags/{tag}/index/{digest(manifest)}/link")
            found.append(f"_manifests/revisions/{digest(manifest)}/link")
    return [f"{repository}/{key}" for key in dict.fromkeys(found)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A MinIO server whose certificate names its address: its address and its CA file."""
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    with minio(tmp_path_factory.mktemp("ca") / "ca.pem", loopback) as address:
        yield address


@pytest.fixture
def bucket(store: tuple[str, Path]) -> Iterator[Minio]:
    """The registry's bucket with two cached repositories, one inside of the other's path, and a pushed one."""
    address, ca = store
    client = Minio(address, USER, PASSWORD, http_client=urllib3.PoolManager(ca_certs=str(ca)))
    repositories = f"{HUB}/repositories/library"
    keys = links(f"{repositories}/x", {"1": ["a", "b"], "2": ["b", "c"], "10": ["d"]}, ["l", "m"])
    keys += links(f"{repositories}/x/inside", {"1": ["a"]}, ["l"])
    keys += links(f"{repositories}/xy", {"1": ["a"]}, ["l"])
    keys += [f"{repositories}/x/_uploads/u/startedat", f"{HUB}/blobs/sha256/aa/aa/data"]
    keys += links("store/docker/registry/v2/repositories/docker.io/library/x", {"1": ["a"]}, ["l"])
    for key in keys:
        client.put_object("registry", key, io.BytesIO(b"x"), 1)
    yield client
    for found in client.list_objects("registry", recursive=True):
        client.remove_object("registry", str(found.object_name))


def held(client: Minio) -> set[str]:
    return {str(found.object_name) for found in client.list_objects("registry", recursive=True)}


def test_a_repository_goes_with_its_tags_manifests_and_layers(bucket: Minio) -> None:
    before = held(bucket)
    done = purge.purge(bucket, "registry", purge.target(SETTINGS, "docker.io/library/x"))
    assert done == purge.Purged("docker.io/library/x", "docker-hub", ("1", "10", "2"), 4, 2)
    gone = before - held(bucket)
    assert gone == {
        key
        for key in before
        if key.startswith((f"{HUB}/repositories/library/x/_manifests/", f"{HUB}/repositories/library/x/_layers/"))
    }
    with pytest.raises(BerthError, match=r"docker.io/library/x is not in the cache docker-hub: nothing was removed"):
        purge.purge(bucket, "registry", purge.target(SETTINGS, "docker.io/library/x"))


def test_a_tag_goes_with_the_manifests_that_no_other_has_shown(bucket: Minio) -> None:
    before = held(bucket)
    done = purge.purge(bucket, "registry", purge.target(SETTINGS, "docker.io/library/x", "1"))
    assert (done.tags, done.manifests, done.layers) == (("1",), 1, 0)
    repository = f"{HUB}/repositories/library/x/_manifests"
    assert before - held(bucket) == {
        f"{repository}/revisions/{digest('a')}/link",
        *(key for key in before if key.startswith(f"{repository}/tags/1/")),
    }
    with pytest.raises(BerthError, match=r"docker\.io/library/x:1 is not in the cache"):
        purge.purge(bucket, "registry", purge.target(SETTINGS, "docker.io/library/x", "1"))


def test_the_registrys_name_may_stand_before_the_path() -> None:
    whole = purge.target(SETTINGS, "registry.berth.test:4000/quay.io/team/tool")
    assert whole == purge.target(SETTINGS, "quay.io/team/tool")
    assert whole.directory == "cache/quay/docker/registry/v2/repositories/team/tool"


@pytest.mark.parametrize(
    ("repository", "tag", "words"),
    [
        ("team/app", None, "team/app is not cached: cached repositories begin with docker.io, quay.io"),
        ("docker.iox/library/x", None, "is not cached"),
        ("docker.io", None, "is not cached"),
        ("other:4000/docker.io/library/x", None, "not the path of a repository"),
        ("docker.io/library/x:1", None, "a tag goes to --tag"),
        ("docker.io/", None, "not the path of a repository"),
        ("docker.io/../../store/x", None, "not the path of a repository"),
        ("docker.io/library/x/_manifests", None, "not the path of a repository"),
        ("docker.io//x", None, "not the path of a repository"),
        ("docker.io/library/x\n", None, "not the path of a repository"),
        ("", None, "not the path of a repository"),
        ("docker.io/library/x", "../2", "is not a tag"),
        ("docker.io/library/x", "", "is not a tag"),
        ("docker.io/library/x", "a/b", "is not a tag"),
    ],
)
def test_what_is_no_cached_repository_is_refused(repository: str, tag: str | None, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        purge.target(SETTINGS, repository, tag)


def test_without_upstreams_nothing_is_cached() -> None:
    with pytest.raises(UsageError, match=r"registry\.upstreams is empty"):
        purge.target(stackfile.parse("dev", {"config": LAB}), "docker.io/library/x")


def deployed(checkout: Checkout, address: str, ca: Path | str) -> None:
    checkout.settings("dev", DOCUMENT)
    checkout.install_pulumi()
    checkout.deploy()
    login = {"minioServer": address, "minioUser": USER, "minioPassword": PASSWORD, "minioSsl": "true"}
    provider = {
        "urn": "urn::store",
        "id": "1",
        "type": "pulumi:providers:minio",
        "inputs": {**login, "minioCacertFile": str(ca)},
    }
    document = export()
    document["deployment"]["resources"].append(provider)
    checkout.answer("stack export", out=json.dumps(document))


def test_the_command_reaches_the_store_with_the_login_of_the_state(
    bucket: Minio, store: tuple[str, Path], checkout: Checkout, berth: Any
) -> None:
    deployed(checkout, *store)
    done = berth("cache", "purge", "docker.io/library/x", "--tag", "1", "--yes", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out) == {
        "repository": "docker.io/library/x:1",
        "upstream": "docker-hub",
        "tags": ["1"],
        "manifests": 1,
        "layers": 0,
        "effective_after_seconds": 5,
    }
    done = berth("cache", "purge", "docker.io/library/x", "--yes")
    assert done.code == 0 and "the cache docker-hub has lost 2 tags, 3 manifests and 2 layers" in done.out
    assert berth("cache", "purge", "docker.io/library/x", "--yes").code == 1
    assert berth("cache", "purge", "team/app", "--yes").code == 2


def test_a_store_that_does_not_answer_is_named(checkout: Checkout, berth: Any, tmp_path: Path) -> None:
    deployed(checkout, "127.0.0.1:1", "")
    done = berth("cache", "purge", "docker.io/library/x", "--yes")
    assert done.code == 1 and "The object store at 127.0.0.1:1 can't be reached" in done.err
    assert PASSWORD not in done.out + done.err
    deployed(checkout, "127.0.0.1:1", tmp_path / "no-ca.pem")
    assert "no-ca.pem does not exist" in berth("cache", "purge", "docker.io/library/x", "--yes").err


def test_what_is_remembered_is_what_the_caches_remember() -> None:
    source = ROOT / "images" / "registry" / "bounded_storage.go"
    assert f"remembered = {purge.REMEMBERED} * time.Second" in source.read_text(encoding="utf-8")
