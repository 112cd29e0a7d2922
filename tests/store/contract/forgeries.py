"""Requests that name a key and do not prove that their sender has it: each is to be refused, and to change nothing."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from tests.store.contract.store import Answer, Store

TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
SNOWBALL = {"X-Amz-Meta-Snowball-Auto-Extract": "true"}
UNKNOWN = "NOBODYHASTHISKEY0000"


@dataclass(frozen=True)
class Forgery:
    """One request without a right signature."""

    name: str
    method: str
    url: str
    headers: dict[str, str]
    body: bytes

    def sent_to(self, store: Store) -> Answer:
        """What the store answers."""
        return store.send(self.method, self.url, self.body, self.headers)


def forgeries(store: Store, key: str, upload: str) -> Iterator[Forgery]:
    """Every way of writing the object `key`, or a part of its upload, by a key id that is known, unknown or missing."""
    date = datetime.now(UTC)
    ways = {
        "put": (store.url(key), {}, b"forged"),
        "part": (store.url(key, {"partNumber": "1", "uploadId": upload}), {}, b"forged"),
        "snowball": (store.url(key + ".tar"), SNOWBALL, _tar(key)),
    }
    for whose, identity in (("known", store.access_key), ("unknown", UNKNOWN), ("no", "")):
        scope = f"{identity}/{date:%Y%m%d}/{store.region}/s3/aws4_request"
        for place in ("query", "header"):
            for way, (address, extra, content) in ways.items():
                for payload, body in (("unsigned trailer", _chunked(content)), ("plain", content), ("no body", b"")):
                    url, headers = address, {"X-Amz-Date": f"{date:%Y%m%dT%H%M%SZ}", **extra}
                    if identity and place == "query":
                        url += ("&" if "?" in url else "?") + f"X-Amz-Credential={quote(scope, safe='')}"
                    elif identity:
                        signed = f"SignedHeaders=host;x-amz-date, Signature={'0' * 64}"
                        headers["Authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, {signed}"
                    if payload != "plain":
                        headers["X-Amz-Content-Sha256"] = TRAILER
                        headers["X-Amz-Decoded-Content-Length"] = str(len(content) if body else 0)
                    name = f"{way}, {whose} key id in the {place}, {payload}"
                    yield Forgery(name, "PUT", url, headers, body)


def _chunked(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n\r\n" % (len(content), content)


def _tar(key: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        info = tarfile.TarInfo(key)
        info.size = len(b"forged")
        tar.addfile(info, io.BytesIO(b"forged"))
    return packed.getvalue()
