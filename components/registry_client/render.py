"""A node's login and its ways to the caches as files; pure functions."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

from components.lib.host_files.bundle import Directive, Entry, File
from config import naming
from config.model.registry import UpstreamSettings
from config.model.stack import Settings

STAGE = "registry-client"
LOGIN = "/root/.docker/config.json"


@dataclass(frozen=True)
class Identity:
    """Who the nodes are at the mirror port; both PEM."""

    certificate: str
    key: str


def login(registry: str, user: str, password: str) -> str:
    """Docker's own file for logins, byte for byte as `docker login` writes it: to log in once more is no change."""
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    return json.dumps({"auths": {registry: {"auth": auth}}}, indent="\t")


def image_host(upstream: UpstreamSettings) -> str:
    """The host as it stands in image names, by which engines look for a way."""
    return naming.DOCKER_HUB_NAME if upstream.url == naming.DOCKER_HUB else upstream.host


def hosts_toml(upstream: UpstreamSettings, mirror: str) -> str:
    """containerd's way to one upstream: the cache first, then the upstream itself."""
    files = naming.certs_directory(mirror)
    return (
        f'server = "{upstream.url}"\n'
        "\n"
        f'[host."https://{mirror}/v2/{upstream.prefix}"]\n'
        '  capabilities = ["pull", "resolve"]\n'
        "  override_path = true\n"
        f'  ca = "{files}/ca.crt"\n'
        f'  client = [["{files}/client.cert", "{files}/client.key"]]\n'
    )


def entries(settings: Settings, ca: str, identity: Identity, password: str | None) -> list[Entry]:
    """The files of any node; all nodes have the same."""
    registry = settings.registry
    result: list[Entry] = [Directive("adopt", ["yes" if settings.docker.adopt else "no"])]
    if password is not None:
        endpoint = naming.endpoint(registry.name, registry.port)
        result.append(File(LOGIN, login(endpoint, registry.node_user, password), mode="0600"))
    if not registry.upstreams:
        return result
    mirror = registry.mirror_endpoint
    files = naming.certs_directory(mirror)
    result += [
        File(f"{files}/ca.crt", ca),
        File(f"{files}/client.cert", identity.certificate),
        File(f"{files}/client.key", identity.key, mode="0600"),
    ]
    # The mirrored one is in every daemon's registry-mirrors. Of two at one host, the first in the list has the way.
    ways = {image_host(upstream): upstream for upstream in reversed(registry.upstreams) if not upstream.mirror}
    return [
        *result,
        *(
            File(f"{naming.certs_directory(host)}/hosts.toml", hosts_toml(upstream, mirror))
            for host, upstream in sorted(ways.items())
        ),
    ]
