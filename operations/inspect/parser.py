"""The probe script's output, parsed into a report."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

from operations.inspect.reports import ContainerFact, DiskFact, FileFact, JournalFact, Report, UnitFact

UNIT_PROPERTIES = ("ActiveState", "UnitFileState", "Id", "NeedDaemonReload")


def parse(node: str, lines: Iterable[str]) -> Report:
    """The probe script's facts as a report; a line that is not understood is skipped."""
    report, ended = Report(node), False
    trust: list[str] = []
    units: list[tuple[str, str]] = []
    for line in lines:
        word, *values = line.split("\t")
        match word, values:
            case "end", []:
                ended = True
            case "unit", [text]:
                key, _, value = text.partition("=")
                units.append((key, value))
            case "trust", rest:
                trust.append("\t".join(rest))
            case (("stat" | "sum" | "hidden"), _):
                _add_file(report.files, word, values)
            case (("docker" | "container" | "health" | "version" | "info"), _):
                _add_docker(report, word, values)
            case (("etcd" | "swarm" | "firewall"), _):
                report.answers.setdefault(word, []).append(values)
            case _:
                _add_machine(report, word, values)
    report.trust = "\n".join(trust)
    report.units = _units(units)
    if not ended:
        report.error = "the probe's answer broke off"
    return report


def _add_machine(report: Report, word: str, values: Sequence[str]) -> None:
    match word, values:
        case "os", [name]:
            report.os = name
        case "init", [system]:
            report.init = system
        case "time", [seconds]:
            report.clock = int(seconds)
        case "journal", [unit, errors, fatal, last]:
            report.journals[unit] = JournalFact(int(errors), int(fatal), last)
        case "disk", [mount, free, used]:
            report.disks.append(DiskFact(mount, int(free), used))
        case "block", [path, checksum]:
            report.blocks[path] = checksum
        case "url", [url, expected, actual]:
            # curl puts its "no status" behind its own message.
            report.urls[url] = (expected, actual.removesuffix(" 000"))
        case "resolve", [name, address]:
            report.resolves[name] = address
        case "holds", [address, "yes"]:
            report.holds |= {address}


def _add_docker(report: Report, word: str, values: Sequence[str]) -> None:
    match word, values:
        case "docker", ["running", version]:
            report.docker = version
        case "docker", ["stopped", reason]:
            report.docker_error = reason
        case "container", [service, name, image, state, health, restarts, version, id_, config, host]:
            report.containers[name.lstrip("/")] = ContainerFact(
                service=service,
                name=name.lstrip("/"),
                image=image,
                state=state,
                health=health,
                restarts=int(restarts),
                version=version,
                id=id_,
                config=json.loads(config),
                host=json.loads(host),
            )
        case "health", [name, health, reason]:
            container = report.containers[name.lstrip("/")]
            report.containers[container.name] = replace(container, health=health, reason=reason.strip())
        case "version", [name, version] if name in report.containers:
            report.containers[name] = replace(report.containers[name], version=version)
        case "info", rest:
            report.info.append("\t".join(rest))


def _add_file(files: dict[str, FileFact], word: str, values: Sequence[str]) -> None:
    match word, values:
        case "stat", [mode, names, numbers, path]:
            files[path] = FileFact(mode, (names, numbers))
        case "sum", [text]:
            checksum, _, path = text.partition("  ")
            if checksum.startswith("\\"):  # how sha256sum marks a name in which it doubled the backslashes
                checksum, path = checksum[1:], path.replace("\\\\", "\\")
            files.setdefault(path, FileFact()).checksum = checksum
        case "hidden", [path]:
            files[path] = FileFact()


def _units(properties: Iterable[tuple[str, str]]) -> dict[str, UnitFact]:
    """systemd's properties of one unit after the other, each unit's in an order of systemd's own."""
    units, described = {}, dict[str, str]()
    for key, value in properties:
        if key:
            described[key] = value
        if len(described) == len(UNIT_PROPERTIES):
            active, enabled, name, stale = (described[key] for key in UNIT_PROPERTIES)
            units[name] = UnitFact(active, enabled, stale == "yes")
            described = {}
    return units
