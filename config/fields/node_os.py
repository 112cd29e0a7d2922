"""The kinds of text that the configuration of a node's system is made of, each checked where it enters."""

from __future__ import annotations

import ipaddress
import re
import zoneinfo
from typing import Annotated

from pydantic import AfterValidator, Field

from config.fields.common import plain_path, public_key, refused

# What crypt(3) reads of what `openssl passwd -1`, `-5` and `-6` and mkpasswd print; nothing weaker, nothing else.
_SALT, _ROUNDS = r"[./0-9A-Za-z]", r"(rounds=[0-9]{4,9}\$)?"
_HASHES = (
    rf"\$1\${_SALT}{{1,8}}\${_SALT}{{22}}",
    rf"\$5\${_ROUNDS}{_SALT}{{1,16}}\${_SALT}{{43}}",
    rf"\$6\${_ROUNDS}{_SALT}{{1,16}}\${_SALT}{{86}}",
    rf"\$y\${_SALT}+\${_SALT}{{0,86}}\${_SALT}{{43}}",
)
_UNIT_TYPES = "service|socket|timer|mount|automount|swap|path|target|slice|network|netdev|link"


def is_hash(value: object) -> bool:
    """Whether a text is a hashed password, and not the password itself."""
    return isinstance(value, str) and any(re.fullmatch(pattern, value) for pattern in _HASHES)


def _account(value: str) -> str:
    fix = "Use at most 32 lower-case letters, digits, `-` and `_`, beginning with a letter or `_`, such as usera."
    if "/" in value:
        raise refused("has a slash, and would become part of a path.", fix)
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", value):
        raise refused("is not the name of a Unix account or group.", fix)
    return value


def _owner(value: str) -> str:
    user, colon, group = value.partition(":")
    _account(user)
    if colon:
        _account(group)
    return value if colon else f"{user}:{user}"


def _mode(value: str) -> str:
    if not re.fullmatch(r"0[0-7]{3}", value):
        raise refused("is not the mode of a file.", 'Write four octal digits in quotes, such as "0644".')
    return value


def _ssh_key(value: str) -> str:
    return public_key(value, "Write a line as ssh-keygen writes it to the .pub file: `ssh-ed25519 AAAA... me`.")


def _mac(value: str) -> str:
    plain = value.lower().replace("-", ":")
    if not re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", plain):
        raise refused("is not a MAC address.", "Write six pairs of hex digits, such as 08:00:27:4e:66:a1.")
    if int(plain[1], 16) & 1:
        raise refused("is the address of a group, not of one interface.", "Write the interface's own.")
    return plain


def _link(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,14}", value):
        raise refused("is not the name of an interface.", "Use at most 15 letters, digits, `-`, `_`, such as enp0s3.")
    return value


def _interface(value: str) -> str:
    fix = "Write address and prefix, such as 192.0.2.11/24."
    try:
        interface = ipaddress.IPv4Interface(value)
    except ValueError:
        raise refused("is not an IPv4 address with its prefix.", fix) from None
    if "/" not in value:
        raise refused("has no prefix length.", fix)
    network = interface.network
    if network.prefixlen < 31 and interface.ip in (network.network_address, network.broadcast_address):
        raise refused("is the network's own or its broadcast address.", "Use an address of one machine.")
    return str(interface)


def _file(value: str) -> str:
    plain_path(value)
    if not re.fullmatch(r"[A-Za-z0-9/._@+-]+", value):
        raise refused("has signs in it that systems write differently.", "Use letters, digits and `. _ @ + -`.")
    return value


def _unit(value: str) -> str:
    if not re.fullmatch(rf"[A-Za-z0-9:_.@-]{{1,200}}\.({_UNIT_TYPES})", value):
        raise refused("is not the name of a systemd unit.", f"End it with one of: {_UNIT_TYPES.replace('|', ', ')}.")
    return value


def _drop_in(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.@-]{1,200}\.conf", value):
        raise refused("is not the name of a drop-in.", "Use letters, digits, `-` and `_`, and end it with .conf.")
    return value


def _block(value: str) -> str:
    if any(not c.isprintable() and c not in "\n\t\u00a0" for c in value):
        raise refused("contains a control character.", "Write plain text.")
    if "PRIVATE KEY-----" in value:
        fix = "Take it out of the file, for it is no longer secret, and give another one by `secret`."
        raise refused("holds a private key.", fix)
    return value if value.endswith("\n") or not value else f"{value}\n"


def _time_zone(value: str) -> str:
    fix = "Write it as `timedatectl list-timezones` shows it, such as America/New_York."
    if not re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}", value):
        raise refused("is not the name of a time zone.", fix)
    # A machine without the database of zones cannot judge.
    if not _knows(value) and _knows("Etc/UTC"):
        raise refused("is not a time zone that this machine knows.", fix)
    return value


def _knows(zone: str) -> bool:
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _docker_option(value: str) -> str:
    if not re.fullmatch(r"--[a-z][a-z0-9-]*(=[^\s\"'\\$%]+)?", value):
        raise refused("is not an option of dockerd.", "Write it as one word, such as --mtu=1450.")
    return value


def _discovery(value: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9.:-]+/[A-Za-z0-9._/-]+", value):
        fix = "Write what https://discovery.etcd.io/new?size=3 answers with."
        raise refused("is not the URL of a discovery token.", fix)
    return value


def _shell_name(value: str) -> str:
    if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]{0,63}", value):
        raise refused("is not a name that a shell can call.", "Use letters, digits and `_`, such as dps.")
    return value


def _label(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.:/-]{1,128}", value):
        raise refused("cannot be told apart in `key=value,key=value`.", "Use letters, digits and `_ . : / -`.")
    return value


def _release(value: str) -> str:
    if not re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,5}){0,2}", value):
        raise refused("is not the version of an image.", "Write it in quotes as the image has it, such as 1185.5.0.")
    return value


def _package(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]{1,99}", value):
        raise refused("is not the name of a Debian package.", "Write one per list item, such as docker.io.")
    return value


_Str = Annotated[str, Field(strict=True, max_length=4096)]

Account = Annotated[_Str, AfterValidator(_account)]
Owner = Annotated[_Str, AfterValidator(_owner)]
Mode = Annotated[_Str, AfterValidator(_mode)]
SshKey = Annotated[_Str, AfterValidator(_ssh_key)]
Mac = Annotated[_Str, AfterValidator(_mac)]
LinkName = Annotated[_Str, AfterValidator(_link)]
InterfaceAddress = Annotated[_Str, AfterValidator(_interface)]
FilePath = Annotated[_Str, AfterValidator(_file)]
UnitName = Annotated[_Str, AfterValidator(_unit)]
DropInName = Annotated[_Str, AfterValidator(_drop_in)]
Block = Annotated[str, Field(strict=True, max_length=65536), AfterValidator(_block)]
TimeZone = Annotated[_Str, AfterValidator(_time_zone)]
DockerOption = Annotated[_Str, AfterValidator(_docker_option)]
DiscoveryUrl = Annotated[_Str, AfterValidator(_discovery)]
ShellName = Annotated[_Str, AfterValidator(_shell_name)]
Label = Annotated[_Str, AfterValidator(_label)]
Release = Annotated[_Str, AfterValidator(_release)]
Package = Annotated[_Str, AfterValidator(_package)]
Mtu = Annotated[int, Field(strict=True, ge=576, le=65535)]
EtcdVersion = Annotated[int, Field(strict=True, ge=2, le=3)]
VlanId = Annotated[int, Field(strict=True, ge=1, le=4094)]
