"""A stack whose secrets a key management service encrypts, spoken to as AWS KMS speaks."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.backends.conftest import Person

MARK = b"encrypted by the service: "


class Service(BaseHTTPRequestHandler):
    """Encrypts by a mark in front: what is tried is who asks whom."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["X-Amz-Target"] == "TrentService.Encrypt":
            content = MARK + base64.b64decode(asked["Plaintext"])
            answer = {"CiphertextBlob": base64.b64encode(content).decode()}
        else:
            content = base64.b64decode(asked["CiphertextBlob"]).removeprefix(MARK)
            answer = {"Plaintext": base64.b64encode(content).decode()}
        body = json.dumps({"KeyId": "key", **answer}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def service() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Service) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("backend", ["file"], indirect=True)
def test_a_stack_with_a_key_management_service_needs_no_passphrase(
    people: Callable[[str], Person], service: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = people("ann")
    (ann.root / "lab" / "passphrase").unlink()
    ann.environment |= {"AWS_ENDPOINT_URL_KMS": service, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    settings = ann.root / f"Pulumi.{ann.stack}.yaml"
    settings.write_text(json.dumps({"secretsprovider": "awskms://key?region=us-east-1", "config": {}}))
    session = ann.session(monkeypatch)
    assert not [name for name in session.environment if "PASSPHRASE" in name]
    session.ensure_stack()
    session.ask("up", "--yes", "--skip-preview")
    assert len(session.outputs(show_secrets=True)["password"]) == 12
    assert session.outputs()["password"] == "[secret]"
    assert "encryptionsalt" not in settings.read_text()
    provider = json.loads(session.ask("stack", "export"))["deployment"]["secrets_providers"]
    assert provider["type"] == "cloud"
