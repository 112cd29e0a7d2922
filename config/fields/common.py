"""Types of text and numbers that several parts of the settings have; each is validated by itself."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field

from config import naming
from config.fields.base import Pattern, Str, parsed, refused

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
# RFC 1123 in lower case; a last label of digits only would be an address.
_HOST_NAME = rf"(?!.{{254}})(?!(.*\.)?[0-9]+\Z){_LABEL}(\.{_LABEL})*"
_COMPONENT = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
REPOSITORY = rf"(?![^:]{{256}}){_COMPONENT}(/{_COMPONENT})*"
TAG = r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"
"""Regular expressions of a repository's path and of a tag, by OCI's distribution-spec."""

_DIGEST = r"sha256:[0-9a-f]{64}"
_IMAGE = rf"[a-z0-9][a-zA-Z0-9._/:-]*@{_DIGEST}"
_UNITS = {"MiB": 20, "GiB": 30, "TiB": 40}
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# Parts of a path without `.`, `..`, `//` and a slash at the end.
_PART = r"(?!\.{1,2}(/|\Z))[^/]+"
_PARTS = rf"{_PART}(/{_PART})*"
_SYSTEM_DIRECTORIES = "|bin|boot|dev|etc|home|lib|mnt|opt|proc|root|run|sbin|srv|sys|tmp|usr|var|var/lib|var/lib/docker"
_KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")


def _printable(value: str) -> str:
    if any(not c.isprintable() and c != "\u00a0" for c in value):
        raise refused("contains a line break or another control character.", "Write it as one line of plain text.")
    return value


def _address(value: str) -> str:
    fix = "Write four numbers from 0 to 255, such as 10.77.0.11."
    address = parsed(ipaddress.IPv4Address, value, "is not an IPv4 address.", fix)
    if address.is_unspecified or address.is_loopback or address.is_multicast or int(address) >> 28 == 15:
        raise refused("is not the address of one machine on a network.", "Use the node's own address.")
    return value


def _cidr(value: str) -> str:
    wrong, fix = "is not an IPv4 network.", "Write address and prefix length, such as 10.77.0.0/24."
    parsed(ipaddress.IPv4Network, value, wrong, fix)
    if "/" not in value:
        raise refused(wrong, fix)
    return value


def _source(value: str) -> str:
    fix = "Write an address or address and prefix, such as 192.0.2.9 or 10.1.0.0/16."
    network = parsed(ipaddress.IPv4Network, value, "is neither an IPv4 address nor an IPv4 network.", fix)
    if network.prefixlen == 0:
        raise refused("admits every address.", "Name the machines and networks that have to reach the object store.")
    return value


def _is_host(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return bool(re.fullmatch(_HOST_NAME, value.lower()))
    return True


def _host(value: str) -> str:
    if not _is_host(value):
        raise refused("is neither a host name nor an address.", "Write one of both, without port.")
    return value


def _versions(value: tuple[int, ...]) -> tuple[int, ...]:
    if not 1 <= len(value) <= 2 or value[0] < 1 or (value[0] >= value[-1] and len(value) == 2):
        raise refused("is not one version, or an old and a new one.", "Write [1]; [1, 2] while 2 replaces 1; then [2].")
    return value


def _url(value: str, schemes: tuple[str, ...]) -> SplitResult:
    example = ":3128" if len(schemes) > 2 else ""
    fix = f"Write a URL such as {schemes[-2 if len(schemes) > 2 else -1]}://host.example.com{example}."
    if any(c.isspace() or not c.isprintable() for c in value):
        raise refused("contains a space or a control character.", fix)
    wrong = f"is not a URL with {' or '.join(schemes)}."
    url = parsed(urlsplit, value, wrong, fix)
    # The property raises ValueError if the port is not a number.
    port = parsed(lambda _: url.port, value, wrong, fix)
    if url.scheme not in schemes or port == 0 or not _is_host(url.hostname or ""):
        raise refused(wrong, fix)
    return url


def _upstream_url(value: str) -> str:
    url = _url(value, ("https",))
    if url.username is not None or url.password is not None:
        fix = "Leave out everything before the `@`; the name goes to `user`, the password to `berth:secrets`."
        raise refused("holds a user name, which the stack file would contain with its password.", fix)
    if url.path not in ("", "/") or url.query or url.fragment or value[-1] in "?#":
        raise refused("has a path, query or fragment.", "End it after host and port; caches request /v2/ there.")
    # Normalized, so that URLs can be compared.
    return value.lower().rstrip("/").removesuffix(":443")


def _mirror(value: str) -> str:
    url = _url(value, ("http", "https"))
    if url.path not in ("", "/") or url.query or url.fragment:
        raise refused("has a path, query or fragment, which dockerd refuses.", "End it after host and port.")
    if url.username is not None:
        raise refused("has a user name; dockerd cannot log in to a mirror.", "Leave out everything before the `@`.")
    return value


def _proxy(value: str) -> str:
    if _url(value, ("http", "https", "socks5")).password is not None:
        fix = "Leave out user and password and let the proxy admit the nodes by their addresses."
        raise refused("holds a password, which the stack file would contain in plain text.", fix)
    return value


def _registry_host(value: str) -> str:
    """`host`, `host:port`, or a network, as dockerd takes them for insecure-registries."""
    wrong = "is neither host:port nor a network."
    fix = "Write host:port or a network, such as registry.example.com:5000 or 10.0.0.0/8."
    if "://" in value:
        raise refused("is a URL.", "Leave out the scheme: only host:port.")
    host, colon, port = value.partition(":")
    if "/" in value:
        parsed(ipaddress.ip_network, value, wrong, fix)
    elif not _is_host(host) or (colon and not re.fullmatch(r"0*[1-9][0-9]{0,4}", port)) or int(port or 0) > 65535:
        raise refused(wrong, fix)
    return value


def _certificates(value: str) -> str:
    fix = "Write the certificate of the upstream's CA: lines from BEGIN CERTIFICATE to END CERTIFICATE."
    if "PRIVATE KEY" in value:
        raise refused("holds a private key.", f"Take it out of the file, for it is no longer secret. {fix}")
    from cryptography.x509 import load_pem_x509_certificates

    parsed(lambda pem: load_pem_x509_certificates(pem.encode()), value, "holds no certificate in PEM.", fix)
    return value if value.endswith("\n") else f"{value}\n"


def _host_key(value: str) -> str:
    return public_key(value, "Write what /etc/ssh/ssh_host_ed25519_key.pub on the node holds: `ssh-ed25519 AAAA...`.")


def public_key(value: str, fix: str) -> str:
    """One whole OpenSSH public key."""
    if "PRIVATE KEY" in value:
        raise refused("is a private key.", f"Take it out of the file, for it is no longer secret. {fix}")
    parts = value.split()
    if "\n" in value.strip() or not parts or parts[0] not in _KEY_TYPES:
        known_hosts = len(parts) > 2 and parts[1] in _KEY_TYPES
        wrong = "is a line of known_hosts." if known_hosts else "is not an OpenSSH public key."
        raise refused(wrong, "Leave out the host name in front of the key." if known_hosts else fix)
    if not _key_is_whole(parts):
        raise refused("is not a whole OpenSSH public key.", fix)
    return value.strip()


def _key_is_whole(parts: list[str]) -> bool:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    try:
        base64.b64decode(parts[1], validate=True)
        load_ssh_public_key(" ".join(parts[:2]).encode())
    except (IndexError, ValueError, binascii.Error, UnsupportedAlgorithm):
        return False
    return True


def size_in_bytes(value: str) -> int:
    """How many bytes a `Size` stands for."""
    return int(value[:-3]) << _UNITS[value[-3:]]


def duration_in_seconds(value: str) -> int:
    """How many seconds a `Duration` stands for."""
    return int(value[:-1]) * _SECONDS[value[-1]]


class DeployHostPath:
    """Metadata of the types whose values are paths on the deploy host."""


Text = Annotated[Str, AfterValidator(_printable)]
SomeText = Annotated[
    Str,
    Pattern(r"(?s).*\S.*", "is empty.", "Write a value, or leave the key out to have its default."),
    AfterValidator(_printable),
]
Label = Annotated[
    Str,
    Pattern(
        r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?",
        "is not a valid name of a cache or network.",
        "Use at most 32 lower-case letters, digits and hyphens, beginning with a letter, such as docker-hub.",
    ),
]

HostName = Annotated[
    Str,
    Pattern(
        _HOST_NAME,
        "is not a host name.",
        "Use lower-case letters, digits and hyphens in parts of at most 63 characters joined by dots, such as "
        "registry.example.com.",
    ),
    Pattern(
        r"(?!localhost\Z).*", "is a different machine on every machine.", "Use a name that is the same everywhere."
    ),
]
NodeName = Annotated[
    HostName,
    Pattern(r".{1,63}", "is longer than the 63 characters that Linux allows.", "Use a shorter name, such as node1."),
]
Host = Annotated[Str, AfterValidator(_host)]
Address = Annotated[Str, AfterValidator(_address)]
Cidr = Annotated[Str, AfterValidator(_cidr)]
Source = Annotated[Str, AfterValidator(_source)]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
# The port of its health page is above it.
CachePort = Annotated[int, Field(strict=True, ge=1, le=65535 - naming.CACHE_HEALTH_ABOVE)]
Flag = Annotated[bool, Field(strict=True)]
Size = Annotated[
    Str,
    Pattern(
        r"[1-9][0-9]{0,8}(MiB|GiB)|[1-9][0-9]{0,5}TiB",
        "is not a size.",
        "Write a number and its unit, MiB, GiB or TiB, such as 50GiB.",
    ),
]

Duration = Annotated[
    Str,
    Pattern(
        r"[1-9][0-9]{0,5}[smhd]", "is not a duration.", "Write a whole number and its unit, s, m, h or d, such as 24h."
    ),
]
TimeOfDay = Annotated[
    Str, Pattern(r"([01][0-9]|2[0-3]):[0-5][0-9]", "is not a time of day.", "Write hours and minutes, such as 02:30.")
]

UserName = Annotated[
    SomeText,
    Pattern(
        r"\S(.{0,62}\S)?",
        "is longer than 64 characters or begins or ends with a space.",
        "Use a shorter, trimmed name.",
    ),
    Pattern(r"[^:]*", "contains a colon, which HTTP uses to end a user name.", "Use a name without `:`."),
    Pattern(r"[^#].*", "begins with `#`, which makes a line of a password file a comment.", "Begin it with a letter."),
]
Versions = Annotated[tuple[Annotated[int, Field(strict=True)], ...], AfterValidator(_versions)]
UpstreamUrl = Annotated[Str, AfterValidator(_upstream_url)]
Repository = Annotated[
    Str,
    Pattern(
        rf"(?!.{{129}}){REPOSITORY}",
        "is not the path of a repository.",
        "Use lower-case letters and digits with `.`, `_` or `-` between them, in parts joined by `/`: docker.io.",
    ),
]
Certificates = Annotated[str, Field(strict=True, max_length=65536), AfterValidator(_certificates)]
Bucket = Annotated[
    Str,
    Pattern(
        rf"(?=.{{3,63}}\Z){_HOST_NAME}", "is not a bucket name.", "Use 3 to 63 lower-case letters, digits and hyphens."
    ),
]

_UNPINNED = "is not pinned by digest."
_PIN_IMAGE = "Write name and digest, such as registry.example.com/minio@sha256:<64 hex digits>."
Image = Annotated[Str, Pattern(_IMAGE, _UNPINNED, _PIN_IMAGE)]
Pin = Annotated[Str, Pattern(rf"{_DIGEST}|{_IMAGE}", _UNPINNED, _PIN_IMAGE)]
Digest = Annotated[
    Str, Pattern(_DIGEST, "is not a digest.", "Write `sha256:` and 64 hex digits; `berth promote` does.")
]
Tag = Annotated[Str, Pattern(TAG, "is not a tag.", "Use letters, digits and `. _ -`, such as 2026.1.")]
Tagged = Annotated[
    Str,
    Pattern(
        f"{REPOSITORY}:{TAG}",
        "is not a repository with a tag.",
        "Write both, without a registry: team/app:1.",
    ),
]

Account = Annotated[
    Str, Pattern(r"[a-zA-Z_][a-zA-Z0-9_.-]{0,31}\$?", "is not a Unix account.", "Write who logs in, such as root.")
]
KeyFile = Annotated[
    Str,
    Pattern(r"(?s)(?!.*-----BEGIN).*", "is a key itself.", "Write the path of the file that holds the private key."),
    AfterValidator(_printable),
    Pattern("~?/.*", "is not a full path.", "Begin it with `/` or `~/`: commands may run in any directory."),
    DeployHostPath(),
]
LocalPath = Annotated[
    KeyFile,
    Pattern(rf"/|~?/{_PARTS}", "is not a plain path.", "Write it without `.`, `..`, `//` or a slash at the end."),
]
Folder = Annotated[
    SomeText,
    Pattern(_PARTS, "is not a folder in the checkout.", "Write it from the checkout's root on, such as kolla/prod."),
    DeployHostPath(),
]
FullPath = Annotated[
    SomeText,
    Pattern(
        rf"/({_PARTS})?", "is not a full, plain path.", "Begin with `/`, without `..`, `//` or a slash at the end."
    ),
]
Directory = Annotated[
    FullPath,
    Pattern(r"[^:,{}]*", "contains one of `: , { }`, which Docker or MinIO would take for their own.", "Leave it out."),
    Pattern(
        rf"(?!/({_SYSTEM_DIRECTORIES})\Z).*",
        "belongs to the system.",
        "Use a directory of its own, such as /var/lib/berth/object-store.",
    ),
]
Sha256 = Annotated[
    Str, Pattern(r"[0-9a-f]{64}", "is not a SHA-256 checksum.", "Write 64 hex digits, as `sha256sum FILE` prints them.")
]
Device = Annotated[
    Str,
    Pattern(
        r"/dev/(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9/_:.-]*",
        "is not the path of a disk.",
        "Write it as the live system knows it, such as /dev/sda.",
    ),
]
Release = Annotated[
    Str, Pattern(r"[a-z0-9][a-z0-9.-]*", "is not the name of a release.", "Write stable, beta, alpha or 4081.2.0.")
]
HostKey = Annotated[Str, AfterValidator(_host_key)]

LogDriver = Annotated[
    Str, Pattern(r"[A-Za-z0-9][A-Za-z0-9._/:-]*", "is not a log driver.", "Write one of Docker's, such as journald.")
]
OptionName = Annotated[
    Str, Pattern(r"[A-Za-z0-9][A-Za-z0-9_.-]*", "is not a log option.", "Use the log driver's names, such as max-size.")
]
DaemonFlag = Annotated[
    Str,
    Pattern(
        r"--[a-z][a-z0-9-]*(=[A-Za-z0-9_./:,@%+=-]*)?",
        "is not a flag of dockerd.",
        "Write --name or --name=value, without blanks, quotes or $.",
    ),
]
RegistryHost = Annotated[Str, AfterValidator(_registry_host)]
Mirror = Annotated[Str, AfterValidator(_mirror)]
ProxyUrl = Annotated[Str, AfterValidator(_proxy)]
NoProxy = Annotated[
    Str,
    Pattern(
        r"\*|[A-Za-z0-9.:_*-]+(/[0-9]{1,3})?",
        "is not a host, domain, address or network.",
        "Write one per list item, such as .example.com.",
    ),
]
SwarmLabel = Annotated[
    Str,
    Pattern(
        r"(?!berth\.)[a-z0-9]([a-z0-9._-]*[a-z0-9])?",
        "is not the name of a label.",
        "Use lower-case letters, digits, `.`, `_` and `-`, beginning with a letter or digit, and not with `berth.`.",
    ),
]

Variable = Annotated[
    Str, Pattern(r"[a-z_][a-z0-9_]*", "is not the name of a variable.", "Use Kolla's own names: nova_console.")
]
GroupName = Annotated[
    Str, Pattern(r"[a-z][a-z0-9_-]*", "is not the name of a group.", "Use a group of Kolla's inventory: keystone.")
]
