"""The kinds of text and numbers that settings are made of, each checked where it enters."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from pathlib import PurePosixPath
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from config import naming

_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
# A path of a repository, as registries take it (OCI distribution-spec).
_COMPONENT = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_COMPONENT}(/{_COMPONENT})*")
_IMAGE = re.compile(r"[a-z0-9][a-zA-Z0-9._/:-]*@sha256:[0-9a-f]{64}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_UNITS = {"MiB": 20, "GiB": 30, "TiB": 40}
_SIZE = re.compile(r"[1-9][0-9]{0,8}(MiB|GiB|TiB)")
_LARGEST_SIZE = 1 << 60
_SYSTEM_DIRECTORIES = {"/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/opt", "/proc", "/root", "/run", "/sbin"}
_SYSTEM_DIRECTORIES |= {"/srv", "/sys", "/tmp", "/usr", "/var", "/var/lib", "/var/lib/docker", "/mnt"}
_KEY_TYPES = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")


def refused(wrong: str, fix: str) -> PydanticCustomError:
    """A value that a rule refuses: what is wrong, how to fix it."""
    return PydanticCustomError("berth", "{wrong}", {"wrong": wrong, "fix": fix})


def _text(value: str) -> str:
    if any(not c.isprintable() and c != "\u00a0" for c in value):
        raise refused("contains a line break or another control character.", "Write it as one line of plain text.")
    return value


def _some_text(value: str) -> str:
    if not value.strip():
        raise refused("is empty.", "Write a value, or leave the key out to have its default.")
    return _text(value)


def is_host_name(value: str) -> bool:
    """Lower-case host name by RFC 1123 whose last label is not a number (that would be an address)."""
    return len(value) <= 253 and bool(_HOST_NAME.fullmatch(value)) and not value.rsplit(".", 1)[-1].isdigit()


def _host_name(value: str) -> str:
    if not is_host_name(value):
        raise refused(
            "is not a host name.",
            "Use lower-case letters, digits and hyphens in parts of at most 63 characters joined by dots, "
            "such as registry.example.com.",
        )
    if value == "localhost":
        raise refused("means another machine on every machine.", "Use a name that is the same everywhere.")
    return value


def _node_name(value: str) -> str:
    value = _host_name(value)
    if len(value) > 63:
        raise refused("is longer than the 63 characters that Linux allows.", "Use a shorter name, such as node1.")
    return value


def _address(value: str) -> str:
    try:
        address = ipaddress.IPv4Address(value)
    except ValueError:
        raise refused("is not an IPv4 address.", "Write four numbers from 0 to 255, such as 10.77.0.11.") from None
    if address.is_unspecified or address.is_loopback or address.is_multicast or int(address) >> 28 == 15:
        raise refused("is not the address of one machine on a network.", "Use the node's own address.")
    return value


def _cidr(value: str) -> str:
    try:
        ipaddress.IPv4Network(value)
    except ValueError:
        raise refused("is not an IPv4 network.", "Write address and prefix, such as 10.77.0.0/24.") from None
    if "/" not in value:
        raise refused("has no prefix length.", "Write address and prefix, such as 10.77.0.0/24.")
    return value


def _source(value: str) -> str:
    try:
        network = ipaddress.IPv4Network(value)
    except ValueError:
        fix = "Write an address or address and prefix, such as 192.0.2.9 or 10.1.0.0/16."
        raise refused("is neither an IPv4 address nor an IPv4 network.", fix) from None
    if network.prefixlen == 0:
        raise refused("lets everybody in.", "Name the machines and networks that have to reach the object store.")
    return value


def _host(value: str) -> str:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        if value != "localhost" and not is_host_name(value.lower()):
            raise refused("is neither a host name nor an address.", "Write one of both, without port.") from None
    return value


def _user_name(value: str) -> str:
    _some_text(value)
    if len(value) > 64 or value != value.strip():
        raise refused("is longer than 64 characters or begins or ends with a space.", "Use a shorter, trimmed name.")
    if ":" in value:
        raise refused("contains a colon, which HTTP uses to end a user name.", "Use a name without `:`.")
    if value.startswith("#"):
        raise refused("begins with `#`, which makes a line of a password file a comment.", "Begin it with a letter.")
    return value


def is_user_name(value: object) -> bool:
    """Whether the registry can know a user by this name."""
    try:
        return isinstance(value, str) and bool(_user_name(value))
    except PydanticCustomError:
        return False


def _node_user(value: str) -> str:
    return _user_name(value) if value else value


def _versions(value: tuple[int, ...]) -> tuple[int, ...]:
    if not 1 <= len(value) <= 2 or value[0] < 1 or (value[0] >= value[-1] and len(value) == 2):
        raise refused("is not one version, or an old and a new one.", "Write [1]; [1, 2] while 2 replaces 1; then [2].")
    return value


def _label(value: str) -> str:
    if not re.fullmatch(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?", value):
        raise refused(
            "is not a name that a process can carry.",
            "Use at most 32 lower-case letters, digits and hyphens, beginning with a letter, such as docker-hub.",
        )
    return value


def _upstream_url(value: str) -> str:
    _url(value, ("https",))
    parts = urlsplit(value)
    if parts.username is not None or parts.password is not None:
        fix = "Leave out everything before the `@`; the name goes to `user`, the password to `berth:secrets`."
        raise refused("holds a user name, which the stack file would keep with its password.", fix)
    if parts.path not in ("", "/") or parts.query or parts.fragment or value[-1] in "?#":
        fix = "End it after host and port; caches ask for /v2/ there."
        raise refused("has something behind the host.", fix)
    return plain_url(value)


def plain_url(value: str) -> str:
    """An https root URL in the one form in which two of them compare."""
    return value.lower().rstrip("/").removesuffix(":443")


def _repository(value: str) -> str:
    if len(value) > 128 or not _REPOSITORY.fullmatch(value):
        fix = "Use lower-case letters and digits with `.`, `_` or `-` between them, in parts joined by `/`: docker.io."
        raise refused("is not the path of a repository.", fix)
    return value


def _certificates(value: str) -> str:
    fix = "Write the certificate of the upstream's CA: lines from BEGIN CERTIFICATE to END CERTIFICATE."
    if "PRIVATE KEY" in value:
        raise refused("holds a private key.", f"Take it out of the file, for it is no longer secret. {fix}")
    from cryptography.x509 import load_pem_x509_certificates

    try:
        load_pem_x509_certificates(value.encode())
    except ValueError:
        raise refused("holds no certificate in PEM.", fix) from None
    return value if value.endswith("\n") else f"{value}\n"


def _account(value: str) -> str:
    if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_.-]{0,31}\$?", value):
        raise refused("is not the name of a Unix account.", "Write the account that Berth logs in with, such as root.")
    return value


def _key_file(value: str) -> str:
    if "-----BEGIN" in value:
        raise refused("is a key itself.", "Write the path of the file that holds the private key.")
    _some_text(value)
    if not value.startswith(("/", "~/")):
        raise refused("is not a full path.", "Begin it with `/` or `~/`: commands may run in any directory.")
    return value


def _local_path(value: str) -> str:
    _key_file(value)
    if str(PurePosixPath(value)) != value or ".." in PurePosixPath(value).parts:
        raise refused("is not a plain path.", "Write it without `..`, `//` or a slash at the end.")
    return value


def _sha256(value: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", value):
        raise refused("is not a SHA-256 checksum.", "Write 64 hex digits, as `sha256sum FILE` prints them.")
    return value


def _device(value: str) -> str:
    if not re.fullmatch(r"/dev/[A-Za-z0-9][A-Za-z0-9/_:.-]*", value) or ".." in value:
        raise refused("is not the path of a disk.", "Write it as the live system knows it, such as /dev/sda.")
    return value


def _channel(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", value):
        raise refused("is not the name of a release.", "Use the installer's words: stable, beta, alpha; 4081.2.0.")
    return value


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


def _image(value: str) -> str:
    if not _IMAGE.fullmatch(value):
        raise refused(
            "is not pinned by digest, so that it could become another image overnight.",
            "Write name and digest, such as registry.example.com/minio@sha256:<64 hex digits>.",
        )
    return value


def is_digest(value: str) -> bool:
    """Whether this is an image's content in the one notation that Berth writes."""
    return bool(_DIGEST.fullmatch(value))


