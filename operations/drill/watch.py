"""Watches from outside: does the registry answer on a new connection, and which node carries its address."""

from __future__ import annotations

import socket
import ssl
import time
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from operations.drill.background import Background
from operations.drill.lab_node import LabNode, addresses
from operations.errors import BerthError
from operations.registry.endpoint import User

EVERY = 0.05
TIMEOUT = 2.0
LOOK_EVERY = 0.2
# Enough for every question of TIMEOUT seconds to be under way at once: a slow one must not hold up the next.
THREADS = int(TIMEOUT / EVERY) + 24


class Watch(Background):
    """Asks for `/v2/` with a password every 50 ms on a new connection each time, and notes who has the address."""

    def __init__(self, endpoint: str, tls: ssl.SSLContext, user: User, address: str, nodes: Sequence[LabNode]) -> None:
        super().__init__([self._ask_again, self._look_again])
        self._host, _, port = endpoint.rpartition(":")
        self._port = int(port)
        self._tls = tls
        words = {"Host": endpoint, "Authorization": f"Basic {user.basic}", "Connection": "close"}
        lines = ["GET /v2/ HTTP/1.1", *(f"{name}: {value}" for name, value in words.items()), "", ""]
        self._question = "\r\n".join(lines).encode()
        self._address = address
        self._nodes = nodes
        self.answers: list[float] = []
        """When each right answer had come."""
        self.errors: list[tuple[float, str]] = []
        self.late = 0.0
        """How much later than planned a question was asked at worst: much means that this machine was too busy."""
        self.holders: list[tuple[float, frozenset[str]]] = []

    def _ask_again(self) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            due = time.monotonic()
            while not self._stop.wait(max(0.0, due - time.monotonic())):
                self.late = max(self.late, time.monotonic() - due)
                pool.submit(self._ask)
                due = max(due + EVERY, time.monotonic() - EVERY)

    def _ask(self) -> None:
        try:
            with (
                socket.create_connection((self._host, self._port), TIMEOUT) as plain,
                self._tls.wrap_socket(plain, server_hostname=self._host) as connection,
            ):
                connection.sendall(self._question)
                answer = connection.recv(4096)
        except OSError as error:
            self.errors.append((time.monotonic(), str(error) or type(error).__name__))
            return
        status = answer.split(b"\r\n", 1)[0].decode(errors="replace")
        if status.split()[1:2] == ["200"]:
            self.answers.append(time.monotonic())
        else:
            self.errors.append((time.monotonic(), status or "the connection was closed"))

    def _look_again(self) -> None:
        known: dict[str, int] = {}
        while not self._stop.wait(LOOK_EVERY):
            have = set()
            for node in self._nodes:
                try:
                    if node.name not in known:
                        known[node.name] = node.init()
                    if self._address in addresses(known[node.name]):
                        have.add(node.name)
                except (OSError, BerthError):
                    # Killed, or started anew under another number.
                    known.pop(node.name, None)
            self.holders.append((time.monotonic(), frozenset(have)))

    @property
    def holder(self) -> str:
        """The node that has the address now; empty where none or several have it."""
        have = self.holders[-1][1] if self.holders else frozenset()
        return next(iter(have)) if len(have) == 1 else ""

    def outage(self, start: float, end: float) -> float:
        """The longest time without an answer that reaches into the given time."""
        return longest_outage(sorted(self.answers), start, end)

    def moves(self, start: float, end: float) -> int:
        """How often the address went to another node in that time."""
        return moves([have for when, have in self.holders if start - LOOK_EVERY <= when <= end])

    def shared(self, start: float, end: float, affected: frozenset[str]) -> float:
        """For how long two nodes that no fault held had the address."""
        seen = [(when, have - affected) for when, have in self.holders if start <= when <= end]
        return sum(after - when for (when, have), (after, _) in pairwise(seen) if len(have) > 1)


def longest_outage(answers: Sequence[float], start: float, end: float) -> float:
    """The longest time between answers, of those that reach into the time from start to end."""
    first = max(0, bisect_right(answers, start) - 1)
    last = bisect_left(answers, end)
    inside = [*answers[first : last + 1]]
    if not inside or inside[0] > start:
        inside.insert(0, start)
    if inside[-1] < end:
        inside.append(end)
    return max((after - before for before, after in pairwise(inside)), default=0.0)


def moves(holders: Sequence[frozenset[str]]) -> int:
    """Changes of the one node that has the address; moments with none or several do not count."""
    single = [have for have in holders if len(have) == 1]
    return sum(1 for before, after in pairwise(single) if before != after)
