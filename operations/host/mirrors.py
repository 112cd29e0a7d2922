"""Takes the host's package sources, proxies and authorities, for builds that must use the same ones.

They are written into one folder that is mounted into the build and never copied: an image keeps none of it.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import images
from operations.host.errors import BootstrapError

MOUNT = "/mnt"
"""Where the folder is mounted in a build; every Debian has it, empty."""

MIRROR_VARIABLE = "BERTH_DEBIAN_MIRROR"
ETC = Path("/etc/apt")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
AUTHORITIES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/pki/tls/certs/ca-bundle.crt"),
)
PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy")
KEPT_APT_SETTINGS = re.compile(r"^Acquire::((https?)::|Check-|Retries|AllowInsecure|ForceIPv|Max-)", re.IGNORECASE)


@dataclass(frozen=True)
class AptSource:
    """One repository of the host: a line of `*.list` or a stanza of `*.sources`."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str = ""
    trusted: bool = False


@dataclass(frozen=True)
class DebianMirror:
    """Where Debian comes from on this machine."""

    main: AptSource
    security: AptSource | None
    updates: bool = False

    @property
    def trusted(self) -> bool:
        return self.main.trusted


def parse_list(text: str) -> Iterator[AptSource]:
    """The `deb` lines of a one-line-style file."""
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[(?P<options>[^\]]*)\]\s*)?(?P<rest>\S.*)", line.split("#")[0])
        if not match or len(match["rest"].split()) < 3:
            continue
        uri, suite, *components = match["rest"].split()
        options = dict(part.split("=", 1) for part in (match["options"] or "").split() if "=" in part)
        yield AptSource(
            uri, (suite,), tuple(components), options.get("signed-by", ""), options.get("trusted") in {"yes", "true"}
        )


def parse_sources(text: str) -> Iterator[AptSource]:
    """The stanzas of a deb822-style file."""
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", kept):
        fields = {
            key.lower(): value.strip() for key, value in re.findall(r"^([\w-]+):((?:.*)(?:\n[ \t].*)*)", stanza, re.M)
        }
        enabled = fields.get("enabled", "yes").lower() not in {"no", "false"}
        if not enabled or "deb" not in fields.get("types", "").split() or "uris" not in fields:
            continue
        for uri in fields["uris"].split():
            yield AptSource(
                uri,
                tuple(fields.get("suites", "").split()),
                tuple(fields.get("components", "").split()),
                fields.get("signed-by", ""),
                fields.get("trusted", "").lower() in {"yes", "true"},
            )


