"""The seed registry's configuration; a pure function."""

from __future__ import annotations

import yaml

CONFIG_DIRECTORY = "/etc/berth/seed"
STORAGE_DIRECTORY = "/var/lib/registry"


def config(port: int) -> str:
    """distribution's configuration: a file store that nobody writes to, behind TLS."""
    document = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {
            "filesystem": {"rootdirectory": STORAGE_DIRECTORY},
            "maintenance": {"readonly": {"enabled": True}, "uploadpurging": {"enabled": False}},
        },
        "http": {
            "addr": f":{port}",
            "relativeurls": True,
            "tls": {"certificate": f"{CONFIG_DIRECTORY}/tls.crt", "key": f"{CONFIG_DIRECTORY}/tls.key"},
        },
    }
    return yaml.safe_dump(document, sort_keys=False)
