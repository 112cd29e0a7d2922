"""The nodes' identity at the mirror port, and the files that their engines read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi
import pulumi_tls as tls

from components.certificates.component import CA_HOURS, CURVE, RENEW_BEFORE_HOURS
from components.registry_client.args import RegistryClientsArgs
from components.registry_client.render import STAGE, Identity, entries
from components.remote import Entry, host_state
from config.model.stack import Settings

SCRIPT = Path(__file__).parent / "scripts" / "client.sh"


class MirrorIdentity(pulumi.ComponentResource):
    """One certificate for all nodes, which mirrors cannot ask for a password.

    It signs itself: replicas and caches let in every client of the stack's CA, and this one may only read caches.
    """

    certificate: pulumi.Output[str]
    key: pulumi.Output[str]

    def __init__(self, name: str, settings: Settings, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:registry-client:MirrorIdentity", name, None, opts)
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


class RegistryClients(pulumi.ComponentResource):
    """Login and ways on every node; engines read them on each pull, so nothing is reloaded."""

    def __init__(self, name: str, args: RegistryClientsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:registry-client:RegistryClients", name, None, opts)
        settings = args.settings
        user = settings.registry.node_user
        if user or settings.registry.upstreams:
            known = pulumi.Output.all(
                args.authority.certificate,
                args.mirror.certificate,
                args.mirror.key,
                args.accounts.account(user).password if user else None,
            )

            def render(values: list[Any]) -> list[Entry]:
                ca, certificate, key, password = values
                return entries(settings, ca, Identity(certificate, key), password)

            for on in args.daemons.on(args.nodes.all):
                host_state(
                    f"{name}-{on.node.name}",
                    stack=settings.stack,
                    stage=STAGE,
                    node=on.node,
                    entries=known.apply(render),
                    scripts=[SCRIPT],
                    opts=on.node.options(self, on.ready, args.balancer.ready),
                )
        self.register_outputs({})
