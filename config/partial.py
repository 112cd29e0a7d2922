"""From raw values to settings: defaults that follow from other settings, and drafts of settings with errors in them.

A draft is a `StackSettings` in which everything unreadable is None, so that the rules across fields can still be asked
and the user learns everything that is wrong at once.
"""

from __future__ import annotations

import copy
import types
from collections.abc import Sequence
from functools import cache
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter

from config import naming
from config.fields import common as fields
from config.model.stack import StackSettings
from config.problems import Location


def with_defaults(raw: dict[str, Any]) -> dict[str, Any]:
    """Fill in what follows from other settings: the lab's addresses, providers, SSH hosts, the nodes' user, caches."""
    # A key with nothing behind it is a section whose lines are all commented out.
    raw = {key: value for key, value in copy.deepcopy(raw).items() if value is not None}
    nodes = raw.get("nodes")
    nodes = [node for node in nodes if isinstance(node, dict)] if isinstance(nodes, list) else []
    lab = _lab(raw, nodes)
    network = _network(lab.get("subnet")) if lab is not None else _virtual_network(raw, nodes)
    made = next((key for key in ("lab", "virtualbox") if key in raw), "bare-metal")
    for index, node in enumerate(nodes):
        node.setdefault("provider", made)
        ssh = node.setdefault("ssh", {})
        if isinstance(ssh, dict) and made == node["provider"] == "virtualbox":
            ssh.setdefault("host", naming.FORWARDED_HOST)
            ssh.setdefault("port", naming.FORWARDED_SSH + index)
            ssh.setdefault("user", "core")
        if isinstance(ssh, dict):
            for key in ("keyFile", "hostKey"):
                if key in ssh and ssh[key] is None:
                    del ssh[key]
        for key in ("config", "install"):
            if node.get(key, "") is None:
                del node[key]
        if isinstance(ssh, dict) and _is_address(node.get("address")):
            ssh.setdefault("host", node["address"])
        install = node.get("install")
        if isinstance(install, dict) and isinstance(ssh, dict):
            ssh.setdefault("user", "core")
            if isinstance(install.get("live"), dict) and "host" in ssh:
                install["live"].setdefault("host", ssh["host"])
    if isinstance(raw.get("registry"), dict):
        _registry(raw["registry"])
    if network is not None:
        images = raw.setdefault("images", {})
        seed = images.setdefault("seed", {}) if isinstance(images, dict) else None
        if isinstance(seed, dict):
            seed.setdefault("address", naming.seed_address(network))
    return raw


def _virtual_network(raw: dict[str, Any], nodes: Sequence[dict[str, Any]]) -> IPv4Network | None:
    machines = raw.get("virtualbox")
    if not isinstance(machines, dict):
        return None
    if nodes and _is_address(nodes[0].get("address")):
        machines.setdefault("subnet", str(IPv4Network(f"{nodes[0]['address']}/24", strict=False)))
    return _network(machines.get("subnet"))


def _registry(registry: dict[str, Any]) -> None:
    users = registry.get("users")
    for user in users if isinstance(users, list) else ():
        if isinstance(user, dict) and user.get("role") == "pull" and fields.is_user_name(user.get("name")):
            registry.setdefault("nodeUser", user["name"])
    upstreams = registry.get("upstreams")
    for index, upstream in enumerate(upstreams if isinstance(upstreams, list) else ()):
        if isinstance(upstream, dict):
            for key in ("user", "ca"):
                if upstream.get(key, "") is None:
                    del upstream[key]
            upstream.setdefault("port", naming.CACHE_FIRST_PORT + index)
            upstream.setdefault("mirror", fields.plain_url(str(upstream.get("url"))) == naming.DOCKER_HUB)


def _lab(raw: dict[str, Any], nodes: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    lab = raw.get("lab")
    if lab is True or lab == "true":
        lab = raw["lab"] = {}
    elif lab is False or lab == "false":
        del raw["lab"]
    if not isinstance(lab, dict):
        return None
    if nodes and _is_address(nodes[0].get("address")):
        lab.setdefault("subnet", str(IPv4Network(f"{nodes[0]['address']}/24", strict=False)))
    network = _network(lab.get("subnet"))
    if network is not None:
        lab.setdefault("gateway", naming.lab_gateway(network))
    return lab


def _is_address(value: object) -> bool:
    try:
        IPv4Address(value if isinstance(value, str) else "")
    except ValueError:
        return False
    return True


def _network(value: object) -> IPv4Network | None:
    try:
        network = IPv4Network(value if isinstance(value, str) else "")
    except ValueError:
        return None
    return network if network.prefixlen <= 29 else None


def draft(raw: dict[str, Any], errors: Sequence[Location]) -> StackSettings:
    """The settings as far as they can be read; None stands where an error is."""
    made: StackSettings = _model(StackSettings, raw, (), frozenset(errors))
    return made


def _model(cls: type[BaseModel], raw: dict[str, Any], at: Location, errors: frozenset[Location]) -> Any:
    fields = {}
    written = set()
    for name, field in cls.model_fields.items():
        key = field.alias or name
        place = (*at, key)
        if key not in raw and place not in errors:
            fields[name] = field.get_default(call_default_factory=True)
        else:
            written.add(name)
            fields[name] = _value(cls, name, raw.get(key), place, errors)
    return cls.model_construct(_fields_set=written, **fields)


def _value(cls: type[BaseModel], name: str, raw: object, at: Location, errors: frozenset[Location]) -> Any:
    if at in errors:
        return None
    field = cls.model_fields[name]
    if not _any_below(at, errors):
        # Unknown keys are problems of their own and hide nothing else.
        return _adapter(cls, name).validate_python(raw, extra="ignore")
    inner = _model_class(field.annotation)
    if inner is not None and isinstance(raw, dict):
        return _model(inner, raw, at, errors)
    item = _model_class(get_args(field.annotation)[0]) if get_origin(field.annotation) is tuple else None
    if item is not None and isinstance(raw, list):
        return tuple(_item(item, value, (*at, index), errors) for index, value in enumerate(raw))
    return None


def _item(cls: type[BaseModel], raw: object, at: Location, errors: frozenset[Location]) -> Any:
    return _model(cls, raw, at, errors) if isinstance(raw, dict) and at not in errors else None


def _any_below(at: Location, errors: frozenset[Location]) -> bool:
    return any(error[: len(at)] == at for error in errors)


@cache
def _adapter(cls: type[BaseModel], name: str) -> TypeAdapter[Any]:
    field = cls.model_fields[name]
    annotation: Any = field.annotation
    for part in field.metadata:
        annotation = Annotated[annotation, part]
    return TypeAdapter(annotation)


def _model_class(annotation: Any) -> type[BaseModel] | None:
    """The model in an annotation, be it optional or not."""
    options = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    for option in options:
        if isinstance(option, type) and issubclass(option, BaseModel):
            return option
    return None


def model_at(location: Location) -> type[BaseModel] | None:
    """The model whose keys stand at this place of the file; None where there is none."""
    cls: type[BaseModel] | None = StackSettings
    for part in location:
        if cls is None or isinstance(part, int):
            continue
        field = next((f for n, f in cls.model_fields.items() if (f.alias or n) == part), None)
        if field is None:
            return None
        item = get_args(field.annotation)[0] if get_origin(field.annotation) is tuple else field.annotation
        cls = _model_class(item)
    return cls
