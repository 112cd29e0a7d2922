"""The input of the swarm's scripts, as lines of fields separated by tabs; pure functions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.lib.host_files.shell import script
from config.model.clusters import SwarmSettings

_FOLDER = Path(__file__).parent / "scripts"
TEXTS = {
    name: script(_FOLDER / "swarm.sh", _FOLDER / f"{name}.sh")
    for name in ("prune_members", "member", "converge", "leave")
}
"""The scripts that read the lines of this module."""

Line = Sequence[str]


@dataclass(frozen=True)
class Member:
    """A node of the swarm."""

    name: str
    address: str
    is_manager: bool


def identity(known: str) -> str:
    """Which machine a name stands for now: another one is another machine. `known`: container id or host key."""
    return hashlib.sha256(known.encode()).hexdigest()[:16]


def roster(members: Sequence[Member], machines: Sequence[str]) -> list[Line]:
    """Who belongs to the swarm, each on its present machine."""
    return [
        ("node", one.name, one.address, "manager" if one.is_manager else "worker", identity(machine))
        for one, machine in zip(members, machines, strict=True)
    ]


def joining(own: Member, settings: SwarmSettings) -> list[Line]:
    """What a node has to know to make or join the swarm, tokens apart."""
    return [
        ("own", own.name, own.address, "manager" if own.is_manager else "worker"),
        ("pool", settings.address_pool),
        ("tokens", str(settings.token_version)),
        ("encrypts", "yes" if any(network.encrypted for network in settings.networks) else "no"),
    ]


def arranged(settings: SwarmSettings) -> list[Line]:
    """Labels and networks; the last line is what `berth verify` asks for."""
    networks = [
        (one.name, one.subnet, "encrypted" if one.encrypted else "plain", "attachable" if one.attachable else "own")
        for one in settings.networks
    ]
    labels = [("label", node, key, value) for node, some in settings.labels.items() for key, value in some.items()]
    # Not read there. With new tokens every node sees to it that it is in: what one leaves that joined anew has to go.
    renewed = ("tokens", str(settings.token_version))
    return [*(("network", *one) for one in networks), *labels, renewed]


def question(settings: SwarmSettings | None = None) -> list[Line]:
    """What `berth verify` asks a node about; `settings` for a manager that knows the networks."""
    networks = settings.networks if settings else ()
    return [("ask", "swarm", *(f"{one.name} {one.subnet}{' encrypted' if one.encrypted else ''}" for one in networks))]


def text(lines: Iterable[Line]) -> str:
    """The lines as the scripts read them."""
    return "".join("\t".join(line) + "\n" for line in lines)


def tokens(printed: Mapping[str, str]) -> str:
    """What managers printed, by address, as lines for the one who joins."""
    found = ((address, line.split("\t")) for address, text in printed.items() for line in (text or "").splitlines())
    return text_of_tokens((address, words) for address, words in found if words[0] in ("token", "cluster"))


def text_of_tokens(found: Iterable[tuple[str, Sequence[str]]]) -> str:
    """One line each: the word, from whom it is, and the rest."""
    return text((words[0], address, *words[1:]) for address, words in found)
