"""Each service works with a root that it cannot write to, few capabilities and bounds, and after it was killed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml

from components.lib.host_files.bundle import File
from components.lib.service.confinement import SCRIPT
from components.load_balancer import render as balancer
from components.load_balancer.component import keepalived_confinement, nginx_confinement
from components.load_balancer.render import NginxConfig
from components.object_store import component as store
from components.registry import distribution
from components.registry.render import Listener
from config import naming
from config.model.limits import LimitsSettings
from tests.front.certificates import Authority
from tests.services.conftest import Service, Start

LIMITS = LimitsSettings()
NGINX = f"""\
include /etc/nginx/modules-enabled/*.conf;
user www-data;
pid /run/nginx.pid;
events {{}}
http {{
    access_log /dev/stdout;
    proxy_cache_path /dev/shm/nginx-passwords keys_zone=passwords:1m;
    server {{
        listen 127.0.0.1:{naming.FRONT_STATUS_PORT};
        location = /alive {{ return 200 "alive"; }}
        # More than fits into memory goes into a file.
        location = /body {{ client_body_in_file_only clean; proxy_pass {balancer.alive_url()}; }}
    }}
    server {{ listen unix:/dev/shm/nginx-once.sock; }}
}}
"""


def survives(service: Service) -> None:
    """It is well, and well again after its end; its memory and its rights are bounded."""
    service.becomes("healthy")
    service.dies()
    service.becomes("healthy")
    host = service.state()["HostConfig"]
    assert host["ReadonlyRootfs"] and host["Memory"] == host["MemorySwap"] > 0
    pid = service.state()["State"]["Pid"]
    assert "NoNewPrivs:\t1\n" in Path(f"/proc/{pid}/status").read_text()


def started_nginx(start: Start, folder: Path) -> Service:
    (folder / "nginx.conf").write_text(NGINX)
    return start(
        "nginx",
        nginx_confinement(LIMITS.nginx, own_image=True),
        entrypoints=["nginx"],
        command=["-c", f"{balancer.DIRECTORY}/nginx.conf", "-g", "daemon off;"],
        volumes={balancer.DIRECTORY: folder},
    )


def test_nginx_works_in_its_bounds(start: Start, tmp_path: Path) -> None:
    nginx = started_nginx(start, tmp_path)
    survives(nginx)
    sent = ["curl", "-sS", "-w", "%{http_code}", "-d", "x" * 100000, balancer.alive_url().replace("alive", "body")]
    assert nginx.run(*sent) == (0, "alive200")
    nginx.api.kill(nginx.id, "HUP")
    nginx.becomes("healthy")
    code, said = nginx.run("sh", "-c", "echo x >/usr/sbin/nginx")
    assert code and "Read-only file system" in said


def test_processes_beyond_the_limit_are_not_started(start: Start, tmp_path: Path) -> None:
    nginx = started_nginx(start, tmp_path)
    nginx.becomes("healthy")
    subprocess.run(["sh", "-c", SCRIPT, "berth", nginx.id, "64"], check=True)
    nginx.run("sh", "-c", "i=0; while [ $i -lt 200 ]; do sleep 30 & i=$((i+1)); done")
    pids = nginx.api.top(nginx.id)["Processes"]
    assert 50 < len(pids) <= 64
    assert nginx.state()["HostConfig"]["PidsLimit"] == 64


def test_keepalived_works_in_its_bounds(start: Start, tmp_path: Path) -> None:
    config = NginxConfig(
        name="registry.test",
        address="127.0.0.9",
        own_address="127.0.0.1",
        port=4000,
        mirror_port=4001,
        replicas=["127.0.0.1"],
        readers=[],
        caches=[],
        drives=["127.0.0.1"],
        object_store_port=9000,
        object_store_endpoint_port=9443,
        peers=["127.0.0.2"],
        router_id=77,
    )
    for entry in balancer.address_entries(config):
        if isinstance(entry, File):
            (tmp_path / Path(entry.path).name).write_text(entry.content)
            (tmp_path / Path(entry.path).name).chmod(0o755 if entry.path.endswith(".sh") else 0o644)
    service = start(
        "nginx",
        keepalived_confinement(LIMITS.keepalived),
        entrypoints=["sh", balancer.ADDRESS_SCRIPT],
        command=["start", config.own_address, f"{balancer.ADDRESS_DIRECTORY}/keepalived.conf"],
        volumes={balancer.ADDRESS_DIRECTORY: tmp_path},
    )
    survives(service)
    assert service.run("ip", "-4", "-o", "address", "show", "lo")[1].count("inet ") == 2, "it has taken the address"


def test_a_registry_works_in_its_bounds(start: Start, tmp_path: Path) -> None:
    listener = Listener("registry", "127.0.0.1", 4010, 4011)
    config = {
        "version": 0.1,
        "storage": {"inmemory": {}},
        "http": {"addr": "127.0.0.1:4010", "debug": {"addr": "127.0.0.1:4011"}},
    }
    (tmp_path / "config.yml").write_text(yaml.safe_dump(config))
    registry = start(
        "registry",
        distribution.confinement(LIMITS.registry, listener, own_image=True),
        command=["serve", f"{listener.directory}/config.yml"],
        volumes={listener.directory: tmp_path},
        user=distribution.USER,
    )
    survives(registry)
    assert registry.run("/bin/health", "http://127.0.0.1:4010/v2/") == (0, "")


def test_minio_works_in_its_bounds(start: Start, tmp_path: Path) -> None:
    authority, certs, data = Authority(), tmp_path / "certs", tmp_path / "data"
    issued = authority.issue("minio.test", "127.0.0.1")
    for path, text in {
        "CAs/ca.crt": authority.certificate,
        "public.crt": issued.certificate,
        "private.key": issued.key,
    }.items():
        (certs / path).parent.mkdir(parents=True, exist_ok=True)
        (certs / path).write_text(text)
    data.mkdir()
    minio = start(
        "minio",
        store.confinement(LIMITS.minio, "127.0.0.1:9000", own_image=True),
        command=["server", "--address", "127.0.0.1:9000", "--certs-dir", f"{store.DIRECTORY}/certs", "/data"],
        volumes={store.DIRECTORY: tmp_path, "/data": data},
        writable=["/data"],
        user=store.USER,
        envs=["MINIO_ROOT_USER=somebody", "MINIO_ROOT_PASSWORD=something-long"],
    )
    survives(minio)


def test_what_does_not_answer_is_unhealthy_and_left_alone(start: Start, tmp_path: Path) -> None:
    nginx = started_nginx(start, tmp_path)
    nginx.becomes("healthy")
    pid = nginx.state()["State"]["Pid"]
    (tmp_path / "nginx.conf").write_text(NGINX.replace('return 200 "alive"', "return 503"))
    nginx.api.kill(nginx.id, "HUP")
    nginx.becomes("unhealthy")
    assert nginx.state()["State"]["Pid"] == pid
