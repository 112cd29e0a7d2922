"""The installation of CoreOS or Flatcar from its own live system, whatever the machine is made of."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path

import pulumi

from components.lib.host_files import shell
from components.lib.host_files.shell import Script
from config.model.nodes import InstallerSettings

_SCRIPTS = Path(__file__).parent / "scripts"
# What both systems' partitions take up, in MB; images and data come on top.
LEAST_DISK = 8192


def script(*names: str) -> Script:
    """One or more scripts of this folder, as one."""
    return shell.script(*(_SCRIPTS / name for name in names))


INSTALL = script("install.sh")


def lines(facts: Mapping[str, object]) -> str:
    """Facts as the scripts read them: `key value`, one a line, nothing for what is not set."""
    return "".join(f"{key} {value}\n" for key, value in facts.items() if value is not None)


def yes(flag: bool) -> str:
    """A flag as the scripts read it."""
    return "yes" if flag else "no"


def disk_directives(disk: str, installer: InstallerSettings, *, wipe: bool) -> str:
    """What `install.sh` must know of the disk, and what it tells the system's own installer."""
    return lines({"device": disk, "wipe": yes(wipe), "least": LEAST_DISK} | installer.model_dump())


def with_configuration(facts: pulumi.Input[str], configuration: pulumi.Output[str]) -> pulumi.Output[str]:
    """The standard input of `install.sh`; secret, as the configuration with the machine's host key is.

    In base64, so that a preview, which shows no line that is part of a secret, can show the same lines elsewhere.
    """
    return pulumi.Output.all(facts, configuration).apply(
        lambda two: f"{two[0]}---\n{base64.b64encode(two[1].encode()).decode()}\n"
    )


def digest(configuration: pulumi.Output[str]) -> pulumi.Output[str]:
    """Of a text with a key in it, and thus no secret itself: all other input of a machine can be shown."""
    short = configuration.apply(lambda text: hashlib.sha256(text.encode()).hexdigest()[:16])
    return pulumi.Output.unsecret(short)
