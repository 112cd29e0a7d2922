"""Sealed files, and the command that opens them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from components.lib import encryption
from operations.errors import BerthError
from tests.unit.conftest import Checkout


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 4096])
def test_what_is_sealed_comes_back_and_is_another_text_each_time(content: bytes) -> None:
    once, twice = encryption.seal(content, "mine"), encryption.seal(content, "mine")
    assert once != twice and (len(content) < 9 or content[:9] not in once)
    assert encryption.unseal(once, "mine") == encryption.unseal(twice, "mine") == content


def test_another_passphrase_and_every_damage_are_refused() -> None:
    good = encryption.seal(b"content", "mine")
    with pytest.raises(BerthError, match="another passphrase"):
        encryption.unseal(good, "yours")
    for place in (20, 35, len(good) - 1):
        with pytest.raises(BerthError, match="damaged"):
            encryption.unseal(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :], "mine")
    for short in (good[:15], good[:40], good[:-1]):
        with pytest.raises(BerthError, match="damaged"):
            encryption.unseal(short, "mine")
    with pytest.raises(BerthError, match="no file that Berth has sealed"):
        encryption.unseal(b"PK" + good, "mine")


def test_the_passphrase_is_found_where_pulumi_finds_it(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_text("of the file\n")
    known = {"PULUMI_CONFIG_PASSPHRASE_FILE": str(file)}
    assert encryption.passphrase(known) == "of the file"
    assert encryption.passphrase({**known, "PULUMI_CONFIG_PASSPHRASE": "itself"}) == "itself"
    assert encryption.passphrase({"PULUMI_CONFIG_PASSPHRASE": ""}) == ""
    for missing in ({}, {"PULUMI_CONFIG_PASSPHRASE_FILE": str(tmp_path / "none")}):
        with pytest.raises(BerthError, match="PULUMI_CONFIG_PASSPHRASE_FILE"):
            encryption.passphrase(missing)


def test_a_person_opens_a_sealed_file_with_the_stacks_passphrase(
    checkout: Checkout, berth: Any, tmp_path: Path
) -> None:
    public = (checkout.workspace.root / "lab" / "passphrase").read_text().strip()
    file, plain = tmp_path / "iam.zip.sealed", tmp_path / "iam.zip"
    file.write_bytes(encryption.seal(b"keys", public))
    ended = berth("unseal", str(file), str(plain))
    assert (ended.code, plain.read_bytes(), plain.stat().st_mode & 0o777) == (0, b"keys", 0o600), ended.err
    assert "4 bytes" in ended.out and public not in ended.out
    ended = berth("unseal", str(file), str(plain))
    assert ended.code == 2 and "exists already" in ended.err
    file.write_bytes(encryption.seal(b"keys", "another"))
    ended = berth("unseal", str(file), str(tmp_path / "new"))
    assert ended.code == 1 and f"{file} cannot be opened: it was sealed with another passphrase" in ended.err
    assert not (tmp_path / "new").exists()
