"""The clients of Berth's services pass the signature check: none of them sends what it refuses."""

from __future__ import annotations

import io
import os
import subprocess
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
import urllib3
from minio import Minio

from tests.minio_server import SECONDS, free_port
from tests.store.conftest import Program
from tests.store.contract import Store

CONFIG = """\
version: 0.1
log: {{level: warn, accesslog: {{disabled: true}}}}
storage:
  s3:
    regionendpoint: {endpoint}
    region: us-east-1
    bucket: {bucket}
    accesskey: {key}
    secretkey: {secret}
    secure: false
    forcepathstyle: true
    chunksize: 5242880
    multipartcopythresholdsize: 5242880
    multipartcopychunksize: 5242880
  maintenance: {{uploadpurging: {{enabled: false}}}}
http: {{addr: "127.0.0.1:{port}", secret: of-one-process}}
"""


@pytest.fixture
def registry(program: Program, store: Store, tmp_path: Path) -> Iterator[str]:
    """The registry's image over our MinIO."""
    port = free_port()
    text = CONFIG.format(
        endpoint=store.endpoint, bucket=store.bucket, key=store.access_key, secret=store.secret_key, port=port
    )
    (tmp_path / "config.yml").write_text(text, encoding="utf-8")
    command = [str(program("registry")), "serve", str(tmp_path / "config.yml")]
    process = subprocess.Popen(command, env={**os.environ, "OTEL_TRACES_EXPORTER": "none"})
    url, deadline = f"http://127.0.0.1:{port}", time.monotonic() + SECONDS
    try:
        while True:
            try:
                urllib3.request("GET", f"{url}/v2/", retries=False)
                break
            except urllib3.exceptions.HTTPError:
                assert process.poll() is None and time.monotonic() < deadline
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


@pytest.mark.parametrize("size", [11, 6 * 1024 * 1024, 17 * 1024 * 1024], ids=["small", "one part", "many parts"])
def test_the_registry_stores_a_blob_and_redirects_to_it(size: int, registry: str) -> None:
    body = os.urandom(size)
    begun = urllib3.request("POST", f"{registry}/v2/a/blobs/uploads/")
    assert begun.status == 202
    where, digest = begun.headers["Location"], f"sha256:{sha256(body).hexdigest()}"
    pushed = urllib3.request("PUT", f"{where}&digest={digest}", body=body)
    assert pushed.status == 201, pushed.data
    found = urllib3.request("GET", f"{registry}/v2/a/blobs/{digest}", redirect=False)
    assert found.status == 307 and "X-Amz-Signature" in found.headers["Location"]
    assert urllib3.request("GET", found.headers["Location"]).data == body


def test_the_python_client_reads_and_writes_in_one_and_in_parts(store: Store) -> None:
    client = Minio(store.endpoint.removeprefix("http://"), store.access_key, store.secret_key, secure=False)
    for size in (3, 11 * 1024 * 1024):
        body = os.urandom(size)
        client.put_object(store.bucket, "x", io.BytesIO(body), size, part_size=5 * 1024 * 1024)
        answer = client.get_object(store.bucket, "x")
        assert answer.read() == body
        answer.release_conn()
    client.remove_object(store.bucket, "x")
