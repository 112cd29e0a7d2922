"""What a node needs before Kolla may deploy to it; pure functions."""

from __future__ import annotations

from components.lib.host_files.bundle import Directive, Entry, File
from config.model.nodes import NodeSettings
from config.model.stack import Settings

STAGE = "kolla-node"
HEADER = "# Berth's; changes here are lost.\n"
# What bootstrap-servers would install on Debian's family, but Docker, which is another stage's.
PACKAGES = ("chrony", "python3-dbus", "python3-docker", "sudo")
# Kolla's toolbox mounts /run shared; systemd sees to that on a machine of its own, but not inside a container.
SHARED_RUN = """\
[Unit]
Description=Share /run with nested containers, as on a machine of its own
Before=docker.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/mount --make-rshared /run

[Install]
WantedBy=multi-user.target
"""

# kolla-ansible asks systemd for a reload in a way that never succeeds, so that nothing refers to its units: a stopped
# one is unloaded at once, is in no list, and kolla-ansible waits two minutes for it to be `dead`.
KNOWN_UNITS = f"""\
{HEADER}[Service]
ExecStartPost=-/usr/bin/systemctl daemon-reload
"""


def time_entries(settings: Settings, node: NodeSettings) -> list[Entry]:
    """chrony's files. Without servers of one's own the first control node's clock is what the others follow."""
    first = settings.with_role("control")[0]
    servers = settings.kolla.time_servers or (() if node == first else (first.address,))
    lines = "".join(f"server {server} iburst\n" for server in servers)
    # An answer even without anybody to ask; what has a better source stays with that one.
    own = "local stratum 8\nallow\n" if node == first else ""
    return [
        File("/etc/chrony/conf.d/berth.conf", f"{HEADER}makestep 1 3\n{own}"),
        File("/etc/chrony/sources.d/berth.sources", HEADER + lines),
        Directive("source", ["yes" if servers else "no"]),
    ]


def entries(settings: Settings, node: NodeSettings) -> list[Entry]:
    """Everything that bootstrap-servers would do, except what Docker's stage has done."""
    result: list[Entry] = [Directive("package", [name]) for name in PACKAGES]
    result += time_entries(settings, node)
    own = settings.kolla.host_variables.get(node.name, {}).get("network_interface", settings.kolla.interface)
    result.append(Directive("interface", [str(own)]))
    result += [Directive("resolves", [other.name, other.address]) for other in settings.nodes]
    result.append(File("/etc/systemd/system/kolla-.service.d/berth.conf", KNOWN_UNITS))
    if settings.lab:
        result.append(File("/etc/systemd/system/berth-shared-run.service", SHARED_RUN))
    return result
