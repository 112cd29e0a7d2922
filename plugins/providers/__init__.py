"""The providers: the resource types that this program uses, and no others."""

from __future__ import annotations

from plugins.interface import Packages
from plugins.providers import command, docker, minio, random, tls
from plugins.ssh import Session


def load(session: Session) -> Packages:
    """All packages by name; `session` is shared, so that each host is dialled once in a run."""
    packages = [command.package(session), docker.package(session), minio.package(), random.package(), tls.package()]
    return {package.name: package for package in packages}
