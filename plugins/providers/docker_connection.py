"""How a Docker daemon is reached: a local socket, or a host's socket over the run's one SSH connection to it."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncssh
import docker
import requests
from docker.errors import APIError, DockerException

from plugins.interface import ProviderError
from plugins.ssh import Session, Target

LOCAL = "unix:///var/run/docker.sock"
_START_LIMIT = 30
"""Seconds that a daemon may take to answer at first: a node's sshd is up before its Docker."""

# What has no meaning when one connection serves the whole run, or cannot change what is trusted.
_HARMLESS = {
    "batchmode", "checkhostip", "compression", "controlmaster", "controlpath", "controlpersist", "identitiesonly",
    "loglevel", "passwordauthentication", "preferredauthentications", "pubkeyauthentication", "requesttty",
    "serveralivecountmax", "serveraliveinterval", "tcpkeepalive", "updatehostkeys",
}  # fmt: skip


class Daemon:
    """One Docker daemon, dialled at first use."""

    def __init__(self, session: Session, host: str, ssh_opts: list[str], auths: Mapping[str, dict[str, str]]) -> None:
        self._session = session
        self.host = host
        self._ssh_opts = ssh_opts
        self._auths = auths
        self._lock = threading.Lock()
        self._client: docker.APIClient | None = None

    @property
    def api(self) -> docker.APIClient:
        """The daemon's API, in the newest version that both sides speak."""
        with self._lock:
            if self._client is None:
                self._client = self._dial()
            return self._client

    def auth(self, image: str) -> dict[str, str]:
        """The login for the registry of an image; empty means none."""
        return self._auths.get(registry_of(image), {})

    @contextlib.contextmanager
    def doing(self, what: str) -> Iterator[docker.APIClient]:
        """Turn Docker's errors into one that names the host and what was tried."""
        try:
            yield self.api
        except APIError as error:
            raise ProviderError(f"{what} on {self.host}: {error.explanation or error}") from None
        except (requests.exceptions.RequestException, DockerException) as error:
            raise ProviderError(f"{what}: Docker on {self.host} does not answer ({_cause(error)})") from None

    def pause(self, seconds: float, what: str) -> None:
        """Wait before another try of `what`, which is not made once the run was cancelled."""
        self._session.pause(seconds, f"{what} on {self.host}")

    def close(self) -> None:
        """Let go of the connection."""
        if self._client is not None:
            self._client.close()

    def _dial(self) -> docker.APIClient:
        base = self.host
        if self.host.startswith("ssh://"):
            base = f"unix://{self._session.tunnel(ssh_target(self.host, self._ssh_opts))}"
        give_up = time.monotonic() + _START_LIMIT
        while True:
            try:
                return docker.APIClient(base_url=base, version="auto", timeout=120)
            except (requests.exceptions.RequestException, DockerException) as error:
                if time.monotonic() > give_up or not self.host.startswith("ssh://"):
                    raise ProviderError(
                        f"Docker on {self.host} does not answer ({_cause(error)}); check that its daemon runs and that "
                        "the user may use its socket"
                    ) from None
            self._session.pause(1, f"Docker on {self.host}")


def registry_of(image: str) -> str:
    """The host name of an image's registry, as far as its name says."""
    first, slash, _ = image.partition("/")
    named = slash and ("." in first or ":" in first or first == "localhost" or image.count("/") > 1)
    return first if named else "registry-1.docker.io"


def ssh_target(host: str, options: list[str]) -> Target:
    """What `ssh OPTIONS HOST` would connect to."""
    url = urlsplit(host)
    settings = _settings(options)
    name = url.hostname or ""
    port = url.port or int(settings.get("port", 22))
    key_file = settings.get("identityfile")
    keys, revoked = _known_keys(settings, name, port)
    return Target(
        host=name,
        port=port,
        user=url.username or settings.get("user") or os.environ.get("USER", "root"),
        private_key=_read(key_file, "-i") if key_file else None,
        agent_socket=None if key_file else os.environ.get("SSH_AUTH_SOCK"),
        host_keys=keys,
        revoked_keys=revoked,
        per_dial_timeout=float(settings.get("connecttimeout", 15)),
    )


def _settings(options: list[str]) -> dict[str, str]:
    """The options by lower-case name; one that is not known is refused, for it may be about trust."""
    letters = {"-i": "identityfile", "-p": "port", "-l": "user"}
    found: dict[str, str] = {}
    words = iter(options)
    for word in words:
        if word in letters:
            found.setdefault(letters[word], next(words, ""))
        elif word.startswith("-o"):
            name, *value = re.split(r"\s*=\s*|\s+", (word[2:] or next(words, "")).strip(), maxsplit=1)
            found.setdefault(name.lower(), value[0] if value else "")
        else:
            raise ProviderError(f"sshOpts: {word} is not supported by Berth's own provider; use -i, -p, -l and -o")
    known = {"identityfile", "port", "user", "userknownhostsfile", "globalknownhostsfile", "stricthostkeychecking"}
    for name in found.keys() - known - _HARMLESS - {"connecttimeout"}:
        raise ProviderError(f"sshOpts: the option {name} is not supported by Berth's own provider; remove it")
    return found


def _known_keys(settings: dict[str, str], host: str, port: int) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    # Several files may be named, and quotes keep the spaces of one together.
    files = shlex.split(settings.get("userknownhostsfile", "~/.ssh/known_hosts"))
    files += shlex.split(settings.get("globalknownhostsfile", "/etc/ssh/ssh_known_hosts"))
    trusted: list[str] = []
    revoked: list[str] = []
    for path in (Path(file).expanduser() for file in files if file != "none"):
        if not path.exists():
            continue
        try:
            found = asyncssh.match_known_hosts(str(path), host, "", port)
        except (ValueError, OSError) as error:
            raise ProviderError(f"sshOpts: {path} cannot be read as a known_hosts file ({error})") from None
        trusted += [key.export_public_key().decode() for key in found[0]]
        revoked += [key.export_public_key().decode() for key in found[2]]
    strict = settings.get("stricthostkeychecking", "yes").lower()
    if strict not in ("yes", "ask", "no", "off"):
        raise ProviderError(
            f"sshOpts: StrictHostKeyChecking={strict} is not supported by Berth's own provider; use yes"
        )
    if not trusted and strict in ("no", "off"):
        return None, tuple(revoked)
    return tuple(trusted), tuple(revoked)


def _read(file: str, option: str) -> str:
    try:
        return Path(file).expanduser().read_text()
    except OSError as error:
        raise ProviderError(f"sshOpts: {option} {file} cannot be read ({error.strerror})") from None


def _cause(error: Any) -> str:
    text = str(error)
    if "FileNotFoundError" in text or "No such file" in text:
        return "there is no such socket"
    if "PermissionError" in text or "Permission denied" in text:
        return "permission denied"
    if "ConnectionRefusedError" in text:
        return "connection refused"
    return "the connection was closed" if "aborted" in text else text[:200]
