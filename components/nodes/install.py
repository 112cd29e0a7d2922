"""The installation of CoreOS or Flatcar from its own live system, whatever the machine is made of."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pulumi

from components.lib.host_files import shell
from components.lib.host_files.bundle import Directive
from components.lib.host_files.shell import Script
from components.node_config.machine import Machine, Secrets
from components.nodes.ssh_bootstrap import SshBootstrap, installed
from config.model.nodes import InstallerSettings
from config.model.stack import Settings

_SCRIPTS = Path(__file__).parent / "scripts"
# What both systems' partitions take up, in MB; images and data come on top.
LEAST_DISK = 8192


def script(*names: str) -> Script:
    """One or more scripts of this folder, as one."""
    return shell.script(*(_SCRIPTS / name for name in names))


INSTALL = script("install.sh")


def lines(facts: Mapping[str, object]) -> str:
    """Facts as a bundle's directives, which the scripts read; nothing for what is not set."""
    directives = [Directive(key, [_text(value)]) for key, value in facts.items() if value is not None]
    return "".join(f"{line}\n" for directive in directives for line in directive.lines())


def _text(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def disk_facts(disk: str, installer: InstallerSettings, *, wipe: bool) -> dict[str, object]:
    """What `install.sh` must know of the disk, and what it tells the system's own installer."""
    return {"device": disk, "wipe": wipe, "least": LEAST_DISK} | installer.model_dump()


def configuration_of(machine: Machine, contact: pulumi.Output[SshBootstrap], settings: Settings) -> pulumi.Output[str]:
    """What the machine is installed with, the values of its secrets among it."""
    return pulumi.Output.all(contact, settings.node_secrets).apply(
        lambda known: installed(replace(machine, secrets=Secrets(*known[1])), known[0])
    )


def with_configuration(facts: pulumi.Input[str], configuration: pulumi.Output[str]) -> pulumi.Output[str]:
    """The standard input of `install.sh`; secret, as the configuration with the machine's host key is.

    In base64, so that a preview, which shows no line that is part of a secret, can show the same lines elsewhere.
    """
    return pulumi.Output.all(facts, configuration).apply(
        lambda two: two[0] + lines({"configuration": base64.b64encode(two[1].encode()).decode()})
    )


def digest(configuration: pulumi.Output[str]) -> pulumi.Output[str]:
    """Of a text with a key in it, and thus no secret itself: all other input of a machine can be shown."""
    short = configuration.apply(lambda text: hashlib.sha256(text.encode()).hexdigest()[:16])
    return pulumi.Output.unsecret(short)
