"""A registry in this process, as much of one as a promotion asks: two of them are a source and a target."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from operations.registry.client import INDEXES, MANIFESTS, RegistryClient
from operations.registry.endpoint import Endpoint, User
from tests.front.certificates import Authority
from tests.front.fake import Answer, Asked, Fake

OCI, DOCKER = MANIFESTS
INDEX = INDEXES[0]
USERS = {"boss": "admin", "writer": "push", "reader": "pull"}
PASSWORD = "correct-horse-canary"


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Registry:
    """Blobs and manifests by repository; what a test takes away, or breaks, is gone or broken."""

    def __init__(self, fake: Fake) -> None:
        self._fake = fake
        self.blobs: dict[str, dict[str, bytes]] = defaultdict(dict)
        self.manifests: dict[str, dict[str, tuple[str, bytes]]] = defaultdict(dict)
        self.tags: dict[str, dict[str, str]] = defaultdict(dict)
        self.asked: list[tuple[str, str]] = []
        self.breaks: dict[tuple[str, str], list[Answer]] = defaultdict(list)
        """(method, part of the path) -> answers that are given first."""
        self._lock = threading.Lock()
        fake.reset(self._answer)

    def end(self) -> Endpoint:
        return Endpoint(f"localhost:{self._fake.port}", "ca.pem", {})

    def push(self, name: str, *layers: bytes, type_: str = OCI) -> str:
        """An image under a tag; its digest."""
        repository, _, tag = name.rpartition(":")
        return self.put(repository, tag, type_, self._image(repository, layers, type_))

    def push_index(self, name: str, *images: tuple[bytes, ...]) -> str:
        """An index of images for several platforms."""
        repository, _, tag = name.rpartition(":")
        children = [self.put(repository, "", OCI, self._image(repository, layers, OCI)) for layers in images]
        parts = [{"mediaType": OCI, "size": 1, "digest": child} for child in children]
        body = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": parts}).encode()
        return self.put(repository, tag, INDEX, body)

    def put(self, repository: str, tag: str, type_: str, body: bytes) -> str:
        digest = digest_of(body)
        self.manifests[repository][digest] = (type_, body)
        if tag:
            self.tags[repository][tag] = digest
        return digest

    def _image(self, repository: str, layers: tuple[bytes, ...], type_: str) -> bytes:
        parts = [b'{"os":"linux"}', *layers]
        described = []
        for part in parts:
            self.blobs[repository][digest_of(part)] = part
            described.append({"mediaType": "x", "size": len(part), "digest": digest_of(part)})
        document = {"schemaVersion": 2, "mediaType": type_, "config": described[0], "layers": described[1:]}
        return json.dumps(document).encode()

    def count(self, method: str, part: str) -> int:
        """How often it was asked for such a thing."""
        return sum(1 for asked in self.asked if asked[0] == method and part in asked[1])

    def _answer(self, asked: Asked) -> Answer:
        with self._lock:
            self.asked.append((asked.method, asked.path))
            for (method, part), answers in self.breaks.items():
                if method == asked.method and part in asked.path and answers:
                    return answers.pop(0)
            return self._route(asked)

    def _route(self, asked: Asked) -> Answer:
        name, _, password = base64.b64decode(asked.headers.get("Authorization", " ").split()[1]).decode().partition(":")
        role = USERS.get(name) if password == PASSWORD else None
        if role is None or (role == "pull" and asked.method not in ("GET", "HEAD")):
            return Answer(401)
        parts = urlsplit(asked.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if parts.path == "/v2/_catalog":
            return _page("repositories", sorted(self.tags), query) if role == "admin" else Answer(403)
        found = re.fullmatch(r"/v2/(.+)/(tags|manifests|blobs)/(.*)", parts.path)
        assert found, asked.path
        repository, kind, reference = found.groups()
        if kind == "tags":
            tags = sorted(self.tags.get(repository, {}))
            return _page("tags", tags, query) if tags else Answer(404)
        return (self._manifest if kind == "manifests" else self._blob)(asked, repository, reference, query)

    def _manifest(self, asked: Asked, repository: str, reference: str, query: dict[str, str]) -> Answer:
        if asked.method == "PUT":
            assert isinstance(json.loads(asked.body), dict)
            missing = [
                d for d in _needs(asked.body) if d not in {**self.blobs[repository], **self.manifests[repository]}
            ]
            if missing:
                return Answer(400)
            tag = "" if reference.startswith("sha256:") else reference
            digest = self.put(repository, tag, asked.headers["Content-Type"], asked.body)
            return Answer(201, headers={"Docker-Content-Digest": digest})
        digest = self.tags.get(repository, {}).get(reference, reference)
        if digest not in self.manifests.get(repository, {}):
            return Answer(404)
        type_, body = self.manifests[repository][digest]
        accepted = asked.headers.get("Accept", "")
        headers = {"Docker-Content-Digest": digest, "Content-Type": type_}
        return Answer(200, body, headers) if type_ in accepted else Answer(404)

    def _blob(self, asked: Asked, repository: str, reference: str, query: dict[str, str]) -> Answer:
        if asked.method == "POST":
            origin = self.blobs.get(query.get("from", ""), {})
            if query.get("mount") in origin:
                self.blobs[repository][query["mount"]] = origin[query["mount"]]
                return Answer(201)
            return Answer(202, headers={"Location": f"/v2/{repository}/blobs/uploads/1?_state=x"})
        if asked.method == "PUT":
            if digest_of(asked.body) != query["digest"]:
                return Answer(400)
            self.blobs[repository][query["digest"]] = asked.body
            return Answer(201)
        data = self.blobs.get(repository, {}).get(reference)
        return Answer(404) if data is None else Answer(200, data)


def _needs(body: bytes) -> list[str]:
    document = json.loads(body)
    parts = [document["config"], *document["layers"]] if "layers" in document else document["manifests"]
    return [part["digest"] for part in parts if not part.get("urls")]


def _page(word: str, found: list[str], query: dict[str, str]) -> Answer:
    """Two at a time, so that every list of three is read in pages."""
    rest = [name for name in found if name > query.get("last", "")]
    headers = {"Link": '<x>; rel="next"'} if len(rest) > 2 else {}
    return Answer(200, json.dumps({word: rest[:2]}).encode(), headers)


class World:
    """Registries of one CA."""

    def __init__(self, folder: Path) -> None:
        authority = Authority()
        issued = authority.issue("localhost", "127.0.0.1")
        self.ca = authority.certificate
        self._files = (folder / "tls.crt", folder / "tls.key")
        for file, text in zip(self._files, (issued.certificate, issued.key), strict=True):
            file.write_text(text)
        self._fakes: list[Fake] = []

    def registry(self) -> Registry:
        self._fakes.append(Fake(*self._files, None))
        return Registry(self._fakes[-1])

    def store(self, stack: str, registry: Registry, user: str = "writer") -> RegistryClient:
        return RegistryClient(stack, registry.end().registry, self.ca, User(user, PASSWORD))

    @classmethod
    @contextmanager
    def of(cls, folder: Path) -> Iterator[World]:
        made = cls(folder)
        try:
            yield made
        finally:
            for fake in made._fakes:
                fake.close()
