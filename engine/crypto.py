"""The passphrase secrets provider: AES-256-GCM under a key that PBKDF2 makes of passphrase and salt."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from threading import Thread

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from engine.errors import EngineError

ITERATIONS = 1_000_000


def passphrase_from_environment() -> str:
    """The passphrase as the CLI finds it; an empty one counts when it is set."""
    text = os.environ.get("PULUMI_CONFIG_PASSPHRASE")
    if text:
        return text
    file = os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE")
    if file:
        try:
            return Path(file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise EngineError(f"PULUMI_CONFIG_PASSPHRASE_FILE: cannot read {file}: {error.strerror}") from None
    if text is None:
        raise EngineError("the passphrase is missing: set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE")
    return text


class Cipher:
    """Encrypts and decrypts with one key."""

    def __init__(self, passphrase: str, salt: bytes) -> None:
        self._aead = AESGCM(hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, ITERATIONS, 32))

    def encrypt(self, text: str) -> str:
        """`v1:nonce:ciphertext`, each in base64."""
        nonce = os.urandom(12)
        return f"v1:{_b64(nonce)}:{_b64(self._aead.encrypt(nonce, text.encode(), None))}"

    def decrypt(self, text: str) -> str:
        """The text again, or an error when key and ciphertext do not belong together."""
        try:
            version, nonce, body = text.split(":")
            if version != "v1":
                raise ValueError
            return self._aead.decrypt(base64.b64decode(nonce), base64.b64decode(body), None).decode()
        except (ValueError, InvalidTag):
            raise EngineError("a secret cannot be decrypted: incorrect passphrase, or the value was damaged") from None


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def new_salt(passphrase: str) -> str:
    """A fresh salt in the form of `encryptionsalt`: the salt and a value to try a passphrase on."""
    salt = os.urandom(8)
    return f"v1:{_b64(salt)}:{Cipher(passphrase, salt).encrypt('pulumi')}"


class Crypter:
    """A cipher whose key, half a second of work, is derived beside the start of the program and only when needed."""

    def __init__(self, salt: str | None, passphrase: Callable[[], str] = passphrase_from_environment) -> None:
        self.salt = salt
        self._passphrase = passphrase
        self._pending: Future[Cipher] | None = None
        self._cipher: Cipher | None = None

    def start(self) -> None:
        """Begin to derive the key."""
        if self._pending is None:
            self._pending = Future()
            Thread(target=self._derive, args=(self._pending,), daemon=True).start()

    def _derive(self, result: Future[Cipher]) -> None:
        try:
            result.set_result(_open(self.salt, self._passphrase()))
        except Exception as error:
            result.set_exception(error)

    def _ready(self) -> Cipher:
        if self._cipher is None:
            self.start()
            assert self._pending is not None
            self._cipher = self._pending.result()
        return self._cipher

    def check(self) -> None:
        """Fail now if the passphrase is missing or wrong."""
        self._ready()

    def encrypt(self, text: str) -> str:
        """See `Cipher.encrypt`."""
        return self._ready().encrypt(text)

    def decrypt(self, text: str) -> str:
        """See `Cipher.decrypt`."""
        return self._ready().decrypt(text)


def _open(salt: str | None, passphrase: str) -> Cipher:
    if not salt:
        raise EngineError("the stack has no encryptionsalt; create the stack again with `stack init`")
    try:
        version, encoded, check = salt.split(":", 2)
        cipher = Cipher(passphrase, base64.b64decode(encoded))
    except ValueError:
        raise EngineError("encryptionsalt is not of the form v1:salt:check") from None
    if version != "v1":
        raise EngineError(f"encryptionsalt: version {version!r} is not known, only v1")
    try:
        right = cipher.decrypt(check) == "pulumi"
    except EngineError:
        right = False
    if not right:
        raise EngineError("incorrect passphrase")
    return cipher
