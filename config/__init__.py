"""The settings of a stack: what the user decides (settings), what Berth decides (naming), and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.kolla import KollaSettings
from config.model import ProxySettings
from config.node_config import NodeConfig
from config.problems import Problem, SettingsError
from config.settings import (
    CacheSettings,
    DockerRolloutSettings,
    DockerSettings,
    EtcdClusterSettings,
    ImageSettings,
    InstallerSettings,
    InstallSettings,
    LabSettings,
    LimitSettings,
    LimitsSettings,
    LoadBalancerSettings,
    NodeSettings,
    ObjectStoreSettings,
    OverlaySettings,
    PinnedImages,
    PinSettings,
    PinSource,
    RegistrySettings,
    Role,
    SeedSettings,
    Settings,
    SshSettings,
    SwarmSettings,
    UpstreamSettings,
    UserSettings,
    VirtualBoxSettings,
)
from config.stackfile import check, parse, read

if TYPE_CHECKING:
    from config.loader import load

__all__ = [
    "CacheSettings",
    "DockerRolloutSettings",
    "DockerSettings",
    "EtcdClusterSettings",
    "ImageSettings",
    "InstallSettings",
    "InstallerSettings",
    "KollaSettings",
    "LabSettings",
    "LimitSettings",
    "LimitsSettings",
    "LoadBalancerSettings",
    "NodeConfig",
    "NodeSettings",
    "ObjectStoreSettings",
    "OverlaySettings",
    "PinSettings",
    "PinSource",
    "PinnedImages",
    "Problem",
    "ProxySettings",
    "RegistrySettings",
    "Role",
    "SeedSettings",
    "Settings",
    "SettingsError",
    "SshSettings",
    "SwarmSettings",
    "UpstreamSettings",
    "UserSettings",
    "VirtualBoxSettings",
    "check",
    "load",
    "parse",
    "read",
]


def __getattr__(name: str) -> object:
    # Only the program itself needs Pulumi, which is slow to import: `berth` reads settings without it.
    if name == "load":
        from config.loader import load

        return load
    raise AttributeError(name)
