"""A container's inputs in the words of Docker's API, as the published provider writes them."""

from __future__ import annotations

import base64
import io
import re
import tarfile
import time
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plugins.interface import ProviderError

MIB = 1024 * 1024
HEALTH_TIMES = {
    "interval": "Interval",
    "timeout": "Timeout",
    "startPeriod": "StartPeriod",
    "startInterval": "StartInterval",
}
_UNITS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 1000, "µs": 1000, "ns": 1}
_DURATION = re.compile(r"([0-9]*\.?[0-9]+)(h|ms|m|s|us|µs|ns)")


def nanoseconds(text: Any) -> int | None:
    """A duration as Go writes it (`1m30s`), in nanoseconds; None when it is none."""
    if not isinstance(text, str):
        return None
    if text in ("", "0"):
        return 0
    parts = _DURATION.findall(text)
    if "".join(number + unit for number, unit in parts) != text:
        return None
    return round(sum(float(number) * _UNITS[unit] for number, unit in parts))


def duration(nanos: int) -> str:
    """Nanoseconds as Go prints them."""
    if nanos == 0:
        return "0s"
    if nanos < 10**9:
        unit = next(unit for unit in ("ms", "µs", "ns") if nanos >= _UNITS[unit])
        return f"{nanos / _UNITS[unit]:g}{unit}"
    hours, rest = divmod(nanos, _UNITS["h"])
    minutes, rest = divmod(rest, _UNITS["m"])
    seconds = f"{rest / 10**9:.9f}".rstrip("0").rstrip(".")
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{seconds}s"


