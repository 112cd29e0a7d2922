"""How the deploy host gets into a node: always with a pinned host key."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_command as command

# A lab node's sshd answers a second or two after its container starts; a dead host is given up after half a minute.
DIAL_ERROR_LIMIT = 12
DIAL_TIMEOUT_SECONDS = 5


@dataclass(frozen=True)
class SshEndpoint:
    """Where a node's sshd listens, who logs in, and which key it must show."""

    host: str
    port: int
    user: str
    host_key: pulumi.Input[str]
    private_key: pulumi.Input[str]

    def connection(self) -> command.remote.ConnectionArgs:
        """The access in the command provider's words."""
        return command.remote.ConnectionArgs(
            host=self.host,
            port=self.port,
            user=self.user,
            host_key=self.host_key,
            private_key=self.private_key,
            dial_error_limit=DIAL_ERROR_LIMIT,
            per_dial_timeout=DIAL_TIMEOUT_SECONDS,
        )


def known_hosts_line(host: str, port: int, host_key: str) -> str:
    """The node's line for an OpenSSH known_hosts file; a port other than 22 is written in brackets."""
    name = host if port == 22 else f"[{host}]:{port}"
    kind, key = host_key.split()[:2]
    return f"{name} {kind} {key}"


def ssh_options(key_file: str, known_hosts_file: str) -> list[str]:
    """Options for the ssh program that the docker provider runs: this key, these hosts, no questions, no agent."""
    return [
        "-i",
        key_file,
        "-o",
        f'UserKnownHostsFile="{known_hosts_file}"',  # a path with a space would be two files
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "BatchMode=yes",
        "-o",
        "ConnectTimeout=10",
    ]
