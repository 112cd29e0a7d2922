"""The rendered configuration in the image's own nginx, with fake replicas, caches and MinIO servers behind it."""

from __future__ import annotations

import base64
import contextlib
import http.client
import os
import socket
import ssl
import subprocess
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import bcrypt

from components.certificates.pem import Pem
from components.lib.host_files.bundle import Entry
from components.load_balancer import render
from components.load_balancer.component import nginx_confinement
from components.load_balancer.render import CacheServers, NginxConfig
from config import naming
from config.model.limits import NginxLimits
from images import reference
from tests.confined import docker_options
from tests.front.certificates import Authority, Issued
from tests.front.fake import Fake, Frozen

NAME = "registry.front.test"
ADDRESS = "127.0.0.9"
PASSWORDS = {"bob": "read", "alice": "write", "root": "all"}
MAY = {"pull": ("bob", "alice", "root"), "push": ("alice", "root"), "admin": ("root",)}
SECOND = "the-next-one"
IMAGE = reference("nginx")


@dataclass(frozen=True)
class Response:
    """What a client got."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes
    seconds: float


@dataclass
class World:
    """nginx and everything behind it."""

    config: NginxConfig
    directory: Path
    replicas: list[Fake]
    caches: dict[str, list[Fake]]
    drives: list[Fake]
    frozen: Frozen
    context: ssl.SSLContext
    mirror_context: ssl.SSLContext
    container: str = ""
    sources: Iterator[int] = field(default_factory=lambda: iter(range(20, 250)))

    def source(self) -> str:
        """A client's address that no test used before."""
        return f"127.0.1.{next(self.sources)}"

    def send(
        self,
        method: str,
        path: str,
        *,
        user: str | None = "bob",
        password: str | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        mirror: bool = False,
        context: ssl.SSLContext | None = None,
        source: str = "127.0.0.1",
    ) -> http.client.HTTPSConnection:
        """One request on a new connection; a header's value of several lines is several headers."""
        connection = http.client.HTTPSConnection(
            "127.0.0.1",
            self.config.mirror_port if mirror else self.config.port,
            context=context or (self.mirror_context if mirror else self.context),
            timeout=20,
            source_address=(source, 0),
        )
        sent = dict(headers or {})
        if user is not None and not mirror:
            word = PASSWORDS.get(user, "") if password is None else password
            sent.setdefault("Authorization", "Basic " + base64.b64encode(f"{user}:{word}".encode()).decode())
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in sent.items():
            for line in value.split("\n"):
                connection.putheader(name, line)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.endheaders(body)
        return connection

    def ask(self, method: str, path: str, **options: Any) -> Response:
        """The same, and what came back."""
        began = time.monotonic()
        connection = self.send(method, path, **options)
        got = connection.getresponse()
        content = got.read()
        connection.close()
        return Response(got.status, got.headers, content, time.monotonic() - began)

    def status(self, page: str) -> int:
        """What a status page says."""
        return page_of(page)[0]

    @contextlib.contextmanager
    def pool(self, *servers: str) -> Iterator[None]:
        """Other replicas behind nginx, as lines of its configuration; the usual ones afterwards."""
        try:
            self._write_pool(servers)
            self.reload()
            yield
        finally:
            self.usual_pool()
            self.reload()

    def usual_pool(self) -> None:
        """Both replicas, as the script on a node writes them."""
        self._write_pool(
            line
            for one in self.replicas
            for line in (f"{one.endpoint} max_fails=1 fail_timeout=2s", f"{one.endpoint} max_fails=0 backup")
        )

    def _write_pool(self, servers: Iterable[str]) -> None:
        text = "".join(f"server {line};\n" for line in servers)
        (self.directory / "pool" / "test.conf").write_text(text)

    def reload(self) -> None:
        """nginx with what is in the directory now."""
        generation = uuid.uuid4().hex
        (self.directory / "generation.conf").write_text(f'map "" $generation {{ default "{generation}"; }}\n')
        subprocess.run(["docker", "kill", "--signal", "HUP", self.container], check=True, capture_output=True)
        self.wait(lambda: page_of("config")[1] == generation)

    @staticmethod
    def wait(condition: Callable[[], bool], seconds: float = 10) -> None:
        """Until the condition holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "it did not come true in time"
            time.sleep(0.02)


class Behind:
    """The servers behind nginx, with certificates as the real ones have."""

    def __init__(self, directory: Path) -> None:
        self.authority = Authority()
        self.fakes: list[Fake] = []
        self._directory = directory
        self.ca = directory / "fake-ca.crt"
        self.ca.write_text(self.authority.certificate)

    def distribution(self, *addresses: str, port: int = 0) -> list[Fake]:
        """Replicas or caches: they want a client certificate."""
        certificate = self._written("replica", naming.replica_name(NAME))
        return [self._add(Fake(*certificate, self.ca, address, port)) for address in addresses]

    def drives(self, *addresses: str) -> list[Fake]:
        """MinIO servers, all on one port."""
        certificate = self._written("drive", naming.drive_name(NAME), ADDRESS)
        made = [self._add(Fake(*certificate, None, addresses[0]))]
        return made + [self._add(Fake(*certificate, None, address, made[0].port)) for address in addresses[1:]]

    def close(self) -> None:
        """Ends all servers."""
        for one in self.fakes:
            one.close()

    def _add(self, fake: Fake) -> Fake:
        self.fakes.append(fake)
        return fake

    def _written(self, name: str, *names: str) -> tuple[Path, Path]:
        issued = self.authority.issue("node", *names)
        paths = self._directory / f"{name}.fake.crt", self._directory / f"{name}.fake.key"
        for path, text in zip(paths, (issued.certificate, issued.key), strict=True):
            path.write_text(text)
        return paths


def config_of(replicas: Sequence[str], caches: Mapping[str, list[Fake]], drives: Sequence[Fake]) -> NginxConfig:
    """nginx's settings, on ports that are free."""
    port, mirror_port, endpoint_port = free_ports(3)
    prefixes = {"hub": "docker.io", "quay": "quay.io"}
    return NginxConfig(
        name=NAME,
        address=ADDRESS,
        own_address="127.0.0.1",
        port=port,
        mirror_port=mirror_port,
        replicas=replicas,
        readers=["bob"],
        caches=[
            CacheServers(name, prefixes[name], name == "hub", [one.endpoint for one in several])
            for name, several in caches.items()
        ],
        drives=[one.endpoint.partition(":")[0] for one in drives],
        object_store_port=drives[0].port,
        object_store_endpoint_port=endpoint_port,
    )


