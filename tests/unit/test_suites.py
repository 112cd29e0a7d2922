"""What the lab's tests read from the reports of testssl.sh and of the OCI conformance suite."""

from __future__ import annotations

from tests.integration import oci_conformance, testssl

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
            (*testssl.TLS_1_3, *(cipher for cipher in testssl.TLS_1_2 if cipher.startswith("ECDHE-ECDSA")))
        )
    ),
    entry("cert_revocation", "Neither CRL nor OCSP URI provided", "HIGH"),
]


def test_mozillas_intermediate_configuration_has_no_problems() -> None:
    assert testssl.read("10.77.0.11:4000", INTERMEDIATE).problems() == []


def test_each_difference_from_the_intermediate_is_a_problem() -> None:
    entries = [one for one in INTERMEDIATE if one["finding"].split()[1:2] != ["TLS_AES_128_GCM_SHA256"]]
    entries += [
        entry("TLS1", "offered (deprecated)", "LOW"),
        entry("cipher_xc013", "xc013   ECDHE-RSA-AES128-SHA   ECDH 253"),
        entry("BREACH", "potentially VULNERABLE", "MEDIUM"),
    ]
    assert testssl.read("10.77.0.11:4000", entries).problems() == [
        "offers TLS1",
        "offers ECDHE-RSA-AES128-SHA",
        "lacks TLS_AES_128_GCM_SHA256",
        "MEDIUM BREACH: potentially VULNERABLE",
    ]


def test_specs_with_the_same_name_are_numbered() -> None:
    found = oci_conformance.read(JUNIT)
    assert found == {"Pull Setup": "passed", "Pull Setup (2)": "failed", "Push Chunked": "skipped"}
    assert oci_conformance.differences(found, found) == []
    assert oci_conformance.differences({**found, "Push Chunked": "failed"}, found) == [
        "Push Chunked: failed through the balancers, skipped on a bare registry"
    ]
