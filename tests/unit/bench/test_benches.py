"""What the benches make of what they read; they themselves need a running lab."""

from __future__ import annotations

from bench import cold_pulls, conformance, passwords, promote, throughput, tls

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