def is_tagged(value: str) -> bool:
    """Whether this is a tag of a repository in any registry: team/app:1."""
    repository, colon, tag = value.rpartition(":")
    return bool(colon) and len(repository) <= 255 and bool(_REPOSITORY.fullmatch(repository) and _TAG.fullmatch(tag))


def _digest(value: str) -> str:
    if not is_digest(value):
        raise refused("is not a digest.", "Write `sha256:` and 64 hex digits; `berth promote` does.")
    return value


def _pin(value: str) -> str:
    return value if is_digest(value) else _image(value)


def _tagged(value: str) -> str:
    if not is_tagged(value):
        raise refused("is not a repository with a tag.", "Write both, without a registry: team/app:1.")
    return value


def _bucket(value: str) -> str:
    if not 3 <= len(value) <= 63 or not is_host_name(value):
        raise refused("is not a bucket name.", "Use 3 to 63 lower-case letters, digits and hyphens.")
    return value


def plain_path(value: str) -> str:
    """A full path that names one place in one way."""
    _some_text(value)
    if not value.startswith("/") or str(PurePosixPath(value)) != value or ".." in PurePosixPath(value).parts:
        raise refused("is not a full, plain path.", "Begin with `/`, without `..`, `//` or a slash at the end.")
    return value


def _directory(value: str) -> str:
    plain_path(value)
    if set(value) & set(":,{}"):
        raise refused("contains one of `: , { }`, which Docker or MinIO would take for their own.", "Leave it out.")
    if value in _SYSTEM_DIRECTORIES:
        raise refused("belongs to the system.", "Use a directory of its own, such as /var/lib/berth/object-store.")
    return value


