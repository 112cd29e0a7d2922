"""The inputs that make a container which is there already: `container_body` read backwards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from plugins.providers.docker_container_body import MIB
from plugins.providers.docker_container_facts import container_facts

_UNKNOWN = {"Mounts": "mounts", "Devices": "devices", "DeviceRequests": "gpus", "DeviceCgroupRules": "device rules"}
_AS_THEY_ARE = (
    "domainname", "tty", "stdinOpen", "stopTimeout", "rm", "readOnly", "dns", "dnsOpts", "dnsSearches",
    "publishAllPorts", "restart", "maxRetryCount", "init", "tmpfs", "hosts", "privileged", "memory",
    "memoryReservation", "cpuShares", "cpuSet", "storageOpts", "usernsMode", "sysctls", "groupAdds", "securityOpts",
    "capabilities",
)  # fmt: skip
_FROM_IMAGE = {
    "user": "User",
    "workingDir": "WorkingDir",
    "stopSignal": "StopSignal",
    "healthcheck": "Healthcheck",
    "entrypoints": "Entrypoint",
}
_SHARED_MEMORY = 64
"""Default size of /dev/shm in MiB."""


@dataclass(frozen=True)
class Around:
    """Defaults of a daemon for what a program leaves open."""

    image: Mapping[str, Any]
    """The image's own `Config`."""
    runtime: str
    log_driver: str
    cgroupns_mode: str


def unknown_settings(info: Mapping[str, Any]) -> list[str]:
    """Settings of the container for which Berth's own provider has no property."""
    return [word for key, word in _UNKNOWN.items() if info["HostConfig"].get(key)]


def imported(info: Mapping[str, Any], around: Around) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs that a program must have set, and inputs that a program or the daemon may have set."""
    config, host = info["Config"], info["HostConfig"]
    facts = container_facts(info, {"securityOpts": ["systempaths=unconfined"]})
    settings = {"name": facts["name"], "image": facts["image"], **{name: facts.get(name) for name in _AS_THEY_ARE}}
    settings |= _beside_image(config, around.image, facts)
    settings |= {
        "networkMode": "bridge" if host.get("NetworkMode") in (None, "", "default") else host["NetworkMode"],
        "pidMode": host.get("PidMode"),
        "cgroupParent": host.get("CgroupParent"),
        "cpus": f"{host['NanoCpus'] / 10**9:g}" if host.get("NanoCpus") else None,
        "cpuPeriod": host.get("CpuPeriod"),
        "cpuQuota": host.get("CpuQuota"),
        "ulimits": [
            {"name": item["Name"], "soft": item["Soft"], "hard": item["Hard"]} for item in host.get("Ulimits") or []
        ],
        "ports": _ports(host.get("PortBindings") or {}),
        "volumes": _volumes(config, host, around.image),
    }
    swap = int(host.get("MemorySwap") or 0)
    networks, implied = _networks(info)
    chosen = {
        "hostname": (facts["hostname"], facts["hostname"] == info["Id"][:12] or settings["networkMode"] == "host"),
        "runtime": (facts["runtime"], facts["runtime"] == around.runtime),
        "shmSize": (facts["shmSize"], facts["shmSize"] == _SHARED_MEMORY),
        "ipcMode": (facts["ipcMode"], facts["ipcMode"] in ("private", "shareable")),
        "cgroupnsMode": (host.get("CgroupnsMode"), host.get("CgroupnsMode") == around.cgroupns_mode),
        "memorySwap": (max(swap, 0) // MIB, swap == 2 * int(host.get("Memory") or 0)),
        "logDriver": (facts["logDriver"], facts["logDriver"] == around.log_driver),
        # To its own driver a daemon adds its own options.
        "logOpts": ((host.get("LogConfig") or {}).get("Config"), facts["logDriver"] == around.log_driver),
        "networksAdvanced": (networks, implied),
    }
    settings |= {name: value for name, (value, left_open) in chosen.items() if not left_open}
    open_ = {name: value for name, (value, left_open) in chosen.items() if left_open}
    return _set_only(settings), _set_only(open_)


def _set_only(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value not in (None, "", 0, False, [], {})}


def _beside_image(config: Mapping[str, Any], image: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Settings that differ from the image's."""
    settings = {name: facts[name] for name, word in _FROM_IMAGE.items() if config.get(word) != image.get(word)}
    if "entrypoints" in settings or config.get("Cmd") != image.get("Cmd"):
        settings["command"] = facts["command"]
    labels = image.get("Labels") or {}
    return {
        **settings,
        "envs": [text for text in config.get("Env") or [] if text not in (image.get("Env") or [])],
        "labels": [
            {"label": name, "value": value}
            for name, value in sorted((config.get("Labels") or {}).items())
            if labels.get(name) != value
        ],
    }


def _ports(bindings: Mapping[str, list[Mapping[str, str]] | None]) -> list[dict[str, Any]]:
    found = []
    for place, wanted in sorted(bindings.items()):
        number, _, protocol = place.partition("/")
        for binding in wanted or []:
            port = {"internal": int(number), "protocol": protocol, "ip": binding.get("HostIp") or "0.0.0.0"}
            outside = int(binding.get("HostPort") or 0)
            found.append({**port, **({"external": outside} if outside else {})})
    return found


def _volumes(config: Mapping[str, Any], host: Mapping[str, Any], image: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{"fromContainer": name} for name in host.get("VolumesFrom") or []]
    for bind in host.get("Binds") or []:
        outside, path, *mode = bind.split(":")
        words = mode[0].split(",") if mode else []
        volume: dict[str, Any] = {"hostPath" if outside.startswith("/") else "volumeName": outside}
        labels = [word for word in words if word in ("z", "Z")]
        volume |= {"readOnly": True} if "ro" in words else {}
        found.append({**volume, "containerPath": path, **({"selinuxRelabel": labels[0]} if labels else {})})
    known = {*(image.get("Volumes") or {}), *(volume.get("containerPath") for volume in found)}
    return found + [{"containerPath": path} for path in sorted(config.get("Volumes") or {}) if path not in known]


def _networks(info: Mapping[str, Any]) -> tuple[list[dict[str, Any]], bool]:
    """The container's networks, and whether its network mode alone leads to the same."""
    mode = info["HostConfig"].get("NetworkMode") or "default"
    found, implied = [], True
    for name, data in sorted(((info.get("NetworkSettings") or {}).get("Networks") or {}).items()):
        addresses = data.get("IPAMConfig") or {}
        # Docker adds the beginning of the container's id and, in versions that list no DNS names, its host name.
        added = {info["Id"][:12], *([] if data.get("DNSNames") else [info["Config"].get("Hostname")])}
        details = {
            "aliases": [alias for alias in data.get("Aliases") or [] if alias not in added],
            "ipv4Address": addresses.get("IPv4Address"),
            "ipv6Address": addresses.get("IPv6Address"),
            "linkLocalIps": addresses.get("LinkLocalIPs"),
            "driverOpts": [f"{key}={value}" for key, value in sorted((data.get("DriverOpts") or {}).items())],
        }
        settings = _set_only(details)
        named = mode in (name, data.get("NetworkID")) or (mode == "default" and name == "bridge")
        implied = implied and named and not settings
        found.append({"name": name, **settings})
    return found, implied
