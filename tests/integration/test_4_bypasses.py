"""The harmless form of each known way past the balancers: refused, and the store is what it was."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import yaml

from tests.integration.lab import NODES, STACK, SUBNET, Lab, run
from tests.integration.registry import Registry, berth_registry, random_image

pytestmark = pytest.mark.lab

PAIRS = {"tls.key": "tls.crt", "private.key": "public.crt", "member.key": "member.crt", "client.key": "client.cert"}
"""File names of private keys on the nodes, with the certificates that belong to them."""
BALANCER = "/etc/berth/load-balancer/client.key"
REPLICA_PORT, CACHE_PORT = 4010, 4020
REFUSED = "000"
"""What curl prints as the status where no answer came."""

ASK = r"""
set -eu
umask 077
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >pem
curl --silent --max-time 10 --output /dev/null --write-out '%{http_code}' --cert pem --key pem \
    --cacert /etc/berth/load-balancer/ca.crt --resolve "$1:$2:$3" "https://$1:$2/v2/" || :
"""


@dataclass(frozen=True)
class Identity:
    """A key and its certificate, as a node holds them."""

    node: str
    path: str
    key: str
    certificate: str


def identities(lab: Lab) -> Iterator[Identity]:
    """Every private key below /etc on every node that has a certificate beside it."""
    for node in NODES:
        found = lab.on(node, "find", "/etc/berth", "/etc/docker", "-name", "*.key", "-type", "f").split()
        for path in sorted(found):
            folder, _, name = path.rpartition("/")
            names = ["client.crt"] if path == BALANCER else [PAIRS[name]]
            yield Identity(node, path, lab.on(node, "cat", path), lab.on(node, "cat", f"{folder}/{names[0]}"))


def status_with(identity: Identity, port: int) -> str:
    """What a replica or cache answers a client with this certificate, asked from a balancer's node."""
    where = (f"replica.registry.{STACK}.berth.test", str(port), f"{SUBNET}.11")
    words = ["docker", "exec", "-i", f"berth-{STACK}-node1", "sh", "-c", ASK, "sh", *where]
    return str(run(words, stdin=f"{identity.certificate.strip()}\n{identity.key}").stdout)


def test_only_a_balancers_certificate_opens_replicas_and_caches(lab: Lab) -> None:
    known = list(identities(lab))
    assert len({one.path.rpartition("/")[0] for one in known}) >= 6, "the stack's certificates were not found"
    for one in known:
        expected = "200" if one.path == BALANCER else REFUSED
        for port in (REPLICA_PORT, CACHE_PORT):
            assert status_with(one, port) == expected, (one.node, one.path, port)


def test_each_balancer_has_a_client_key_of_its_own(lab: Lab) -> None:
    keys = [one.key for one in identities(lab) if one.path == BALANCER]
    assert len(keys) == len(set(keys)) == 2


@pytest.fixture(scope="module")
def push(lab: Lab) -> Registry:
    return berth_registry(lab, "push")


def key_ids(lab: Lab) -> dict[str, str]:
    """Access key ids that the store knows, and one that it does not."""
    environment = lab.on("node1", "cat", "/etc/berth/object-store/environment")
    s3 = yaml.safe_load(lab.on("node1", "cat", "/etc/berth/registry/config.yml"))["storage"]["s3"]
    return {
        "root": environment.split("MINIO_ROOT_USER=")[1].split()[0],
        "replica": s3["accesskey"],
        "unknown": "AKIAIOSFODNN7EXAMPLE",
        "missing": "",
        "before they were random": "berth-root",
    }


FORGED = {
    "object": ("", ()),
    "part": ("&partNumber=1&uploadId=forged", ()),
    "Snowball": ("", ("X-Amz-Meta-Snowball-Auto-Extract: true",)),
}


def forge(place: str, path: str, key_id: str, form: str, body: str) -> tuple[str, ...]:
    """curl's words for an unsigned PUT in the trailer format that MinIO did not check."""
    more, headers = FORGED[form]
    day = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d")
    credential = f"?X-Amz-Credential={key_id}/{day}/us-east-1/s3/aws4_request" if key_id else "?x=y"
    sent = (
        "Content-Type: application/octet-stream",
        "X-Amz-Content-Sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        f"X-Amz-Decoded-Content-Length: {len(body)}",
        *headers,
    )
    chunked = f"{len(body):x}\r\n{body}\r\n0\r\n\r\n\r\n"
    return (
        *("curl", "--silent", "--max-time", "10", "--output", "/dev/null", "--write-out", "%{http_code}"),
        *(word for header in sent for word in ("--header", header)),
        *("--request", "PUT", "--data-binary", chunked),
        f"https://{place}/registry/{path}{credential}{more}",
    )


@pytest.mark.parametrize("form", FORGED)
def test_a_forged_write_moves_no_tag_whatever_key_id_it_names(lab: Lab, push: Registry, form: str) -> None:
    first, second = random_image(1000), random_image(1000)
    push.push("team/forged", "1", first)
    push.push("team/forged", "2", second)
    path = "store/docker/registry/v2/repositories/team/forged/_manifests/tags/1/current/link"
    ca_file = lab.known_endpoint["ca_file"]
    for name, key_id in key_ids(lab).items():
        at_the_balancer = forge(f"{SUBNET}.10:9443", path, key_id, form, second.digest)
        assert run([*at_the_balancer, "--cacert", ca_file]).stdout == "403", (name, "from the deploy host")
        at_a_server = forge(f"{SUBNET}.12:9000", path, key_id, form, second.digest)
        ca_on_node = ("--cacert", "/etc/berth/object-store/certs/CAs/ca.crt")
        assert lab.on("node1", *at_a_server, *ca_on_node, check=False) == "403", (name, "from a peer")
    assert push.manifest("team/forged", "1").body == first.manifest