def _log_driver(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/:-]*", value):
        raise refused("is not the name of a log driver.", "Write one that Docker knows, such as json-file or journald.")
    return value


def _registry_host(value: str) -> str:
    """`host`, `host:port`, or a network, as dockerd takes them for insecure-registries."""
    fix = "Write host:port or a network, such as registry.example.com:5000 or 10.0.0.0/8."
    if "://" in value:
        raise refused("is a URL.", "Leave out the scheme: only host:port.")
    if "/" in value:
        try:
            ipaddress.ip_network(value)
        except ValueError:
            raise refused("is neither host:port nor a network.", fix) from None
        return value
    host, colon, port = value.partition(":")
    if not _is_host(host) or (colon and not _is_port(port)):
        raise refused("is neither host:port nor a network.", fix)
    return value


def _mirror(value: str) -> str:
    _url(value, ("http", "https"))
    parts = urlsplit(value)
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise refused("has something behind the host, which dockerd refuses.", "End it after host and port.")
    if parts.username is not None:
        raise refused("has a user name; dockerd cannot log in to a mirror.", "Leave out everything before the `@`.")
    return value


def _proxy(value: str) -> str:
    _url(value, ("http", "https", "socks5"))
    if urlsplit(value).password is not None:
        raise refused(
            "holds a password, which the stack file would keep in plain text.",
            "Leave out user and password and let the proxy admit the nodes by their addresses.",
        )
    return value


def _url(value: str, schemes: tuple[str, ...]) -> None:
    fix = f"Write a URL such as {schemes[-2 if len(schemes) > 2 else -1]}://host.example.com:3128."
    if any(c.isspace() or not c.isprintable() for c in value):
        raise refused("contains a space or a control character.", fix)
    try:
        parts = urlsplit(value)
        valid = parts.scheme in schemes and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        valid = valid and _is_host(parts.hostname or "")
    except ValueError:
        valid = False
    if not valid:
        raise refused(f"is not a URL with {' or '.join(schemes)}.", fix)


def _no_proxy(value: str) -> str:
    if not re.fullmatch(r"\*|[A-Za-z0-9.:_*-]+(/[0-9]{1,3})?", value):
        raise refused("is not a host, domain, address or network.", "Write one per list item, such as .example.com.")
    return value


def _option_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", value):
        raise refused("is not the name of a log option.", "Use names that the log driver knows, such as max-size.")
    return value


def _daemon_flag(value: str) -> str:
    if not re.fullmatch(r"--[a-z][a-z0-9-]*(=[A-Za-z0-9_./:,@%+=-]*)?", value):
        raise refused("is not a flag of dockerd.", "Write --name or --name=value, without blanks, quotes or $.")
    return value


def _tag(value: str) -> str:
    if not _TAG.fullmatch(value):
        raise refused("is not a tag.", "Use letters, digits and `. _ -`, such as 2026.1.")
    return value


def _variable(value: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_]*", value):
        raise refused("is not the name of a variable.", "Use Kolla's own names, such as haproxy_max_connections.")
    return value


