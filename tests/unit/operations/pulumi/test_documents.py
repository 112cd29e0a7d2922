"""Documents that a stack's backend keeps in tags."""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path

import pytest

from operations.pulumi import documents
from operations.pulumi.session import LONGEST_TAG, Session
from tests.unit.conftest import Checkout

NOISE = random.Random(1).randbytes(2000).hex()
CLOUD = "https://api.pulumi.com"


@pytest.fixture
def session(checkout: Checkout) -> Session:
    checkout.install_pulumi()
    return checkout.session()


def on(session: Session, backend: str) -> Session:
    return dataclasses.replace(session, workspace=dataclasses.replace(session.workspace, backend=backend))


def tags(checkout: Checkout) -> dict[str, str]:
    return dict(json.loads((checkout.answers / "tags@dev.json").read_text()))


def test_a_document_is_read_as_it_was_written(session: Session) -> None:
    assert documents.read(session, "notes") is None
    for document in ({"a": [1, NOISE]}, {}, {"ü": None}):
        documents.write(session, "notes", document)
        assert documents.read(session, "notes") == document
    assert documents.read(session, "others") is None


def test_files_s3_and_postgresql_keep_it_in_one_tag(session: Session, checkout: Checkout) -> None:
    documents.write(session, "notes", {"a": NOISE})
    assert list(tags(checkout)) == ["berth:notes.0"] and len(tags(checkout)["berth:notes.0"]) > LONGEST_TAG


def test_a_service_has_no_longer_tag_than_it_takes(session: Session, checkout: Checkout) -> None:
    cloud = on(session, CLOUD)
    documents.write(cloud, "notes", {"a": NOISE})
    assert len(tags(checkout)) > 10 and max(map(len, tags(checkout).values())) <= LONGEST_TAG
    assert max(map(len, tags(checkout))) <= 40
    assert documents.read(cloud, "notes") == {"a": NOISE}
    documents.write(cloud, "notes", {"a": "shorter than before"})
    assert documents.read(cloud, "notes") == {"a": "shorter than before"}


def test_what_was_written_in_part_is_nothing(session: Session, checkout: Checkout) -> None:
    cloud = on(session, CLOUD)
    documents.write(cloud, "notes", {"a": NOISE})
    kept = checkout.answers / "tags@dev.json"
    first = tags(checkout)
    documents.write(cloud, "notes", {"b": NOISE[::-1]})
    kept.write_text(json.dumps({**first, "berth:notes.0": tags(checkout)["berth:notes.0"]}))
    assert documents.read(cloud, "notes") is None


@pytest.mark.parametrize("value", ["", "text", "1 text", "2 eJyrVspXslIqLU4tUqoFABwhBGk=", "1 eJwDAAAAAAE="])
def test_a_tag_that_somebody_else_wrote_is_nothing(session: Session, value: str) -> None:
    session.set_tag("berth:notes.0", value)
    assert documents.read(session, "notes") is None


def test_a_stack_that_does_not_exist_has_no_document(session: Session, checkout: Checkout, tmp_path: Path) -> None:
    checkout.answer("stack tag get berth:notes.0", err="error: no stack named 'dev' found\n", code=255)
    assert documents.read(session, "notes") is None
