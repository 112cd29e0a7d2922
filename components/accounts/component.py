"""The registry's users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_random as random

from components.accounts.args import AccountsArgs
from components.accounts.render import bcrypt_hash, htpasswd
from config.model.registry import UserSettings


@dataclass(frozen=True)
class Account:
    """A user with its secret."""

    name: str
    role: str
    password: pulumi.Output[str]
    """The current one."""
    hashes: pulumi.Output[list[str]]
    """Of all passwords that are valid, from old to new."""


class Accounts(pulumi.ComponentResource):
    """All users, and the htpasswd files that say who may do what."""

    all: tuple[Account, ...]
    htpasswd: pulumi.Output[Mapping[str, str]]
    """File content by kind of access (pull, push, admin, and each with -second); secret."""
    passwords: pulumi.Output[dict[str, dict[str, str]]]
    """Role and current password by user name; secret."""

    def __init__(self, name: str, args: AccountsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:accounts:Accounts", name, None, opts)
        own = args.settings.user_passwords
        self.all = tuple(self._account(name, user, own.get(user.name, ())) for user in args.settings.registry.users)
        self.htpasswd = pulumi.Output.secret(
            pulumi.Output.all(*[account.hashes for account in self.all]).apply(
                lambda hashes: htpasswd(
                    (account.name, account.role, known) for account, known in zip(self.all, hashes, strict=True)
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

    def account(self, name: str) -> Account:
        """One user."""
        return next(account for account in self.all if account.name == name)

    def _account(self, name: str, user: UserSettings, own: Sequence[pulumi.Output[str]]) -> Account:
        child = pulumi.ResourceOptions(parent=self)
        passwords, hashes = list(own), []
        # What is generated is known by its version, what is configured by its place: a new one replaces none.
        versions = user.versions if not own else range(1, len(own) + 1)
        for place, version in enumerate(versions):
            label = f"{name}-{user.name}" if version == 1 else f"{name}-{user.name}-{version}"
            if not own:
                passwords.append(random.RandomPassword(label, length=32, special=False, opts=child).result)
            salt = random.RandomId(f"{label}-salt", byte_length=16, opts=child).b64_std
            hashes.append(pulumi.Output.all(passwords[place], salt).apply(lambda two: bcrypt_hash(*two)))
        hashed: pulumi.Output[list[str]] = pulumi.Output.secret(pulumi.Output.all(*hashes))
        return Account(name=user.name, role=user.role, password=pulumi.Output.secret(passwords[-1]), hashes=hashed)
