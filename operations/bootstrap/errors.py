"""What can go wrong before there is anything to deploy with."""

from __future__ import annotations


class BootstrapError(Exception):
    """The machine cannot be made ready; the text is for the user and says what to do."""
