"""Kolla's images: which, built when, named how, pushed and locked when."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import shutil
import tarfile
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from config import paths
from config.paths import ROOT
from operations.context import CommandContext
from operations.errors import BerthError, UsageError
from operations.host.steps import StepDisplay, StepLine
from operations.kolla.images import build_keys, builder, catalogue, export, published, run
from operations.kolla.images.published import Locked, Target, publish, read_lock, write_lock
from operations.pulumi import documents, up
from operations.pulumi.session import Session
from operations.registry.endpoint import User
from operations.workspace import StackFile
from tests.unit.conftest import OUTPUTS, Checkout, Docker, Ended, executable
from tests.unit.operations.kolla.images.fake_programs import Builds
from tests.unit.registries import OCI, PASSWORD, Registry, World, digest_of

GROUND = "berth/kolla/debian:0123456789ab"
SMALLEST = ["cron", "etcd", "kolla-toolbox", "mariadb-server", "memcached"]


def display() -> tuple[StepDisplay, io.StringIO]:
    text = io.StringIO()
    return StepDisplay(Console(file=text, width=200)), text


# Which images


def test_the_smallest_set_is_three_services_and_what_kolla_runs_everywhere() -> None:
    assert catalogue.images_of(["memcached", "etcd", "mariadb"]) == SMALLEST


def test_services_without_a_package_are_refused_all_at_once_with_reasons() -> None:
    with pytest.raises(UsageError) as refused:
        catalogue.images_of(["keystone", "fluentd", "nova"])
    text = str(refused.value)
    assert "fluentd: Debian has no package of it" in text and "nova: there is no recipe" in text
    assert "keystone:" not in text and "berth kolla copy" in text


def test_the_settings_decide_and_where_they_are_silent_kolla_does() -> None:
    def has(**said: bool) -> Any:
        return said.get

    off = {"openstack_core": False, "fluentd": False, "proxysql": False, "rabbitmq": False}
    assert catalogue.enabled(has(**off)) == ["haproxy", "keepalived", "mariadb", "memcached"]
    assert catalogue.enabled(has(**off, haproxy=False, etcd=True)) == ["etcd", "mariadb", "memcached"]
    assert "keystone" in catalogue.enabled(has(**off, keystone=True))
    assert {"nova", "placement", "fluentd"} <= set(catalogue.enabled(has()))


# What an image is made from


def rendered(folder: Path, **dockerfiles: str) -> Path:
    for name, text in dockerfiles.items():
        place = folder / "group" / name.replace("_", "-")
        place.mkdir(parents=True, exist_ok=True)
        (place / "Dockerfile").write_text(text)
        (place / "Dockerfile.j2").write_text("the template itself")
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return rendered(
        tmp_path / "rendered",
        base=f"FROM {GROUND}\nRUN true\n",
        cron="FROM berth/kolla/base:2026.1\nRUN cron\n",
        openstack_base="FROM berth/kolla/base:2026.1\n",
        keystone="FROM berth/kolla/openstack-base:2026.1\n",
    )


def keys(tree: Path, **taken_in: str) -> dict[str, str]:
    return build_keys.keys(build_keys.read(tree), {name.replace("_", "-"): text for name, text in taken_in.items()})


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


def test_parents_come_before_the_images_that_start_from_them(tree: Path) -> None:
    assert build_keys.with_parents(["keystone", "cron"], build_keys.read(tree)) == [
        *("base", "openstack-base", "keystone"),
        "cron",
    ]


def test_an_image_without_a_template_is_an_error_of_the_table(tree: Path) -> None:
    with pytest.raises(BerthError, match=r"image glance: images/kolla/services.toml"):
        build_keys.with_parents(["glance"], build_keys.read(tree))


def test_a_changed_file_changes_the_keys_of_its_image_and_its_children(tree: Path) -> None:
    before = keys(tree)
    assert all(re.fullmatch("[0-9a-f]{12}", key) for key in before.values())
    (tree / "group" / "cron" / "extend_start.sh").write_text("true\n")
    assert changed(before, keys(tree)) == {"cron"}
    before = keys(tree)
    (tree / "group" / "openstack-base" / "Dockerfile").write_text("FROM berth/kolla/base:2026.1\nRUN more\n")
    assert changed(before, keys(tree)) == {"openstack-base", "keystone"}
    before = keys(tree)
    (tree / "group" / "base" / "Dockerfile").write_text("FROM berth/kolla/debian:ba9876543210\nRUN true\n")
    assert changed(before, keys(tree)) == set(before)


def test_a_changed_source_counts_as_a_changed_file_and_a_template_does_not(tree: Path) -> None:
    before = keys(tree, openstack_base="1")
    assert changed(before, keys(tree, openstack_base="2")) == {"openstack-base", "keystone"}
    (tree / "group" / "cron" / "Dockerfile.j2").write_text("another comment")
    assert keys(tree, openstack_base="1") == before


def test_recipes_come_back_from_a_file_as_they_were(tree: Path) -> None:
    known = build_keys.read(tree)
    assert build_keys.load(build_keys.dump(known)) == known


@pytest.fixture
def own_recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of images/kolla that a test may change."""
    folder = tmp_path / "kolla"
    shutil.copytree(catalogue.FOLDER, folder)
    monkeypatch.setattr(build_keys, "FOLDER", folder)
    return folder


