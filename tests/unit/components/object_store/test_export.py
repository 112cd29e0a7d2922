"""The export of the store's settings: against a real MinIO, and against what is none."""

from __future__ import annotations

import datetime
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import threading
import time
import uuid
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest
import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from minio import Minio, MinioAdmin
from minio.credentials.providers import StaticProvider

from components.lib import encryption
from config.paths import ROOT

USER, PASSWORD, PASSPHRASE = "berth-root", "hunter2-hunter2", "the stack's own"
SERVER_NAME = "drive.registry.test"


def self_signed(*more: x509.GeneralName) -> tuple[str, str]:
    """A certificate for the servers' name, with no address of theirs unless `more` holds one, and its key."""
    now = datetime.datetime.now(datetime.UTC)
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    names = x509.SubjectAlternativeName([x509.DNSName(SERVER_NAME), *more])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(1))
    made = made.add_extension(names, critical=True)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate = made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    return certificate.decode(), key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A MinIO server whose certificate does not name its address, as while that address changes."""
    with minio(tmp_path_factory.mktemp("ca") / "ca.pem") as address:
        yield address


@contextmanager
def minio(ca: Path, *more: x509.GeneralName) -> Iterator[tuple[str, Path]]:
    """A MinIO server behind TLS with a bucket and a user: its address and its CA file, which is written."""
    try:
        client = docker.from_env()
        images = [tag for image in client.images.list() for tag in image.tags if tag.startswith("berth/minio:")]
    except docker.errors.DockerException:
        pytest.skip("there is no Docker daemon here")
    if not images:
        pytest.skip("no image berth/minio on this machine (./berth up builds it)")
    certificate, key = self_signed(*more)
    ca.write_text(certificate)
    container = client.containers.create(
        images[0],
        ["server", "--certs-dir", "/certs", "/data"],
        name=f"berth-test-{uuid.uuid4().hex[:8]}",
        environment={"MINIO_ROOT_USER": USER, "MINIO_ROOT_PASSWORD": PASSWORD},
        tmpfs={"/data": "uid=65532"},
        ports={"9000/tcp": ("127.0.0.1", None)},
    )
    try:
        container.put_archive("/", archive({"certs/public.crt": certificate, "certs/private.key": key}))
        container.start()
        container.reload()
        address = f"127.0.0.1:{container.attrs['NetworkSettings']['Ports']['9000/tcp'][0]['HostPort']}"
        fill(address, ca)
        yield address, ca
    finally:
        container.remove(force=True, v=True)


def archive(files: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.uid = len(text), 0o644, 65532
            tar.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


def fill(address: str, ca: Path) -> None:
    http = urllib3.PoolManager(ca_certs=str(ca), retries=False, assert_hostname=SERVER_NAME)
    client = Minio(address, USER, PASSWORD, http_client=http)
    for _ in range(100):
        try:
            client.list_buckets()
            break
        except Exception:
            time.sleep(0.2)
    client.make_bucket("registry")
    admin = MinioAdmin(endpoint=address, credentials=StaticProvider(USER, PASSWORD), http_client=http)
    admin.user_add("alice", "alices-secret")


def export(
    home: Path, address: str, ca: Path, password: str = PASSWORD, user: str = USER, **environment: str
) -> subprocess.CompletedProcess[str]:
    wanted = {
        "stack": "dev",
        "endpoint": address,
        "server_name": SERVER_NAME,
        "ca_file": str(ca),
        "user": user,
        "password": password,
    }
    known = {key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")}
    return subprocess.run(
        [sys.executable, "-m", "components.object_store.export"],
        input=json.dumps(wanted),
        cwd=ROOT,
        env={**known, "BERTH_HOME": str(home), **(environment or {"PULUMI_CONFIG_PASSPHRASE": PASSPHRASE})},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_a_store_that_has_not_been_given_its_new_root_id_is_exported(store: tuple[str, Path], tmp_path: Path) -> None:
    done = export(tmp_path, *store, user="AnIdThatWasDrawnNow1")
    assert done.returncode == 0, done.stderr
    assert "iam.zip" in done.stdout


@contextmanager
def listener(answer: bytes) -> Iterator[str]:
    """Answers every connection with these bytes and ends it."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.getsockname()[1]}"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(5)


