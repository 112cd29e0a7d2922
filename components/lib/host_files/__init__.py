"""Files on a host over SSH: connection with a pinned host key, quoting, file bundles, commands."""
