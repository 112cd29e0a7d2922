"""The `berth` command and what it does: deploy, look, take down."""
