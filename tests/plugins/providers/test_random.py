"""Random values: their shape, and that only a changed input draws new ones."""

from __future__ import annotations

import base64
import string
from collections.abc import Callable

import bcrypt
import pytest

from plugins.interface import Provider, ProviderError
from tests.plugins.providers.conftest import make

PASSWORD, ID = "random:index/randomPassword:RandomPassword", "random:index/randomId:RandomId"
Configured = Callable[..., Provider]


def test_a_password_has_its_length_and_at_least_what_was_asked_for(provider: Configured) -> None:
    outputs = make(provider("random"), PASSWORD, "p", length=12, special=False, minNumeric=8, minUpper=2).outputs
    result = outputs["result"]
    assert len(result) == 12
    assert sum(letter in string.digits for letter in result) >= 8
    assert sum(letter in string.ascii_uppercase for letter in result) >= 2
    assert result.isalnum()


def test_the_bcrypt_hash_belongs_to_the_password(provider: Configured) -> None:
    outputs = make(provider("random"), PASSWORD, "p", length=80).outputs
    assert outputs["bcryptHash"].startswith("$2a$10$")
    assert bcrypt.checkpw(outputs["result"].encode()[:72], outputs["bcryptHash"].encode())


def test_only_changed_keepers_or_settings_draw_again(provider: Configured) -> None:
    made = make(provider("random"), PASSWORD, "p", length=12, keepers={"round": "1"})
    assert made.diff().is_empty
    assert made.diff(keepers={"round": "2"}).replace == ("keepers",)
    assert made.diff(length=13).replace == ("length",)


def test_result_and_hash_are_secret(provider: Configured) -> None:
    assert provider("random").secret_outputs(PASSWORD) == {"result", "bcryptHash"}


def test_a_length_below_the_least_numbers_is_refused(provider: Configured) -> None:
    checked = provider("random").check(PASSWORD, "urn", None, {"length": 3, "minUpper": 4})
    assert [failure.property for failure in checked.failures] == ["length"]


def test_an_id_is_the_same_bytes_in_every_spelling(provider: Configured) -> None:
    made = make(provider("random"), ID, "i", byteLength=5, prefix="x-")
    drawn = bytes.fromhex(made.outputs["hex"].removeprefix("x-"))
    assert len(drawn) == 5
    assert made.outputs["b64Std"] == "x-" + base64.b64encode(drawn).decode()
    assert made.outputs["dec"] == f"x-{int.from_bytes(drawn, 'big')}"
    assert made.outputs["b64Url"] == "x-" + made.created.id


@pytest.mark.parametrize("settings", [{}, {"special": False}])
def test_a_password_is_imported_by_itself_without_a_difference(provider: Configured, settings: dict[str, bool]) -> None:
    made = make(provider("random"), PASSWORD, "p", length=40, **settings)
    imported = made.imported(made.outputs["result"])
    assert imported.diff().is_empty
    assert imported.inputs == {"length": 40}
    assert imported.created.id == "none", "the password is no part of what is not secret"
    assert imported.outputs.keys() == made.outputs.keys()
    assert bcrypt.checkpw(made.outputs["result"].encode(), imported.outputs["bcryptHash"].encode())


@pytest.mark.parametrize("settings", [{}, {"prefix": "x,y-"}])
def test_an_id_is_imported_by_its_bytes_and_its_prefix(provider: Configured, settings: dict[str, str]) -> None:
    made = make(provider("random"), ID, "i", byteLength=5, **settings)
    imported = made.imported(",".join([*settings.values(), made.created.id]))
    assert imported.diff().is_empty
    assert (imported.created.id, imported.outputs) == (made.created.id, made.outputs)


@pytest.mark.parametrize("id_", ["a", "a+b/", "p,", "AAAA="])
def test_an_id_that_is_no_base64_for_urls_is_refused(provider: Configured, id_: str) -> None:
    with pytest.raises(ProviderError, match="base64 for URLs"):
        provider("random").import_(ID, id_)
