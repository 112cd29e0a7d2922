"""etcd's files, and what decides whether a member is restarted."""

from __future__ import annotations

from dataclasses import replace

from components.certificates.pem import Pem
from components.etcd.render import COREOS, Cluster, Member, bootstrap, entries, reconciliation, start_digest
from components.lib.host_files.bundle import File
from components.lib.host_files.bundle import render as bundle
from tests.golden import assert_golden

MEMBERS = [Member(f"node{n}", f"192.0.2.1{n}") for n in (1, 2, 3)]
CLUSTER = Cluster(
    own=MEMBERS[0],
    members=MEMBERS,
    token="berth-test",
    host_name="etcd.registry.example.com",
    client_port=2379,
    peer_port=2380,
    data_dir="/var/lib/etcd/berth",
    heartbeat=100,
)
PEM = Pem("CA\n", "KEY\n", "CERT\n")


def test_a_members_bundle_is_the_one_that_was_read_by_a_person() -> None:
    assert_golden("etcd.bundle", bundle(entries(CLUSTER, PEM)))


def test_on_coreos_the_systems_unit_gets_the_settings_and_no_package() -> None:
    assert_golden("etcd-coreos.bundle", bundle(entries(replace(CLUSTER, system=COREOS), PEM)))


def test_only_a_member_reads_its_private_key() -> None:
    (key,) = [entry for entry in entries(CLUSTER, PEM) if isinstance(entry, File) and "KEY\n" in entry.content]
    assert (key.mode, key.owner) == ("0600", "etcd:etcd")


def test_another_list_of_members_or_certificate_restarts_nothing() -> None:
    grown = replace(CLUSTER, members=[*MEMBERS, Member("node4", "192.0.2.14"), Member("node5", "192.0.2.15")])
    assert bootstrap(grown) != bootstrap(CLUSTER)
    assert start_digest(grown, "CA\n") == start_digest(CLUSTER, "CA\n")


def test_another_setting_or_another_ca_is() -> None:
    found = {
        start_digest(CLUSTER, "CA\n"),
        start_digest(CLUSTER, "OTHER CA\n"),
        start_digest(replace(CLUSTER, heartbeat=200), "CA\n"),
        start_digest(replace(CLUSTER, data_dir="/data/etcd"), "CA\n"),
    }
    assert len(found) == 4


def test_a_machine_that_was_made_anew_is_another_turn() -> None:
    assert reconciliation(CLUSTER, "digest", "first") != reconciliation(CLUSTER, "digest", "second")
