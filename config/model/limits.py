"""Memory, processors and processes of the services' containers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from config.model.base import Model

_Bound = Annotated[int, Field(strict=True, ge=32, le=1048576)]
_Processes = Annotated[int, Field(strict=True, ge=32, le=4194304)]


class LimitSettings(Model):
    """Limits of the containers of one service; nothing is reserved for them."""

    memory: _Bound
    """Memory in MB, swap included. A process that wants more is killed, and its container started again."""

    processes: _Processes
    """Processes and threads."""


class MinioLimits(LimitSettings):
    """MinIO's."""

    memory: Annotated[int, Field(strict=True, ge=512, le=1048576)] = 2048
    """Memory in MB, swap included."""

    processes: _Processes = 2048
    """Processes and threads."""


class NginxLimits(LimitSettings):
    """nginx's."""

    memory: _Bound = 512
    """Memory in MB, swap included."""

    processes: _Processes = 512
    """Processes and threads."""


class KeepalivedLimits(LimitSettings):
    """keepalived's."""

    memory: _Bound = 64
    """Memory in MB, swap included."""

    processes: _Processes = 128
    """Processes and threads."""


class RegistryLimits(LimitSettings):
    """A replica's, or a cache's."""

    memory: _Bound = 1536
    """Memory in MB, swap included."""

    processes: _Processes = 1024
    """Processes and threads."""


class FileRegistryLimits(LimitSettings):
    """Those of a registry that keeps files."""

    memory: _Bound = 256
    """Memory in MB, swap included."""

    processes: _Processes = 512
    """Processes and threads."""


class CollectorLimits(LimitSettings):
    """A garbage collector's."""

    memory: _Bound = 512
    """Memory in MB, swap included."""

    processes: _Processes = 256
    """Processes and threads."""


class LimitsSettings(Model):
    """Limits of each container of Berth's services."""

    minio: MinioLimits = MinioLimits()
    """MinIO, at least 512 MB: it takes about 145 requests at once for each GB, and refuses the others (503)."""

    nginx: NginxLimits = NginxLimits()
    """nginx of a balancer."""

    keepalived: KeepalivedLimits = KeepalivedLimits()
    """keepalived of a balancer."""

    registry: RegistryLimits = RegistryLimits()
    """One replica; each upload of a blob that is under way takes up to 20 MB."""

    cache: RegistryLimits = RegistryLimits()
    """One cache of one upstream."""

    collector: CollectorLimits = CollectorLimits()
    """The garbage collector of one registry node."""

    seed: FileRegistryLimits = FileRegistryLimits()
    """The seed registry, on the deploy host."""

    upstream: FileRegistryLimits = FileRegistryLimits()
    """The stand-in for a public registry, in a lab with `upstream: true`."""
