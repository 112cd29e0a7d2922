"""Types of text and numbers that the configuration of a node's operating system has."""

from __future__ import annotations

import ipaddress
import re
import zoneinfo
from typing import Annotated

from pydantic import AfterValidator, Field

from config.fields.base import Pattern, Str, parsed, refused
from config.fields.common import FullPath, public_key

# What crypt(3) reads of what `openssl passwd -1`, `-5` and `-6` and mkpasswd print; nothing weaker, nothing else.
_SALT, _ROUNDS = r"[./0-9A-Za-z]", r"(rounds=[0-9]{4,9}\$)?"
_HASHES = (
    rf"\$1\${_SALT}{{1,8}}\${_SALT}{{22}}",
    rf"\$5\${_ROUNDS}{_SALT}{{1,16}}\${_SALT}{{43}}",
    rf"\$6\${_ROUNDS}{_SALT}{{1,16}}\${_SALT}{{86}}",
    rf"\$y\${_SALT}+\${_SALT}{{0,86}}\${_SALT}{{43}}",
)
_ACCOUNT = r"[a-z_][a-z0-9_-]{0,31}"
_ACCOUNT_FIX = "Use at most 32 lower-case letters, digits, `-` and `_`, beginning with a letter or `_`, such as usera."
_UNIT_TYPES = "service|socket|timer|mount|automount|swap|path|target|slice|network|netdev|link"
_ZONE_FIX = "Write it as `timedatectl list-timezones` shows it, such as America/New_York."


def is_hash(value: object) -> bool:
    """Whether a text is a hashed password, and not the password itself."""
    return isinstance(value, str) and any(re.fullmatch(pattern, value) for pattern in _HASHES)


def _owner(value: str) -> str:
    return value if ":" in value else f"{value}:{value}"


def _ssh_key(value: str) -> str:
    return public_key(value, "Write a line as ssh-keygen writes it to the .pub file: `ssh-ed25519 AAAA... me`.")


def _mac(value: str) -> str:
    mac = value.lower().replace("-", ":")
    if not re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", mac):
        raise refused("is not a MAC address.", "Write six pairs of hex digits, such as 08:00:27:4e:66:a1.")
    if int(mac[1], 16) & 1:
        raise refused("is a multicast address.", "Write the interface's own.")
    return mac


def _interface(value: str) -> str:
    wrong, fix = "is not an IPv4 address with its prefix length.", "Write both, such as 192.0.2.11/24."
    interface = parsed(ipaddress.IPv4Interface, value, wrong, fix)
    if "/" not in value:
        raise refused(wrong, fix)
    network = interface.network
    if network.prefixlen < 31 and interface.ip in (network.network_address, network.broadcast_address):
        raise refused("is the network's own or its broadcast address.", "Use an address of one machine.")
    return str(interface)


def _block(value: str) -> str:
    if any(not c.isprintable() and c not in "\n\t\u00a0" for c in value):
        raise refused("contains a control character.", "Write plain text.")
    if "PRIVATE KEY-----" in value:
        fix = "Take it out of the file, for it is no longer secret, and give another one by `secret`."
        raise refused("holds a private key.", fix)
    return value if value.endswith("\n") or not value else f"{value}\n"


def _known_zone(value: str) -> str:
    # Without a database of time zones on this machine nothing can be checked.
    if not _is_known(value) and _is_known("Etc/UTC"):
        raise refused("is not a time zone that this machine knows.", _ZONE_FIX)
    return value


def _is_known(zone: str) -> bool:
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


Account = Annotated[
    Str,
    Pattern(r"(?s)[^/]*", "has a slash, and would become part of a path.", _ACCOUNT_FIX),
    Pattern(_ACCOUNT, "is not the name of a Unix account or group.", _ACCOUNT_FIX),
]
Owner = Annotated[
    Str,
    Pattern(rf"{_ACCOUNT}(:{_ACCOUNT})?", "is not an account, or an account and a group.", "Write it as root:root."),
    AfterValidator(_owner),
]
Mode = Annotated[
    Str, Pattern(r"0[0-7]{3}", "is not the mode of a file.", 'Write four octal digits in quotes, such as "0644".')
]
SshKey = Annotated[Str, AfterValidator(_ssh_key)]
Mac = Annotated[Str, AfterValidator(_mac)]
LinkName = Annotated[
    Str,
    Pattern(
        r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,14}",
        "is not the name of an interface.",
        "Use at most 15 letters, digits, `-`, `_`, such as enp0s3.",
    ),
]
InterfaceAddress = Annotated[Str, AfterValidator(_interface)]
FilePath = Annotated[
    FullPath,
    Pattern(
        r"[A-Za-z0-9/._@+-]+", "has characters that not every system accepts.", "Use letters, digits and `. _ @ + -`."
    ),
]
UnitName = Annotated[
    Str,
    Pattern(
        rf"[A-Za-z0-9:_.@-]{{1,200}}\.({_UNIT_TYPES})",
        "is not the name of a systemd unit.",
        f"End it with one of: {_UNIT_TYPES.replace('|', ', ')}.",
    ),
]
DropInName = Annotated[
    Str, Pattern(r"[A-Za-z0-9_.@-]{1,200}\.conf", "is not the name of a drop-in.", "Use a name such as 50-limits.conf.")
]
Block = Annotated[str, Field(strict=True, max_length=65536), AfterValidator(_block)]
TimeZone = Annotated[
    Str,
    Pattern(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}", "is not the name of a time zone.", _ZONE_FIX),
    AfterValidator(_known_zone),
]
DockerOption = Annotated[
    Str, Pattern(r"--[a-z][a-z0-9-]*(=[^\s\"'\\$%]+)?", "is not an option of dockerd.", "Write one word: --mtu=1450.")
]
DiscoveryUrl = Annotated[
    Str,
    Pattern(
        r"https?://[A-Za-z0-9.:-]+/[A-Za-z0-9._/-]+",
        "is not the URL of a discovery token.",
        "Write what https://discovery.etcd.io/new?size=3 answers with.",
    ),
]
ShellName = Annotated[
    Str,
    Pattern(
        r"[a-zA-Z_][a-zA-Z0-9_]{0,63}",
        "is not a name of a shell function.",
        "Use letters, digits and `_`, such as dps.",
    ),
]
Label = Annotated[
    Str,
    Pattern(
        r"[A-Za-z0-9_.:/-]{1,128}",
        "has characters that `key=value,key=value` cannot hold.",
        "Use letters, digits and `_ . : / -`.",
    ),
]
Release = Annotated[
    Str, Pattern(r"[0-9]{1,5}(\.[0-9]{1,5}){0,2}", "is not an image's version.", 'Write it in quotes: "1185.5.0".')
]
Package = Annotated[
    Str, Pattern(r"[a-z0-9][a-z0-9.+-]{1,99}", "is not a Debian package.", "Write one per item, such as docker.io.")
]
Mtu = Annotated[int, Field(strict=True, ge=576, le=65535)]
EtcdVersion = Annotated[int, Field(strict=True, ge=2, le=3)]
VlanId = Annotated[int, Field(strict=True, ge=1, le=4094)]
