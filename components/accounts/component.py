"""The registry's users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_random as random

from components.accounts.render import bcrypt_hash, htpasswd
from config import Settings, UserSettings


@dataclass(frozen=True)
class AccountsArgs:
    """Inputs of `Accounts`."""

    settings: Settings


@dataclass(frozen=True)
class Account:
    """A user with its secret."""

    name: str
    role: str
    password: pulumi.Output[str]
    hash: pulumi.Output[str]


class Accounts(pulumi.ComponentResource):
    """All users, and the htpasswd files that say who may do what."""

    all: tuple[Account, ...]
    htpasswd: pulumi.Output[Mapping[str, str]]
    """File content by kind of access (pull, push, admin); secret."""
    passwords: pulumi.Output[dict[str, dict[str, str]]]
    """Role and password by user name; secret."""

    def __init__(self, name: str, args: AccountsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:accounts:Accounts", name, None, opts)
        own = args.settings.user_passwords
        self.all = tuple(self._account(name, user, own.get(user.name)) for user in args.settings.registry.users)
        self.htpasswd = pulumi.Output.secret(
            pulumi.Output.all(*[account.hash for account in self.all]).apply(
                lambda hashes: htpasswd(
                    (account.name, account.role, hashed) for account, hashed in zip(self.all, hashes, strict=True)
                )
            )
        )
        self.passwords = pulumi.Output.secret(
            pulumi.Output.all(*[account.password for account in self.all]).apply(
                lambda passwords: {
                    account.name: {"role": account.role, "password": password}
                    for account, password in zip(self.all, passwords, strict=True)
                }
            )
        )
        self.register_outputs({})

    def _account(self, name: str, user: UserSettings, own: pulumi.Output[str] | None) -> Account:
        child = pulumi.ResourceOptions(parent=self)
        password = own or random.RandomPassword(f"{name}-{user.name}", length=32, special=False, opts=child).result
        salt = random.RandomId(f"{name}-{user.name}-salt", byte_length=16, opts=child)
        hashed: pulumi.Output[str] = pulumi.Output.all(password, salt.b64_std).apply(lambda two: bcrypt_hash(*two))
        return Account(name=user.name, role=user.role, password=password, hash=pulumi.Output.secret(hashed))
