"""What testssl.sh (Debian's package) reports of an endpoint, beside Mozilla's intermediate configuration."""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

PROTOCOLS = frozenset({"TLS1_2", "TLS1_3"})
TLS_1_3 = frozenset({"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"})
TLS_1_2 = frozenset(
    f"{exchange}-{cipher}"
    for exchange in ("ECDHE-ECDSA", "ECDHE-RSA", "DHE-RSA")
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
)
# A private CA has no public trust, no revocation lists and no entry in the DNS.
OF_A_PRIVATE_CA = frozenset({"cert_revocation", "cert_chain_of_trust", "cert_trust", "DNS_CAArecord"})
BAD = ("MEDIUM", "HIGH", "CRITICAL")
SECONDS = 600


@dataclass(frozen=True)
class Scan:
    """What one endpoint offers, and what is wrong with it."""

    endpoint: str
    key: str
    protocols: list[str]
    ciphers: list[str]
    findings: list[str]

    def problems(self) -> list[str]:
        """Every difference from Mozilla's intermediate, and every finding of MEDIUM or above."""
        kind = "ECDSA" if self.key.startswith("EC") else "RSA"
        expected = TLS_1_3 | {cipher for cipher in TLS_1_2 if f"-{kind}-" in cipher}
        found = [f"offers {name}" for name in sorted({*self.protocols} - PROTOCOLS)]
        found += [f"lacks {name}" for name in sorted(PROTOCOLS - {*self.protocols})]
        found += [f"offers {name}" for name in sorted({*self.ciphers} - expected)]
        found += [f"lacks {name}" for name in sorted(expected - {*self.ciphers})]
        return found + self.findings


def read(endpoint: str, entries: list[dict[str, str]]) -> Scan:
    """From testssl.sh's flat JSON."""
    offered = {entry["id"]: entry["finding"] for entry in entries}
    protocols = [name for name in ("SSLv2", "SSLv3", "TLS1", "TLS1_1", "TLS1_2", "TLS1_3") if name in offered]
    return Scan(
        endpoint,
        next((text for id_, text in offered.items() if id_.startswith("cert_keySize")), ""),
        [name for name in protocols if not offered[name].startswith("not offered")],
        [text.split()[1] for id_, text in offered.items() if id_.startswith(("cipher_x", "cipher-tls"))],
        [
            f"{entry['severity']} {entry['id']}: {entry['finding']}"
            for entry in entries
            if entry["severity"] in BAD and entry["id"].split(" ")[0] not in OF_A_PRIVATE_CA
        ],
    )


def scan(program: str, endpoint: str, ca: Path) -> Scan:
    """All of testssl.sh's checks on one endpoint; takes a minute or two."""
    with tempfile.TemporaryDirectory(prefix="berth-testssl-") as directory:
        file = Path(directory) / "found.json"
        options = ["--quiet", "--warnings", "off", "--color", "0", "--add-ca", str(ca), "--jsonfile", str(file)]
        command = [program, *options, f"https://{endpoint}"]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False)
        return read(endpoint, json.loads(file.read_text()))