def host_sources(etc: Path = ETC) -> list[AptSource]:
    """Every repository that this machine's apt uses."""
    found: list[AptSource] = []
    for path in [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*.list"))]:
        if path.is_file():
            found += parse_list(path.read_text(encoding="utf-8", errors="replace"))
    for path in sorted((etc / "sources.list.d").glob("*.sources")):
        found += parse_sources(path.read_text(encoding="utf-8", errors="replace"))
    return found


def _resolved(uri: str) -> str:
    """Cloud images name a file with a list of mirrors; the first one is used."""
    path = Path(re.sub(r"^mirror\+file:/*", "/", uri))
    if not uri.startswith("mirror+file:") or not path.is_file():
        return uri
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return next((words[0] for words in lines if words), uri)


def debian_mirror(sources: list[AptSource], release: dict[str, str]) -> DebianMirror:
    """The host's own Debian mirror, or the default one where the host is no Debian. `release` is /etc/os-release."""
    codename = release.get("VERSION_CODENAME", "") if release.get("ID") == "debian" else ""
    usable = [replace(source, uri=_resolved(source.uri)) for source in sources]
    usable = [source for source in usable if re.match(r"https?://|ftp://|file:/", source.uri)]
    candidates = [s for s in usable if codename and codename in s.suites and "main" in s.components]
    if not candidates:
        return DebianMirror(AptSource(default_mirror(), (), ("main",)), None, True)
    with_updates = {source.uri for source in usable if f"{codename}-updates" in source.suites}
    # Other vendors have repositories with a `main` for the same codename; only Debian's has updates, too.
    main = max(candidates, key=lambda source: (source.uri in with_updates, "debian" in source.uri))
    security = next((s for s in usable if f"{codename}-security" in s.suites), None)
    return DebianMirror(main, security, main.uri in with_updates)


def default_mirror(debootstrap: Path = Path("/usr/sbin/debootstrap")) -> str:
    """The mirror for a host that is no Debian: the one that the user names, else what debootstrap itself uses."""
    named = os.environ.get(MIRROR_VARIABLE)
    if named:
        return named
    text = debootstrap.read_text(encoding="utf-8", errors="replace") if debootstrap.is_file() else ""
    found = re.search(r'^\s*DEF_MIRROR="(https?://[^"\s]+/debian)"', text, re.M)
    if found is None:
        raise BootstrapError(f"No mirror of Debian packages is known on this machine: name one in {MIRROR_VARIABLE}.")
    return found[1]


def os_release(path: Path = Path("/etc/os-release")) -> dict[str, str]:
    """The distribution's own description."""
    pairs = re.findall(r'^(\w+)="?([^"\n]*)"?$', path.read_text(encoding="utf-8") if path.is_file() else "", re.M)
    return dict(pairs)


def proxy_environment(environment: dict[str, str] | None = None) -> dict[str, str]:
    """The proxies of this machine, in both spellings."""
    given = os.environ if environment is None else environment
    found = {}
    for name in PROXIES:
        value = given.get(name) or given.get(name.upper())
        if value:
            found[name] = found[name.upper()] = value
    return found


def apt_settings(dump: str) -> list[str]:
    """The lines of `apt-config dump` about reaching a mirror."""
    kept = [line for line in dump.splitlines() if KEPT_APT_SETTINGS.match(line) and not line.endswith(' "";')]
    return [line for line in kept if not line.lower().startswith("acquire::https::cainfo ")]


def authorities(dump: str) -> Path | None:
    """The certificates that this machine's apt believes: a file of its own, or the system's."""
    own = re.search(r'^Acquire::https::CaInfo "([^"]+)";$', dump, re.M | re.I)
    return next((path for path in [*([Path(own[1])] if own else []), *AUTHORITIES] if path.is_file()), None)


def apt_proxies(dump: str) -> dict[str, str]:
    """Apt's own proxies as environment: debootstrap reads no settings of apt."""
    pairs = re.findall(r'^Acquire::(https?)::Proxy "([^"]+)";$', dump, re.M | re.I)
    return {f"{scheme.lower()}_proxy": uri for scheme, uri in pairs if uri.upper() != "DIRECT"}


def armored(text: str) -> bytes:
    """The bytes of an ASCII-armored key, as debootstrap's verifier needs them."""
    body = text.replace("\n .", "\n").split("-----")[2]
    lines = [line.strip() for line in body.splitlines()]
    start = lines.index("", 1) if "" in lines[1:] else 0
    return base64.b64decode("".join(line for line in lines[start:] if not line.startswith("=")))


def _keyring(mirror: DebianMirror, folder: Path) -> Path:
    signed_by = mirror.main.signed_by
    target = folder / "keyring.gpg"
    if "BEGIN PGP" in signed_by:
        target.write_bytes(armored(signed_by))
        return target
    path = Path(signed_by) if signed_by.startswith("/") else KEYRING
    if not path.is_file():
        path = KEYRING
    content = path.read_bytes()
    target.write_bytes(armored(content.decode()) if content.startswith(b"-----BEGIN") else content)
    return target


def _sources(mirror: DebianMirror, suite: str) -> str:
    def line(source: AptSource, which: str) -> str:
        option = "trusted=yes" if source.trusted else f"signed-by={MOUNT}/keyring.gpg"
        return f"deb [{option}] {source.uri} {which} main\n"

    text = line(mirror.main, suite)
    if mirror.updates:
        text += line(mirror.main, f"{suite}-updates")
    if mirror.security:
        text += line(mirror.security, f"{suite}-security")
    return text


@dataclass(frozen=True)
class BuildSettings:
    """What a Debian build is given: a folder to mount, an environment, and debootstrap's options."""

    folder: Path
    mirror: DebianMirror
    environment: dict[str, str]

    @property
    def debootstrap(self) -> list[str]:
        """The options that name the keyring."""
        return ["--no-check-gpg"] if self.mirror.trusted else [f"--keyring={self.folder / 'keyring.gpg'}"]


def write(folder: Path) -> BuildSettings:
    """Collect this machine's settings into `folder`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    mirror = debian_mirror(host_sources(), os_release())
    if not mirror.trusted:
        _keyring(mirror, folder)
    (folder / "sources.list").write_text(_sources(mirror, images.pins_suite()), encoding="utf-8")
    dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=False).stdout
    lines = [
        f'Dir::Etc::sourcelist "{MOUNT}/sources.list";',
        'Dir::Etc::sourceparts "-";',
        f'Dir::Etc::netrcparts "{MOUNT}/auth.conf.d";',
        'Acquire::Languages "none";',
        'Acquire::Retries "3";',
        'APT::Install-Recommends "false";',
        *apt_settings(dump),
    ]
    believed = authorities(dump)
    if believed:
        shutil.copyfile(believed, folder / "ca.crt")
        lines.append(f'Acquire::https::CaInfo "{MOUNT}/ca.crt";')
    if (ETC / "auth.conf.d").is_dir():
        shutil.copytree(ETC / "auth.conf.d", folder / "auth.conf.d")
    (folder / "apt.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for path in (folder, folder / "keyring.gpg", folder / "ca.crt", folder / "sources.list", folder / "apt.conf"):
        if path.exists():
            # Apt reads them under a user of its own.
            path.chmod(0o755 if path.is_dir() else 0o644)
    return BuildSettings(folder, mirror, {**apt_proxies(dump), **proxy_environment()})