def entries_of(config: NginxConfig, authority: Authority, mirror: Issued) -> list[Entry]:
    """nginx's files, as the program makes them."""
    server = authority.issue(NAME, "127.0.0.1")
    client = authority.issue("balancer", client=True)
    hashes = {user: bcrypt.hashpw(word.encode(), bcrypt.gensalt(10)).decode() for user, word in PASSWORDS.items()}
    second = bcrypt.hashpw(SECOND.encode(), bcrypt.gensalt(10)).decode()
    htpasswd = {kind: "".join(f"{user}:{hashes[user]}\n" for user in users) for kind, users in MAY.items()}
    htpasswd |= {f"{kind}-second": f"alice:{second}\n" if "alice" in MAY[kind] else "" for kind in MAY}
    return render.entries(
        config,
        Pem(authority.certificate, server.key, server.certificate),
        Pem(authority.certificate, client.key, client.certificate),
        htpasswd,
        mirror.certificate,
    )


@contextlib.contextmanager
def nginx(directory: Path) -> Iterator[str]:
    """The image's nginx with the files of a directory; the container's name."""
    container = f"berth-front-test-{uuid.uuid4().hex[:8]}"
    # Also where the directory really is, for scripts that do not know better.
    volumes = ["--volume", f"{directory}:{render.DIRECTORY}:ro", "--volume", f"{directory}:{directory}:ro"]
    words = ["docker", "run", "--detach", "--name", container, "--network", "host", *volumes]
    words += [*docker_options(nginx_confinement(NginxLimits(), own_image=True)), IMAGE]
    words += ["nginx", "-c", f"{render.DIRECTORY}/nginx.conf", "-g", "daemon off;"]
    try:
        subprocess.run(words, check=True, capture_output=True, timeout=60)
        World.wait(lambda: page_of("alive")[0] == 200, 20)
        yield container
    finally:
        if os.environ.get("BERTH_FRONT_LOG"):
            with Path(os.environ["BERTH_FRONT_LOG"]).open("wb") as log:
                subprocess.run(["docker", "logs", container], check=False, stdout=log, stderr=subprocess.STDOUT)
        subprocess.run(["docker", "rm", "--force", container], check=False, capture_output=True, timeout=60)


def page_of(page: str) -> tuple[int, str]:
    """A status page; 0 while nobody answers."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", naming.FRONT_STATUS_PORT, timeout=5)
        connection.request("GET", f"/{page}")
        got = connection.getresponse()
        return got.status, got.read().decode().strip()
    except OSError:
        return 0, ""


def free_ports(count: int) -> list[int]:
    """Ports that nobody has at the moment."""
    sockets = [socket.create_server(("", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def image_is_here(image: str = IMAGE) -> bool:
    """Whether an image was built on this machine."""
    try:
        found = subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False, timeout=30)
    except OSError:
        return False
    return found.returncode == 0
