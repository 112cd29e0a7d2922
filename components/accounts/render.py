"""Password hashes and htpasswd files; pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import bcrypt

# Each step doubles the time of a guess; 10 is 70 ms on the machines this was measured on.
COST = 10
_STANDARD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BCRYPT = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_TO_BCRYPT = str.maketrans(_STANDARD, _BCRYPT)

# What each role may do, as the files that the balancer asks.
MAY = {"pull": ("pull", "push", "admin"), "push": ("push", "admin"), "admin": ("admin",)}


def bcrypt_hash(password: str, salt_base64: str) -> str:
    """The bcrypt hash with a given 16-byte salt, so that the same password gives the same file in every run."""
    salt = f"$2b${COST:02d}${salt_base64.rstrip('=').translate(_TO_BCRYPT)}"
    return bcrypt.hashpw(password.encode(), salt.encode()).decode()


def htpasswd(accounts: Iterable[tuple[str, str, str]]) -> Mapping[str, str]:
    """One htpasswd file per kind of access, from (name, role, hash)."""
    known = list(accounts)
    return {
        access: "".join(f"{name}:{hashed}\n" for name, role, hashed in known if role in roles)
        for access, roles in MAY.items()
    }
