"""The stack's CAs; each service on each node has a key and a certificate of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_tls as tls

from components.certificates.pem import Pem
from config.model.stack import Settings

CA_HOURS = 10 * 365 * 24
LEAF_HOURS = 365 * 24
RENEW_BEFORE_HOURS = 30 * 24
CURVE = "P256"


@dataclass(frozen=True)
class Certificate:
    """A private key and the certificate for it, both PEM."""

    key: pulumi.Output[str]
    certificate: pulumi.Output[str]


class CertificateAuthority(pulumi.ComponentResource):
    """A CA of the stack's own, valid for ten years."""

    certificate: pulumi.Output[str]
    """The CA's certificate, PEM."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        common_name: str,
        *,
        outlives_services: bool = False,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """`outlives_services`: clients trust it for years, so that outside a lab `down` leaves it."""
        super().__init__("berth:certificates:CertificateAuthority", name, None, opts)
        protect = outlives_services and settings.lab is None
        child = pulumi.ResourceOptions(parent=self, protect=protect or None)
        self._key = tls.PrivateKey(f"{name}-key", algorithm="ECDSA", ecdsa_curve=CURVE, opts=child)
        self._root = tls.SelfSignedCert(
            f"{name}-certificate",
            private_key_pem=self._key.private_key_pem,
            subject=tls.SelfSignedCertSubjectArgs(
                common_name=f"Berth {settings.stack} {common_name}", organization="Berth"
            ),
            is_ca_certificate=True,
            set_subject_key_id=True,
            validity_period_hours=CA_HOURS,
            allowed_uses=["cert_signing", "crl_signing"],
            opts=child,
        )
        self.certificate = self._root.cert_pem
        self.register_outputs({"certificate": self.certificate})

    def pem(self, certificate: Certificate) -> pulumi.Output[Pem]:
        """A certificate with its key and the CA, ready to be written to files."""
        return pulumi.Output.all(self.certificate, certificate.key, certificate.certificate).apply(
            lambda known: Pem(*known)
        )

    def issue(
        self,
        name: str,
        *,
        common_name: str,
        dns_names: Sequence[str] = (),
        addresses: Sequence[str] = (),
        uses: Sequence[str] = ("digital_signature", "server_auth"),
        parent: pulumi.Resource,
    ) -> Certificate:
        """A key and a certificate for one service on one node, renewed by `up` in its last thirty days."""
        child = pulumi.ResourceOptions(parent=parent)
        key = tls.PrivateKey(f"{name}-key", algorithm="ECDSA", ecdsa_curve=CURVE, opts=child)
        request = tls.CertRequest(
            f"{name}-request",
            private_key_pem=key.private_key_pem,
            subject=tls.CertRequestSubjectArgs(common_name=common_name, organization="Berth"),
            dns_names=list(dns_names),
            ip_addresses=list(addresses),
            opts=child,
        )
        leaf = tls.LocallySignedCert(
            f"{name}-certificate",
            cert_request_pem=request.cert_request_pem,
            ca_private_key_pem=self._key.private_key_pem,
            ca_cert_pem=self.certificate,
            validity_period_hours=LEAF_HOURS,
            early_renewal_hours=RENEW_BEFORE_HOURS,
            allowed_uses=list(uses),
            set_subject_key_id=True,
            opts=child,
        )
        return Certificate(key=key.private_key_pem, certificate=leaf.cert_pem)
