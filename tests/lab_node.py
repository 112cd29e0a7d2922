"""How a container is started so that it is a machine, for tests that need one without a stack around it."""

from __future__ import annotations

from components.nodes.lab import CAPABILITIES, SECURITY_OPTIONS, TMPFS


def docker_options() -> list[str]:
    """Options of `docker run` and `docker create`: what the program gives a lab node, by the CLI's names."""
    return [
        *(f"--cap-add={capability}" for capability in CAPABILITIES),
        *(f"--security-opt={option}" for option in SECURITY_OPTIONS),
        *(f"--tmpfs={path}:{options}".rstrip(":") for path, options in TMPFS.items()),
        *("--env=container=docker", "--cgroupns=host", "--volume=/sys/fs/cgroup:/sys/fs/cgroup"),
        "--volume=/var/lib/docker",
    ]
