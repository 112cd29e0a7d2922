"""What is taken from the host's package settings, and in what form a build gets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from operations.host import mirrors
from operations.host.mirrors import AptSource, DebianMirror
from operations.host.prepare import BootstrapError

DEBIAN_12 = {"ID": "debian", "VERSION_CODENAME": "bookworm"}
DEB822 = """\
# the site's own mirror
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /etc/apt/keyrings/site.gpg

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
"""


def test_deb822_stanzas_are_read_and_disabled_ones_left_out() -> None:
    first, second = mirrors.parse_sources(DEB822)
    assert first == AptSource(
        "http://mirror.example/debian", ("bookworm", "bookworm-updates"), ("main",), "/etc/apt/keyrings/site.gpg"
    )
    assert second.suites == ("bookworm-security",)


def test_one_line_sources_are_read_with_their_options() -> None:
    text = (
        "# deb http://old.example x main\n"
        "deb-src http://mirror.example/debian bookworm main\n"
        "deb [arch=amd64 signed-by=/k.gpg trusted=yes] http://mirror.example/debian bookworm main contrib # ours\n"
    )
    assert list(mirrors.parse_list(text)) == [
        AptSource("http://mirror.example/debian", ("bookworm",), ("main", "contrib"), "/k.gpg", True)
    ]


def test_every_file_of_apt_is_read(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text("deb http://a.example/debian bookworm main\n", encoding="utf-8")
    (tmp_path / "sources.list.d" / "b.list").write_text("deb http://b.example/x bookworm main\n", encoding="utf-8")
    (tmp_path / "sources.list.d" / "c.sources").write_text(DEB822, encoding="utf-8")
    (tmp_path / "sources.list.d" / "d.sources.disabled").write_text(DEB822, encoding="utf-8")
    assert len(mirrors.host_sources(tmp_path)) == 4


def test_the_hosts_mirror_is_used_for_the_images_suite() -> None:
    mirror = mirrors.debian_mirror(list(mirrors.parse_sources(DEB822)), DEBIAN_12)
    assert mirrors._sources(mirror, "trixie") == (
        "deb [signed-by=/mnt/keyring.gpg] http://mirror.example/debian trixie main\n"
        "deb [signed-by=/mnt/keyring.gpg] http://mirror.example/debian trixie-updates main\n"
        "deb [signed-by=/mnt/keyring.gpg] http://mirror.example/debian-security trixie-security main\n"
    )


def test_another_vendors_repository_for_the_codename_is_not_debian() -> None:
    vendor = AptSource("https://apt.vendor.example", ("bookworm",), ("main",))
    mirror = mirrors.debian_mirror([vendor, *mirrors.parse_sources(DEB822)], DEBIAN_12)
    assert mirror.main.uri == "http://mirror.example/debian"


def test_a_list_of_mirrors_as_cloud_images_have_it_is_read(tmp_path: Path) -> None:
    listed = tmp_path / "debian.list"
    listed.write_text("# ours\nhttps://one.example/debian priority:1\nhttps://two.example/debian\n", encoding="utf-8")
    source = AptSource(f"mirror+file://{listed}", ("bookworm",), ("main",))
    assert mirrors.debian_mirror([source], DEBIAN_12).main.uri == "https://one.example/debian"


def test_an_installation_medium_is_no_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(mirrors.MIRROR_VARIABLE, "http://named.example/debian")
    medium = AptSource("cdrom:[Debian]/", ("bookworm",), ("main",))
    assert mirrors.debian_mirror([medium], DEBIAN_12).main.uri == "http://named.example/debian"


def test_apts_own_proxy_reaches_debootstrap() -> None:
    dump = 'Acquire::http::Proxy "http://p.example:3128";\nAcquire::https::Proxy "DIRECT";\n'
    assert mirrors.apt_proxies(dump) == {"http_proxy": "http://p.example:3128"}


def test_a_mirror_that_the_host_trusts_unsigned_is_trusted_in_builds(tmp_path: Path) -> None:
    mirror = DebianMirror(AptSource("http://m.example/d", ("bookworm",), ("main",), "", True), None)
    assert mirrors._sources(mirror, "trixie") == "deb [trusted=yes] http://m.example/d trixie main\n"
    assert mirrors.BuildSettings(tmp_path, mirror, {}).debootstrap == ["--no-check-gpg"]


def test_a_host_that_is_no_debian_uses_the_mirror_that_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(mirrors.MIRROR_VARIABLE, "http://named.example/debian")
    ubuntu = [AptSource("http://ubuntu.example/ubuntu", ("noble",), ("main",))]
    mirror = mirrors.debian_mirror(ubuntu, {"ID": "ubuntu", "VERSION_CODENAME": "noble"})
    assert mirror.main.uri == "http://named.example/debian"


def test_without_a_named_mirror_debootstraps_own_default_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(mirrors.MIRROR_VARIABLE, raising=False)
    program = tmp_path / "debootstrap"
    program.write_text('#!/bin/sh\nDEF_MIRROR="http://default.example/debian"\n')
    assert mirrors.default_mirror(program) == "http://default.example/debian"
    program.write_text('#!/bin/sh\nDEF_MIRROR="http://other.example/ubuntu"\n')
    with pytest.raises(BootstrapError, match="BERTH_DEBIAN_MIRROR"):
        mirrors.default_mirror(program)


def test_proxies_are_handed_over_in_both_spellings() -> None:
    found = mirrors.proxy_environment({"HTTPS_PROXY": "http://p.example:3128", "no_proxy": "localhost", "LANG": "C"})
    assert found == {
        "https_proxy": "http://p.example:3128",
        "HTTPS_PROXY": "http://p.example:3128",
        "no_proxy": "localhost",
        "NO_PROXY": "localhost",
    }


def test_only_settings_about_reaching_a_mirror_are_taken_from_apt() -> None:
    dump = (
        'APT::Architecture "amd64";\n'
        'Acquire::http::Proxy "http://p.example:3128";\n'
        'Acquire::https::Verify-Peer "";\n'
        'Acquire::Check-Valid-Until "false";\n'
        'DPkg::Post-Invoke:: "rm -rf /";\n'
    )
    assert mirrors.apt_settings(dump) == [
        'Acquire::http::Proxy "http://p.example:3128";',
        'Acquire::Check-Valid-Until "false";',
    ]


@pytest.mark.parametrize("end", ["=abcd\n", ""])
def test_an_armored_key_is_turned_into_the_bytes_that_debootstrap_reads(end: str) -> None:
    text = f"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAQID\nBAUG\n{end}-----END PGP PUBLIC KEY BLOCK-----\n"
    assert mirrors.armored(text) == bytes(range(1, 7))


def test_a_key_written_into_a_sources_file_is_read_with_its_dots() -> None:
    text = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n AQID\n =abcd\n -----END PGP PUBLIC KEY BLOCK-----"
    assert mirrors.armored(text) == b"\x01\x02\x03"


def test_apts_own_authorities_are_preferred_to_the_systems(tmp_path: Path) -> None:
    own = tmp_path / "site.crt"
    own.write_text("x", encoding="utf-8")
    dump = f'Acquire::https::CaInfo "{own}";\n'
    assert mirrors.authorities(dump) == own
    assert mirrors.apt_settings(dump) == []
