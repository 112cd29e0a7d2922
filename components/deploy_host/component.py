"""The deploy host's share of a stack, as one bundle."""

from __future__ import annotations

import getpass
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pulumi

from components.deploy_host.args import DeployHostArgs
from components.lib import names
from components.lib.host_files.bundle import Block, Directory, Entry, File
from components.lib.host_files.connection import known_hosts_line
from components.lib.host_files.host_state import local_state
from components.seed_registry.render import config
from config import naming, paths

STAGE = "deploy-host"
# The user that the registry image runs as.
SEED_USER = f"{naming.SERVICE_UID}:{naming.SERVICE_UID}"


class DeployHost(pulumi.ComponentResource):
    """Keys, known_hosts, the CA for Docker and for clients, the registry's name."""

    files: pulumi.Resource
    """What writes everything below."""
    directory: Path
    """This stack's files on the deploy host."""
    seed_config: str
    seed_digest: pulumi.Output[str]
    """Of what the seed registry reads at its start."""

    def __init__(self, name: str, args: DeployHostArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:deploy-host:DeployHost", name, None, opts)
        settings = args.settings
        self._stack = settings.stack
        self.directory = paths.stack_directory(settings.stack)
        seed = settings.images.seed
        certificate = args.authority.issue(
            f"{name}-seed", common_name="berth-seed-registry", addresses=[seed.address], parent=self
        )
        self.seed_config = config(seed.port)
        self.seed_digest = certificate.certificate.apply(
            lambda pem: hashlib.sha256((self.seed_config + pem).encode()).hexdigest()
        )
        self.files = local_state(
            f"{name}-files",
            stack=settings.stack,
            stage=STAGE,
            user=getpass.getuser(),
            entries=pulumi.Output.all(
                ca=args.authority.certificate,
                seed_key=certificate.key,
                seed_certificate=certificate.certificate,
                ssh_key=args.nodes.private_key or "",
                host_keys=[node.access.host_key for node in args.nodes.all],
            ).apply(lambda known: self._entries(args, known)),
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({})

    @property
    def known_hosts_file(self) -> str:
        """Host keys of all nodes, for the ssh program."""
        return str(paths.known_hosts_file(self._stack))

    @property
    def ca_file(self) -> str:
        """The stack's CA, for clients on the deploy host."""
        return str(paths.ca_file(self._stack))

    def _entries(self, args: DeployHostArgs, known: Mapping[str, Any]) -> list[Entry]:
        settings = args.settings
        me = f"{os.getuid()}:{os.getgid()}"
        host_keys = "".join(
            known_hosts_line(node.access.host, node.access.port, host_key) + "\n"
            for node, host_key in zip(args.nodes.all, known["host_keys"], strict=True)
        )
        registry = naming.endpoint(settings.registry.name, settings.registry.port)
        seed = self.directory / "seed"
        result: list[Entry] = [
            Directory(str(self.directory), mode="0755", owner=me),
            File(self.ca_file, known["ca"], owner=me),
            File(self.known_hosts_file, host_keys, owner=me),
            File(f"{naming.certs_directory(registry)}/ca.crt", known["ca"]),
            Directory(str(seed), mode="0700", owner=SEED_USER),
            File(f"{seed}/config.yml", self.seed_config, mode="0600", owner=SEED_USER),
            File(f"{seed}/ca.crt", known["ca"], mode="0600", owner=SEED_USER),
            File(f"{seed}/tls.crt", known["seed_certificate"], mode="0600", owner=SEED_USER),
            File(f"{seed}/tls.key", known["seed_key"], mode="0600", owner=SEED_USER),
        ]
        if known["ssh_key"]:
            result.append(File(str(paths.ssh_key_file(settings.stack)), known["ssh_key"], mode="0600", owner=me))
        hosts = names.hosts_of_deploy_host(settings)
        if hosts is not None:
            result.append(Block("/etc/hosts", hosts))
        return result
