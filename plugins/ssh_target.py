"""Which host is meant, how to log in to it, and which host keys it may show."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass, field
from typing import Any

import asyncssh

from plugins.interface import ProviderError

# The cheapest of the safe ones first: a run on two cores may open a hundred connections at once.
KEY_EXCHANGE = [
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "diffie-hellman-group16-sha512",
]
CIPHERS = [
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes128-ctr",
    "aes256-ctr",
]
MACS = ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com", "hmac-sha2-256", "hmac-sha2-512"]
_HOST_KEYS = [
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
]


class SSHError(ProviderError):
    """A host could not be reached, trusted or logged in to."""


@dataclass(frozen=True)
class Target:
    """A host, how to log in to it, and which host keys it may show."""

    host: str
    port: int = 22
    user: str = "root"
    private_key: str | None = field(default=None, repr=False)
    private_key_password: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    agent_socket: str | None = None
    host_keys: tuple[str, ...] | None = None
    """Public keys in OpenSSH's form; None means that none was given, and any is taken."""
    revoked_keys: tuple[str, ...] = ()
    dial_error_limit: int = 10
    per_dial_timeout: float = 15
    proxy: Target | None = None

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}"


def refusal(target: Target, found: asyncssh.SSHKey) -> str | None:
    """Why a host key is not trusted, or None."""
    if found in _keys(target.revoked_keys):
        return f"{target}: the host key {_fingerprint(found)} is revoked in known_hosts; nothing was sent to the host."
    if target.host_keys is None:
        return None
    expected = _keys(target.host_keys)
    if found in expected:
        return None
    known = ", ".join(map(_fingerprint, expected)) or "none known"
    return (
        f"{target}: the host key is not the expected one (expected {known}, found {_fingerprint(found)}); no "
        "credential was sent. If the host was reinstalled, put its new key in the settings; otherwise find out "
        "who answers there."
    )


def host_key_algorithms(target: Target) -> list[str]:
    """The pinned key's own kind first, or the server would show another key of its own."""
    pinned = [key.get_algorithm() for key in _keys(target.host_keys or ())]
    first = [name for name in _HOST_KEYS if name in pinned or (name.startswith("rsa-") and "ssh-rsa" in pinned)]
    return first + [name for name in _HOST_KEYS if name not in first]


def client_keys(target: Target) -> list[asyncssh.SSHKey] | None:
    """The key to log in with, if the target has one."""
    if target.private_key is None:
        return None
    try:
        return [_import(target.private_key, target.private_key_password)]
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
        raise SSHError(
            f"{target}: the private key cannot be read; it must be an OpenSSH or PEM key, "
            "with its password if it has one"
        ) from None


def identity(target: Target) -> tuple[Any, ...]:
    """Who may share a connection: the same login under the same trust, however their keys are spelled."""
    keys = client_keys(target) or []
    parts = *(key.get_fingerprint() for key in keys), target.password or "", target.agent_socket or ""
    login = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    trust = None if target.host_keys is None else frozenset(map(_fingerprint, _keys(target.host_keys)))
    revoked = frozenset(map(_fingerprint, _keys(target.revoked_keys)))
    return target.host, target.port, target.user, login, trust, revoked, target.proxy


@functools.lru_cache(maxsize=64)
def _import(text: str, password: str | None) -> asyncssh.SSHKey:
    return asyncssh.import_private_key(text, password)


def _keys(texts: tuple[str, ...]) -> list[asyncssh.SSHKey]:
    try:
        return [asyncssh.import_public_key(text) for text in texts]
    except asyncssh.KeyImportError as error:
        raise SSHError(
            f"a host key could not be read ({error}); give it as one line: type, key, optional comment"
        ) from None


def _fingerprint(key: asyncssh.SSHKey) -> str:
    return f"{key.get_algorithm()} {key.get_fingerprint()}"
