"""Files that a stack's passphrase opens: AES-256-GCM under a key that scrypt makes of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from operations.errors import BerthError

SUFFIX = ".sealed"
_HEAD = b"berth-sealed-1\n"
_SALT, _NONCE = 16, 12
# 64 MiB and a fifth of a second for each guess.
_COST, _BLOCK, _LANES = 2**16, 8, 1


def passphrase(environment: Mapping[str, str]) -> str:
    """The stack's passphrase where Pulumi looks for it; raises BerthError where there is none."""
    text = environment.get("PULUMI_CONFIG_PASSPHRASE")
    file = environment.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    if text or not file:
        if text is None:
            raise BerthError(
                "The passphrase is missing, with which the export is encrypted: set PULUMI_CONFIG_PASSPHRASE_FILE to a "
                "file that holds it. A stack with another secrets provider has none: name a file with a long random "
                "text that you keep where that provider's keys are."
            )
        return text
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BerthError(f"PULUMI_CONFIG_PASSPHRASE_FILE: {file} cannot be read: {error.strerror}.") from None


def seal(content: bytes, passphrase: str) -> bytes:
    """The content so that only the passphrase opens it."""
    salt, nonce = os.urandom(_SALT), os.urandom(_NONCE)
    return _HEAD + salt + nonce + _cipher(passphrase, salt).encrypt(nonce, content, _HEAD)


def unseal(sealed: bytes, passphrase: str) -> bytes:
    """What was sealed; raises BerthError for another passphrase and for what was damaged."""
    if not sealed.startswith(_HEAD):
        raise BerthError("it is no file that Berth has sealed.")
    rest = sealed[len(_HEAD) :]
    salt, nonce, body = rest[:_SALT], rest[_SALT : _SALT + _NONCE], rest[_SALT + _NONCE :]
    try:
        return _cipher(passphrase, salt).decrypt(nonce, body, _HEAD)
    except (InvalidTag, ValueError):
        raise BerthError("it was sealed with another passphrase, or damaged since.") from None


def write(path: Path, content: bytes) -> Path:
    """A new file for its owner only."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    return path


def _cipher(passphrase: str, salt: bytes) -> AESGCM:
    return AESGCM(Scrypt(salt, 32, _COST, _BLOCK, _LANES).derive(passphrase.encode()))
