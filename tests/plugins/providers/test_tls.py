"""Keys and certificates: their texts, what they certify, and when they are renewed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncssh
import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from plugins.interface import Provider, ProviderError
from tests.plugins.providers.conftest import Made, context, make

KEY = "tls:index/privateKey:PrivateKey"
CA = "tls:index/selfSignedCert:SelfSignedCert"
REQUEST = "tls:index/certRequest:CertRequest"
LEAF = "tls:index/locallySignedCert:LocallySignedCert"
Configured = Callable[..., Provider]


def authority(tls: Provider, **changes: Any) -> tuple[Made, Made]:
    key = make(tls, KEY, "ca-key", algorithm="ECDSA", ecdsaCurve="P256")
    settings = {
        "privateKeyPem": key.outputs["privateKeyPem"],
        "subject": {"commonName": "Test CA", "organization": "Berth"},
        "isCaCertificate": True,
        "validityPeriodHours": 24,
        "allowedUses": ["cert_signing", "crl_signing", "digital_signature"],
        **changes,
    }
    return key, make(tls, CA, "ca", **settings)


def leaf(tls: Provider, key: Made, ca: Made, **changes: Any) -> Made:
    own = make(tls, KEY, "key", algorithm="ECDSA", ecdsaCurve="P256")
    request = make(
        tls,
        REQUEST,
        "request",
        privateKeyPem=own.outputs["privateKeyPem"],
        subject={"commonName": "registry.test"},
        dnsNames=["registry.test"],
        ipAddresses=["10.0.0.9"],
    )
    settings = {
        "caCertPem": ca.outputs["certPem"],
        "caPrivateKeyPem": key.outputs["privateKeyPem"],
        "certRequestPem": request.outputs["certRequestPem"],
        "validityPeriodHours": 12,
        "allowedUses": ["digital_signature", "server_auth"],
        **changes,
    }
    return make(tls, LEAF, "leaf", **settings)


def test_an_ed25519_key_has_every_spelling_of_the_same_key(provider: Configured) -> None:
    outputs = make(provider("tls"), KEY, "k", algorithm="ED25519").outputs
    key = asyncssh.import_private_key(outputs["privateKeyOpenssh"])
    assert key.export_public_key().decode().split()[:2] == outputs["publicKeyOpenssh"].split()
    assert outputs["publicKeyOpenssh"].endswith("\n")
    assert outputs["privateKeyPem"] == outputs["privateKeyPemPkcs8"]
    assert outputs["publicKeyFingerprintSha256"] == key.get_fingerprint()
    assert outputs["publicKeyFingerprintMd5"] == key.get_fingerprint("md5").removeprefix("MD5:")
    assert (outputs["ecdsaCurve"], outputs["rsaBits"]) == ("P224", 2048)
    assert outputs["id"] == hashlib.sha1(outputs["publicKeyPem"].strip().encode()).hexdigest()


@pytest.mark.parametrize(("algorithm", "heading"), [("RSA", "RSA PRIVATE KEY"), ("ECDSA", "EC PRIVATE KEY")])
def test_older_kinds_of_keys_are_written_in_their_traditional_form(
    provider: Configured, algorithm: str, heading: str
) -> None:
    outputs = make(provider("tls"), KEY, "k", algorithm=algorithm, ecdsaCurve="P384").outputs
    assert outputs["privateKeyPem"].startswith(f"-----BEGIN {heading}-----")
    assert outputs["privateKeyPemPkcs8"].startswith("-----BEGIN PRIVATE KEY-----")


def test_private_keys_are_secret_outputs(provider: Configured) -> None:
    tls = provider("tls")
    assert tls.secret_outputs(KEY) == {"privateKeyPem", "privateKeyPemPkcs8", "privateKeyOpenssh"}
    assert tls.check(CA, "urn", None, {"privateKeyPem": "x"}).secrets == {"privateKeyPem"}


def test_a_certificate_of_the_authority_is_accepted_for_its_names(provider: Configured) -> None:
    tls = provider("tls")
    key, ca = authority(tls, setSubjectKeyId=True, setAuthorityKeyId=True)
    certificate = x509.load_pem_x509_certificate(leaf(tls, key, ca).outputs["certPem"].encode())
    store = Store([x509.load_pem_x509_certificate(ca.outputs["certPem"].encode())])
    verifier = PolicyBuilder().store(store).build_server_verifier(x509.DNSName("registry.test"))
    assert len(verifier.verify(certificate, [])) == 2


def test_a_certificate_is_replaced_in_its_renewal_period(provider: Configured) -> None:
    tls = provider("tls")
    key, ca = authority(tls)
    made = leaf(tls, key, ca, earlyRenewalHours=6)
    assert made.diff().is_empty
    made.outputs["validityEndTime"] = f"{datetime.now(UTC) + timedelta(hours=5):%Y-%m-%dT%H:%M:%S.123456789Z}"
    assert made.diff().replace == ("readyForRenewal",)
    read = made.read()
    assert read is not None
    assert read.outputs["readyForRenewal"] is True


def test_a_longer_renewal_period_is_only_remembered(provider: Configured) -> None:
    tls = provider("tls")
    key, ca = authority(tls)
    made = leaf(tls, key, ca)
    assert made.diff(earlyRenewalHours=2).changed == ("earlyRenewalHours",)
    assert made.diff(earlyRenewalHours=2).replace == ()
    news = {**made.inputs, "earlyRenewalHours": 2}
    assert (
        tls.update(LEAF, "id", made.inputs, made.outputs, news, context("leaf"))["certPem"] == made.outputs["certPem"]
    )


def test_a_key_that_is_not_the_authoritys_is_refused(provider: Configured) -> None:
    tls = provider("tls")
    _, ca = authority(tls)
    other = make(tls, KEY, "other", algorithm="ED25519")
    with pytest.raises(ProviderError, match="does not belong to caCertPem"):
        leaf(tls, other, ca)


def test_a_wrong_value_is_named_before_anything_is_made(provider: Configured) -> None:
    checked = provider("tls").check(KEY, "urn", None, {"algorithm": "DSA", "bits": 1})
    assert {failure.property for failure in checked.failures} == {"algorithm", "bits"}
