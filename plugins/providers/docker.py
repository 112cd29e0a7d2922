"""`docker`: networks, volumes, images and containers on the daemon that a provider resource names."""

from __future__ import annotations

import json
import os
from typing import Any

from plugins.interface import CheckFailure, Properties
from plugins.providers.base import Resource, TypedPackage, TypedProvider
from plugins.providers.docker_connection import LOCAL, Daemon
from plugins.providers.docker_container import Container
from plugins.providers.docker_image import RemoteImage
from plugins.providers.docker_network import Network, Volume
from plugins.providers.schema import ANY, TEXT
from plugins.ssh import Session

_RESOURCES: tuple[type[Resource], ...] = (Network, Volume, RemoteImage, Container)
_CONFIG = {"host": TEXT, "sshOpts": ANY, "registryAuth": ANY, "disableDockerDaemonCheck": ANY}


class _Provider(TypedProvider):
    def __init__(self, daemon: Daemon) -> None:
        super().__init__([Network(daemon), Volume(daemon), RemoteImage(daemon), Container(daemon)])
        self._daemon = daemon

    def close(self) -> None:
        self._daemon.close()


def _host(config: Properties) -> str:
    return str(config.get("host") or os.environ.get("DOCKER_HOST") or LOCAL)


def _list(value: Any) -> list[Any]:
    """A provider's lists travel as JSON text; what is not known in a preview is not needed there."""
    if isinstance(value, str) and value:
        value = json.loads(value)
    return list(value) if isinstance(value, list) else []


def _problems(config: Properties) -> list[CheckFailure]:
    failures = []
    if isinstance(config.get("host", ""), str) and not _host(config).startswith(("unix://", "ssh://")):
        failures.append(CheckFailure("host", "must begin with unix:// or ssh:// for Berth's own provider"))
    if not isinstance(config.get("registryAuth", []), str | list):
        return failures
    for login in _list(config.get("registryAuth")):
        if set(login) - {"address", "username", "password"}:
            failures.append(
                CheckFailure("registryAuth", "takes address, username and password for Berth's own provider")
            )
    return failures


def package(session: Session) -> TypedPackage:
    """The `docker` package."""

    def make(config: Properties) -> TypedProvider:
        logins = {
            login["address"].removeprefix("https://").split("/")[0]: {
                "username": login.get("username", ""),
                "password": login.get("password", ""),
                "serveraddress": login["address"],
            }
            for login in _list(config.get("registryAuth"))
        }
        return _Provider(Daemon(session, _host(config), _list(config.get("sshOpts")), logins))

    types = tuple(item.type for item in _RESOURCES)
    return TypedPackage("docker", make, types, _CONFIG, _problems, session.cancel)