def config(pip: dict[str, str] | None = None, threads: int = 2) -> str:
    return build_keys.build_config("2026.1", GROUND, pip or {}, threads)


def test_every_local_source_is_there_and_belongs_to_an_image() -> None:
    assert set(build_keys.sources(config())) == {"openstack-base", "kolla-toolbox", "mariadb-server"}


def test_other_constraints_change_only_the_images_that_use_them(own_recipes: Path) -> None:
    before = build_keys.sources(config())
    with (own_recipes / "requirements" / "upper-constraints.txt").open("a") as file:
        file.write("x===1\n")
    assert changed(before, build_keys.sources(config())) == {"openstack-base", "kolla-toolbox"}


def test_templates_are_rendered_again_for_another_override_only(
    own_recipes: Path,
) -> None:
    before = build_keys.rendering_key(config())
    assert build_keys.rendering_key(config({"PIP_INDEX_URL": "https://pypi.example.com/simple"}, threads=8)) == before
    with (own_recipes / "overrides.j2").open("a") as file:
        file.write("{% block cron_footer %}RUN true{% endblock %}\n")
    assert build_keys.rendering_key(config()) != before


def test_an_index_with_a_password_is_refused_before_a_history_keeps_it() -> None:
    with pytest.raises(BerthError, match="PIP_INDEX_URL holds a password") as refused:
        config({"PIP_INDEX_URL": "https://me:canary@pypi.example.com/simple"})
    assert "canary" not in str(refused.value)


# Building


def test_templates_of_images_that_cannot_be_built_are_rendered_once(tmp_path: Path) -> None:
    folder, prefix = tmp_path / "docker", "{{ namespace }}/{{ image_prefix }}"
    templates = {
        "base": "FROM {{ base_image }}:{{ base_distro_tag }}\n",
        "openstack-base": f"FROM {prefix}base:{{{{ tag }}}}\n",
        "keystone/keystone-base": f"FROM {prefix}openstack-base:{{{{ tag }}}}\n",
        "keystone/keystone": f"FROM {prefix}keystone-base:{{{{ tag }}}}\n",
        "nova/nova-base": f"FROM {prefix}openstack-base:{{{{ tag }}}}\n",
        "cron": f"FROM {prefix}base:{{{{ tag }}}}\n",
    }
    for place, text in templates.items():
        (folder / place).mkdir(parents=True)
        (folder / place / "Dockerfile.j2").write_text(text)
    (folder / "macros.j2").touch()
    (folder / "base" / "__pycache__").mkdir()
    builder.remove_other_templates(folder, ["keystone"])
    assert [path.name for path in (folder / "base").iterdir()] == ["Dockerfile.j2"]
    assert sorted(path.name for path in folder.iterdir()) == ["base", "keystone", "macros.j2", "openstack-base"]


