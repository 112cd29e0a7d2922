"""The daemon's settings as files and as lines for the stage's script; pure functions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from components.docker_daemon import flags
from components.lib.host_files.bundle import Directive, Entry, File
from config.model.docker import DockerSettings

DAEMON_JSON = "/etc/docker/daemon.json"

# What dockerd takes over on SIGHUP (moby, daemon/reload.go); every other key needs a restart.
RELOADABLE = frozenset(
    {
        "allow-nondistributable-artifacts",
        "debug",
        "features",
        "insecure-registries",
        "labels",
        "live-restore",
        "max-concurrent-downloads",
        "max-concurrent-uploads",
        "max-download-attempts",
        "registry-mirrors",
        "shutdown-timeout",
    }
)

# Go's template walks a map by sorted key, so the answer has an order.
_INSECURE = "{{range $name, $index := .RegistryConfig.IndexConfigs}}{{if not $index.Secure}}{{$name}} {{end}}{{end}}"
_SHOWN = '{{range .SecurityOptions}}{{if eq . "name=no-new-privileges"}}yes{{end}}{{end}}'
# Engines show it from 23.0 on; of an older one that has it nothing can be seen.
_SHOWN_IF_NEW = f'{{{{if lt .ServerVersion "23"}}}}yes{{{{else}}}}{_SHOWN}{{{{end}}}}'


def daemon_json(settings: DockerSettings, insecure: Sequence[str] = (), mirror: str | None = None) -> dict[str, Any]:
    """The whole of daemon.json. Reloadable keys are always there: a key that vanishes keeps its old value on reload."""
    document: dict[str, Any] = {
        "insecure-registries": sorted({*settings.insecure_registries, *insecure}),
        "live-restore": settings.live_restore is not False,
        "log-driver": settings.log_driver,
        "log-opts": dict(settings.log_options),
        # The stack's own mirror goes first: dockerd asks them in this order.
        "registry-mirrors": [*dict.fromkeys([*([mirror] if mirror else []), *settings.registry_mirrors])],
    }
    if settings.mtu is not None:
        document["mtu"] = settings.mtu
    # Docker's own defaults are not written: a new key restarts a daemon for nothing.
    if settings.icc is False:
        document["icc"] = False
    if settings.no_new_privileges:
        document["no-new-privileges"] = True
    if settings.userland_proxy is False:
        document["userland-proxy"] = False
    return {**document, **settings.extra}


def environment(settings: DockerSettings, direct: Sequence[str] = ()) -> dict[str, str]:
    """The proxies by which the daemon pulls; `direct` are the stack's own hosts, which need none."""
    proxies = settings.proxies
    if proxies is None:
        return {}
    return proxies.variables([*dict.fromkeys([*proxies.no_proxy, "localhost", "127.0.0.1", *direct])])


def entries(
    settings: DockerSettings, insecure: Sequence[str] = (), direct: Sequence[str] = (), mirror: str | None = None
) -> list[Entry]:
    """Files, and for each key what putting it into force takes and how to see that it is in force."""
    document = daemon_json(settings, insecure, mirror)
    result: list[Entry] = [File(DAEMON_JSON, json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n")]
    proxies = environment(settings, direct)
    result += flags.files(settings.options, proxies, settings.adopt)
    for key, value in sorted(document.items()):
        result.append(Directive("key", [key, "reload" if key in RELOADABLE else "restart", _digest(value)]))
    if proxies:
        result.append(Directive("key", ["unit-drop-in", "restart", _digest(flags.drop_in(proxies))]))
    if settings.options:
        result.append(Directive("key", ["options", "restart", _digest(settings.options)]))
    result.extend(Directive("expect", [format_, wanted]) for format_, wanted in expectations(document).items())
    result.append(Directive("adopt", ["yes" if settings.adopt else "no"]))
    result.append(Directive("timeout", [str(settings.restart_timeout)]))
    return result


def expectations(document: Mapping[str, Any]) -> dict[str, str]:
    """What `docker info --format` must say once the document is in force, by format."""
    return {
        "{{.LiveRestoreEnabled}}": str(document["live-restore"]).lower(),
        "{{.LoggingDriver}}": document["log-driver"],
        "{{range .RegistryConfig.Mirrors}}{{.}} {{end}}": "".join(
            f"{mirror.rstrip('/')}/ " for mirror in document["registry-mirrors"]
        ),
        **({_SHOWN_IF_NEW: "yes"} if document.get("no-new-privileges") else {_SHOWN: ""}),
        _INSECURE: "".join(f"{host} " for host in sorted(document["insecure-registries"]) if "/" not in host),
    }


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
