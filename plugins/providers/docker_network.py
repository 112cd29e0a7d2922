"""`docker.Network` and `docker.Volume`."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

from docker.errors import APIError, NotFound

from plugins.interface import Context, Created, Imported, Properties
from plugins.providers.base import Resource, ResourceType
from plugins.providers.docker_connection import Daemon
from plugins.providers.schema import TEXT, TEXT_MAP, Prop, canonical

_TEXT = Prop(replace=True)
_FLAG = Prop("flag", replace=True)
_MAP = Prop("map", of=TEXT, replace=True)
_LABEL = Prop("object", fields={"label": Prop(required=True), "value": Prop(required=True)})
_LABELS = Prop("set", of=_LABEL, replace=True)
_IPAM = {"subnet": TEXT, "gateway": TEXT, "ipRange": TEXT, "auxAddress": TEXT_MAP}
_RELEASE_LIMIT = 30
"""Seconds in which what was just removed may still hold a network or volume."""


class Network(Resource):
    """A network of one daemon."""

    type = ResourceType(
        "docker:index/network:Network",
        {
            "name": _TEXT,
            "driver": _TEXT,
            "options": _MAP,
            "internal": _FLAG,
            "attachable": _FLAG,
            "ipv6": _FLAG,
            "ipamDriver": Prop(replace=True, default="default"),
            "ipamOptions": _MAP,
            "ipamConfigs": Prop("set", of=Prop("object", fields=_IPAM), replace=True),
            "labels": _LABELS,
        },
        computed=("driver", "internal", "ipamConfigs", "options", "scope"),
        auto_name=True,
    )

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def same(self, name: str, prop: Prop, old: Any, new: Any) -> bool:
        if name == "ipamConfigs" and isinstance(old, list) and isinstance(new, list):
            # The daemon adds the gateway that it chose; what was left open cannot differ.
            return len(old) == len(new) and all(any(_within(wanted, there) for there in old) for wanted in new)
        return super().same(name, prop, old, new)

    def create(self, inputs: Properties, context: Context) -> Created:
        name = inputs["name"]
        words = {"subnet": "Subnet", "gateway": "Gateway", "ipRange": "IPRange", "auxAddress": "AuxiliaryAddresses"}
        configs = [
            {words[key]: value for key, value in config.items() if value} for config in inputs.get("ipamConfigs") or []
        ]
        ipam = {"Driver": inputs.get("ipamDriver"), "Config": configs, "Options": inputs.get("ipamOptions")}
        with self._daemon.doing(f"network {name}: cannot be created") as api:
            made = api.create_network(
                name,
                driver=inputs.get("driver"),
                options=inputs.get("options"),
                ipam={key: value for key, value in ipam.items() if value},
                check_duplicate=True,
                internal=bool(inputs.get("internal")),
                labels=_by_name(inputs.get("labels")),
                enable_ipv6=bool(inputs.get("ipv6")),
                attachable=inputs.get("attachable") or None,
            )
            return Created(made["Id"], self._outputs(api.inspect_network(made["Id"]), inputs))

    def _outputs(self, info: dict[str, Any], known: Properties) -> Properties:
        words = {"subnet": "Subnet", "gateway": "Gateway", "ipRange": "IPRange", "auxAddress": "AuxiliaryAddresses"}
        ipam = info.get("IPAM") or {}
        facts = {
            "name": info["Name"],
            "driver": info["Driver"],
            "options": info.get("Options") or {},
            "internal": info.get("Internal"),
            "attachable": info.get("Attachable"),
            "ipv6": info.get("EnableIPv6"),
            "ipamDriver": ipam.get("Driver"),
            "ipamOptions": ipam.get("Options") or {},
            "ipamConfigs": [
                {key: config[word] for key, word in words.items() if config.get(word)}
                for config in ipam.get("Config") or []
            ],
            "labels": _labels(info.get("Labels")),
            "scope": info.get("Scope"),
        }
        return _corrected(self, known, facts, always=("options", "ipamConfigs", "driver", "internal"))

    def delete(self, id_: str, inputs: Properties, outputs: Properties, context: Context) -> None:
        what = f"network {inputs.get('name', id_[:12])}"
        with self._daemon.doing(f"{what}: cannot be removed") as api:
            _removed(lambda: api.remove_network(id_), "has active endpoints", lambda: self._daemon.pause(1, what))

    def read(self, id_: str, inputs: Properties, outputs: Properties) -> Created | None:
        with self._daemon.doing(f"network {outputs.get('name', id_[:12])}: cannot be read") as api:
            try:
                return Created(id_, self._outputs(api.inspect_network(id_), outputs))
            except NotFound:
                return None

    def import_(self, id_: str) -> Imported | None:
        """By id or name."""
        with self._daemon.doing(f"network {id_}: cannot be read") as api:
            try:
                info = api.inspect_network(id_)
            except NotFound:
                return None
        seen = self._outputs(info, {})
        # The daemon chooses driver and addresses where nobody does; a program that names them is compared with outputs.
        left_open = {"ipamConfigs", *(["driver"] if seen["driver"] == "bridge" else [])}
        inputs = self.imported_inputs(_given(self, seen, left_open))
        return Imported(info["Id"], inputs, {**inputs.inputs, **seen})


class Volume(Resource):
    """A volume of one daemon."""

    type = ResourceType(
        "docker:index/volume:Volume",
        {"name": _TEXT, "driver": _TEXT, "driverOpts": _MAP, "labels": _LABELS},
        computed=("driver", "mountpoint"),
        auto_name=True,
    )

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def create(self, inputs: Properties, context: Context) -> Created:
        name = inputs["name"]
        with self._daemon.doing(f"volume {name}: cannot be created") as api:
            labels = _by_name(inputs.get("labels"))
            made = api.create_volume(name, inputs.get("driver"), inputs.get("driverOpts"), labels)
            return Created(made["Name"], self._outputs(api.inspect_volume(made["Name"]), inputs))

    def _outputs(self, info: dict[str, Any], known: Properties) -> Properties:
        facts = {
            "name": info["Name"],
            "driver": info["Driver"],
            "driverOpts": info.get("Options") or {},
            "mountpoint": info.get("Mountpoint"),
            "labels": _labels(info.get("Labels")),
        }
        return _corrected(self, known, facts, always=())

    def delete(self, id_: str, inputs: Properties, outputs: Properties, context: Context) -> None:
        with self._daemon.doing(f"volume {id_}: cannot be removed") as api:
            remove = functools.partial(api.remove_volume, id_, force=True)
            _removed(remove, "volume is in use", lambda: self._daemon.pause(1, f"volume {id_}"))

    def read(self, id_: str, inputs: Properties, outputs: Properties) -> Created | None:
        with self._daemon.doing(f"volume {id_}: cannot be read") as api:
            try:
                return Created(id_, self._outputs(api.inspect_volume(id_), outputs))
            except NotFound:
                return None

    def import_(self, id_: str) -> Imported | None:
        """By name."""
        with self._daemon.doing(f"volume {id_}: cannot be read") as api:
            try:
                info = api.inspect_volume(id_)
            except NotFound:
                return None
        seen = self._outputs(info, {})
        inputs = self.imported_inputs(_given(self, seen, {"driver"} if seen["driver"] == "local" else set()))
        return Imported(info["Name"], inputs, {**inputs.inputs, **seen})


def _corrected(resource: Resource, known: Properties, facts: Properties, always: tuple[str, ...]) -> Properties:
    """The known outputs, corrected where the daemon says something that means something else."""
    outputs = dict(known)
    for name, value in facts.items():
        prop = resource.type.fields.get(name, TEXT)
        if name in known:
            if not resource.same(name, prop, value, known[name]):
                outputs[name] = value
        elif name in always or canonical(prop, value) is not None:
            outputs[name] = value
    return outputs


def _given(resource: Resource, seen: Properties, left_open: set[str]) -> Properties:
    """What a program must have said to get what is seen."""
    fields = resource.type.fields
    return {
        name: value
        for name, value in seen.items()
        if name in fields and name not in left_open and canonical(fields[name], value) is not None
    }


def _removed(remove: Callable[[], Any], held: str, pause: Callable[[], None]) -> None:
    give_up = time.monotonic() + _RELEASE_LIMIT
    while True:
        try:
            remove()
            return
        except NotFound:
            return
        except APIError as error:
            if held not in str(error.explanation) or time.monotonic() > give_up:
                raise
        pause()


def _within(wanted: dict[str, Any], there: dict[str, Any]) -> bool:
    return all(there.get(key) == value for key, value in wanted.items() if value and not key.startswith("__"))


def _by_name(labels: list[dict[str, str]] | None) -> dict[str, str]:
    return {item["label"]: item["value"] for item in labels or []}


def _labels(labels: dict[str, str] | None) -> list[dict[str, str]]:
    return [{"label": key, "value": value} for key, value in sorted((labels or {}).items())]
