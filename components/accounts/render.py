"""Password hashes and htpasswd files; pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

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


def htpasswd(accounts: Iterable[tuple[str, str, Sequence[str]]]) -> Mapping[str, str]:
    """Two htpasswd files per kind of access, from (name, role, hashes from old to new).

    A file knows one password per user: the first holds the current ones, the second those that are on their way out.
    """
    known = list(accounts)
    return {
        f"{access}{suffix}": "".join(
            f"{name}:{hashes[place]}\n" for name, role, hashes in known if role in roles and len(hashes) >= -place
        )
        for access, roles in MAY.items()
        for suffix, place in (("", -1), ("-second", -2))
    }
