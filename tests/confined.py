"""How a service's container is held in its bounds, for tests that start one without a stack around it."""

from __future__ import annotations

from components.lib.service.confinement import Confinement


def docker_options(confinement: Confinement) -> list[str]:
    """Options of `docker run` and `docker create`: what the program gives a service, by the CLI's names."""
    given = confinement.options()
    return [
        "--read-only",
        "--cap-drop=ALL",
        *(f"--cap-add={name}" for name in confinement.capabilities),
        *(f"--security-opt={option}" for option in given["security_opts"]),
        *(f"--tmpfs={path}" for path in confinement.scratch),
        f"--memory={given['memory']}m",
        f"--memory-swap={given['memory_swap']}m",
        *(["--pid=host"] if confinement.host_processes else []),
    ]
