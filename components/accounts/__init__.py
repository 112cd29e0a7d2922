"""Who may push and pull: names and roles from the settings, passwords from the user or made here."""

from components.accounts.component import Account, Accounts, AccountsArgs

__all__ = ["Account", "Accounts", "AccountsArgs"]
