"""How a MinIO server is reached, and its errors in words that name the server and what was tried."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import urllib3
from minio import Minio, MinioAdmin
from minio.credentials.providers import StaticProvider
from minio.error import MinioAdminException, MinioException, S3Error

from ..provider import ProviderError

_GONE = ("NoSuchBucket", "XMinioAdminNoSuchUser", "XMinioAdminNoSuchPolicy")


class Gone(Exception):
    """What was asked for is not on the server; a server that does not answer is never this."""


class Server:
    """One MinIO server with one login."""

    def __init__(self, address: str, user: str, password: str, tls: bool, ca_file: str | None, region: str) -> None:
        self.address = address
        self.url = f"{'https' if tls else 'http'}://{address}"
        self.region = region or "us-east-1"
        if ca_file and not Path(ca_file).is_file():
            raise ProviderError(f"minioCacertFile: {ca_file} does not exist; it must hold the CA of {address}")
        retry = urllib3.Retry(total=3, backoff_factor=0.3, status_forcelist=[502, 503, 504])
        trust: dict[str, Any] = {"ca_certs": ca_file} if ca_file else {}
        http = urllib3.PoolManager(timeout=urllib3.Timeout(connect=10, read=60), maxsize=4, retries=retry, **trust)
        self.store = Minio(address, user, password, secure=tls, region=self.region, http_client=http)
        self.admin = MinioAdmin(
            endpoint=address, credentials=StaticProvider(user, password), secure=tls, http_client=http
        )

    @contextlib.contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Run calls to the server; raises `Gone` where it says that something is not there."""
        try:
            yield
        except S3Error as error:
            if error.code in _GONE:
                raise Gone from None
            raise ProviderError(f"{what} on {self.url}: {error.message or error.code}") from None
        except MinioAdminException as error:
            code, message = _admin_error(error)
            if code in _GONE:
                raise Gone from None
            raise ProviderError(f"{what} on {self.url}: {message}") from None
        except (urllib3.exceptions.HTTPError, MinioException, OSError, ValueError) as error:
            raise ProviderError(
                f"{what}: {self.url} does not answer as a MinIO server should ({_cause(error)}); check that it "
                "runs and that minioServer and minioCacertFile are right"
            ) from None


def _admin_error(error: MinioAdminException) -> tuple[str, str]:
    body = getattr(error, "_body", "") or ""
    try:
        answer = json.loads(body)
        return str(answer.get("Code", "")), str(answer.get("Message") or answer.get("Code") or body)
    except (ValueError, AttributeError):
        return "", body or f"HTTP status {getattr(error, '_code', 'unknown')}"


def _cause(error: BaseException) -> str:
    reason = getattr(error, "reason", None)
    return str(reason or error)[:300]
