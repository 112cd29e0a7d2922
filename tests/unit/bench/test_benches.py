"""What the benches make of what they read; they themselves need a running lab."""

from __future__ import annotations

import configparser
import json
from pathlib import Path
from typing import Any

import pytest

from bench import cold_pulls, conformance, kolla, kolla_images, passwords, promote, throughput, tls
from operations.kolla import play
from operations.registry.client import Manifest, RegistryClient

NGINX = """\
pid /run/nginx.pid;
stream { server { listen 9443; proxy_pass drives; } }
http {
    proxy_cache_path /dev/shm/passwords keys_zone=passwords:1m;
    upstream passwords { server unix:/dev/shm/nginx-passwords.sock; }
    server { listen 127.0.0.1:4012; }
    server {
        listen 4000 ssl;
        location /v2/ {
            auth_request /passwords/pull;
            proxy_pass https://replicas;
        }
    }
}
"""

JUNIT = """\
<testsuites><testsuite>
<testcase name="OCI Distribution Conformance Tests Pull Setup" status="passed"/>
<testcase name="OCI Distribution Conformance Tests Pull Setup" status="failed"><failure/></testcase>
<testcase name="OCI Distribution Conformance Tests Push Chunked" status="skipped"><skipped/></testcase>
</testsuite></testsuites>
"""


def entry(id_: str, finding: str, severity: str = "OK") -> dict[str, str]:
    return {"id": id_, "finding": finding, "severity": severity}


INTERMEDIATE = [
    entry("SSLv3", "not offered"),
    entry("TLS1_1", "not offered"),
    entry("TLS1_2", "offered"),
    entry("TLS1_3", "offered with final"),
    entry("cert_keySize", "EC 256 bits"),
    *(
        entry(f"cipher_x{number}", f"x{number}   {name}   ECDH 253")
        for number, name in enumerate(
            (*tls.TLS_1_3, *(cipher for cipher in tls.TLS_1_2 if cipher.startswith("ECDHE-ECDSA")))
        )
    ),
    entry("cert_revocation", "Neither CRL nor OCSP URI provided", "HIGH"),
]


def test_mozillas_intermediate_for_the_key_at_hand_is_right_and_a_private_ca_is_no_finding() -> None:
    assert tls.read("10.77.0.11:4000", INTERMEDIATE).problems() == []


def test_every_difference_from_the_intermediate_is_named() -> None:
    entries = [one for one in INTERMEDIATE if one["finding"].split()[1:2] != ["TLS_AES_128_GCM_SHA256"]]
    entries += [
        entry("TLS1", "offered (deprecated)", "LOW"),
        entry("cipher_xc013", "xc013   ECDHE-RSA-AES128-SHA   ECDH 253"),
        entry("BREACH", "potentially VULNERABLE", "MEDIUM"),
    ]
    assert tls.read("10.77.0.11:4000", entries).problems() == [
        "offers TLS1",
        "offers ECDHE-RSA-AES128-SHA",
        "lacks TLS_AES_128_GCM_SHA256",
        "MEDIUM BREACH: potentially VULNERABLE",
    ]


def test_specs_of_one_name_are_told_apart_and_differences_named() -> None:
    found = conformance.read(JUNIT)
    assert found == {"Pull Setup": "passed", "Pull Setup (2)": "failed", "Push Chunked": "skipped"}
    assert conformance.differences(found, found) == []
    assert conformance.differences({**found, "Push Chunked": "failed"}, found) == [
        "Push Chunked: failed through the balancers, skipped on a bare registry"
    ]


def test_the_second_nginx_differs_by_its_ports_and_the_missing_question_alone() -> None:
    wanted = NGINX.replace("            auth_request /passwords/pull;\n", "")
    for old, new in (
        ("listen 9443", "listen 19443"),
        ("127.0.0.1:4012", "127.0.0.1:14012"),
        ("listen 4000 ssl", "listen 14000 ssl"),
        ("/run/nginx.pid", "/dev/shm/bench.pid"),
        ("nginx-passwords.sock", "nginx-passwords-bench.sock"),
        ("/dev/shm/passwords keys", "/dev/shm/passwords-bench keys"),
    ):
        wanted = wanted.replace(old, new)
    assert passwords.without_password(NGINX) == wanted


def test_a_table_shows_medians_and_what_one_way_costs_beside_the_other() -> None:
    runs = [
        {"clients": 8, "password": way, "per_second": 100.0, "milliseconds": [mean, 1.0, 9.0], "processor": 2.0}
        for way, mean in (("with", 3.0), ("with", 9.0), ("with", 3.0), ("without", 2.0))
    ]
    assert [row[-1] for row in passwords.rows(runs)] == ["1.50", "1.00"]