ORDER = builder.Order(
    names=["base", "openstack-base", "keystone"],
    keys={"base": "b" * 12, "openstack-base": "c" * 12, "keystone": "d" * 12},
    stale=frozenset({"openstack-base", "keystone"}),
    release="2026.1",
    config="[DEFAULT]\n",
    fresh=False,
)
PARENTS = {"base": "debian", "openstack-base": "base", "keystone": "openstack-base"}


@pytest.fixture
def builds(checkout: Checkout, tmp_path: Path) -> Builds:
    """A machine with a current base under its key, and images of other recipes under the release's tag."""
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    made = Builds(checkout.bin / "docker", tmp_path / "venv" / "bin" / "kolla-build")
    stale = {f"{name}:2026.1": f"old {name}" for name in PARENTS}
    made.has({**stale, f"base:{'b' * 12}": "new base", f"keystone:{'e' * 12}": "another keystone"})
    made.plan(PARENTS)
    return made


def build(folder: Path, **changes: Any) -> str:
    """Build what is ordered; what was shown."""
    shown, text = display()
    builder.build(builder.Tools(folder / "venv"), replace(ORDER, **changes), {}, folder / "logs", shown)
    return text.getvalue()


def test_only_what_is_stale_is_built_on_top_of_what_has_the_right_key(builds: Builds, tmp_path: Path) -> None:
    shown = build(tmp_path)
    assert builds.found("openstack-base", "c" * 12) == "openstack-base cached on new base"
    assert builds.found("keystone", "d" * 12) == "keystone cached on openstack-base cached on new base"
    assert builds.found("base", "b" * 12) == builds.found("base") == "new base"
    assert re.fullmatch(r"Build openstack-base: done in \d+ s\nBuild keystone: done in \d+ s\n", shown)


def test_a_failing_image_is_named_with_its_log_and_the_others_are_kept(builds: Builds, tmp_path: Path) -> None:
    builds.plan(PARENTS, "keystone")
    with pytest.raises(BerthError) as failed:
        build(tmp_path)
    log = tmp_path / "logs" / "keystone.log"
    assert str(failed.value).splitlines()[:2] == ["The image keystone was not built (error).", "    no such package"]
    assert f"Log: {log};" in str(failed.value) and log.is_file()
    assert builds.found("openstack-base", "c" * 12) and not builds.found("keystone", "d" * 12)


def test_what_starts_from_a_failing_image_is_named_too(builds: Builds, tmp_path: Path) -> None:
    builds.plan(PARENTS, "openstack-base")
    with pytest.raises(BerthError, match=r"image openstack-base was not built .*: keystone\."):
        build(tmp_path)


class Interrupting(StepDisplay):
    """Somebody presses Ctrl-C when keystone appears."""

    def start(self, title: str) -> StepLine:
        if "keystone" in title:
            raise KeyboardInterrupt
        return super().start(title)


