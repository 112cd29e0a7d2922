"""Fetching Pulumi's CLI and plugins, from a stand-in for its download site on loopback, behind a proxy."""

from __future__ import annotations

import contextlib
import datetime
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from operations.pulumi import cli, download
from tests.unit.conftest import Checkout

SITE = "get.pulumi.com"
INSTALLER = """\
#!/bin/sh
while [ "$1" != --install-root ]; do shift; done
mkdir -p "$2/bin"
printf '%s\\n' '#!/bin/sh' '[ "$1" != version ] || { echo v3.276.0; exit; }' 'echo "$@" >> "$0.log"' \\
    '[ "$1 $2" = "plugin install" ] && PLUGINS' > "$2/bin/pulumi"
chmod 755 "$2/bin/pulumi"; touch "$2/bin/pulumi-language-python"
"""
STORED = 'd=$(dirname "$0")/../plugins/resource-$4-v$5 && mkdir -p "$d" && touch "$d/pulumi-resource-$4"'


class Site:
    """A proxy that answers for the site itself, in a way of its own."""

    def __init__(self, folder: Path) -> None:
        self.answer: Callable[[socket.socket], None] = lambda _: None
        self.ca = folder / "site.pem"
        now, key = datetime.datetime.now(datetime.UTC), ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, SITE)])
        made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(1))
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(SITE)]), critical=False)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        certificate = made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
        self.ca.write_bytes(certificate)
        secret = folder / "site.key"
        secret.write_bytes(certificate + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(secret)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ["HOME"],
            "HTTPS_PROXY": f"http://127.0.0.1:{self._listener.getsockname()[1]}",
            "SSL_CERT_FILE": str(self.ca),
        }
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with contextlib.suppress(OSError):
                self.answer(connection)

    def hands_out(self, script: str) -> None:
        """The site answers with this installer."""

        def answer(connection: socket.socket) -> None:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            with self._tls.wrap_socket(connection, server_side=True) as wrapped:
                wrapped.recv(4096)
                body = script.encode()
                wrapped.sendall(
                    b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
                )

        self.answer = answer

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def site(checkout: Checkout, tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.close()


def fetched(site: Site, seconds: float = 30) -> tuple[bool, str]:
    said: list[str] = []
    return download.download(said.append, site.environment, seconds), "\n".join(said)


def test_cli_and_plugins_are_fetched_and_announced(site: Site) -> None:
    site.hands_out(INSTALLER.replace("PLUGINS", STORED))
    done, said = fetched(site)
    assert done, said
    chosen = cli.choose(site.environment)
    assert chosen.program == Path(site.environment["HOME"]) / ".pulumi/bin/pulumi" and not chosen.own_plugins
    assert said.splitlines()[0] == "Downloading the Pulumi CLI with its own installer."
    assert "Downloading Pulumi's plugins: command 1.2.1, docker" in said
    assert fetched(site) == (True, ""), "nothing is fetched twice"


def test_an_installer_that_cannot_be_reached_is_said(site: Site) -> None:
    site.close()
    done, said = fetched(site)
    assert not done and "The Pulumi CLI could not be downloaded (" in said and "Traceback" not in said
    assert cli.fitting(site.environment) == (None, cli.NO_CLI)


def test_an_installer_that_never_answers_is_given_up_in_time(site: Site) -> None:
    site.answer = lambda connection: time.sleep(20)
    begun = time.monotonic()
    done, said = fetched(site, 2)
    assert not done and "it took longer than 2 s" in said
    assert time.monotonic() - begun < 10


def test_a_script_that_never_ends_is_ended_with_all_it_started(site: Site, tmp_path: Path) -> None:
    site.hands_out(f"#!/bin/sh\n(sleep 3; touch {tmp_path}/late) & sleep 60\n")
    assert not fetched(site, 2)[0]
    time.sleep(3.5)
    assert not (tmp_path / "late").exists()


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("<html>a captive portal</html>", "could not be downloaded"),
        ("#!/bin/sh\nexit 0\n", "could not be downloaded"),
        ("#!/bin/sh\necho no room left >&2; exit 3\n", "could not be downloaded (no room left)"),
        (INSTALLER.replace("v3.276.0", "v3.100.0"), "could not be downloaded"),
    ],
    ids=["a page", "a script that does nothing", "a script that fails", "a CLI that is too old"],
)
def test_an_answer_that_is_no_cli_is_said_in_a_sentence(site: Site, script: str, why: str) -> None:
    site.hands_out(script)
    done, said = fetched(site)
    assert not done and why in said and "Traceback" not in said


def test_a_plugin_that_cannot_be_had_leaves_berths_own(site: Site) -> None:
    site.hands_out(INSTALLER.replace("PLUGINS", '{ echo "error: 404 not found"; exit 1; }'))
    done, said = fetched(site)
    assert not done and "Pulumi's plugin command 1.2.1 could not be downloaded (error: 404 not found)" in said
    assert cli.choose(site.environment).own_plugins