def test_the_worst_herd_is_what_counts_at_the_upstream() -> None:
    run = {"cache": "berth", "clients": 4, "first_byte": [0.1, 0.2, 0.3], "machine_cpu_seconds": 9.0, "repeats": 0}
    runs = [{**run, "upstream_ratio": ratio, "seconds": seconds} for ratio, seconds in ((1.0, 5.0), (1.2, 7.0))]
    assert cold_pulls.rows(runs)[0][2:4] == ["1.20", "6.0"]


def test_a_ratio_of_throughput_is_berths_rate_by_the_bare_registrys() -> None:
    cpu = dict.fromkeys((*throughput.GROUPS, "machine"), 1.0)

    def figures(rate: float) -> dict[str, object]:
        return {way: {"megabytes_per_second": rate, "cpu_seconds_per_gigabyte": cpu} for way in ("push", "pull")}

    rows = throughput.rows([{"cap": 400, "megabytes": 10, "berth": figures(45.0), "bare": figures(50.0)}])
    assert [row[:6] for row in rows] == [
        ["400 Mbit/s", 10, "push", "45", "50", "0.90"],
        ["400 Mbit/s", 10, "pull", "45", "50", "0.90"],
    ]


def test_a_promotions_seconds_are_shown_whole_and_by_step() -> None:
    whole = {"everything is missing": 60.1, "all layers are there": 9.5, "all is there": 8.0}
    measured = {**whole, "steps": {"list": 0.5, "look": 1.25}, "skopeo": None}
    text = promote.rows(measured)
    assert "| `berth promote`, all layers are there | 9.5 |" in text
    assert "list 0.5, look 1.25 | 1.8 |" in text
    assert "skopeo" not in text
    assert "| 33.0 |" in promote.rows({**measured, "skopeo": 33.0})


@pytest.mark.parametrize(("base", "forks"), [(kolla.BERTH, "20"), (kolla.DEFAULTS, None)])
def test_one_setting_is_measured_on_each_configuration_and_all_write_what_happens(
    tmp_path: Path, base: str, forks: str | None
) -> None:
    path, settings = tmp_path / "ansible.cfg", {"forks": 20, "folder": tmp_path, "plugins": "plugins", "sockets": "s"}
    path.write_text(play.ANSIBLE.format(**settings))
    kolla.configure(path, base, ("connection", {"one": "50%"}), tmp_path / "facts")
    read = configparser.ConfigParser(interpolation=None)
    read.read(path)
    assert (read["connection"]["one"], read["defaults"].get("forks")) == ("50%", forks)
    assert (read["defaults"]["callbacks_enabled"], "ssh_connection" in read) == ("berth_events", base == kolla.BERTH)


def test_a_task_takes_until_the_next_one_begins_in_every_role_that_has_it() -> None:
    begun = [
        ("task", "Look", 1.0),
        ("ok", "Look", 1.5),
        ("task", "Ask", 2.0),
        ("task", "Look", 5.0),
        ("stats", "", 9.0),
    ]
    events = [json.dumps({"event": event, "task": task, "time": at}) for event, task, at in begun]
    assert kolla.slowest(events) == [(5.0, "Look"), (3.0, "Ask")]


def test_the_ways_of_a_measurement_are_told_apart() -> None:
    runs = [{"way": way, "seconds": seconds, "load": 1.2} for way, seconds in (("a", 9.0), ("b", 4.0), ("a", 2.0))]
    assert kolla.medians(runs) == [["a", 2, "5.5 (2.0 to 9.0)", "1 to 1"], ["b", 1, "4.0 (4.0 to 4.0)", "1 to 1"]]


def test_a_gap_is_between_answers_in_the_order_of_their_coming() -> None:
    assert kolla_images.longest_gap([0.0, 7.0, 1.0, 3.0]) == 4.0


def test_another_label_is_another_image_of_the_same_layers() -> None:
    uploaded: dict[str, bytes] = {}

    class Registry(RegistryClient):
        def __init__(self) -> None:
            pass

        def read_blob(self, repository: str, digest: str) -> Any:
            yield b'{"config": {"Labels": {"name": "keystone"}}}'

        def upload(self, repository: str, digest: str, size: int, pieces: Any) -> None:
            uploaded[digest] = b"".join(pieces)

    document = {"config": {"digest": "sha256:old", "size": 1}, "layers": [{"digest": "sha256:layer"}]}
    new = kolla_images.relabelled(
        Registry(), "kolla/keystone", Manifest("sha256:m", "type", json.dumps(document).encode())
    )
    entry = new.document["config"]
    assert new.document["layers"] == document["layers"]
    assert json.loads(uploaded[entry["digest"]])["config"]["Labels"].keys() == {"name", "berth.bench"}
    assert entry["size"] == len(uploaded[entry["digest"]])
