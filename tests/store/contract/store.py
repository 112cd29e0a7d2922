"""An S3 endpoint as the checks see it: single requests, signed as said, with nothing retried or hidden."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import urllib3
from minio.credentials.credentials import Credentials
from minio.signer import presign_v4, sign_v4_s3

EMPTY = hashlib.sha256(b"").hexdigest()


class Broken(AssertionError):
    """The store does not keep a promise; the text says which answer came."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """S3's own word for an error, empty where there is none."""
        return self.text("Code")

    def text(self, tag: str) -> str:
        """The first element of that name in the document; empty where there is none."""
        return next(iter(self.texts(tag)), "")

    def texts(self, tag: str) -> list[str]:
        """Every element of that name in the document."""
        try:
            root = ElementTree.fromstring(self.body)
        except ElementTree.ParseError:
            return []
        return [one.text or "" for one in root.iter() if one.tag.rpartition("}")[2] == tag]

    def want(self, status: int, code: str = "") -> Answer:
        """Itself, or `Broken` where another status or code came."""
        if self.status != status or (code and self.code != code):
            wanted = f"{status} {code}".strip()
            raise Broken(f"{wanted} was expected, and {self.status} {self.code} came.".replace("  ", " "))
        return self


@dataclass(frozen=True)
class Store:
    """An endpoint, the key that requests are signed with, and the bucket that they go to."""

    endpoint: str
    """With scheme, without path."""
    access_key: str
    secret_key: str = field(repr=False)
    region: str = "us-east-1"
    bucket: str = ""
    pool: urllib3.PoolManager = field(default_factory=urllib3.PoolManager, repr=False, compare=False)

    @classmethod
    def at(
        cls, endpoint: str, access_key: str, secret_key: str, region: str = "us-east-1", ca: str | None = None
    ) -> Store:
        """A store whose certificate is verified by the CA in that file, or by the system's own."""
        pool = urllib3.PoolManager(ca_certs=ca, retries=False, maxsize=16, timeout=urllib3.Timeout(10, read=60))
        return cls(endpoint.rstrip("/"), access_key, secret_key, region, pool=pool)

    def within(self, bucket: str) -> Store:
        """The same, with requests for another bucket."""
        return replace(self, bucket=bucket)

    def signed_by(self, access_key: str, secret_key: str) -> Store:
        """The same, with another key."""
        return replace(self, access_key=access_key, secret_key=secret_key)

    def url(self, key: str = "", query: Mapping[str, str] | None = None) -> str:
        """The address of an object of the bucket, or of the bucket itself."""
        path = quote("/".join(part for part in (self.bucket, key) if part), safe="/-_.~")
        return f"{self.endpoint}/{path}" + (f"?{urlencode(query, quote_via=quote)}" if query else "")

    def send(self, method: str, url: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
        """A request as it is, without a signature."""
        got = self.pool.request(method, url, body=body or None, headers=dict(headers or {}), redirect=False)
        return Answer(got.status, {name.lower(): value for name, value in got.headers.items()}, got.data)

    def ask(
        self,
        method: str,
        key: str = "",
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        """A request signed in its headers, over its body."""
        url = urlsplit(self.url(key, query))
        digest = hashlib.sha256(body).hexdigest() if body else EMPTY
        moment = datetime.now(UTC)
        own = {"Host": url.netloc, "x-amz-content-sha256": digest, "x-amz-date": moment.strftime("%Y%m%dT%H%M%SZ")}
        signed = sign_v4_s3(
            method=method,
            url=url,
            region=self.region,
            headers={**own, **(headers or {})},
            credentials=Credentials(self.access_key, self.secret_key),
            content_sha256=digest,
            date=moment,
        )
        return self.send(method, url.geturl(), body, {name: str(value) for name, value in signed.items()})

    def presigned(self, method: str, key: str, seconds: int = 60, moment: datetime | None = None) -> str:
        """An address that carries its signature itself."""
        return presign_v4(
            method=method,
            url=urlsplit(self.url(key)),
            region=self.region,
            credentials=Credentials(self.access_key, self.secret_key),
            date=moment or datetime.now(UTC),
            expires=seconds,
        ).geturl()

    def put(self, key: str, body: bytes = b"x") -> str:
        """Write an object; its ETag."""
        return self.ask("PUT", key, body).want(200).headers.get("etag", "")

    def keys(self, query: Mapping[str, str] | None = None) -> list[str]:
        """What a listing says, all pages of it."""
        found: list[str] = []
        more = {"list-type": "2", **(query or {})}
        while True:
            page = self.ask("GET", query=more).want(200)
            found += page.texts("Key")
            if page.text("IsTruncated") != "true":
                return found
            more["continuation-token"] = page.text("NextContinuationToken")

    def remove(self, *objects: tuple[str, str]) -> Answer:
        """Delete up to 1,000 objects, each key and version id (or nothing), in one request."""
        entries = "".join(
            f"<Object><Key>{escape(key)}</Key>{f'<VersionId>{version}</VersionId>' if version else ''}</Object>"
            for key, version in objects
        )
        body = f"<Delete>{entries}</Delete>".encode()
        # S3 wants a checksum for this request beside the signature.
        digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        return self.ask(
            "POST", body=body, headers={"Content-MD5": digest, "Content-Type": "text/xml"}, query={"delete": ""}
        )


@contextmanager
def bucket_of_its_own(store: Store, versioned: bool = False) -> Iterator[Store]:
    """A new bucket that is emptied and removed afterwards, whatever happened."""
    own = store.within(f"berth-contract-{secrets.token_hex(6)}")
    own.ask("PUT").want(200)
    try:
        if versioned:
            body = b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
            own.ask("PUT", body=body, query={"versioning": ""}).want(200)
        yield own
    finally:
        _empty(own)
        own.ask("DELETE")


def versions(store: Store) -> list[tuple[str, str]]:
    """Key and version id of everything in the bucket, delete markers included (up to 1,000)."""
    listed = store.ask("GET", query={"versions": ""}).want(200)
    plain = re.sub(rb' xmlns="[^"]*"', b"", listed.body)
    found = ElementTree.fromstring(plain)
    return [
        (one.findtext("Key") or "", one.findtext("VersionId") or "")
        for one in found
        if one.tag in ("Version", "DeleteMarker")
    ]


def _empty(store: Store) -> None:
    while found := versions(store):
        store.remove(*found).want(200)
    for key, upload in uploads(store):
        store.ask("DELETE", key, query={"uploadId": upload})


def uploads(store: Store) -> list[tuple[str, str]]:
    """Key and id of every multipart upload that is under way."""
    listed = store.ask("GET", query={"uploads": ""}).want(200)
    return list(zip(listed.texts("Key"), listed.texts("UploadId"), strict=False))