def container_body(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The request that creates the container, before it is connected to its networks."""
    exposed, bindings = _ports(inputs.get("ports") or [])
    places, binds, sources = _volumes(inputs.get("volumes") or [])
    body = {
        "Image": inputs["image"],
        "Hostname": inputs.get("hostname"),
        "Domainname": inputs.get("domainname"),
        "Tty": inputs.get("tty"),
        "OpenStdin": inputs.get("stdinOpen"),
        "StopSignal": inputs.get("stopSignal"),
        "StopTimeout": inputs.get("stopTimeout"),
        "Env": in_set_order(inputs.get("envs") or []),
        "Cmd": inputs.get("command"),
        "Entrypoint": inputs.get("entrypoints"),
        "User": inputs.get("user"),
        "WorkingDir": inputs.get("workingDir"),
        "ExposedPorts": exposed,
        "Volumes": places,
        "Labels": {item["label"]: item["value"] for item in inputs.get("labels") or []},
        "Healthcheck": _healthcheck(inputs.get("healthcheck")),
    }
    host = {**_limits(inputs), **_host(inputs), "PortBindings": bindings, "Binds": binds, "VolumesFrom": sources}
    # The daemon takes an absent Init for its own default; the published provider always says which.
    settled = {**_given(host), "Init": bool(inputs.get("init")), **_paths(inputs)}
    return {**_given(body), "HostConfig": settled, "NetworkingConfig": {}}


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value not in (None, "", [], {}, False)}


def in_set_order(texts: list[str]) -> list[str]:
    """Terraform keeps sets in the order of their hashes; a container made here must look the same inside."""
    return sorted(dict.fromkeys(texts), key=lambda text: str(zlib.crc32(text.encode())))


def _host(inputs: Mapping[str, Any]) -> dict[str, Any]:
    capabilities = inputs.get("capabilities") or {}
    return {
        "Privileged": inputs.get("privileged"),
        "PublishAllPorts": inputs.get("publishAllPorts"),
        "RestartPolicy": {"Name": inputs.get("restart"), "MaximumRetryCount": int(inputs.get("maxRetryCount") or 0)},
        "Runtime": inputs.get("runtime"),
        "AutoRemove": inputs.get("rm"),
        "ReadonlyRootfs": inputs.get("readOnly"),
        "LogConfig": {"Type": inputs.get("logDriver") or "", "Config": inputs.get("logOpts") or {}},
        "Tmpfs": inputs.get("tmpfs"),
        "ExtraHosts": [f"{item['host']}:{item['ip']}" for item in inputs.get("hosts") or []],
        "Ulimits": [
            {"Name": item["name"], "Soft": int(item["soft"]), "Hard": int(item["hard"])}
            for item in inputs.get("ulimits") or []
        ],
        "CapAdd": capabilities.get("adds"),
        "CapDrop": capabilities.get("drops"),
        "Dns": inputs.get("dns"),
        "DnsOptions": inputs.get("dnsOpts"),
        "DnsSearch": inputs.get("dnsSearches"),
        "NetworkMode": inputs.get("networkMode"),
        "UsernsMode": inputs.get("usernsMode"),
        "PidMode": inputs.get("pidMode"),
        "IpcMode": inputs.get("ipcMode"),
        "Sysctls": inputs.get("sysctls"),
        "GroupAdd": inputs.get("groupAdds"),
        "CgroupnsMode": inputs.get("cgroupnsMode"),
        "CgroupParent": inputs.get("cgroupParent"),
        "StorageOpt": inputs.get("storageOpts"),
    }


def _paths(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """`systempaths=unconfined` is done by the client: it asks the daemon to mask nothing."""
    options = inputs.get("securityOpts") or []
    passed = [option for option in options if option != "systempaths=unconfined"]
    masks: dict[str, Any] = {"MaskedPaths": [], "ReadonlyPaths": []} if len(passed) < len(options) else {}
    return {**({"SecurityOpt": passed} if passed else {}), **masks}


def _limits(inputs: Mapping[str, Any]) -> dict[str, Any]:
    swap = int(inputs.get("memorySwap") or 0)
    return {
        "Memory": int(inputs.get("memory") or 0) * MIB,
        "MemoryReservation": int(inputs.get("memoryReservation") or 0) * MIB,
        "MemorySwap": swap * MIB if swap > 0 else swap,
        "ShmSize": int(inputs.get("shmSize") or 0) * MIB,
        "NanoCpus": round(float(inputs.get("cpus") or 0) * 10**9),
        "CpuPeriod": 0 if inputs.get("cpus") else int(inputs.get("cpuPeriod") or 0),
        "CpuQuota": 0 if inputs.get("cpus") else int(inputs.get("cpuQuota") or 0),
        "CpuShares": int(inputs.get("cpuShares") or 0),
        "CpusetCpus": inputs.get("cpuSet"),
    }


def _healthcheck(check: Mapping[str, Any] | None) -> dict[str, Any]:
    if not check:
        return {}
    times = {
        "interval": "Interval",
        "timeout": "Timeout",
        "startPeriod": "StartPeriod",
        "startInterval": "StartInterval",
    }
    found: dict[str, Any] = {"Test": check.get("tests") or [], "Retries": int(check.get("retries") or 0)}
    return found | {
        word: nanoseconds(check.get(name)) or 0 for name, word in times.items() if nanoseconds(check.get(name))
    }


def _ports(ports: list[Mapping[str, Any]]) -> tuple[dict[str, Any], dict[str, list[dict[str, str]]]]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        place = f"{int(port['internal'])}/{port.get('protocol') or 'tcp'}"
        binding = {"HostPort": str(int(port.get("external") or 0)), "HostIp": port.get("ip") or "0.0.0.0"}
        bindings.setdefault(place, []).append(binding)
    return {place: {} for place in bindings}, bindings


def _volumes(volumes: list[Mapping[str, Any]]) -> tuple[dict[str, Any], list[str], list[str]]:
    places: dict[str, Any] = {}
    binds: list[str] = []
    sources: list[str] = []
    for volume in volumes:
        path, source = volume.get("containerPath"), volume.get("fromContainer")
        if bool(path) == bool(source):
            raise ProviderError("volumes: an entry needs either containerPath or fromContainer")
        if source:
            sources.append(source)
            continue
        places[str(path)] = {}
        outside = volume.get("hostPath") or volume.get("volumeName")
        if outside:
            mode = "ro" if volume.get("readOnly") else "rw"
            label = f",{volume['selinuxRelabel']}" if volume.get("selinuxRelabel") else ""
            binds.append(f"{outside}:{path}:{mode}{label}")
    return places, binds, sources


def upload_archive(uploads: list[Mapping[str, Any]]) -> bytes:
    """The files to put into the container before it starts, as one archive for its root directory."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for upload in uploads:
            content = _content(upload)
            entry = tarfile.TarInfo(upload["file"])
            entry.size, entry.mtime = len(content), int(time.time())
            entry.mode = 0o744 if upload.get("executable") else 0o644
            if upload.get("permissions"):
                entry.mode = int(upload["permissions"], 8)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _content(upload: Mapping[str, Any]) -> bytes:
    given = [name for name in ("content", "contentBase64", "source") if upload.get(name)]
    if len(given) != 1:
        raise ProviderError(f"uploads: {upload['file']} needs one of content, contentBase64 and source")
    if given == ["content"]:
        return str(upload["content"]).encode()
    if given == ["contentBase64"]:
        return base64.b64decode(upload["contentBase64"])
    try:
        return Path(upload["source"]).read_bytes()
    except OSError as error:
        raise ProviderError(f"uploads: {upload['source']} cannot be read ({error.strerror})") from None


def endpoint(network: Mapping[str, Any]) -> dict[str, Any]:
    """How the container takes part in one network."""
    addresses = {
        "IPv4Address": network.get("ipv4Address"),
        "IPv6Address": network.get("ipv6Address"),
        "LinkLocalIPs": network.get("linkLocalIps"),
    }
    options = dict(option.split("=", 1) for option in network.get("driverOpts") or [] if "=" in option)
    return _given(
        {
            "Aliases": network.get("aliases"),
            "IPAMConfig": _given(addresses),
            "MacAddress": network.get("macAddress"),
            "DriverOpts": options,
        }
    )
