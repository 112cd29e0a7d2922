"""Every text that reaches a machine, whole."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.accounts.render import bcrypt_hash, htpasswd
from components.certificates import Pem
from components.deploy_host.seed import config as seed_config
from components.docker_daemon import render as daemon
from components.load_balancer.render import Front, nginx_conf
from components.load_balancer.render import entries as balancer_entries
from components.object_store import render as minio
from components.registry import render as registry
from components.remote import render as bundle
from config import DockerSettings, ObjectStoreSettings
from tests.golden import assert_golden

NASTY = 'it\'s "quoted" $(touch /tmp/canary) `x` 100% ü\\n'
PEM = Pem("CA\n", "KEY\n", "CERT\n")
PROXY = "http://proxy.example.com:3128"
FRONT = Front(
    name="registry.example.com",
    address="192.0.2.10",
    port=4000,
    replicas=["192.0.2.11", "192.0.2.12"],
    drives=["192.0.2.11", "192.0.2.12", "192.0.2.13", "192.0.2.14"],
    object_store_port=9000,
    object_store_endpoint_port=9443,
)


def docker(**settings: Any) -> DockerSettings:
    return DockerSettings.model_validate(settings)


def test_nginx_conf_is_the_one_that_was_read_by_a_person() -> None:
    assert_golden("nginx.conf", nginx_conf(FRONT))


def test_the_balancers_bundle_is_the_one_that_was_read_by_a_person() -> None:
    client = Pem("CA\n", "CLIENT KEY\n", "CLIENT CERT\n")
    users = htpasswd([("alice", "push", "$2b$10$a"), ("bob", "pull", "$2b$10$b"), ("root", "admin", "$2b$10$c")])
    assert_golden("load-balancer.bundle", bundle(balancer_entries(FRONT, PEM, client, users)))


def test_a_replicas_configuration_is_the_one_that_was_read_by_a_person() -> None:
    storage = registry.Storage("192.0.2.10:9443", "registry", "berth-registry", "SECRET KEY")
    assert_golden("registry-config.yml", registry.config("192.0.2.11", storage, "HTTP SECRET"))


def test_a_secret_with_quotes_stays_one_value_in_the_replicas_configuration() -> None:
    storage = registry.Storage("192.0.2.10:9443", "registry", "berth-registry", NASTY)
    read = yaml.safe_load(registry.config("192.0.2.11", storage, NASTY))
    assert (read["storage"]["s3"]["secretkey"], read["http"]["secret"]) == (NASTY, NASTY)


def test_the_seed_registry_is_read_only_and_behind_tls() -> None:
    assert_golden("seed-config.yml", seed_config(4999))


def test_the_object_stores_bundle_and_command_are_the_ones_that_were_read_by_a_person() -> None:
    settings = ObjectStoreSettings()
    assert_golden("object-store.bundle", bundle(minio.entries(settings, "192.0.2.12", "ROOT PASSWORD", PEM)))
    addresses = ["192.0.2.11", "192.0.2.12", "192.0.2.13", "192.0.2.14"]
    assert_golden("object-store.command", "\n".join(minio.command(settings, addresses, "192.0.2.12")) + "\n")


def test_the_registrys_policy_names_its_bucket_and_nothing_else() -> None:
    statements = json.loads(minio.registry_policy("images"))["Statement"]
    resources = {resource for statement in statements for resource in statement["Resource"]}
    actions = {action for statement in statements for action in statement["Action"]}
    assert resources == {"arn:aws:s3:::images", "arn:aws:s3:::images/*"}
    assert not any("*" in action for action in actions), "a wildcard grants what nobody thought of"


def test_the_default_daemon_settings_are_the_ones_that_were_read_by_a_person() -> None:
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
        extra={"userland-proxy": False},
    )
    text = bundle(daemon.entries(settings, ["registry.example.com:4000"], ["192.0.2.10", "registry.example.com"]))
    assert_golden("docker-full.bundle", text)


def test_reloadable_keys_are_always_written_since_a_removed_one_would_keep_its_old_value() -> None:
    document = daemon.daemon_json(docker())
    assert {"insecure-registries", "registry-mirrors", "live-restore"} <= document.keys()


def test_the_insecure_flag_adds_the_registry_to_the_daemons_list() -> None:
    assert daemon.daemon_json(docker(), ["registry.example.com:4000"])["insecure-registries"] == [
        "registry.example.com:4000"
    ]


def test_a_percent_sign_in_a_proxy_password_is_not_a_systemd_specifier() -> None:
    unit = daemon.drop_in(docker(proxies={"http": "http://proxy.example.com:3128/%41"}))
    assert unit is not None
    assert "%%41" in unit


def test_the_same_password_and_salt_give_the_same_hash_in_every_run_and_it_verifies() -> None:
    import bcrypt

    salt = "AAECAwQFBgcICQoLDA0ODw=="
    first, second = bcrypt_hash(NASTY, salt), bcrypt_hash(NASTY, salt)
    assert first == second
    assert bcrypt.checkpw(NASTY.encode(), first.encode())


def test_each_role_may_do_what_its_name_says() -> None:
    files = htpasswd([("alice", "push", "A"), ("bob", "pull", "B"), ("root", "admin", "C")])
    assert files == {"pull": "alice:A\nbob:B\nroot:C\n", "push": "alice:A\nroot:C\n", "admin": "root:C\n"}


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
@pytest.mark.parametrize(
    "extra",
    [
        [],
        ["docker_daemon/scripts/daemon.sh"],
        ["service/scripts/service.sh"],
        ["service/scripts/service.sh", "load_balancer/scripts/nginx.sh"],
    ],
)
def test_each_stages_whole_script_passes_shellcheck(extra: list[str], tmp_path: Path) -> None:
    from components.remote.shell import stage_script

    components = Path(__file__).resolve().parents[3] / "components"
    script = tmp_path / "stage.sh"
    # As the nodes get it: the parts call each other, so only the whole can be judged.
    script.write_text(stage_script(*(components / part for part in extra)), encoding="utf-8")
    found = subprocess.run(
        ["shellcheck", "-s", "sh", "-e", "SC2317,SC2329", str(script)], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout
