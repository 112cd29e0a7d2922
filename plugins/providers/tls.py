"""`tls`: keys and certificates, made once and then remembered; certificates are replaced when they come of age."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from plugins.interface import Context, Created, Diff, Properties, ProviderError
from plugins.providers import tls_certificates as certificates
from plugins.providers import tls_keys as keys
from plugins.providers.base import Resource, ResourceType, TypedPackage, TypedProvider
from plugins.providers.schema import Prop

_TEXT = Prop(replace=True)
_TEXTS = Prop("list", of=Prop(), replace=True)
_FLAG = Prop("flag", replace=True)
_KEY = Prop(required=True, replace=True, secret=True)
_SUBJECT = Prop(
    "object",
    replace=True,
    fields={name: Prop("list", of=Prop()) if name == "streetAddresses" else Prop() for name in certificates.SUBJECT},
)
_USES = Prop(allowed=(*certificates.KEY_USES, *certificates.EXTENDED_USES))
_CERTIFICATE: dict[str, Prop] = {
    "allowedUses": Prop("list", of=_USES, required=True, replace=True),
    "validityPeriodHours": Prop("whole", required=True, replace=True),
    "earlyRenewalHours": Prop("whole"),
    "isCaCertificate": _FLAG,
    "maxPathLength": Prop("whole", replace=True),
    "setSubjectKeyId": _FLAG,
}
_NAMES: dict[str, Prop] = {"subject": _SUBJECT, "dnsNames": _TEXTS, "ipAddresses": _TEXTS, "uris": _TEXTS}
_UNSET = {"earlyRenewalHours": 0, "isCaCertificate": False, "setSubjectKeyId": False}


class PrivateKey(Resource):
    """A private key; it never changes."""

    type = ResourceType(
        "tls:index/privateKey:PrivateKey",
        {
            "algorithm": Prop(required=True, replace=True, allowed=keys.ALGORITHMS),
            "ecdsaCurve": Prop(replace=True, allowed=tuple(keys.CURVES)),
            "rsaBits": Prop("whole", replace=True),
        },
        computed=(
            "privateKeyPem",
            "privateKeyPemPkcs8",
            "privateKeyOpenssh",
            "publicKeyPem",
            "publicKeyOpenssh",
            "publicKeyFingerprintMd5",
            "publicKeyFingerprintSha256",
        ),
        marks_defaults=False,
        secret_outputs=frozenset({"privateKeyPem", "privateKeyPemPkcs8", "privateKeyOpenssh"}),
    )

    def create(self, inputs: Properties, context: Context) -> Created:
        settings = {"ecdsaCurve": "P224", "rsaBits": 2048, **inputs}
        key = keys.generate(settings["algorithm"], settings["ecdsaCurve"], int(settings["rsaBits"]))
        texts = keys.spellings(key)
        return Created(texts["id"], {**settings, **texts})


class CertRequest(Resource):
    """A signing request."""

    type = ResourceType(
        "tls:index/certRequest:CertRequest",
        {**_NAMES, "privateKeyPem": _KEY},
        computed=("certRequestPem", "keyAlgorithm"),
        marks_defaults=False,
        secret_outputs=frozenset({"privateKeyPem"}),
    )

    def create(self, inputs: Properties, context: Context) -> Created:
        key = keys.parse(inputs["privateKeyPem"], "privateKeyPem")
        pem = certificates.request_pem(key, inputs)
        der = x509.load_pem_x509_csr(pem.encode()).public_bytes(Encoding.DER)
        id_ = hashlib.sha1(der.strip(), usedforsecurity=False).hexdigest()
        outputs = {"certRequestPem": pem, "keyAlgorithm": keys.algorithm(key), "id": id_}
        return Created(id_, {**inputs, **outputs})


class _Certificate(Resource):
    """Renewal: a certificate within its renewal period is replaced by the next `up`."""

    def diff(self, id_: str, old_inputs: Properties, old_outputs: Properties, news: Properties) -> Diff:
        diff = super().diff(id_, old_inputs, old_outputs, news)
        if not _is_due(old_outputs, news):
            return diff
        return Diff((*diff.changed, "readyForRenewal"), (*diff.replace, "readyForRenewal"))

    def read(self, id_: str, inputs: Properties, outputs: Properties) -> Created | None:
        return Created(id_, {**outputs, "readyForRenewal": True} if _is_due(outputs, outputs) else outputs)


def _is_due(outputs: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    end = outputs.get("validityEndTime")
    early = settings.get("earlyRenewalHours") or 0
    if not isinstance(end, str) or not isinstance(early, int | float):
        return False
    return datetime.now(UTC) >= datetime.fromisoformat(end) - timedelta(hours=early)


class SelfSignedCert(_Certificate):
    """A certificate that signs itself, such as a CA."""

    type = ResourceType(
        "tls:index/selfSignedCert:SelfSignedCert",
        {**_CERTIFICATE, **_NAMES, "privateKeyPem": _KEY, "setAuthorityKeyId": _FLAG},
        computed=("certPem", "keyAlgorithm", "readyForRenewal", "validityStartTime", "validityEndTime"),
        marks_defaults=False,
        secret_outputs=frozenset({"privateKeyPem"}),
    )

    def create(self, inputs: Properties, context: Context) -> Created:
        key = keys.parse(inputs["privateKeyPem"], "privateKeyPem")
        subject = certificates.subject_name(inputs.get("subject"))
        names = certificates.alternative_names(inputs)
        issued = certificates.issue(inputs, subject, names, key.public_key(), key, None)
        settings = {**_UNSET, "setAuthorityKeyId": False, **inputs}
        return Created(issued["id"], {**settings, **issued, "keyAlgorithm": keys.algorithm(key)})


class LocallySignedCert(_Certificate):
    """A certificate that a CA of the program signs."""

    type = ResourceType(
        "tls:index/locallySignedCert:LocallySignedCert",
        {
            **_CERTIFICATE,
            "caCertPem": Prop(required=True, replace=True),
            "caPrivateKeyPem": _KEY,
            "certRequestPem": Prop(required=True, replace=True),
        },
        computed=("certPem", "caKeyAlgorithm", "readyForRenewal", "validityStartTime", "validityEndTime"),
        marks_defaults=False,
        secret_outputs=frozenset({"caPrivateKeyPem"}),
    )

    def create(self, inputs: Properties, context: Context) -> Created:
        key = keys.parse(inputs["caPrivateKeyPem"], "caPrivateKeyPem")
        try:
            issuer = x509.load_pem_x509_certificate(inputs["caCertPem"].encode())
            request = x509.load_pem_x509_csr(inputs["certRequestPem"].encode())
        except ValueError:
            raise ProviderError("caCertPem and certRequestPem must be a PEM certificate and a PEM request") from None
        if issuer.public_key() != key.public_key():
            raise ProviderError("caPrivateKeyPem does not belong to caCertPem; give the CA's own key")
        try:
            names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            names = None
        public = request.public_key()
        if not isinstance(public, keys.PublicKey):
            raise ProviderError("certRequestPem holds a kind of key other than RSA, ECDSA or ED25519")
        issued = certificates.issue(inputs, request.subject, names, public, key, issuer)
        return Created(issued["id"], {**_UNSET, **inputs, **issued, "caKeyAlgorithm": keys.algorithm(key)})


def package() -> TypedPackage:
    """The `tls` package."""
    resources: list[type[Resource]] = [PrivateKey, CertRequest, SelfSignedCert, LocallySignedCert]

    def make(config: Properties) -> TypedProvider:
        return TypedProvider([resource() for resource in resources])

    return TypedPackage("tls", make, tuple(resource.type for resource in resources))
