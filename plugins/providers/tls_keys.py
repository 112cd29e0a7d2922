"""Private keys in the spellings that the `tls` package gives them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from plugins.interface import ProviderError

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
CURVES: dict[str, Callable[[], ec.EllipticCurve]] = {
    "P224": ec.SECP224R1,
    "P256": ec.SECP256R1,
    "P384": ec.SECP384R1,
    "P521": ec.SECP521R1,
}
ALGORITHMS = ("RSA", "ECDSA", "ED25519")


def generate(algorithm: str, curve: str, bits: int) -> PrivateKey:
    """A new key."""
    if algorithm == "RSA":
        return rsa.generate_private_key(65537, bits)
    if algorithm == "ECDSA":
        return ec.generate_private_key(CURVES[curve]())
    return ed25519.Ed25519PrivateKey.generate()


def parse(pem: str, what: str) -> PrivateKey:
    """The key in a PEM text; `what` names the property for the error."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), None)
    except (ValueError, TypeError):
        key = None
    if isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        return key
    raise ProviderError(f"{what} is not a PEM private key (RSA, ECDSA or ED25519, without a password)")


def algorithm(key: PrivateKey) -> str:
    """The key's kind in Terraform's words."""
    if isinstance(key, rsa.RSAPrivateKey):
        return "RSA"
    return "ECDSA" if isinstance(key, ec.EllipticCurvePrivateKey) else "ED25519"


def signature_hash(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    """The hash that goes with a key's signatures."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    size = key.key_size if isinstance(key, ec.EllipticCurvePrivateKey) else 0
    if size > 384:
        return hashes.SHA512()
    return hashes.SHA384() if size == 384 else hashes.SHA256()


def spellings(key: PrivateKey) -> dict[str, str]:
    """All texts that a PrivateKey resource has as outputs."""
    traditional = (
        PrivateFormat.PKCS8 if isinstance(key, ed25519.Ed25519PrivateKey) else PrivateFormat.TraditionalOpenSSL
    )
    public = key.public_key()
    texts = {
        "privateKeyPem": _private(key, traditional),
        "privateKeyPemPkcs8": _private(key, PrivateFormat.PKCS8),
        "publicKeyPem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
        "privateKeyOpenssh": "",
        "publicKeyOpenssh": "",
        "publicKeyFingerprintMd5": "",
        "publicKeyFingerprintSha256": "",
    }
    if not (isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP224R1)):  # unknown to OpenSSH
        texts |= {
            "privateKeyOpenssh": _private(key, PrivateFormat.OpenSSH),
            "publicKeyOpenssh": public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() + "\n",
            "publicKeyFingerprintMd5": _md5(public),
            "publicKeyFingerprintSha256": "SHA256:" + _sha256(public),
        }
    texts["id"] = hashlib.sha1(texts["publicKeyPem"].strip().encode(), usedforsecurity=False).hexdigest()
    return texts


def _private(key: PrivateKey, form: PrivateFormat) -> str:
    return key.private_bytes(Encoding.PEM, form, NoEncryption()).decode()


def _md5(public: PublicKey) -> str:
    return serialization.ssh_key_fingerprint(public, hashes.MD5()).hex(":")


def _sha256(public: PublicKey) -> str:
    return base64.b64encode(serialization.ssh_key_fingerprint(public, hashes.SHA256())).decode().rstrip("=")
