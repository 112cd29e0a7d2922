"""Kolla's passwords, each derived from one secret: nothing to merge, and a new release's keys change no old one.

A password is HKDF-SHA256 of the stack's secret with the key's name. What comes out must never change: a changed rule
would lock Kolla out of its own databases.
"""

from __future__ import annotations

import base64
import string
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

LENGTH = 40
"""Letters and digits of a password, as kolla-genpwd has them."""

# What kolla-genpwd makes of which keys; a test compares with the installed release.
UUIDS = frozenset(
    {
        "rbd_secret_uuid",
        "cinder_rbd_secret_uuid",
        "gnocchi_project_id",
        "gnocchi_resource_id",
        "gnocchi_user_id",
        "designate_pool_id",
    }
)
SSH_KEYS = frozenset(
    {
        "kolla_ssh_key",
        "nova_ssh_key",
        "keystone_ssh_key",
        "bifrost_ssh_key",
        "octavia_amp_ssh_key",
        "neutron_ssh_key",
        "haproxy_ssh_key",
    }
)
HMAC_KEYS = frozenset({"designate_rndc_key", "osprofiler_secret"})
FERNET_KEYS = frozenset({"barbican_crypto_key"})
BCRYPT_SALTS = frozenset({"prometheus_bcrypt_salt"})
GIVEN = frozenset({"docker_registry_password"})
"""Not made at all: somebody else's."""

_ALPHABET = string.ascii_letters + string.digits


def password(secret: str, key: str) -> Any:
    """The value of one key of passwords.yml: text, or public and private key."""
    if key in UUIDS:
        return str(uuid.UUID(bytes=_bytes(secret, key, 16), version=4))
    if key in SSH_KEYS:
        return _ssh_key(secret, key)
    if key in HMAC_KEYS:
        return _bytes(secret, key, 16).hex()
    if key in FERNET_KEYS:
        return base64.urlsafe_b64encode(_bytes(secret, key, 32)).decode()
    if key in BCRYPT_SALTS:
        # bcrypt reads 128 bits out of 22 letters: the last one carries two of them and must leave the others empty.
        return _letters(secret, key, 21) + "."
    return _letters(secret, key, LENGTH)


def passwords(secret: str, sample: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, Any]:
    """All of passwords.yml: a value for each key of the release's own file; `given` are somebody else's."""
    return {key: given.get(key) if key in GIVEN else value or password(secret, key) for key, value in _filled(sample)}


def _filled(sample: Mapping[str, Any]) -> Iterable[tuple[str, Any]]:
    """The release's keys, with the few values that it brings itself."""
    for key, value in sample.items():
        yield key, None if isinstance(value, dict) else value


def _bytes(secret: str, key: str, length: int) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), length, salt=b"berth kolla 1", info=key.encode()).derive(secret.encode())


def _letters(secret: str, key: str, count: int) -> str:
    # Many more bits than the text has, so that no letter is likelier than another by anything that matters.
    number = int.from_bytes(_bytes(secret, key, count + 16))
    letters = []
    for _ in range(count):
        number, index = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[index])
    return "".join(letters)


def _ssh_key(secret: str, key: str) -> dict[str, str]:
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    own = Ed25519PrivateKey.from_private_bytes(_bytes(secret, key, 32))
    # PKCS 8: OpenSSH's own format holds a random number, and would be another text each time.
    private = own.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()).decode()
    public = own.public_key().public_bytes(s.Encoding.OpenSSH, s.PublicFormat.OpenSSH).decode()
    return {"private_key": private, "public_key": public}
