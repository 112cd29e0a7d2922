"""Our MinIO keeps what Berth asks of an object store; the same checks run against any other one."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest

from tests.minio_server import ROOT
from tests.store.contract import CHECKS, Broken, Store
from tests.store.contract.__main__ import main


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_our_minio_keeps_its_promise(check: Callable[[Store], None], store: Store) -> None:
    check(store)


def test_the_command_names_what_a_store_does_not_do(
    server: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(store: Store) -> None:
        store.ask("GET", "missing").want(200)

    monkeypatch.setattr("tests.store.contract.__main__.CHECKS", (CHECKS[0], refused))
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(ROOT)))
    assert main([server.endpoint]) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("read after write") and first.endswith("ok")
    assert second.endswith("FAILED: 200 was expected, and 404 NoSuchKey came.")
    assert server.ask("GET").want(200).texts("Name") == [], "buckets were left"


def test_another_answer_than_the_promised_one_is_said(store: Store) -> None:
    with pytest.raises(Broken, match="404 NoSuchBucket was expected, and 404 NoSuchKey came"):
        store.ask("GET", "missing").want(404, "NoSuchBucket")
