"""Lab nodes: containers on the deploy host's Docker that are hosts in every respect that matters.

They boot systemd, run sshd and a Docker daemon of their own, have a fixed address, and can be paused or killed.
"""

from __future__ import annotations

import pulumi
import pulumi_docker as docker
import pulumi_tls as tls

from components.lib.host_files.connection import SshEndpoint
from components.nodes.node import Node
from components.nodes.provider import Stage
from config import naming, paths
from config.model.nodes import LabSettings, NodeSettings

# Everything but SYS_RESOURCE, which some hosts lack (`privileged` would fail there), and what Docker 20.10 cannot name.
_ALL_BUT_SYS_RESOURCE = """
AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER
FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE
NET_BROADCAST NET_RAW SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE
SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_TIME SYS_TTY_CONFIG WAKE_ALARM
"""
CAPABILITIES = [f"CAP_{name}" for name in _ALL_BUT_SYS_RESOURCE.split()]
SECURITY_OPTIONS = ["seccomp=unconfined", "apparmor=unconfined", "systempaths=unconfined"]
# systemd inside wants its run-time directories to be memory; exec is for what dockerd puts there.
TMPFS = {"/run": "exec", "/run/lock": "", "/tmp": "exec"}


class Lab:
    """The lab's network and key, and the nodes on it; a part of `Nodes`, which is their parent."""

    def __init__(self, stage: Stage, lab: LabSettings) -> None:
        name, stack = stage.name, stage.settings.stack
        self._name = name
        self._stack = stack
        self._image = stage.images.on_deploy_host("lab-node")
        self._data_directory = stage.settings.object_store.data_dir
        self._key_file = paths.ssh_key_file(stack)
        self._parent = stage.parent
        child = pulumi.ResourceOptions(parent=stage.parent)
        self.key = tls.PrivateKey(f"{name}-ssh-key", algorithm="ED25519", opts=child)
        self.network = docker.Network(
            f"{name}-network",
            name=naming.lab_network(stack),
            driver="bridge",
            ipam_configs=[docker.NetworkIpamConfigArgs(subnet=lab.subnet, gateway=lab.gateway)],
            labels=[docker.NetworkLabelArgs(label="berth.stack", value=stack)],
            opts=child,
        )

    @property
    def private_key(self) -> pulumi.Output[str]:
        """One key for all nodes of the lab."""
        return pulumi.Output.from_input(self.key.private_key_openssh)

    def node(self, settings: NodeSettings) -> Node:
        """One node: its pinned host key, its volumes, its container."""
        name = f"{self._name}-{settings.name}"
        child = pulumi.ResourceOptions(parent=self._parent)
        host_key = tls.PrivateKey(f"{name}-host-key", algorithm="ED25519", opts=child)
        machine = docker.Container(
            name,
            name=naming.lab_container(self._stack, settings.name),
            hostname=settings.name,
            image=self._image,
            envs=["container=docker"],
            capabilities=docker.ContainerCapabilitiesArgs(adds=CAPABILITIES),
            security_opts=SECURITY_OPTIONS,
            cgroupns_mode="host",
            tmpfs=TMPFS,
            volumes=[
                docker.ContainerVolumeArgs(host_path="/sys/fs/cgroup", container_path="/sys/fs/cgroup"),
                self._volume(settings, "docker", "/var/lib/docker"),
                self._volume(settings, "data", self._data_directory),
            ],
            networks_advanced=[
                docker.ContainerNetworksAdvancedArgs(name=self.network.name, ipv4_address=settings.address)
            ],
            uploads=[
                _upload("/etc/ssh/ssh_host_ed25519_key", host_key.private_key_openssh, "0600"),
                _upload("/etc/ssh/ssh_host_ed25519_key.pub", host_key.public_key_openssh, "0644"),
                _upload("/root/.ssh/authorized_keys", self.key.public_key_openssh, "0600"),
            ],
            labels=[
                docker.ContainerLabelArgs(label=label, value=value)
                for label, value in naming.labels(self._stack, settings.name).items()
            ],
            stop_signal="SIGRTMIN+3",
            restart="unless-stopped",
            # A stopped lab node is thrown away: what it would write on its way down is of no use.
            destroy_grace_seconds=1,
            opts=pulumi.ResourceOptions(
                parent=self._parent,
                delete_before_replace=True,
                # The provider reads the list back without `systempaths` and would replace the node.
                ignore_changes=["securityOpts"],
            ),
        )
        return Node(
            settings=settings,
            access=SshEndpoint(
                host=settings.address,
                port=22,
                user="root",
                host_key=host_key.public_key_openssh,
                private_key=self.key.private_key_openssh,
            ),
            key_file=str(self._key_file),
            machine=machine,
            keeps_hosts_file=False,
        )

    def _volume(self, settings: NodeSettings, what: str, path: str) -> docker.ContainerVolumeArgs:
        volume = docker.Volume(
            f"{self._name}-{settings.name}-{what}",
            name=naming.lab_volume(self._stack, settings.name, what),
            labels=[docker.VolumeLabelArgs(label="berth.stack", value=self._stack)],
            opts=pulumi.ResourceOptions(parent=self._parent),
        )
        return docker.ContainerVolumeArgs(volume_name=volume.name, container_path=path)


def _upload(path: str, content: pulumi.Input[str], mode: str) -> docker.ContainerUploadArgs:
    return docker.ContainerUploadArgs(file=path, content=content, permissions=mode)