def test_what_was_built_before_an_interruption_is_kept(builds: Builds, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        builder.build(builder.Tools(tmp_path / "venv"), ORDER, {}, tmp_path / "logs", Interrupting(Console(quiet=True)))
    assert builds.found("openstack-base", "c" * 12) == "openstack-base cached on new base"


def test_fresh_packages_mean_no_layer_of_dockers_cache(builds: Builds, tmp_path: Path) -> None:
    build(tmp_path, fresh=True)
    assert builds.found("keystone", "d" * 12) == "keystone on openstack-base on new base"


def test_an_image_with_its_key_is_not_built_again(builds: Builds) -> None:
    assert builder.present(ORDER.keys) == {"base"}


# The registry


@pytest.fixture
def target(world: World, registry: Registry) -> Target:
    return Target(world.store("dev", registry), registry.end(), User("writer", PASSWORD), "kolla", "2026.1")


CONFIG = digest_of(b'{"os":"linux"}')
"""Of the images that the registry makes."""


def test_an_image_that_the_registry_has_under_its_tag_is_not_pushed(
    target: Target, registry: Registry, docker: Docker
) -> None:
    digest = registry.push("kolla/etcd:2026.1", b"layer")
    docker.answers({"image inspect": f"{CONFIG}\n"})
    done = publish(target, {"etcd": "berth/kolla/etcd:1"}, display()[0])
    assert done.images == {"etcd": Locked("kolla/etcd", "2026.1", digest)} and not done.new
    assert not any("push" in call for call in docker.calls)


def test_with_containerds_store_docker_pushes_as_the_stacks_user(
    target: Target, registry: Registry, checkout: Checkout, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    # Docker's own push, which the registry of this test has already had from elsewhere.
    program = f"""
import json, pathlib, sys
match sys.argv[1:]:
    case ["image", "inspect", *_]: print("sha256:{"e" * 64}")
    case ["info", *_]: print('["driver-type","io.containerd.snapshotter.v1"]')
    case ["--config", login, "push", "--quiet", name]:
        with open({str(notes)!r}, "a") as file:
            print(json.dumps([name, json.loads(pathlib.Path(login, "config.json").read_text())]), file=file)
"""
    executable(checkout.bin / "docker", program)
    digests = {name: registry.push(f"kolla/{name}:2026.1", name.encode(), type_=OCI) for name in ("etcd", "cron")}
    done = publish(target, {"etcd": "new/etcd", "cron": "new/cron"}, display()[0])
    assert done.new == ["etcd", "cron"] and {name: image.digest for name, image in done.images.items()} == digests
    end = target.end.registry
    login = {"auths": {end: {"auth": target.user.basic}}}
    pushed = [json.loads(line) for line in notes.read_text().splitlines()]
    assert pushed == [[f"{end}/kolla/{name}:2026.1", login] for name in digests]


def docker_save(file: Path, **images: tuple[bytes, ...]) -> dict[str, str]:
    """An archive as Docker before 25 writes it, where a layer that was written already is a link; the images' ids."""
    listed, ids, places = [], {}, dict[bytes, str]()
    with tarfile.open(file, "w") as tar:

        def add(path: str, content: bytes, link: str = "") -> str:
            member = tarfile.TarInfo(path)
            member.size, member.type = (0, tarfile.SYMTYPE) if link else (len(content), tarfile.REGTYPE)
            member.linkname = link
            tar.addfile(member, None if link else io.BytesIO(content))
            return path

        for name, layers in images.items():
            paths = []
            for number, layer in enumerate(layers):
                link = f"../{places[layer]}" if layer in places else ""
                paths.append(add(f"{name}{number}/layer.tar", layer, link))
                places.setdefault(layer, paths[-1])
            config = json.dumps({"os": "linux", "of": name}).encode()
            ids[name] = digest_of(config)
            listed.append({"Config": add(f"{name}.json", config), "RepoTags": None, "Layers": paths})
        add("manifest.json", json.dumps(listed).encode())
    return ids


def test_missing_images_are_exported_and_layers_of_several_sent_once(
    target: Target, registry: Registry, checkout: Checkout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    base, own = os.urandom(3_000_000), b"own" * 1000
    ids = docker_save(tmp_path / "saved.tar", cron=(base,), etcd=(base, own))
    program = f"""
import shutil, sys
ids = {ids!r}
match sys.argv[1:]:
    case ["image", "inspect", _, name]: print(ids[name])
    case ["save", output, *wanted] if sorted(wanted) == sorted(ids.values()):
        shutil.copy({str(tmp_path / "saved.tar")!r}, output.removeprefix("--output="))
"""
    executable(checkout.bin / "docker", program)
    monkeypatch.setattr(export, "ROOM", tmp_path)
    done = publish(target, {"cron": "cron", "etcd": "etcd"}, display()[0])
    assert done.new == ["cron", "etcd"] and not list(tmp_path.glob("berth-push-*"))
    for name, layers in {"cron": [base], "etcd": [base, own]}.items():
        _, body = registry.manifests[f"kolla/{name}"][done.images[name].digest]
        manifest = json.loads(body)
        assert manifest["config"]["digest"] == ids[name]
        blobs = registry.blobs[f"kolla/{name}"]
        assert [gzip.decompress(blobs[layer["digest"]]) for layer in manifest["layers"]] == layers
    assert registry.count("PUT", "/blobs/uploads/") == 4, "two configurations, two layers"
    assert not publish(target, {"cron": "cron", "etcd": "etcd"}, display()[0]).new


def test_no_room_to_pack_images_in_is_told(
    target: Target, docker: Docker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    docker.answers({"image inspect": f"sha256:{'e' * 64}\n"})
    monkeypatch.setattr(export, "ROOM", tmp_path / "none")
    with pytest.raises(BerthError, match=r"can't be exported to .*none.*No such file or directory"):
        publish(target, {"etcd": "new/etcd"}, display()[0])


@pytest.fixture
def session(checkout: Checkout) -> Session:
    checkout.install_pulumi()
    checkout.deploy()
    return checkout.session()


def elsewhere(session: Session, folder: Path) -> Session:
    """The same stack from another deploy host."""
    return replace(session, workspace=replace(session.workspace, home=folder))


def locked(digest: str) -> dict[str, Locked]:
    return {"etcd": Locked("kolla/etcd", "2026.1", digest)}


def test_the_lock_keeps_what_was_pushed_before_to_the_same_tag(session: Session) -> None:
    old = {name: Locked(f"kolla/{name}", "2026.1", "sha256:1") for name in ("cron", "etcd")}
    write_lock(session, old)
    new = {"etcd": Locked("kolla/etcd", "2026.1", "sha256:2")}
    write_lock(session, new)
    assert read_lock(session) == {**old, **new}
    moved = {"etcd": Locked("kolla/etcd", "2026.2", "sha256:3")}
    write_lock(session, moved)
    assert read_lock(session) == moved


def test_copied_images_are_for_the_next_up_and_pushed_ones_are_not(session: Session) -> None:
    imported = session.workspace.stack_dir("dev") / paths.kolla_brought_file("dev").name

    def lock(digest: str, by_hand: bool) -> str:
        write_lock(session, {"etcd": Locked("kolla/etcd", "2026.1", digest)}, by_hand)
        return imported.read_text() if imported.exists() else ""

    assert lock("sha256:1", by_hand=False) == ""
    assert lock("sha256:1", by_hand=True) == "", "nothing new"
    first = lock("sha256:2", by_hand=True)
    assert first and lock("sha256:2", by_hand=True) == first and lock("sha256:3", by_hand=False) == first
    assert lock("sha256:4", by_hand=True) not in ("", first)


def test_another_deploy_host_has_the_lock_and_knows_what_was_brought(session: Session, tmp_path: Path) -> None:
    write_lock(session, locked("sha256:1"), by_hand=True)
    second = elsewhere(session, tmp_path / "second")
    assert read_lock(second) == locked("sha256:1")
    published.write_import_marker(second)
    files = [one.workspace.stack_dir("dev") / paths.kolla_brought_file("dev").name for one in (session, second)]
    assert files[0].read_text() == files[1].read_text()
    write_lock(second, locked("sha256:2"))
    assert read_lock(session) == locked("sha256:2")


@pytest.mark.parametrize("kept", [{}, [], {"images": {"etcd": {}}, "imported": ""}])
def test_a_lock_that_cannot_be_read_is_empty(session: Session, kept: Any) -> None:
    documents.write(session, published.NAME, kept)
    assert read_lock(session) == {}


# The commands


@pytest.fixture
def dev(checkout: Checkout, world: World) -> CommandContext:
    checkout.install_pulumi()
    checkout.deploy(outputs={**OUTPUTS, "registry_ca": world.ca})
    return CommandContext(checkout.workspace, StackFile.read(checkout.workspace, "dev"), Console(file=io.StringIO()))


def want(*images: str) -> run.Wanted:
    return run.Wanted(images, "2026.1", "kolla", "2026.1")


@pytest.fixture
def pushed(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What would be pushed: image -> its name on this machine's Docker."""
    found: dict[str, str] = {}

    def note(target: Target, references: dict[str, str], shown: StepDisplay) -> published.Published:
        found.update(references)
        locked = {name: Locked(f"kolla/{name}", "2026.1", "sha256:1") for name in references}
        return published.Published("r", locked, list(references))

    monkeypatch.setattr(run, "publish", note)
    return found


def loads(docker: Docker, *lines: str, **ids: str) -> None:
    """Docker finds this in any archive; `ids` are of names that have several references."""
    inspected = {f"image inspect --format={{{{.Id}}}} {name}": f"{id_}\n" for name, id_ in ids.items()}
    docker.answers({"load": "".join(f"{line}\n" for line in lines), **inspected, "image inspect": "sha256:1\n"})


ETCD, CRON = (f"Loaded image: quay.io/openstack.kolla/{name}:2026.1-debian-trixie" for name in ("etcd", "cron"))


def test_an_archive_gives_the_images_whatever_they_were_called(
    dev: CommandContext, docker: Docker, tmp_path: Path, pushed: dict[str, str]
) -> None:
    (tmp_path / "kolla.tar").touch()
    loads(docker, ETCD, CRON)
    assert run.copy(dev, want("etcd"), str(tmp_path / "kolla.tar")).summary() == "r has 1 images; 1 were pushed."
    assert pushed == {"etcd": "quay.io/openstack.kolla/etcd:2026.1-debian-trixie"}
    assert list(read_lock(dev.session())) == ["etcd"]


def test_an_archive_that_lacks_an_image_says_what_it_has_and_pushes_none(
    dev: CommandContext, docker: Docker, tmp_path: Path, pushed: dict[str, str]
) -> None:
    (tmp_path / "kolla.tar").touch()
    loads(docker, ETCD)
    with pytest.raises(BerthError, match=r"kolla\.tar lacks 1 of 2 images: cron\. It has: etcd\. .*Nothing was pushed"):
        run.copy(dev, want("etcd", "cron"), str(tmp_path / "kolla.tar"))
    assert not pushed


def test_an_archive_without_a_name_is_named_after_its_file(
    dev: CommandContext, docker: Docker, tmp_path: Path, pushed: dict[str, str]
) -> None:
    folder = tmp_path / "kolla"
    folder.mkdir()
    for name in ("etcd.tar.gz", "mariadb-server.tar"):
        (folder / name).touch()
    loads(docker, f"Loaded image ID: sha256:{'a' * 64}")
    run.copy(dev, want("etcd", "mariadb-server"), str(folder))
    assert pushed == dict.fromkeys(("etcd", "mariadb-server"), f"sha256:{'a' * 64}")


def test_of_two_images_of_one_name_the_stacks_own_tag_is_meant(
    dev: CommandContext, docker: Docker, tmp_path: Path, pushed: dict[str, str]
) -> None:
    (tmp_path / "kolla.tar").touch()
    both = {f"r/etcd:{tag}": f"sha256:{tag}" for tag in ("2026.1", "a", "b")}
    loads(docker, *(f"Loaded image: {name}" for name in both), **both)
    run.copy(dev, want("etcd"), str(tmp_path / "kolla.tar"))
    assert pushed == {"etcd": "r/etcd:2026.1"}
    loads(docker, *(f"Loaded image: {name}" for name in list(both)[1:]), **both)
    with pytest.raises(BerthError, match=r"several images of one name: r/etcd:a, r/etcd:b\. .* tag 2026\.1"):
        run.copy(dev, want("etcd"), str(tmp_path / "kolla.tar"))


@pytest.mark.parametrize("source", ["kolla.tar", "quay.io/openstack.kolla:2025.2-debian-trixie"])
def test_images_of_another_release_are_refused(
    dev: CommandContext,
    docker: Docker,
    tmp_path: Path,
    pushed: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    source: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("kolla.tar").touch()
    loads(docker, ETCD.replace("2026.1", "2025.2"))
    with pytest.raises(UsageError, match=r"is of OpenStack 2025\.2, and the stack deploys 2026\.1"):
        run.copy(dev, want("etcd"), source)
    assert not pushed


def tar_of(path: Path, **members: bytes) -> bytes:
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            found = tarfile.TarInfo(name.replace("_", "."))
            found.size = len(content)
            tar.addfile(found, io.BytesIO(content))
    return path.read_bytes()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda tar: b"hello\n" * 1000, "is no archive that can be read: it is not a tar, plain or compressed"),
        (lambda tar: tar[:2000], "is truncated or damaged .*: copy it again"),
        (lambda tar: gzip.compress(tar)[:3000], "is truncated or damaged .*: copy it again"),
        (lambda tar: tar, "is no archive of images: `docker save`, or `skopeo copy`"),
    ],
)
def test_a_file_that_is_no_archive_of_images_is_told_from_one_that_was_cut(
    dev: CommandContext, tmp_path: Path, checkout: Checkout, content: Callable[[bytes], bytes], said: str
) -> None:
    executable(checkout.bin / "docker", "import sys; sys.exit('unexpected EOF')")
    file = tmp_path / "kolla.tar"
    file.write_bytes(content(tar_of(file, notes_json=os.urandom(5000))))
    with pytest.raises(BerthError, match=rf"kolla\.tar {said}.*Nothing was pushed"):
        run.copy(dev, want("etcd"), str(file))


def test_a_docker_that_does_not_answer_is_not_the_archives_fault(
    dev: CommandContext, tmp_path: Path, checkout: Checkout
) -> None:
    executable(checkout.bin / "docker", "import sys; sys.exit('Cannot connect to the Docker daemon')")
    tar_of(tmp_path / "kolla.tar", manifest_json=b"[]")
    with pytest.raises(BerthError, match=r"Docker can't read .*kolla\.tar: Cannot connect to the Docker daemon"):
        run.copy(dev, want("etcd"), str(tmp_path / "kolla.tar"))


PLACE = "quay.io/openstack.kolla"


@pytest.fixture
def cached(dev: CommandContext, target: Target, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The digests of two images below an upstream's prefix, with a layer that both have."""
    monkeypatch.setattr(Target, "open", lambda *_: target)
    tag = "2026.1-debian-trixie"
    return {name: registry.push(f"{PLACE}/{name}:{tag}", b"base", name.encode()) for name in ("cron", "etcd")}


def test_images_come_out_of_a_cache_byte_for_byte_and_a_common_layer_once(
    dev: CommandContext, registry: Registry, cached: dict[str, str]
) -> None:
    done = run.copy(dev, want("cron", "etcd"), f"{PLACE}:2026.1-debian-trixie")
    assert done.summary().endswith("has 2 images; 2 were pushed.")
    assert {name: registry.tags[f"kolla/{name}"]["2026.1"] for name in cached} == cached
    assert {name: image.digest for name, image in read_lock(dev.session()).items()} == cached
    assert registry.count("GET", f"/blobs/{digest_of(b'base')}") == 1
    again = run.copy(dev, want("cron", "etcd"), f"{PLACE}:2026.1-debian-trixie")
    assert again.summary().endswith("has 2 images; 0 were pushed.")


def test_copying_within_one_registry_does_not_block_on_connections(
    dev: CommandContext, world: World, registry: Registry, target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("operations.registry.client.CONNECTIONS", 1)
    narrow = replace(target, store=world.store("dev", registry))
    monkeypatch.setattr(Target, "open", lambda *_: narrow)
    digest = registry.push(f"{PLACE}/etcd:1", b"layer")
    copying = threading.Thread(target=run.copy, args=(dev, want("etcd"), f"{PLACE}:1"), daemon=True)
    copying.start()
    copying.join(30)
    assert not copying.is_alive() and registry.tags["kolla/etcd"]["2026.1"] == digest


@pytest.mark.parametrize("source", [f"{PLACE}:wrong", "quay.iox/openstack.kolla:2026.1-debian-trixie"])
def test_a_wrong_tag_or_prefix_names_what_is_not_there_and_what_to_look_at(
    dev: CommandContext, registry: Registry, cached: dict[str, str], source: str
) -> None:
    place, _, tag = source.rpartition(":")
    with pytest.raises(BerthError) as refused:
        run.copy(dev, want("cron", "etcd"), source)
    assert f"2 of 2 images are not at {registry.end().registry}:\n    {place}/cron:{tag}\n" in str(refused.value)
    assert f"Check the tag {tag}" in str(refused.value) and "registry.upstreams" in str(refused.value)
    assert not registry.count("POST", "/blobs/uploads/")


@pytest.mark.parametrize("source", ["gone.tar", "quay.io/openstack.kolla", "etcd:1"])
def test_a_source_that_is_no_archive_and_no_repository_is_refused(dev: CommandContext, source: str) -> None:
    with pytest.raises(UsageError, match=f"{source} is neither a file here nor a place in the registry"):
        run.copy(dev, want("etcd"), source)


@pytest.fixture
def push(
    checkout: Checkout, world: World, registry: Registry, berth: Any, docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Ended]:
    """`berth kolla push` with a password, all images being built."""
    given = yaml.safe_load((ROOT / "Pulumi.kolla.yaml").read_text(encoding="utf-8"))["config"]
    checkout.settings("kolla", given)
    checkout.install_pulumi()
    names = run.wanted(StackFile.read(checkout.workspace, "kolla")).images
    monkeypatch.setattr(run, "plan", lambda *_: replace(ORDER, keys=dict.fromkeys(names, "1"), stale=frozenset()))
    docker.answers({"image inspect": f"{CONFIG}\n"})

    def pushes(password: str) -> Ended:
        end = {"registry": registry.end().registry, "ca": world.ca}
        monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps({**end, "username": "writer", "password": password})))
        found: Ended = berth("kolla", "push", "--stack", "kolla")
        return found

    return pushes


def test_a_push_without_an_answer_names_the_registry_and_what_to_do(
    push: Callable[[str], Ended], registry: Registry
) -> None:
    registry._fake.close()
    told = push(PASSWORD)
    assert told.code == 1 and f"kolla's registry {registry.end().registry} can't be reached" in told.err
    assert "./berth verify --stack kolla" in told.err and "Traceback" not in told.err


def test_a_push_with_a_wrong_password_names_the_user_and_its_origin(
    push: Callable[[str], Ended], checkout: Checkout
) -> None:
    told = push("other-canary")
    assert told.code == 1 and "refuses its own user writer" in told.err
    assert "whose password is in the stack's state: ./berth up --stack kolla" in told.err
    assert "Traceback" not in told.err and "canary" not in told.err
    assert read_lock(checkout.session("kolla")) == {}


def test_the_program_pushes_what_is_built_and_refuses_to_go_on_without_it(
    dev: CommandContext, target: Target, pushed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "plan", lambda *_: ORDER)
    with pytest.raises(BerthError, match=r"not built: openstack-base, keystone\. .*kolla build --stack dev"):
        run.push_built(dev, want("keystone"), target)
    assert not pushed
    monkeypatch.setattr(run, "plan", lambda *_: replace(ORDER, stale=frozenset()))
    run.push_built(dev, want("keystone"), target)
    assert pushed == {"keystone": f"berth/kolla/keystone:{'d' * 12}"}


@pytest.mark.parametrize(("source", "built"), [("built", True), ("archive", False)])
def test_up_builds_the_images_first_where_the_settings_have_them_built(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, source: str, built: bool
) -> None:
    given = yaml.safe_load((ROOT / "Pulumi.kolla.yaml").read_text(encoding="utf-8"))["config"]
    checkout.settings("dev", {**given, "berth:kolla": {**given["berth:kolla"], "images": {"source": source}}})
    asked = []
    monkeypatch.setattr(run, "build", lambda _, wanted, push: asked.append((wanted.images, push)))
    up._build_kolla_images(CommandContext(checkout.workspace, StackFile.read(checkout.workspace, "dev"), Console()))
    assert [push for _, push in asked] == ([False] if built else [])
    assert not built or set(SMALLEST) < set(asked[0][0])
