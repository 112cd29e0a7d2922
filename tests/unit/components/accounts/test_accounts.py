"""Users, their passwords and who may do what."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import bcrypt
import pulumi
import pytest

from components.accounts.component import Accounts, AccountsArgs
from components.accounts.render import bcrypt_hash, htpasswd
from config.model.registry import UserSettings

NASTY = 'it\'s "quoted" $(touch /tmp/canary) `x` 100% ü\\n'


def test_the_same_password_and_salt_give_the_same_valid_hash() -> None:
    salt = "AAECAwQFBgcICQoLDA0ODw=="
    first, second = bcrypt_hash(NASTY, salt), bcrypt_hash(NASTY, salt)
    assert first == second
    assert bcrypt.checkpw(NASTY.encode(), first.encode())


def test_each_role_may_do_what_its_name_says() -> None:
    files = htpasswd([("alice", "push", ["A"]), ("bob", "pull", ["B"]), ("root", "admin", ["C"])])
    known = {access: text for access, text in files.items() if text}
    assert known == {"pull": "alice:A\nbob:B\nroot:C\n", "push": "alice:A\nroot:C\n", "admin": "root:C\n"}


def test_a_password_that_is_on_its_way_out_is_in_the_second_files() -> None:
    files = htpasswd([("alice", "push", ["old", "new"]), ("bob", "pull", ["B"])])
    assert (files["push"], files["push-second"]) == ("alice:new\n", "alice:old\n")
    assert (files["pull"], files["pull-second"]) == ("alice:new\nbob:B\n", "alice:old\n")
    assert (files["admin"], files["admin-second"]) == ("", "")


class _Settings:
    """As much of the settings as accounts read."""

    def __init__(self, users: list[dict[str, Any]], passwords: dict[str, tuple[pulumi.Output[str], ...]]) -> None:
        self.registry = self
        self.users = [UserSettings.model_validate(user) for user in users]
        self.user_passwords = passwords


class _Random(pulumi.runtime.Mocks):
    made: list[str]

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        if args.typ.startswith("random:"):
            self.made.append(args.name)
        return args.name, {**args.inputs, "result": f"password of {args.name}", "b64Std": "AAECAwQFBgcICQoLDA0ODw=="}

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        return {}


@pytest.fixture
def made() -> Iterator[list[str]]:
    mocks, loop = _Random(), asyncio.new_event_loop()
    mocks.made = []
    asyncio.set_event_loop(loop)
    pulumi.runtime.set_mocks(mocks)
    yield mocks.made
    loop.close()


@pulumi.runtime.test
def test_the_first_version_keeps_its_name_and_the_last_one_is_handed_out(made: list[str]) -> Any:
    settings: Any = _Settings([{"name": "ci", "role": "push", "versions": [1, 2]}, {"name": "bob", "role": "pull"}], {})
    accounts = Accounts("users", AccountsArgs(settings))

    def check(known: list[Any]) -> None:
        files, passwords = known
        assert sorted(made) == sorted(
            ["users-ci", "users-ci-salt", "users-ci-2", "users-ci-2-salt", "users-bob", "users-bob-salt"]
        )
        assert passwords["ci"] == {"role": "push", "password": "password of users-ci-2"}
        for file, password in (("push", "password of users-ci-2"), ("push-second", "password of users-ci")):
            name, hashed = files[file].strip().split(":")
            assert name == "ci" and bcrypt.checkpw(password.encode(), hashed.encode())

    return pulumi.Output.all(accounts.htpasswd, accounts.passwords).apply(check)


@pulumi.runtime.test
def test_configured_passwords_are_used_in_their_order_and_none_is_made(made: list[str]) -> Any:
    pair = tuple(pulumi.Output.secret(word) for word in ("old", "new"))
    settings: Any = _Settings([{"name": "ci", "role": "push", "password": "configured"}], {"ci": pair})
    accounts = Accounts("users", AccountsArgs(settings))

    def check(known: list[Any]) -> None:
        password, hashes = known
        assert sorted(made) == ["users-ci-2-salt", "users-ci-salt"]
        assert password == "new"
        assert [bcrypt.checkpw(word, h.encode()) for word, h in zip((b"old", b"new"), hashes, strict=True)] == [
            True
        ] * 2

    account = accounts.account("ci")
    return pulumi.Output.all(account.password, account.hashes).apply(check)
