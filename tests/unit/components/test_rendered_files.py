"""Every text that reaches a machine, whole."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from typing import Any

import pytest
import yaml

from components.cache import render as cache
from components.certificates.pem import Pem
from components.docker_daemon import flags
from components.docker_daemon import render as daemon
from components.lib.host_files.bundle import File
from components.lib.host_files.bundle import render as bundle
from components.object_store import render as minio
from components.object_store.render import Storage
from components.registry import render as registry
from components.seed_registry.render import config as seed_config
from config import stackfile
from config.model.docker import DockerSettings
from config.model.registry import CacheSettings, UpstreamSettings
from config.model.storage import ObjectStoreSettings
from config.paths import ROOT
from tests.golden import assert_golden

NASTY = 'it\'s "quoted" $(touch /tmp/canary) `x` 100% ü\\n'
PEM = Pem("CA\n", "KEY\n", "CERT\n")
PROXY = "http://proxy.example.com:3128"


def docker(**settings: Any) -> DockerSettings:
    return DockerSettings.model_validate(settings)


STORAGE = Storage("192.0.2.10:9443", ["192.0.2.11:9000", "192.0.2.12:9000"], "registry", "/store")
REPLICA = registry.Listener("registry", "192.0.2.11", 4010, 4011)


def test_a_replicas_configuration_is_the_one_that_was_read_by_a_person() -> None:
    key = registry.Key("ACCESS KEY", "SECRET KEY")
    assert_golden("registry-config.yml", registry.config(REPLICA, STORAGE, key, "HTTP SECRET"))


def test_a_secret_with_quotes_is_one_value_in_the_configuration() -> None:
    read = yaml.safe_load(registry.config(REPLICA, STORAGE, registry.Key("ACCESS KEY", NASTY), NASTY))
    assert (read["storage"]["s3"]["secretkey"], read["http"]["secret"]) == (NASTY, NASTY)


QUAY = {"name": "quay", "url": "https://quay.io", "prefix": "quay.io"}


def test_a_caches_configuration_is_the_one_that_was_read_by_a_person() -> None:
    upstream = UpstreamSettings.model_validate({**QUAY, "port": 4021, "user": "robot", "mirror": False})
    listener = registry.Listener("cache-quay", "192.0.2.11", 4021, 4521)
    key = registry.Key("ACCESS KEY", "SECRET KEY")
    storage = replace(STORAGE, directory="/cache/quay")
    assert_golden("cache-config.yml", cache.config(listener, storage, key, "HTTP SECRET", upstream, NASTY))
    alone = yaml.safe_load(cache.config(listener, storage, key, "HTTP SECRET", upstream, None))
    assert "username" not in alone["proxy"]


def test_a_cache_uses_the_daemons_proxies_but_not_for_its_own_nodes() -> None:
    proxies = docker(proxies={"https": PROXY, "noProxy": [".lan"]}).proxies
    quay = UpstreamSettings.model_validate(QUAY)
    found = cache.environment_of(REPLICA, STORAGE, quay, CacheSettings(), proxies, ["192.0.2.10", "node1"])
    assert found["HTTPS_PROXY"] == PROXY
    assert found["NO_PROXY"] == "192.0.2.10,node1,.lan"
    assert "HTTP_PROXY" not in found


def test_a_cache_is_told_its_bounds_in_bytes_and_seconds() -> None:
    quay = UpstreamSettings.model_validate({**QUAY, "maxSize": "2TiB"})
    limits = CacheSettings.model_validate({"spool": "3GiB", "reserve": "512MiB", "fetches": 4, "abandonAfter": 60})
    found = cache.environment_of(REPLICA, STORAGE, quay, limits, None, [])
    assert {
        name: value for name, value in found.items() if name.startswith(("BERTH_S", "BERTH_F", "BERTH_A", "BERTH_M"))
    } == {
        "BERTH_SPOOL": "/spool",
        "BERTH_SPOOL_SIZE": "3221225472",
        "BERTH_SPOOL_RESERVE": "536870912",
        "BERTH_FETCHES": "4",
        "BERTH_ABANDON_AFTER": "60",
        "BERTH_MAX_SIZE": "2199023255552",
    }


def test_the_seed_registry_is_read_only_and_behind_tls() -> None:
    assert_golden("seed-config.yml", seed_config(4999))


def test_the_object_stores_bundle_and_command_match_golden() -> None:
    settings = ObjectStoreSettings()
    assert_golden(
        "object-store.bundle",
        bundle(minio.entries(settings, "192.0.2.12", minio.RootKey("ROOT", "ROOT PASSWORD"), PEM)),
    )
    addresses = ["192.0.2.11", "192.0.2.12", "192.0.2.13", "192.0.2.14"]
    assert_golden("object-store.command", "\n".join(minio.command(settings, addresses, "192.0.2.12")) + "\n")


def test_a_keys_policy_names_its_directory_and_nothing_beside_it() -> None:
    *policy, versions, refused = json.loads(minio.directory_policy("images", "/store"))["Statement"]
    assert refused == {"Effect": "Deny", "Action": ["admin:*"]}
    assert versions == {
        "Effect": "Deny",
        "Action": ["s3:DeleteObjectVersion"],
        "Resource": ["arn:aws:s3:::images/*"],
    }, "without a denial a key that may delete may destroy versions"
    assert {one["Effect"] for one in policy} == {"Allow"}
    assert not any("*" in action for one in policy for action in one["Action"]), "a wildcard grants too much"
    assert {r for one in policy for r in one["Resource"]} == {"arn:aws:s3:::images", "arn:aws:s3:::images/store/*"}
    (listing,) = [one for one in policy if "s3:ListBucket" in one["Action"]]
    assert listing["Condition"] == {"StringLike": {"s3:prefix": ["store", "store/*"]}}


def test_the_collectors_key_destroys_blobs_and_nothing_else_of_the_store() -> None:
    policy = json.loads(minio.collector_policy("images"))["Statement"]
    allowed = {action: one.get("Resource") for one in policy if one["Effect"] == "Allow" for action in one["Action"]}
    blobs, own = "arn:aws:s3:::images/store/docker/registry/v2/blobs/*", "arn:aws:s3:::images/gc/*"
    assert allowed["s3:DeleteObjectVersion"] == allowed["s3:DeleteObject"] == [blobs, own]
    assert allowed["s3:PutObject"] == [own]
    assert not any("*" in action for action in allowed), "a wildcard grants too much"
    assert [action for action in allowed if action.startswith("admin:")] == ["admin:StorageInfo"]


def test_the_default_daemon_settings_match_golden() -> None:
    assert_golden("docker-default.bundle", bundle(daemon.entries(docker())))


def test_every_daemon_setting_reaches_its_file() -> None:
    settings = docker(
        insecureRegistries=["old.example.com:5000", "198.51.100.0/24"],
        registryMirrors=["https://mirror.example.com"],
        proxies={
            "http": "http://proxy.example.com:3128",
            "https": "http://proxy.example.com:3128",
            "noProxy": [".lan"],
        },
        logDriver="journald",
        logOptions={"tag": NASTY.strip()},
        liveRestore=False,
        mtu=1450,
        extra={"max-download-attempts": 9},
        noNewPrivileges=True,
        userlandProxy=False,
        icc=False,
    )
    text = bundle(daemon.entries(settings, ["registry.example.com:4000"], ["192.0.2.10", "registry.example.com"]))
    assert_golden("docker-full.bundle", text)


def test_reloadable_keys_are_always_written() -> None:
    document = daemon.daemon_json(docker())
    assert {"insecure-registries", "registry-mirrors", "live-restore"} <= document.keys()


def test_dockers_own_defaults_are_not_written() -> None:
    assert {"icc", "no-new-privileges", "userland-proxy"}.isdisjoint(daemon.daemon_json(docker()))


@pytest.mark.parametrize(
    ("roles", "kept"),
    [
        (["object-store"], {"icc": False, "userland-proxy": False, "no-new-privileges": True}),
        (["object-store", "swarm-manager"], {"icc": False, "userland-proxy": False}),
        (["object-store", "control"], {}),
    ],
)
def test_a_daemon_is_as_strict_as_its_node_bears(roles: list[str], kept: dict[str, bool]) -> None:
    stack = stackfile.parse("dev", yaml.safe_load((ROOT / "Pulumi.dev.yaml").read_text()))
    node = stack.nodes[0].model_copy(update={"roles": tuple(roles)})
    written = daemon.daemon_json(stack.docker_on(node))
    assert {key: written[key] for key in ("icc", "no-new-privileges", "userland-proxy") if key in written} == kept
    # Without rules of its own the daemon could neither part containers nor publish a port.
    bare = stack.model_copy(update={"docker": docker(extra={"iptables": False})})
    assert {"icc", "userland-proxy"}.isdisjoint(daemon.daemon_json(bare.docker_on(node)))
    asked = stack.model_copy(update={"docker": docker(icc=True, userlandProxy=True, noNewPrivileges=False)})
    assert {"icc", "userland-proxy", "no-new-privileges"}.isdisjoint(daemon.daemon_json(asked.docker_on(node)))


def test_the_insecure_flag_adds_the_registry_to_the_daemons_list() -> None:
    assert daemon.daemon_json(docker(), ["registry.example.com:4000"])["insecure-registries"] == [
        "registry.example.com:4000"
    ]


def test_a_percent_sign_in_a_proxy_password_is_not_a_systemd_specifier() -> None:
    unit = flags.drop_in(daemon.environment(docker(proxies={"http": "http://proxy.example.com:3128/%41"})))
    assert "%%41" in unit


def files_of(*words: str, **settings: Any) -> dict[str, str]:
    """What is written on a machine of which these words are true."""
    found = daemon.entries(docker(**settings), (), ["192.0.2.10"])
    return {each.path: each.content for each in found if isinstance(each, File) and set(each.when) <= set(words)}


DROP_INS = "/etc/systemd/system/docker.service.d"


def test_flags_of_dockerd_go_to_the_file_of_the_machines_family() -> None:
    debian = files_of("systemd", "default", options=["--a=1", "--b"])
    assert debian["/etc/default/docker"] == 'DOCKER_OPTS="--a=1 --b"\n'
    redhat = files_of("systemd", "sysconfig", options=["--a=1", "--b"])
    assert redhat["/etc/sysconfig/docker"] == 'OPTIONS="--a=1 --b"\n'
    assert "/etc/default/docker" not in redhat
    assert "/etc/sysconfig/docker" not in debian


def test_a_unit_that_names_no_flags_is_given_a_drop_in_that_does() -> None:
    assert f"{DROP_INS}/berth-options.conf" not in files_of("systemd", "default", options=["--a=1"])
    drop_in = files_of("systemd", "default", "no-options", options=["--a=1"])[f"{DROP_INS}/berth-options.conf"]
    assert drop_in == (
        "[Service]\nEnvironmentFile=-/etc/default/docker\nExecStart=\n"
        "ExecStart=/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS\n"
    )


def test_upstart_and_sysvinit_read_proxies_from_the_file_with_flags() -> None:
    proxies = {"http": "http://proxy.example.com:3128/it's"}
    written = files_of("service", "default", proxies=proxies)
    assert f"{DROP_INS}/berth.conf" not in written
    text = written["/etc/default/docker"] + 'printf \'%s|%s|%s\' "$HTTP_PROXY" "$NO_PROXY" "$DOCKER_OPTS"'
    read = subprocess.run(["sh"], input=text, capture_output=True, text=True, check=True, env={})
    assert read.stdout == "http://proxy.example.com:3128/it's|localhost,127.0.0.1,192.0.2.10|"


def test_mount_flags_are_set_for_engines_before_18_09_only() -> None:
    assert f"{DROP_INS}/berth-mounts.conf" not in files_of("systemd", "default")
    assert "MountFlags=shared" in files_of("systemd", "default", "before-18.09")[f"{DROP_INS}/berth-mounts.conf"]


def test_a_file_with_flags_is_adopted_only_on_request() -> None:
    assert "/etc/default/docker" not in files_of("systemd", "default", "conflict")
    assert "/etc/default/docker" not in files_of("systemd", "default", adopt=True)
    assert files_of("systemd", "default", "conflict", adopt=True)["/etc/default/docker"] == 'DOCKER_OPTS=""\n'
