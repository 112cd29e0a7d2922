"""Nobody writes to our MinIO without a key: what names one and does not prove it is refused before any handler."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.store.contract import Store
from tests.store.contract.checks import begin
from tests.store.contract.forgeries import SNOWBALL, TRAILER, forgeries

NAMES = [one.name for one in forgeries(Store("http://127.0.0.1:1", "x", "x", bucket="x"), "x", "x")]
CHUNK = b"6\r\nforged\r\n0\r\n\r\n\r\n"
UNSIGNED = {"X-Amz-Content-Sha256": TRAILER, "X-Amz-Decoded-Content-Length": "6"}


def scope(whose: str) -> str:
    return f"X-Amz-Credential={quote(f'{whose}/20260101/us-east-1/s3/aws4_request', safe='')}"


@pytest.mark.parametrize("name", NAMES)
def test_a_forged_write_is_403_and_changes_nothing(name: str, store: Store) -> None:
    store.put("kept", b"kept")
    upload = begin(store, "kept")
    forged = next(one for one in forgeries(store, "kept", upload) if one.name == name)
    assert forged.sent_to(store).status == 403
    assert store.ask("GET", "kept").want(200).body == b"kept"
    assert store.ask("GET", "kept", query={"uploadId": upload}).want(200).texts("Size") == []
    assert store.keys() == ["kept"]


@pytest.mark.parametrize("place", ["header", "query"])
def test_even_a_right_key_sends_no_unsigned_trailer(place: str, store: Store) -> None:
    if place == "query":
        answer = store.send("PUT", store.presigned("PUT", "new"), CHUNK, UNSIGNED)
    else:
        answer = store.ask("PUT", "new", CHUNK, {"x-amz-meta-a": "b"}, query={"X-Amz-Content-Sha256": TRAILER})
    assert (answer.status, store.keys()) == (403, [])


@pytest.mark.parametrize("spelled", [TRAILER.lower(), f" {TRAILER} "])
def test_another_spelling_of_the_unsigned_trailer_is_refused(spelled: str, store: Store) -> None:
    headers = {**UNSIGNED, "X-Amz-Content-Sha256": spelled}
    assert store.send("PUT", f"{store.url('new')}?{scope(store.access_key)}", CHUNK, headers).status == 403
    assert store.keys() == []


def test_a_key_signs_for_itself_and_never_for_the_one_in_the_query(store: Store) -> None:
    other = f"{store.access_key}/20260101/us-east-1/s3/aws4_request"
    assert store.ask("PUT", "new", b"x", query={"X-Amz-Credential": other}).status == 403
    assert store.ask("PUT", "new", b"x", query={"AWSAccessKeyId": store.access_key}).status == 403
    assert store.keys() == []


def test_the_old_signature_in_the_query_is_verified_too(store: Store) -> None:
    url = f"{store.url('new')}?AWSAccessKeyId={store.access_key}&Expires=4000000000&Signature=AAAA"
    assert store.send("PUT", url, b"x", SNOWBALL).status == 403
    assert store.send("PUT", f"{url}&{scope(store.access_key)}", CHUNK, UNSIGNED).status == 403
    assert store.keys() == []


def test_a_signature_of_another_path_or_method_opens_nothing(store: Store) -> None:
    store.put("kept", b"kept")
    reading = store.presigned("GET", "kept")
    assert store.send("GET", reading).body == b"kept"
    for method in ("PUT", "DELETE"):
        assert store.send(method, reading, b"x").status == 403
    assert store.send("GET", reading.replace("/kept?", "/other?")).status == 403
    assert store.ask("GET", "kept").body == b"kept"


@pytest.mark.parametrize(
    "header",
    [
        "X-Minio-Replication-Server-Side-Encryption-Sealed-Key",
        "x-minio-source-replication-request",
        "X-Minio-Source-Mtime",
    ],
)
def test_no_key_writes_as_another_sites_replication(header: str, store: Store) -> None:
    store.put("kept", b"kept")
    assert store.ask("PUT", "kept", b"other", {header: "true"}).status == 403
    assert store.send("PUT", store.presigned("PUT", "kept"), b"other", {header: "true"}).status == 403
    assert store.ask("GET", "kept").want(200).body == b"kept"
