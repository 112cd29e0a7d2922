"""The archives that `docker load` reads."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import images
from operations.host.archive import ImageConfig, layer, pack, run_config


def packed(folder: Path, config: ImageConfig) -> tuple[str, dict[str, bytes]]:
    folder.mkdir()
    with layer(folder / "layer.tar") as out:
        out.directory("tmp", 0o1777)
        out.text("etc/passwd", "root:x:0:0::/:/bin/sh\n")
    identity = pack(folder / "layer.tar", config, "berth/x:1", folder / "image.tar")
    with tarfile.open(folder / "image.tar") as archive:
        return identity, {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


def test_equal_inputs_give_an_equal_image(tmp_path: Path) -> None:
    config = ImageConfig(("/bin/x",))
    assert packed(tmp_path / "a", config) == packed(tmp_path / "b", config)
    assert (tmp_path / "a" / "image.tar").read_bytes() == (tmp_path / "b" / "image.tar").read_bytes()


def test_the_configuration_names_the_layer_by_its_checksum(tmp_path: Path) -> None:
    identity, files = packed(tmp_path / "a", ImageConfig(("/bin/x",)))
    manifest = json.loads(files["manifest.json"])[0]
    document = files[manifest["Config"]]
    assert identity == "sha256:" + hashlib.sha256(document).hexdigest()
    content = files[manifest["Layers"][0]]
    assert json.loads(document)["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(content).hexdigest()]
    assert manifest["RepoTags"] == ["berth/x:1"]


def test_a_lab_node_starts_systemd_and_is_stopped_by_its_own_signal() -> None:
    config = run_config("lab-node", "26.1").document("0")["config"]
    assert config["Entrypoint"] == ["/lib/systemd/systemd"]
    assert config["StopSignal"] == "SIGRTMIN+3"
    assert "container=docker" in config["Env"]


def test_every_image_says_its_version_and_its_source() -> None:
    for name in images.NAMES:
        labels = run_config(name, "1.2").labels
        assert labels["berth.image"] == name
        assert labels["org.opencontainers.image.version"] == "1.2"
        assert labels["org.opencontainers.image.source"].startswith("https://")


def test_a_part_of_another_archive_keeps_owners_modes_and_links(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "in.tar", "w") as source:
        for name, mode, owner in (("rootfs/bin/a", 0o4755, 0), ("rootfs/var/x", 0o640, 33), ("other/file", 0o644, 0)):
            info = tarfile.TarInfo(name)
            info.mode, info.uid, info.size, info.mtime = mode, owner, 1, 12345
            source.addfile(info, io.BytesIO(b"x"))
        link = tarfile.TarInfo("rootfs/bin/b")
        link.type, link.linkname = tarfile.LNKTYPE, "rootfs/bin/a"
        source.addfile(link)
    with tarfile.open(tmp_path / "in.tar") as source, layer(tmp_path / "out.tar") as out:
        out.subtree(source, "rootfs")
    with tarfile.open(tmp_path / "out.tar") as result:
        members = {member.name: member for member in result}
    assert set(members) == {"bin/a", "var/x", "bin/b"}
    assert (members["bin/a"].mode, members["var/x"].uid, members["bin/b"].linkname) == (0o4755, 33, "bin/a")
    assert members["bin/a"].mtime == 0
