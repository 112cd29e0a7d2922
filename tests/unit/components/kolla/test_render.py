"""What kolla-ansible is told, and the passwords that follow from one secret."""

from __future__ import annotations

import os
import re
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import serialization

from components.kolla import node, passwords, render
from components.kolla.overrides import LARGEST, OverridesError, read_overrides
from components.lib.host_files.bundle import render as bundle
from config import stackfile
from config.paths import ROOT
from tests.golden import FOLDER, assert_golden

SAMPLE = (FOLDER / "kolla-sample.ini").read_text(encoding="utf-8")
SECRET = "a secret of sixty-four letters, as the program makes it for a stack"
INSTALLED = Path(os.environ.get("BERTH_HOME") or ROOT / ".berth") / "kolla-venv"


def document(**changes: Any) -> dict[str, Any]:
    """The Kolla stack's document with some of its settings changed."""
    raw = stackfile.read(ROOT / "Pulumi.kolla.yaml")
    raw["config"]["berth:kolla"] |= changes
    return render.document(stackfile.parse("kolla", raw), {})


def files(**changes: Any) -> dict[str, str]:
    return render.files(document(**changes), SAMPLE, {})


def test_the_inventory_is_the_one_that_was_read_by_a_person() -> None:
    assert_golden("kolla-inventory.ini", files()["inventory/multinode"])


def test_globals_are_those_that_were_read_by_a_person() -> None:
    assert_golden("kolla-globals.yml", files()["globals.yml"])


def test_a_control_nodes_preparation_is_the_one_that_was_read_by_a_person() -> None:
    settings = stackfile.parse("kolla", stackfile.read(ROOT / "Pulumi.kolla.yaml"))
    assert_golden("kolla-node.bundle", bundle(node.entries(settings, settings.nodes[1])))


def test_every_group_of_the_sample_is_there_once() -> None:
    groups = re.compile(r"^\[([^\]]+)\]", re.MULTILINE)
    assert sorted(groups.findall(files()["inventory/multinode"])) == sorted(groups.findall(SAMPLE))


def test_a_group_takes_other_nodes_and_groups_where_the_settings_say_so() -> None:
    text = files(groups={"keystone": ["control1", "control3"], "ironic": ["network"]})["inventory/multinode"]
    assert "\n[keystone]\ncontrol1\ncontrol3\n" in text
    assert "\n[ironic:children]\nnetwork\n" in text
    assert "[keystone:children]" not in text


def test_an_empty_group_stays_because_kolla_refers_to_it_by_name() -> None:
    assert "\n[ironic]\n" in files(groups={"ironic": []})["inventory/multinode"]


def test_a_global_that_a_node_overrides_is_no_extra_variable() -> None:
    written = files(hostVariables={"control2": {"network_interface": "bond0"}})
    assert "network_interface" not in yaml.safe_load(written["globals.yml"])
    assert yaml.safe_load(written["inventory/group_vars/baremetal.yml"]) == {"network_interface": "eth0"}
    assert yaml.safe_load(written["inventory/host_vars/control2.yml"])["network_interface"] == "bond0"


def test_daemon_json_is_told_to_kolla_as_each_node_has_it() -> None:
    raw = stackfile.read(ROOT / "Pulumi.kolla.yaml")
    raw["config"]["berth:docker"] = {"extra": {"bridge": "none"}, "mtu": 1400}
    told = render.document(stackfile.parse("kolla", raw), {})["hostVariables"]
    assert {name: own["docker_custom_config"]["mtu"] for name, own in told.items()} == {
        "control1": 1400,
        "control2": 1400,
        "control3": 1400,
    }
    assert told["control1"]["docker_custom_config"]["bridge"] == "none"


@pytest.mark.parametrize(
    ("services", "told"),
    [
        ({"proxysql": False}, True),
        ({}, None),
        ({"proxysql": False, "mariadb": False}, None),
        ({"proxysql": False, "external_mariadb_load_balancer": False}, False),
    ],
)
def test_haproxy_leads_to_the_databases_where_proxysql_does_not(services: dict[str, bool], told: bool | None) -> None:
    wanted = document(services={"openstack_core": False, **services})
    assert wanted["globals"].get("enable_external_mariadb_load_balancer") is told
    # Questions that hang up after the greeting must not shut the door to their host.
    assert ("max_connect_errors" in wanted["overrides"].get("galera.cnf", "")) == bool(told)


def test_images_of_a_cache_are_read_below_its_prefix() -> None:
    raw = stackfile.read(ROOT / "Pulumi.kolla.yaml")
    upstream = {"name": "mirror", "url": "https://mirror.example.com", "prefix": "mirror"}
    raw["config"]["berth:registry"]["upstreams"] = [upstream]
    images = {"source": "cache", "upstream": "mirror", "namespace": "openstack.kolla"}
    raw["config"]["berth:kolla"]["images"] = images
    assert render.namespace(stackfile.parse("kolla", raw)) == "mirror/openstack.kolla"


def test_built_images_get_what_debians_rabbitmq_needs() -> None:
    settings = stackfile.parse("kolla", stackfile.read(ROOT / "Pulumi.kolla.yaml"))
    own = "rabbitmq/advanced.config"
    assert "{discovery_retry_limit, 0}" in render.document(settings, {})["overrides"][own]
    assert render.document(settings, {own: "[]."})["overrides"][own] == "[]."


def test_what_the_preview_shows_holds_each_global_and_no_override_text() -> None:
    shown = render.shown({**document(), "overrides": {"keystone.conf": "password = x"}})
    assert "enable_keystone: true" in shown["KOLLA_GLOBALS"]
    assert "keystone.conf" in shown["KOLLA_OVERRIDES"] and "password" not in shown["KOLLA_OVERRIDES"]


