"""The object store as its administrator sees it from the deploy host: by the balancer, with the login of the state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import urllib3
from minio import Minio
from minio.error import MinioException, S3Error

from operations.errors import BerthError
from operations.inspect.expected import Desired

PROVIDER = "pulumi:providers:minio"


@contextmanager
def client(desired: Desired) -> Iterator[Minio]:
    """A client of the stack's store; what goes wrong with it is an error that names the store."""
    login = next(
        (one["inputs"] for one in desired.resources if one.get("type") == PROVIDER and not one.get("delete")), None
    )
    if login is None:
        raise BerthError("The state has no object store: ./berth up creates it.")
    address, ca_file = str(login["minioServer"]), str(login.get("minioCacertFile") or "")
    if ca_file and not Path(ca_file).is_file():
        raise BerthError(f"{ca_file} does not exist; it must hold the CA of {address}: ./berth up writes it.")
    retries = urllib3.Retry(total=3, backoff_factor=0.3, status_forcelist=(502, 503, 504))
    timeout = urllib3.Timeout(connect=5, read=60)
    trust: dict[str, Any] = {"ca_certs": ca_file} if ca_file else {}
    http = urllib3.PoolManager(timeout=timeout, retries=retries, cert_reqs="CERT_REQUIRED", **trust)
    try:
        yield Minio(
            address,
            str(login["minioUser"]),
            str(login["minioPassword"]),
            region=str(login.get("minioRegion") or "us-east-1"),
            secure=login.get("minioSsl") in (True, "true"),
            http_client=http,
        )
    except S3Error as error:
        raise BerthError(f"The object store at {address} answers {error.code}: {error.message}") from None
    except (urllib3.exceptions.HTTPError, MinioException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        raise BerthError(f"The object store at {address} can't be reached ({reason}): see ./berth status.") from None
    finally:
        http.clear()
