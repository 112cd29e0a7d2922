"""What the accounts stage takes."""

from __future__ import annotations

from dataclasses import dataclass

from config.model.stack import Settings


@dataclass(frozen=True)
class AccountsArgs:
    """Inputs of `Accounts`."""

    settings: Settings
