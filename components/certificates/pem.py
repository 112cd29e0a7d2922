"""What a service is given to show who it is and to know its peers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pem:
    """The stack's CA, and one service's own key and certificate; all PEM."""

    ca: str
    key: str
    certificate: str
