"""`python -m components.object_store.export`: MinIO's bucket and IAM settings as files, before all servers change.

Reads {stack, endpoint, server_name, ca_file, user, password} as JSON from standard input; prints the files' names.
Users' secret keys are in them: they are sealed with the stack's passphrase, which is in the environment for
Pulumi's sake.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sys
import zipfile
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

import urllib3
from minio import MinioAdmin
from minio.credentials.providers import StaticProvider
from minio.error import MinioAdminException
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NewConnectionError,
    ProtocolError,
    SSLError,
)

from components.lib import encryption
from config import paths
from operations.errors import DONE, FAILED, BerthError


class Export(Enum):
    """What MinIO's admin API exports, each as one zip."""

    BUCKETS = "export-bucket-metadata"
    IAM = "export-iam"


FILES = {Export.BUCKETS: "bucket-metadata.zip", Export.IAM: "iam.zip"}
FORMER_USER = "berth-root"
"""Root's access key id of stacks whose id was not drawn at random; the next restart gives them their new one."""
KEPT = 2
"""Exports of a stack; an older one is removed when there is a new one."""
_WHEN = "%Y%m%dT%H%M%SZ"
_EXPORT = re.compile(r"\d{8}T\d{6}Z")
_WAY_OUT = "Nothing was changed. Repair the object store first (./berth status), then run up again."


def export(stack: str, endpoint: str, server_name: str, ca_file: str, user: str, password: str) -> list[Path]:
    """Write what the store says of its buckets, users and policies; no files where nothing answers yet."""
    admin = _admin(endpoint, server_name, ca_file, user, password)
    found: dict[Export, bytes] = {}
    for part in Export:
        try:
            # The library has no call of its own for these two.
            found[part] = admin._url_open(method="GET", command=part).data  # type: ignore[arg-type]
        except MinioAdminException as error:
            if user != FORMER_USER and _code(error) == "InvalidAccessKeyId":
                return export(stack, endpoint, server_name, ca_file, FORMER_USER, password)
            raise BerthError(f"{part.value}: {endpoint} answers {_message(error)}. {_WAY_OUT}") from None
        except HTTPError as error:
            if not found and _is_absent(error):
                return []
            reason = getattr(error, "reason", None) or error
            raise BerthError(f"{part.value}: {endpoint} cannot be asked ({reason}). {_WAY_OUT}") from None
        if not zipfile.is_zipfile(io.BytesIO(found[part])):
            raise BerthError(f"{part.value}: {endpoint} answers with something that is no archive. {_WAY_OUT}")
    passphrase = encryption.passphrase(os.environ)
    directory = paths.stack_directory(stack) / "exports" / f"{datetime.now(UTC):{_WHEN}}"
    directory.mkdir(mode=0o700, parents=True)
    written = [
        encryption.write(directory / f"{FILES[part]}{encryption.SUFFIX}", encryption.seal(content, passphrase))
        for part, content in found.items()
    ]
    _tidy(directory.parent, passphrase)
    return written


def _tidy(exports: Path, passphrase: str) -> None:
    """Remove what is too old, and seal what an earlier version of Berth has left in plain text."""
    every = sorted(path for path in exports.iterdir() if path.is_dir() and _EXPORT.fullmatch(path.name))
    for old in every[:-KEPT]:
        shutil.rmtree(old)
    for plain in (file for kept in every[-KEPT:] for file in kept.glob("*.zip")):
        there = plain.with_name(plain.name + encryption.SUFFIX)
        there.unlink(missing_ok=True)
        encryption.write(there, encryption.seal(plain.read_bytes(), passphrase))
        plain.unlink()


def _admin(endpoint: str, server_name: str, ca_file: str, user: str, password: str) -> MinioAdmin:
    if not Path(ca_file).is_file():
        raise BerthError(f"{ca_file} does not exist; it must hold the CA of {endpoint}. {_WAY_OUT}")
    # A store that has just lost a server refuses for a moment.
    retry = urllib3.Retry(
        connect=1,
        read=1,
        other=0,
        status=4,
        backoff_factor=0.5,
        status_forcelist=(502, 503, 504),
        raise_on_status=False,
    )
    timeout = urllib3.Timeout(connect=5, read=60)
    http = urllib3.PoolManager(
        timeout=timeout,
        retries=retry,
        cert_reqs="CERT_REQUIRED",
        ca_certs=ca_file,
        # Not the address: while it changes, certificates name the other one.
        server_hostname=server_name,
        assert_hostname=server_name,
    )
    return MinioAdmin(endpoint=endpoint, credentials=StaticProvider(user, password), secure=True, http_client=http)


def _is_absent(error: HTTPError) -> bool:
    """Nobody listens, or a balancer has nobody to pass the connection on to: there is no store yet."""
    reason = error.reason if isinstance(error, MaxRetryError) else error
    if isinstance(reason, SSLError):
        return "CERTIFICATE_VERIFY_FAILED" not in str(reason)
    return isinstance(reason, NewConnectionError | ConnectTimeoutError | ProtocolError)


def _code(error: MinioAdminException) -> str:
    try:
        return str(json.loads(error._body)["Code"])
    except (ValueError, TypeError, KeyError):
        return ""


def _message(error: MinioAdminException) -> str:
    if code := _code(error):
        return f"{code}: {json.loads(error._body).get('Message', '')}"
    return f"with status {error._code}"


def main() -> int:
    """The command."""
    wanted = json.load(sys.stdin)
    try:
        written = export(**wanted)
    except (BerthError, OSError) as error:
        print(f"berth: {error}", file=sys.stderr)
        return FAILED
    print("\n".join(map(str, written)) or f"{wanted['endpoint']} does not answer: there is nothing to export yet")
    return DONE


if __name__ == "__main__":
    sys.exit(main())
