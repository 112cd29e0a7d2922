"""A CA and its certificates, made as the program makes them: elliptic keys, names and addresses."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime.datetime.now(datetime.UTC)


@dataclass(frozen=True)
class Issued:
    """A key and its certificate, both PEM."""

    key: str
    certificate: str


class Authority:
    """One CA."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "front test CA")])
        made = _builder(self._name, self._name, self._key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self.certificate = _pem(made.sign(self._key, hashes.SHA256()))

    def issue(self, *names: str, client: bool = False) -> Issued:
        """A leaf for these names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = _leaf(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]), self._name, key, names, client)
        return Issued(_key_pem(key), _pem(made.sign(self._key, hashes.SHA256())))


def self_signed(name: str) -> Issued:
    """A client's certificate that no CA signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    return Issued(_key_pem(key), _pem(_leaf(subject, subject, key, [name], True).sign(key, hashes.SHA256())))


def _leaf(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, names: Sequence[str], client: bool
) -> x509.CertificateBuilder:
    use = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
    no = dict.fromkeys(
        (
            *("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign"),
            *("crl_sign", "encipher_only", "decipher_only"),
        ),
        False,
    )
    return (
        _builder(subject, issuer, key.public_key())
        .add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
        .add_extension(x509.KeyUsage(digital_signature=True, **no), critical=True)
        .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
    )


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - datetime.timedelta(hours=1))
        .not_valid_after(NOW + datetime.timedelta(days=1))
    )


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