def test_overrides_are_read_below_their_folder(tmp_path: Path) -> None:
    (tmp_path / "kolla" / "nova").mkdir(parents=True)
    (tmp_path / "kolla" / "nova" / "nova.conf").write_text("[DEFAULT]\n")
    assert read_overrides(tmp_path, "kolla") == {"nova/nova.conf": "[DEFAULT]\n"}


@pytest.mark.parametrize(
    ("content", "words"), [(None, "no folder kolla"), (b"\xff", "is no text"), (b"x" * (LARGEST + 1), "holds more")]
)
def test_overrides_that_cannot_be_used_are_named(tmp_path: Path, content: bytes | None, words: str) -> None:
    if content is not None:
        (tmp_path / "kolla").mkdir()
        (tmp_path / "kolla" / "x.conf").write_bytes(content)
    with pytest.raises(OverridesError, match=words):
        read_overrides(tmp_path, "kolla")


# What these are must never change: a deployment's databases know them.
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("keystone_admin_password", "FPBFpH5jyW9GVLovJ3IpNs2AUFlN37EGbt7B5O8A"),
        ("rbd_secret_uuid", "707361d2-fd12-4152-ba0a-b6c5a59a806c"),
        ("designate_rndc_key", "89dd34d2435cc40a748eaee30cb30a14"),
        ("barbican_crypto_key", "t9cBv0iPO29n5gz7ChxTwgJ8tFSw8dp-xEgxFW4CDjA="),
        ("prometheus_bcrypt_salt", "6DdAMYzpR6Fv9LtgCIqwX."),
    ],
)
def test_a_password_is_the_same_for_ever(key: str, value: str) -> None:
    assert passwords.password(SECRET, key) == value


def test_an_ssh_key_is_a_pair_and_the_same_each_time() -> None:
    pair = passwords.password(SECRET, "keystone_ssh_key")
    assert pair == passwords.password(SECRET, "keystone_ssh_key")
    private = serialization.load_pem_private_key(pair["private_key"].encode(), None)
    kind, key = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    assert private.public_key().public_bytes(kind, key).decode() == pair["public_key"]


def test_each_kind_of_password_is_what_its_service_takes() -> None:
    assert uuid.UUID(passwords.password(SECRET, "rbd_secret_uuid")).version == 4
    Fernet(passwords.password(SECRET, "barbican_crypto_key"))
    assert re.fullmatch(r"[0-9a-f]{32}", passwords.password(SECRET, "osprofiler_secret"))


def test_a_new_releases_keys_change_no_old_one() -> None:
    old = passwords.passwords(SECRET, {"database_password": None, "nova_ssh_key": {"private_key": None}}, {})
    new = passwords.passwords(SECRET, {"nova_ssh_key": {"private_key": None}, "new_password": None}, {})
    again = passwords.passwords(SECRET, {"database_password": None}, {})
    assert new["nova_ssh_key"] == old["nova_ssh_key"] and len(new["new_password"]) == passwords.LENGTH
    assert again["database_password"] == old["database_password"]


def test_another_stack_has_other_passwords_and_the_registrys_is_its_own() -> None:
    sample = {"database_password": None, "docker_registry_password": None}
    found = passwords.passwords(SECRET, sample, {"docker_registry_password": "own"})
    assert found["docker_registry_password"] == "own"
    assert found["database_password"] != passwords.password(f"{SECRET}.", "database_password")


@pytest.fixture
def installed() -> Path:
    if not (INSTALLED / "bin" / "ansible-inventory").exists():
        pytest.skip("kolla-ansible is not installed here: ./berth kolla inventory installs it")
    return INSTALLED


def test_ansible_reads_the_whole_releases_inventory(installed: Path, tmp_path: Path) -> None:
    sample = (installed / "share/kolla-ansible/ansible/inventory/multinode").read_text(encoding="utf-8")
    for path, text in render.files(document(), sample, {"control1": {"ansible_port": 2222}}).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    argv = [str(installed / "bin" / "ansible-inventory"), "--list", "--inventory", str(tmp_path / "inventory")]
    answer = subprocess.run(argv, capture_output=True, text=True, check=True)
    known = yaml.safe_load(answer.stdout)
    groups = set(re.findall(r"^\[([a-z0-9_-]+)", sample, re.MULTILINE))
    assert groups <= {*known, *known["all"]["children"], *(c for g in known.values() for c in g.get("children", []))}
    assert known["_meta"]["hostvars"]["control1"]["ansible_port"] == 2222
    assert known["control"]["hosts"] == ["control1", "control2", "control3"]


def test_kinds_of_passwords_are_those_of_the_installed_kolla_genpwd(installed: Path) -> None:
    (source,) = installed.glob("lib/python3*/site-packages/kolla_ansible/cmd/genpwd.py")
    text = source.read_text(encoding="utf-8")
    for name, own in (
        ("uuid_keys", passwords.UUIDS),
        ("ssh_keys", passwords.SSH_KEYS),
        ("hmac_md5_keys", passwords.HMAC_KEYS),
        ("fernet_keys", passwords.FERNET_KEYS),
        ("bcrypt_keys", passwords.BCRYPT_SALTS),
        ("blank_keys", passwords.GIVEN),
    ):
        found = re.search(rf"^    {name} = \[(.*?)\]", text, re.MULTILINE | re.DOTALL)
        assert found and set(re.findall(r"'(\w+)'", found[1])) == own, name


def test_what_the_rules_know_is_what_the_installed_release_says(installed: Path) -> None:
    from config.kolla_release import FOLDER as RELEASES
    from operations.kolla.facts import text

    share = installed / "share" / "kolla-ansible"
    assert (RELEASES / "2026.1.json").read_text(encoding="utf-8") == text(share, "2026.1")
