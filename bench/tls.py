"""What testssl.sh (Debian's package) finds at both balancers and at every MinIO server, beside Mozilla's intermediate.

Protocols and ciphers have to be exactly those of Mozilla's intermediate configuration that the certificate's key can
use, and nothing of MEDIUM or above may be found but what every private CA brings with it.
Usage: python bench/tls.py [--stack dev]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench import common
from config import naming

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
TITLES = ("endpoint", "protocols", "ciphers", "wrong")


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
        wanted = TLS_1_3 | {cipher for cipher in TLS_1_2 if f"-{kind}-" in cipher}
        found = [f"offers {name}" for name in sorted({*self.protocols} - PROTOCOLS)]
        found += [f"lacks {name}" for name in sorted(PROTOCOLS - {*self.protocols})]
        found += [f"offers {name}" for name in sorted({*self.ciphers} - wanted)]
        found += [f"lacks {name}" for name in sorted(wanted - {*self.ciphers})]
        return found + self.findings


def read(endpoint: str, entries: list[dict[str, str]]) -> Scan:
    """From the program's flat JSON."""
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


def scan(endpoint: str, ca: Path) -> Scan:
    """Ask one endpoint everything; takes a minute or two."""
    program = shutil.which("testssl") or shutil.which("testssl.sh")
    if program is None:
        raise FileNotFoundError("testssl.sh is not installed: apt-get install testssl.sh")
    with tempfile.TemporaryDirectory(prefix="berth-tls-") as directory:
        file = Path(directory) / "found.json"
        options = ["--quiet", "--warnings", "off", "--color", "0", "--add-ca", str(ca), "--jsonfile", str(file)]
        command = [program, *options, f"https://{endpoint}"]
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False)
        return read(endpoint, json.loads(file.read_text()))


def endpoints(lab: common.Lab) -> list[str]:
    """Both balancers, each by its own address, and a MinIO server through one of them."""
    port = lab.settings.registry.port
    balancers = [naming.endpoint(node.address, port) for node in lab.nodes if "load-balancer" in node.roles]
    return [*balancers, lab.settings.store_endpoint]


def main() -> int:
    """Scan one after the other, write all figures as JSON and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stack", default="dev")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    lab = common.Lab.of(options.stack)
    output = options.output or lab.workspace.home / "cache" / "bench" / "tls.json"
    found = [scan(one, lab.workspace.stack_dir(options.stack) / "ca.pem") for one in endpoints(lab)]
    common.save(output, {**common.conditions(), "scans": [{**asdict(one), "wrong": one.problems()} for one in found]})
    rows = [
        [one.endpoint, ", ".join(one.protocols), ", ".join(sorted(one.ciphers)), "; ".join(one.problems()) or "nothing"]
        for one in found
    ]
    print(common.table(TITLES, rows))
    return int(any(one.problems() for one in found))


if __name__ == "__main__":
    sys.exit(main())
