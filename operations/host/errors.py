"""What can go wrong before there is anything to deploy with."""

from __future__ import annotations

from operations.errors import BerthError


class BootstrapError(BerthError):
    """The machine cannot be made ready; the text is for the user and names what to do."""