def opened(file: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(io.BytesIO(encryption.unseal(file.read_bytes(), PASSPHRASE)))


def test_buckets_and_users_are_in_files_that_only_the_passphrase_opens(store: tuple[str, Path], tmp_path: Path) -> None:
    done = export(tmp_path, *store)
    assert done.returncode == 0, done.stderr
    files = [Path(line) for line in done.stdout.splitlines()]
    assert [file.name for file in files] == ["bucket-metadata.zip.sealed", "iam.zip.sealed"]
    for file in files:
        assert file.parent.parent == tmp_path / "stacks" / "dev" / "exports"
        assert (file.stat().st_mode & 0o777, file.parent.stat().st_mode & 0o777) == (0o600, 0o700)
        assert b"alice" not in file.read_bytes() and file.read_bytes()[:2] != b"PK"
    with opened(files[0]) as buckets, opened(files[1]) as iam:
        assert any(name.startswith("registry/") for name in buckets.namelist())
        assert "alice" in json.loads(iam.read("iam-assets/users.json"))
    assert PASSWORD not in done.stdout + done.stderr and PASSPHRASE not in done.stdout + done.stderr


def test_two_exports_are_kept_and_a_plain_one_is_sealed(store: tuple[str, Path], tmp_path: Path) -> None:
    exports = tmp_path / "stacks" / "dev" / "exports"
    for name in ("20250101T000000Z", "20250102T000000Z", "of-mine"):
        (exports / name).mkdir(parents=True)
        (exports / name / "iam.zip").write_bytes(b"plain keys")
    file = tmp_path / "passphrase"
    file.write_text(f"{PASSPHRASE}\n")
    assert export(tmp_path, *store, PULUMI_CONFIG_PASSPHRASE_FILE=str(file)).returncode == 0
    kept = sorted(path.name for path in exports.iterdir())
    assert kept[0] == "20250102T000000Z" and kept[2:] == ["of-mine"] and len(kept) == 3
    assert [path.name for path in (exports / kept[0]).iterdir()] == ["iam.zip.sealed"]
    assert encryption.unseal((exports / kept[0] / "iam.zip.sealed").read_bytes(), PASSPHRASE) == b"plain keys"


def test_without_a_passphrase_nothing_is_written_and_the_way_out_is_named(
    store: tuple[str, Path], tmp_path: Path
) -> None:
    done = export(tmp_path, *store, PULUMI_HOME="/nowhere")
    assert done.returncode == 1 and "set PULUMI_CONFIG_PASSPHRASE_FILE" in done.stderr
    assert not (tmp_path / "stacks").exists()


def test_a_store_that_refuses_is_an_error_that_says_what_to_do(store: tuple[str, Path], tmp_path: Path) -> None:
    done = export(tmp_path, *store, password="wrong-password")
    assert done.returncode == 1
    assert f"{store[0]} answers" in done.stderr and "Nothing was changed" in done.stderr
    assert "Traceback" not in done.stderr and "wrong-password" not in done.stderr
    assert not (tmp_path / "stacks").exists()


def test_a_server_with_another_certificate_is_not_asked(store: tuple[str, Path], tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_text(self_signed()[0])
    done = export(tmp_path, store[0], other)
    assert done.returncode == 1 and "CERTIFICATE_VERIFY_FAILED" in done.stderr


def test_where_nothing_answers_yet_there_is_nothing_to_export(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text(self_signed()[0])
    done = export(tmp_path, "127.0.0.1:1", ca)
    assert (done.returncode, done.stdout) == (0, "127.0.0.1:1 does not answer: there is nothing to export yet\n")
    with listener(b"") as address:
        done = export(tmp_path, address, ca)
    assert (done.returncode, "nothing to export yet" in done.stdout) == (0, True), "a balancer without servers"
    assert not (tmp_path / "stacks").exists()


def test_a_missing_ca_file_is_named(tmp_path: Path) -> None:
    done = export(tmp_path, "127.0.0.1:1", tmp_path / "none.pem")
    assert done.returncode == 1 and f"{tmp_path}/none.pem does not exist" in done.stderr
