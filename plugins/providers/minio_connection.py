"""How a MinIO server is reached, and its errors in words that name the server and what was tried."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import urllib3
from minio import Minio, MinioAdmin
from minio.credentials.providers import StaticProvider
from minio.error import MinioAdminException, MinioException, S3Error

from plugins.interface import ProviderError

_GONE = ("NoSuchBucket", "XMinioAdminNoSuchUser", "XMinioAdminNoSuchPolicy", "XMinioInvalidIAMCredentials")


class Gone(Exception):
    """What was asked for is not on the server; a server that does not answer is never this."""


class Server:
    """One MinIO server with one login; dialled at first use, for its CA file may be written by the same run."""

    def __init__(self, address: str, user: str, password: str, tls: bool, ca_file: str | None, region: str) -> None:
        self.url = f"{'https' if tls else 'http'}://{address}"
        self._address = address
        self._login = user, password
        self._tls = tls
        self._ca_file = ca_file
        self._region = region or "us-east-1"

    @property
    def secret(self) -> str:
        """What the admin API encrypts its bodies with."""
        return self._login[1]

    @functools.cached_property
    def _http(self) -> urllib3.PoolManager:
        if self._ca_file and not Path(self._ca_file).is_file():
            raise ProviderError(f"minioCacertFile: {self._ca_file} does not exist; it must hold the CA of {self.url}")
        retry = urllib3.Retry(total=3, backoff_factor=0.3, status_forcelist=[502, 503, 504])
        trust: dict[str, Any] = {"ca_certs": self._ca_file} if self._ca_file else {}
        return urllib3.PoolManager(
            timeout=urllib3.Timeout(connect=10, read=60), maxsize=4, retries=retry, cert_reqs="CERT_REQUIRED", **trust
        )

    @functools.cached_property
    def store(self) -> Minio:
        """The server's S3 side."""
        return Minio(self._address, *self._login, secure=self._tls, region=self._region, http_client=self._http)

    @functools.cached_property
    def admin(self) -> MinioAdmin:
        """The server's users and policies."""
        credentials = StaticProvider(*self._login)
        return MinioAdmin(endpoint=self._address, credentials=credentials, secure=self._tls, http_client=self._http)

    @contextlib.contextmanager
    def doing(self, what: str) -> Iterator[None]:
        """Run calls to the server; raises `Gone` if the server reports that something does not exist."""
        try:
            yield
        except S3Error as error:
            if error.code in _GONE:
                raise Gone from None
            raise ProviderError(f"{what} on {self.url}: {error.message or error.code}") from None
        except MinioAdminException as error:
            code, message = _admin_error(error)
            # One code stands for several refusals; only with this status something is missing.
            if code in _GONE and str(getattr(error, "_code", "")) == "404":
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
