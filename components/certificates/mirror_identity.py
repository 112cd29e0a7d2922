"""The nodes' identity at the mirror port."""

from __future__ import annotations

import pulumi
import pulumi_tls as tls

from components.certificates.component import CA_HOURS, CURVE, RENEW_BEFORE_HOURS
from config.model.stack import Settings


class MirrorIdentity(pulumi.ComponentResource):
    """One certificate for all nodes, which mirrors cannot ask for a password.

    It signs itself: replicas and caches let in every client of the stack's CA, and this one may only read caches.
    """

    certificate: pulumi.Output[str]
    key: pulumi.Output[str]

    def __init__(self, name: str, settings: Settings, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:certificates:MirrorIdentity", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        key = tls.PrivateKey(f"{name}-key", algorithm="ECDSA", ecdsa_curve=CURVE, opts=child)
        self.key = key.private_key_pem
        self.certificate = tls.SelfSignedCert(
            f"{name}-certificate",
            private_key_pem=self.key,
            subject=tls.SelfSignedCertSubjectArgs(common_name=f"Berth {settings.stack} nodes", organization="Berth"),
            validity_period_hours=CA_HOURS,
            early_renewal_hours=RENEW_BEFORE_HOURS,
            allowed_uses=["digital_signature", "client_auth"],
            set_subject_key_id=True,
            opts=child,
        ).cert_pem
        self.register_outputs({})
