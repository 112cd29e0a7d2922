"""The one door to a node: connection with a pinned host key, quoting, file bundles, commands."""
