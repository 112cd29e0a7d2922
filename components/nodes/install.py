"""The installation of CoreOS or Flatcar from its own live system, whatever the machine is made of."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pulumi
import pulumi_command as command

from components.remote import Access, as_root
from config import InstallerSettings

SCRIPT = Path(__file__).parent / "scripts" / "install.sh"


def lines(facts: Mapping[str, object]) -> str:
    """Facts as the scripts read them: `key value`, one a line, nothing for what is not set."""
    return "".join(f"{key} {value}\n" for key, value in facts.items() if value is not None)


def yes(flag: bool) -> str:
    """A flag as the scripts read it."""
    return "yes" if flag else "no"


def installation(
    name: str,
    *,
    access: Access,
    facts: pulumi.Input[str],
    installer: InstallerSettings,
    configuration: pulumi.Output[str],
    again_when: list[pulumi.Input[str]],
    opts: pulumi.ResourceOptions,
) -> command.remote.Command:
    """Installs once; an installed system is only given its changed cloud-config. `facts` are lines for `install.sh`."""
    more = lines(installer.model_dump())
    # The configuration holds the machine's host key, whose resource has it as a secret.
    stdin = pulumi.Output.all(facts, configuration).apply(lambda two: f"{two[0]}{more}---\n{two[1]}")
    return command.remote.Command(
        name,
        connection=access.connection(),
        create=as_root(SCRIPT.read_text(encoding="utf-8"), user=access.user),
        stdin=stdin,
        triggers=again_when,
        add_previous_output_in_env=False,
        opts=opts,
    )
