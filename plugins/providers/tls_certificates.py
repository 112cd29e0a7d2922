"""Certificates and requests, built as the `tls` package's Terraform provider builds them."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from plugins.interface import ProviderError
from plugins.providers.tls_keys import PrivateKey, PublicKey, signature_hash

KEY_USES = {
    "digital_signature": "digital_signature",
    "content_commitment": "content_commitment",
    "key_encipherment": "key_encipherment",
    "data_encipherment": "data_encipherment",
    "key_agreement": "key_agreement",
    "cert_signing": "key_cert_sign",
    "crl_signing": "crl_sign",
    "encipher_only": "encipher_only",
    "decipher_only": "decipher_only",
}
EXTENDED_USES = {
    "any_extended": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "server_auth": ExtendedKeyUsageOID.SERVER_AUTH,
    "client_auth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "code_signing": ExtendedKeyUsageOID.CODE_SIGNING,
    "email_protection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "ipsec_end_system": ObjectIdentifier("1.3.6.1.5.5.7.3.5"),
    "ipsec_tunnel": ObjectIdentifier("1.3.6.1.5.5.7.3.6"),
    "ipsec_user": ObjectIdentifier("1.3.6.1.5.5.7.3.7"),
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocsp_signing": ExtendedKeyUsageOID.OCSP_SIGNING,
    "microsoft_server_gated_crypto": ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
    "netscape_server_gated_crypto": ObjectIdentifier("2.16.840.1.113730.4.1"),
    "microsoft_commercial_code_signing": ObjectIdentifier("1.3.6.1.4.1.311.2.1.22"),
    "microsoft_kernel_code_signing": ObjectIdentifier("1.3.6.1.4.1.311.61.1.1"),
}
# In the order in which Go writes them into a name.
_NAME_PARTS = {
    "country": NameOID.COUNTRY_NAME,
    "organization": NameOID.ORGANIZATION_NAME,
    "organizationalUnit": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "locality": NameOID.LOCALITY_NAME,
    "province": NameOID.STATE_OR_PROVINCE_NAME,
    "streetAddresses": NameOID.STREET_ADDRESS,
    "postalCode": NameOID.POSTAL_CODE,
    "commonName": NameOID.COMMON_NAME,
    "serialNumber": NameOID.SERIAL_NUMBER,
    "emailAddress": NameOID.EMAIL_ADDRESS,
}
SUBJECT = tuple(_NAME_PARTS)


def subject_name(subject: Mapping[str, Any] | None) -> x509.Name:
    """The distinguished name for a `subject` input."""
    parts = []
    for key, oid in _NAME_PARTS.items():
        value = (subject or {}).get(key)
        values = value if isinstance(value, list) else [value] if value else []
        parts += [x509.NameAttribute(oid, text) for text in values]
    return x509.Name(parts)


def alternative_names(inputs: Mapping[str, Any]) -> x509.SubjectAlternativeName | None:
    """The names and addresses that the inputs list."""
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in inputs.get("dnsNames") or []]
    for text in inputs.get("ipAddresses") or []:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(text)))
        except ValueError:
            raise ProviderError(f"ipAddresses: {text!r} is no IP address") from None
    names += [x509.UniformResourceIdentifier(uri) for uri in inputs.get("uris") or []]
    return x509.SubjectAlternativeName(names) if names else None


def request_pem(key: PrivateKey, inputs: Mapping[str, Any]) -> str:
    """A signing request."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject_name(inputs.get("subject")))
    names = alternative_names(inputs)
    if names:
        builder = builder.add_extension(names, critical=False)
    return builder.sign(key, signature_hash(key)).public_bytes(Encoding.PEM).decode()


def issue(
    inputs: Mapping[str, Any],
    subject: x509.Name,
    names: x509.SubjectAlternativeName | None,
    public: PublicKey,
    key: PrivateKey,
    issuer: x509.Certificate | None,
) -> dict[str, Any]:
    """The outputs of a new certificate; without an issuer it signs itself."""
    is_ca = bool(inputs.get("isCaCertificate"))
    if is_ca and not list(subject):
        raise ProviderError("subject must have at least one part in a CA certificate; set commonName")
    start = datetime.now(UTC).replace(microsecond=0)
    end = start + timedelta(hours=int(inputs["validityPeriodHours"]))
    serial = x509.random_serial_number()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(public)
        .serial_number(serial)
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(is_ca, _path_length(inputs) if is_ca else None), critical=True)
    )
    for extension, critical in _extensions(inputs, names, public, issuer, is_ca):
        builder = builder.add_extension(extension, critical=critical)
    certificate = builder.sign(key, signature_hash(key))
    return {
        "certPem": certificate.public_bytes(Encoding.PEM).decode(),
        "validityStartTime": _time(start),
        "validityEndTime": _time(end),
        "readyForRenewal": False,
        "id": str(serial),
    }


def _path_length(inputs: Mapping[str, Any]) -> int | None:
    length = inputs.get("maxPathLength")
    return None if length is None or length < 0 else int(length)


def _extensions(
    inputs: Mapping[str, Any],
    names: x509.SubjectAlternativeName | None,
    public: PublicKey,
    issuer: x509.Certificate | None,
    is_ca: bool,
) -> list[tuple[x509.ExtensionType, bool]]:
    uses = inputs.get("allowedUses") or []
    found: list[tuple[x509.ExtensionType, bool]] = []
    basic = {KEY_USES[use] for use in uses if use in KEY_USES}
    if basic:
        found.append((x509.KeyUsage(**{name: name in basic for name in KEY_USES.values()}), True))
    extended = [EXTENDED_USES[use] for use in uses if use in EXTENDED_USES]
    if extended:
        found.append((x509.ExtendedKeyUsage(extended), False))
    own_id = x509.SubjectKeyIdentifier.from_public_key(public)
    if is_ca or inputs.get("setSubjectKeyId"):
        found.append((own_id, False))
    issuer_id = own_id if issuer is None and inputs.get("setAuthorityKeyId") else _key_id(issuer)
    if issuer_id:
        found.append((x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_id), False))
    if names:
        found.append((names, False))
    return found


def _key_id(issuer: x509.Certificate | None) -> x509.SubjectKeyIdentifier | None:
    if issuer is None:
        return None
    try:
        return issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return None


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
