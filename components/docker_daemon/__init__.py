"""Docker on every node: trusts the registry, follows the settings, changed with the least force."""

from components.docker_daemon.args import DockerDaemonsArgs
from components.docker_daemon.component import DockerDaemons, DockerNode

__all__ = ["DockerDaemons", "DockerDaemonsArgs", "DockerNode"]