def _group_name(value: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_-]*", value):
        raise refused("is not the name of a group.", "Use the names of Kolla's inventory, such as keystone.")
    return value


def _folder(value: str) -> str:
    _some_text(value)
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or str(path) != value or value == ".":
        raise refused("is not a folder in the checkout.", "Write it from the checkout's root on, such as kolla/prod.")
    return value


def _size(value: str) -> str:
    if not _SIZE.fullmatch(value) or size_in_bytes(value) > _LARGEST_SIZE:
        raise refused("is not a size.", "Write a number and its unit, MiB, GiB or TiB, such as 50GiB.")
    return value


def size_in_bytes(value: str) -> int:
    """How many bytes a size stands for."""
    return int(value[:-3]) << _UNITS[value[-3:]]


def _swarm_label(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?", value) or value.startswith("berth."):
        fix = (
            "Use lower-case letters, digits, `.`, `_` and `-`, beginning with a letter or digit, and not with `berth.`."
        )
        raise refused("is not the name of a label.", fix)
    return value


def _is_host(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return is_host_name(value.lower())
    return True


def _is_port(value: str) -> bool:
    return value.isascii() and value.isdigit() and 1 <= int(value[:6]) <= 65535


_Str = Annotated[str, Field(strict=True, max_length=4096)]

Text = Annotated[_Str, AfterValidator(_text)]
HostName = Annotated[_Str, AfterValidator(_host_name)]
NodeName = Annotated[_Str, AfterValidator(_node_name)]
Address = Annotated[_Str, AfterValidator(_address)]
Cidr = Annotated[_Str, AfterValidator(_cidr)]
Source = Annotated[_Str, AfterValidator(_source)]
Host = Annotated[_Str, AfterValidator(_host)]
UserName = Annotated[_Str, AfterValidator(_user_name)]
NodeUser = Annotated[_Str, AfterValidator(_node_user)]
Versions = Annotated[tuple[Annotated[int, Field(strict=True)], ...], AfterValidator(_versions)]
Label = Annotated[_Str, AfterValidator(_label)]
UpstreamUrl = Annotated[_Str, AfterValidator(_upstream_url)]
Repository = Annotated[_Str, AfterValidator(_repository)]
Certificates = Annotated[str, Field(strict=True, max_length=65536), AfterValidator(_certificates)]
Account = Annotated[_Str, AfterValidator(_account)]
KeyFile = Annotated[_Str, AfterValidator(_key_file)]
LocalPath = Annotated[_Str, AfterValidator(_local_path)]
Sha256 = Annotated[_Str, AfterValidator(_sha256)]
Device = Annotated[_Str, AfterValidator(_device)]
Release = Annotated[_Str, AfterValidator(_channel)]
HostKey = Annotated[_Str, AfterValidator(_host_key)]
Image = Annotated[_Str, AfterValidator(_image)]
Digest = Annotated[_Str, AfterValidator(_digest)]
Pin = Annotated[_Str, AfterValidator(_pin)]
Tagged = Annotated[_Str, AfterValidator(_tagged)]
Bucket = Annotated[_Str, AfterValidator(_bucket)]
Directory = Annotated[_Str, AfterValidator(_directory)]
LogDriver = Annotated[_Str, AfterValidator(_log_driver)]
DaemonFlag = Annotated[_Str, AfterValidator(_daemon_flag)]
OptionName = Annotated[_Str, AfterValidator(_option_name)]
SwarmLabel = Annotated[_Str, AfterValidator(_swarm_label)]
RegistryHost = Annotated[_Str, AfterValidator(_registry_host)]
Mirror = Annotated[_Str, AfterValidator(_mirror)]
ProxyUrl = Annotated[_Str, AfterValidator(_proxy)]
NoProxy = Annotated[_Str, AfterValidator(_no_proxy)]
Flag = Annotated[bool, Field(strict=True)]
Port = Annotated[int, Field(strict=True, ge=1, le=65535)]
# Room is left above it for the port of the health page.
CachePort = Annotated[int, Field(strict=True, ge=1, le=65535 - naming.CACHE_HEALTH_ABOVE)]
Tag = Annotated[_Str, AfterValidator(_tag)]
Variable = Annotated[_Str, AfterValidator(_variable)]
ServiceName = Variable
GroupName = Annotated[_Str, AfterValidator(_group_name)]
Folder = Annotated[_Str, AfterValidator(_folder)]
Size = Annotated[_Str, AfterValidator(_size)]
