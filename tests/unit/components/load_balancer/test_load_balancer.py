"""The balancers' files, whole."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from components.accounts.render import htpasswd
from components.certificates.pem import Pem
from components.lib.host_files.bundle import File
from components.lib.host_files.bundle import render as bundle
from components.load_balancer import render
from components.load_balancer.pool import TEXT
from components.load_balancer.render import CacheServers, NginxConfig
from tests.golden import assert_golden

CONFIG = NginxConfig(
    name="registry.example.com",
    address="192.0.2.10",
    own_address="192.0.2.11",
    port=4000,
    mirror_port=4001,
    replicas=["192.0.2.11", "192.0.2.12"],
    readers=["bob", 'o\'n "$x" ü'],
    caches=[
        CacheServers("hub", "docker.io", True, ["192.0.2.11:4020", "192.0.2.12:4020"]),
        CacheServers("quay", "mirrors/quay.io", False, ["192.0.2.12:4021", "192.0.2.11:4021"]),
    ],
    drives=["192.0.2.11", "192.0.2.12", "192.0.2.13", "192.0.2.14"],
    object_store_port=9000,
    object_store_endpoint_port=9443,
    peers=["192.0.2.12"],
    nodes=["192.0.2.11", "192.0.2.12", "192.0.2.13"],
    router_id=77,
)
SERVER = Pem("CA\n", "KEY\n", "CERT\n")
CLIENT = Pem("CA\n", "CLIENT KEY\n", "CLIENT CERT\n")
USERS = htpasswd(
    [("alice", "push", ["$2b$10$a"]), ("bob", "pull", ["$2b$10$b0", "$2b$10$b"]), ("root", "admin", ["$2b$10$c"])]
)


def test_nginx_conf_is_the_one_that_was_read_by_a_person() -> None:
    assert_golden("nginx.conf", render.nginx_conf(CONFIG))


def test_the_balancers_bundle_is_the_one_that_was_read_by_a_person() -> None:
    entries = render.entries(CONFIG, SERVER, CLIENT, USERS, "MIRROR CERT\n")
    short = [
        replace(one, content="see nginx.conf\n") if isinstance(one, File) and one.path.endswith("nginx.conf") else one
        for one in entries
    ]
    assert_golden("load-balancer.bundle", bundle(short))


def test_the_virtual_addresss_bundle_is_the_one_that_was_read_by_a_person() -> None:
    assert_golden("virtual-address.bundle", bundle(render.address_entries(CONFIG)))


def test_without_upstreams_nobody_listens_on_the_mirror_port() -> None:
    config = replace(CONFIG, caches=[])
    assert "4001" not in render.nginx_conf(config)
    assert 4001 not in {port.number for port in config.ports()}
    paths = {one.path for one in render.entries(config, SERVER, CLIENT, USERS, "") if isinstance(one, File)}
    assert f"{render.DIRECTORY}/mirror-clients.crt" not in paths


def test_another_configuration_of_keepalived_is_another_container() -> None:
    assert render.address_digest(CONFIG) == render.address_digest(replace(CONFIG, port=4002))
    assert render.address_digest(CONFIG) != render.address_digest(replace(CONFIG, router_id=78))


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_the_pools_script_passes_shellcheck() -> None:
    found = subprocess.run(["shellcheck", "-s", "sh", "-"], input=TEXT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("name", ["bob", "a.b", 'o\'n "$x" ü', "a\\b", "{1;}", "x|y"])
def test_a_user_name_is_compared_as_it_is(name: str) -> None:
    pattern = render.pattern(name)
    assert re.fullmatch(r"(?:[A-Za-z0-9]|\\x[0-9a-f]{2})+", pattern)
    assert re.fullmatch(pattern.encode(), name.encode())
    assert not re.fullmatch(pattern.encode(), name.upper().encode() if name.upper() != name else b"z")
