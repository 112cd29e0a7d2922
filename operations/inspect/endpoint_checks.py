"""Checks the registry and the object store as a client on the deploy host sees them."""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509

from operations.errors import BerthError
from operations.registry.endpoint import Endpoint, User, endpoint
from operations.workspace import Workspace

SECONDS = 10.0


@dataclass(frozen=True)
class Reply:
    """An HTTPS reply: its status, or why there is none; and when the server's certificate expires."""

    status: int | None = None
    error: str = ""
    expires: datetime | None = None

    @property
    def text(self) -> str:
        return str(self.status) if self.status is not None else self.error

    @property
    def days_left(self) -> int | None:
        return None if self.expires is None else (self.expires - datetime.now(UTC)).days


@dataclass(frozen=True)
class EndpointReplies:
    """The replies of the registry and the object store."""

    anonymous: Reply
    with_user: Reply
    object_store: Reply
    ca_days_left: int
    promoted: Mapping[str, str | None] = field(default_factory=dict)
    """The digest that each promoted tag has in the registry; None where it has none."""


def ask(workspace: Workspace, stack: str, outputs: Mapping[str, Any]) -> EndpointReplies:
    """Sends all three requests at once, each with a timeout, trusting only the stack's CA."""
    ca = str(outputs["registry_ca"])
    end = endpoint(workspace, stack, outputs, show_secrets=True)
    registry = f"https://{end.registry}/v2/"
    with ThreadPoolExecutor(3) as pool:
        anonymous = pool.submit(get, registry, ca)
        with_user = pool.submit(get, registry, ca, end.users["pull"])
        endpoint_here = str(outputs.get("forwarded_object_store") or outputs["object_store"]).rstrip("/")
        store = pool.submit(get, f"{endpoint_here}/minio/health/cluster", ca)
    lives = [certificate.not_valid_after_utc for certificate in x509.load_pem_x509_certificates(ca.encode())]
    days = (max(lives) - datetime.now(UTC)).days
    tags = outputs.get("promoted") or {}
    there = _promoted(end, stack, ca, tags) if tags and with_user.result().status == 200 else {}
    return EndpointReplies(anonymous.result(), with_user.result(), store.result(), days, there)


def _promoted(end: Endpoint, stack: str, ca: str, tags: Iterable[str]) -> dict[str, str | None]:
    from operations.registry import copy_images
    from operations.registry.client import RegistryClient

    store = RegistryClient(stack, end.registry, ca, end.users["pull"])
    expected = [name.rsplit(":", 1) for name in tags]
    repositories = list(dict.fromkeys(repository for repository, _ in expected))
    try:
        listed = dict(zip(repositories, copy_images.each(store.tags, repositories), strict=True))
        # Lists never come from caches. Asked for a tag that only an upstream has, its cache would fetch and keep it.
        there = [(repository, tag) for repository, tag in expected if tag in listed[repository]]
        digests = copy_images.each(lambda one: store.tagged(*one), there)
        found = {f"{repository}:{tag}": digest for (repository, tag), digest in zip(there, digests, strict=True)}
        return {name: found.get(name) for name in tags}
    except BerthError:
        return {}


def get(url: str, ca: str, user: User | None = None, seconds: float = SECONDS) -> Reply:
    """One GET; the certificate must be of the given CA and for the URL's name."""
    parts = urlsplit(url)
    context = ssl.create_default_context(cadata=ca)
    connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=seconds, context=context)
    headers = {}
    if user is not None:
        headers["Authorization"] = f"Basic {user.basic}"
    with contextlib.closing(connection):
        try:
            connection.connect()
            expires = _expires(connection)
            connection.request("GET", parts._replace(scheme="", netloc="").geturl() or "/", headers=headers)
            return Reply(connection.getresponse().status, expires=expires)
        except ssl.SSLCertVerificationError as error:
            return Reply(error=f"certificate refused: {error.verify_message}")
        except socket.gaierror:
            return Reply(error=f"the name {parts.hostname} does not resolve here")
        except (OSError, http.client.HTTPException) as error:
            return Reply(error=str(getattr(error, "strerror", None) or error) or type(error).__name__)


def _expires(connection: http.client.HTTPSConnection) -> datetime | None:
    shown = connection.sock.getpeercert(binary_form=True) if isinstance(connection.sock, ssl.SSLSocket) else None
    return x509.load_der_x509_certificate(shown).not_valid_after_utc if shown else None
