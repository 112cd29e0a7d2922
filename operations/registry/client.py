"""The client of a registry's HTTP API (OCI distribution), with connections that are kept or one for each request."""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError

from operations.errors import BerthError
from operations.registry.endpoint import User

CONNECTIONS = 16
CHUNK = 1024 * 1024
ATTEMPTS = 3
INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
ANY = ", ".join((*INDEXES, *MANIFESTS))
PROBE_SOCKET = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    # With a large buffer this machine would go on reading for seconds from a server that is dead.
    (socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024),
    # As Go does, docker's language: it ends a read from a server that vanished without closing.
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15),
]
_RETRY = urllib3.Retry(
    total=4, redirect=0, backoff_factor=0.2, status_forcelist=(502, 503, 504), raise_on_status=False, other=0
)


class Broken(BerthError):
    """A registry that can't be reached, or does not answer as registries do."""


class WrongDigest(Broken):
    """A whole answer whose digest is not the one that was requested."""


@dataclass(frozen=True)
class Manifest:
    """An image's manifest, or an index of several, as it is stored."""

    digest: str
    type: str
    body: bytes

    @property
    def document(self) -> dict[str, Any]:
        return dict(json.loads(self.body))


class RegistryClient:
    """The registry of a stack and one of its users. May be used by several threads."""

    def __init__(
        self, stack: str, registry: str, ca: str, user: User | None, outage_after: float | None = None
    ) -> None:
        """`registry` is `name:port`, `ca` is PEM.

        With `outage_after` (seconds of silence) each request is sent once, on a connection of its own, as a fault test
        needs it: nothing is retried and nothing is read ahead.
        """
        self.stack, self.registry = stack, registry
        self._arguments = (stack, registry, ca, user)
        self._name, self._user = f"{stack}'s registry {registry}", user.username if user else "(nobody)"
        self._headers = {"Authorization": f"Basic {user.basic}"} if user else {}
        host, _, port = registry.rpartition(":")
        probes = outage_after is not None
        self._retry: urllib3.Retry | bool = False if probes else _RETRY
        self._connect = partial(
            urllib3.HTTPSConnectionPool,
            host,
            int(port),
            maxsize=CONNECTIONS,
            block=True,
            timeout=urllib3.Timeout(outage_after) if probes else urllib3.Timeout(connect=10, read=300),
            ssl_context=ssl.create_default_context(cadata=ca),
            socket_options=PROBE_SOCKET if probes else HTTPConnection.default_socket_options,
        )
        self._kept = None if probes else self._connect()

    def clone(self) -> RegistryClient:
        """The same with connections of its own: copying within one registry over shared ones could deadlock."""
        return RegistryClient(*self._arguments)

    def catalog(self) -> list[str]:
        """Every repository; for users with the role admin."""
        return list(self._listed("/v2/_catalog", "repositories"))

    def tags(self, repository: str) -> list[str]:
        """Every tag of a repository; none where there is no such repository."""
        return list(self._listed(f"/v2/{repository}/tags/list", "tags"))

    def manifest(self, repository: str, reference: str) -> Manifest | None:
        """A manifest by tag or digest, read as a whole."""
        with self._ask("GET", f"/v2/{repository}/manifests/{reference}", accept=ANY) as answer:
            if answer.status == 404:
                return None
            body = answer.read()
        found = f"sha256:{hashlib.sha256(body).hexdigest()}"
        if reference.startswith("sha256:") and found != reference:
            raise Broken(f"{self.stack}'s registry returned {found} for {reference} of {repository}.")
        return Manifest(found, answer.headers.get("Content-Type", "").partition(";")[0], body)

    def tagged(self, repository: str, tag: str) -> str | None:
        """The digest that a tag has in the store itself: what only a cache has is reported without one."""
        with self._ask("HEAD", f"/v2/{repository}/manifests/{tag}", accept=ANY) as answer:
            return answer.headers.get("Docker-Content-Digest") if answer.status == 200 else None

    def has_manifest(self, repository: str, manifest: Manifest) -> bool:
        """Whether the store itself has it; requested by one type alone, no cache replies in its place."""
        with self._ask("HEAD", f"/v2/{repository}/manifests/{manifest.digest}", accept=manifest.type) as answer:
            return answer.status == 200

    def has_blob(self, repository: str, digest: str, size: int) -> bool:
        """Whether a repository has a blob, in its whole length."""
        with self._ask("HEAD", f"/v2/{repository}/blobs/{digest}") as answer:
            return answer.status == 200 and answer.headers.get("Content-Length") == str(size)

    def mount(self, repository: str, digest: str, origin: str) -> bool:
        """Give a repository a blob of another one; whether that was possible."""
        path = f"/v2/{repository}/blobs/uploads/?mount={digest}&from={origin}"
        with self._ask("POST", path) as answer:
            return answer.status == 201

    def read_blob(self, repository: str, digest: str, chunk: int = CHUNK) -> Generator[bytes]:
        """A blob piece by piece; raises WrongDigest at the end if its digest differs."""
        kind, _, wanted = digest.partition(":")
        found = hashlib.new(kind)
        with self._ask("GET", f"/v2/{repository}/blobs/{digest}") as answer:
            if answer.status == 404:
                raise KeyError(digest)
            for piece in answer.stream(chunk):
                found.update(piece)
                yield piece
        if found.hexdigest() != wanted:
            raise WrongDigest(f"{self.stack}'s registry returned wrong bytes for {digest} of {repository}.")

    def upload(self, repository: str, digest: str, size: int, pieces: Iterator[bytes]) -> None:
        """Upload a blob without holding all of it in memory."""
        with self._ask("POST", f"/v2/{repository}/blobs/uploads/") as answer:
            place = urlsplit(answer.headers.get("Location", ""))
        query = f"{place.query}&digest={digest}" if place.query else f"digest={digest}"
        headers = {"Content-Length": str(size), "Content-Type": "application/octet-stream"}
        with self._ask("PUT", f"{place.path}?{query}", headers=headers, body=pieces, retries=False):
            return

    def push_blob(self, repository: str, data: bytes) -> str:
        """Upload a blob from memory; its digest."""
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        self.upload(repository, digest, len(data), iter([data]))
        return digest

    def put_manifest(self, repository: str, reference: str, manifest: Manifest) -> None:
        """Store a manifest under its digest or a tag."""
        headers = {"Content-Type": manifest.type}
        path = f"/v2/{repository}/manifests/{reference}"
        with self._ask("PUT", path, headers=headers, body=manifest.body) as answer:
            if answer.headers.get("Docker-Content-Digest") != manifest.digest:
                raise Broken(f"{self.stack}'s registry stored {repository}@{manifest.digest} under another digest.")

    def _listed(self, path: str, word: str) -> Iterator[str]:
        last = ""
        while True:
            with self._ask("GET", f"{path}?n=1000{last}") as answer:
                found = [] if answer.status == 404 else json.loads(answer.read())[word] or []
            yield from found
            if "Link" not in answer.headers or not found:
                return
            last = f"&last={found[-1]}"

    @contextmanager
    def _ask(
        self,
        method: str,
        path: str,
        accept: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterator[bytes] | None = None,
        retries: urllib3.Retry | bool | None = None,
    ) -> Iterator[urllib3.BaseHTTPResponse]:
        sent = {**self._headers, **({"Accept": accept} if accept else {}), **(headers or {})}
        what = f"{method} {path.partition('?')[0]}"
        pool = self._kept or self._connect()
        try:
            answer = pool.urlopen(
                method,
                path,
                body=body,
                headers=sent,
                retries=self._retry if retries is None else retries,
                redirect=False,
                preload_content=False,
            )
            try:
                self._check_status(answer.status, what)
                yield answer
                answer.drain_conn()
            except BaseException:
                answer.close()
                raise
            finally:
                answer.release_conn()
                if pool is not self._kept:
                    pool.close()
        except HTTPError as error:
            reason = getattr(error, "reason", None) or error
            hint = f"./berth verify --stack {self.stack} checks it"
            raise Broken(f"{self._name} can't be reached ({what}): {_plain(reason)}: {hint}.") from None

    def _check_status(self, status: int, what: str) -> None:
        if status in (401, 403):
            raise BerthError(
                f"{self._name} refuses its own user {self._user} ({what}: {status}), whose password is in the stack's "
                f"state: ./berth up --stack {self.stack} repairs that."
            )
        if status != 404 and not 200 <= status < 300:
            raise Broken(f"{self.stack}'s registry answers {status} ({what}).")
        if status == 404 and not what.startswith(("GET", "HEAD")):
            raise Broken(f"{self.stack}'s registry answers 404 ({what}).")


def _plain(reason: object) -> str:
    """A library's reason without the object that it names first."""
    return str(reason).rpartition("): ")[2] or type(reason).__name__
