"""The one door to a node: connection with a pinned host key, quoting, file bundles, commands."""

from components.remote.bundle import Block, BundleError, Directory, Entry, Fact, File, render
from components.remote.connection import Access, known_hosts_line, ssh_options
from components.remote.host_state import host_state, local_state
from components.remote.shell import MACHINE_SCRIPT, as_caller, as_root

__all__ = [
    "MACHINE_SCRIPT",
    "Access",
    "Block",
    "BundleError",
    "Directory",
    "Entry",
    "Fact",
    "File",
    "as_caller",
    "as_root",
    "host_state",
    "known_hosts_line",
    "local_state",
    "render",
    "ssh_options",
]
