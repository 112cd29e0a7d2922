"""What Docker reports of a container, as the container's outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plugins.providers.docker_container_body import HEALTH_TIMES, MIB, duration

COLLECTIONS = ("command", "entrypoints", "envs", "securityOpts", "networkDatas")
"""Computed collections: where one is missing from the state, the published provider takes the container for changed."""


def container_facts(info: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """All properties that can be read back; `known` is the state's outputs, for values with more than one spelling."""
    config, host, state = info["Config"], info["HostConfig"], info["State"]
    networks = info.get("NetworkSettings") or {}
    facts = {
        "name": info["Name"].lstrip("/"),
        "image": info["Image"] if str(known.get("image", "")).startswith("sha256:") else config["Image"],
        "hostname": config.get("Hostname"),
        "domainname": config.get("Domainname"),
        "command": config.get("Cmd") or [],
        "entrypoints": config.get("Entrypoint") or [],
        "user": config.get("User"),
        "workingDir": config.get("WorkingDir"),
        "tty": config.get("Tty"),
        "stdinOpen": config.get("OpenStdin"),
        "stopSignal": config.get("StopSignal"),
        "stopTimeout": config.get("StopTimeout"),
        "healthcheck": _healthcheck(config.get("Healthcheck")),
        "exitCode": None if state.get("Running") else state.get("ExitCode"),
        "networkDatas": [_network(name, data) for name, data in (networks.get("Networks") or {}).items()],
        **_host_facts(host, known),
    }
    if known.get("platform") is None:
        facts["platform"] = info.get("Platform")
    if known.get("ports") and state.get("Running"):
        facts["ports"] = _ports(networks.get("Ports") or {}, host.get("PortBindings") or {})
    if not state.get("Running") and known.get("mustRun") and known.get("start", True):
        # Seen as a difference, so that the next run starts it.
        facts["mustRun"] = False
    return facts


def _host_facts(host: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    policy, log = host.get("RestartPolicy") or {}, host.get("LogConfig") or {}
    facts = {
        "rm": host.get("AutoRemove"),
        "readOnly": host.get("ReadonlyRootfs"),
        "dns": host.get("Dns") or [],
        "dnsOpts": host.get("DnsOptions") or [],
        "dnsSearches": host.get("DnsSearch") or [],
        "publishAllPorts": host.get("PublishAllPorts"),
        "restart": policy.get("Name") or "no",
        "maxRetryCount": policy.get("MaximumRetryCount"),
        "init": host.get("Init"),
        "runtime": host.get("Runtime"),
        "tmpfs": host.get("Tmpfs") or {},
        "hosts": [dict(zip(("host", "ip"), text.split(":", 1), strict=False)) for text in host.get("ExtraHosts") or []],
        "privileged": host.get("Privileged"),
        "memory": (host.get("Memory") or 0) // MIB,
        "memoryReservation": (host.get("MemoryReservation") or 0) // MIB,
        "shmSize": (host.get("ShmSize") or 0) // MIB,
        "cpuShares": host.get("CpuShares"),
        "cpuSet": host.get("CpusetCpus"),
        "logDriver": log.get("Type"),
        "storageOpts": host.get("StorageOpt") or {},
        "networkMode": host.get("NetworkMode"),
        "usernsMode": host.get("UsernsMode"),
        "sysctls": host.get("Sysctls") or {},
        "ipcMode": host.get("IpcMode"),
        "groupAdds": host.get("GroupAdd") or [],
        "securityOpts": _security(host, known.get("securityOpts") or []),
    }
    if host.get("CapAdd") or host.get("CapDrop"):
        facts["capabilities"] = {"adds": host.get("CapAdd") or [], "drops": host.get("CapDrop") or []}
    # The daemon adds its own defaults to these; only what was asked for can differ.
    if known.get("logOpts"):
        facts["logOpts"] = {key: value for key, value in (log.get("Config") or {}).items() if key in known["logOpts"]}
    if known.get("ulimits"):
        limits = host.get("Ulimits") or []
        facts["ulimits"] = [{"name": item["Name"], "soft": item["Soft"], "hard": item["Hard"]} for item in limits]
    swap = int(host.get("MemorySwap") or 0)
    # A kernel that does not count swap has no limit of it, whatever was asked for.
    if known.get("memorySwap") and swap != -1:
        facts["memorySwap"] = swap // MIB if swap > 0 else swap
    if known.get("pidMode"):
        facts["pidMode"] = host.get("PidMode")
    return facts


def _security(host: Mapping[str, Any], known: list[str]) -> list[str]:
    options = list(host.get("SecurityOpt") or [])
    if "systempaths=unconfined" in known and host.get("MaskedPaths") == [] and host.get("ReadonlyPaths") == []:
        options.append("systempaths=unconfined")
    return [option for option in options if option != "label=disable" or option in known]


def _healthcheck(check: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not check:
        return None
    found = {name: duration(int(check.get(word) or 0)) for name, word in HEALTH_TIMES.items()}
    return {"tests": check.get("Test") or [], "retries": check.get("Retries") or 0, **found}


def _network(name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "networkName": name,
        "ipAddress": data.get("IPAddress") or "",
        "ipPrefixLength": data.get("IPPrefixLen") or 0,
        "gateway": data.get("Gateway") or "",
        "globalIpv6Address": data.get("GlobalIPv6Address") or "",
        "globalIpv6PrefixLength": data.get("GlobalIPv6PrefixLen") or 0,
        "ipv6Gateway": data.get("IPv6Gateway") or "",
        "macAddress": data.get("MacAddress") or "",
    }


Bindings = Mapping[str, list[Mapping[str, str]] | None]


def _ports(ports: Bindings, wanted: Bindings) -> list[dict[str, Any]]:
    found = []
    for place, bindings in sorted(ports.items(), key=lambda item: int(item[0].split("/")[0])):
        number, _, protocol = place.partition("/")
        # Where no address was asked for, Docker names the one of IPv6 beside the one of IPv4.
        named = all(binding.get("HostIp") for binding in wanted.get(place) or [])
        for binding in bindings or []:
            if not named and binding.get("HostIp") == "::":
                continue
            outside = {"external": int(binding.get("HostPort") or 0), "ip": binding.get("HostIp")}
            found.append({"internal": int(number), "protocol": protocol, **outside})
    return found
