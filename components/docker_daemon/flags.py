"""Settings of the Docker daemon outside daemon.json: flags, environment and mounts, by init system and family."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from components.lib import systemd
from components.lib.host_files.bundle import File

FLAGS_FILES = {"default": "DOCKER_OPTS", "sysconfig": "OPTIONS"}
"""/etc/NAME/docker and the variable in it: Debian's family, and Red Hat's."""
DROP_INS = "/etc/systemd/system/docker.service.d"
# Docker's own packages name no file with flags in their unit; this is what it starts otherwise.
COMMAND = "/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock"
MOUNTS = """\
# Kolla's containers share mounts with the host. Engines from 18.09 on do so by themselves, and cannot start containers
# with this flag, as containerd is another unit there.
[Service]
MountFlags=shared
"""


def drop_in(environment: Mapping[str, str]) -> str:
    """The unit's drop-in with what every engine since 1.12 reads from its environment."""
    return systemd.section("Service", (systemd.environment(*item) for item in environment.items()))


def files(options: tuple[str, ...], environment: Mapping[str, str], adopt: bool) -> list[File]:
    """Files for every kind of machine, each with the conditions under which it is written."""
    result = []
    if environment:
        result.append(File(f"{DROP_INS}/berth.conf", drop_in(environment), when=["systemd"]))
    for family, variable in FLAGS_FILES.items():
        path = f"/etc/{family}/docker"
        flags = f'{variable}="{" ".join(options)}"\n'
        exported = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
        for init, text, needed in (
            ("systemd", flags, bool(options)),
            # Without systemd this file, which the init script reads as shell, is the only place for the environment.
            ("service", exported + flags, bool(options or environment)),
        ):
            if needed or adopt:
                result.append(File(path, text, when=[family, init, *([] if needed else ["conflict"])]))
        if options:
            lines = [f"EnvironmentFile=-{path}", "ExecStart=", f"ExecStart={COMMAND} ${variable}"]
            unit = systemd.section("Service", lines)
            result.append(File(f"{DROP_INS}/berth-options.conf", unit, when=["systemd", family, "no-options"]))
    result.append(File(f"{DROP_INS}/berth-mounts.conf", MOUNTS, when=["systemd", "before-18.09"]))
    return result
