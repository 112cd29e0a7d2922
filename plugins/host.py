"""The one process: serves the language host, and through it every provider instance, until the CLI needs it no more."""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
from pulumi.runtime.proto import language_pb2_grpc, provider_pb2_grpc

from plugins.interface import Loader, Packages
from plugins.language import LanguageHost
from plugins.provider import ProviderServer

MESSAGE_LIMIT = 400 << 20
"""Bytes in one message, the limit of the CLI itself: a bundle of files is larger than gRPC's own four megabytes."""
CALLS = 256
"""Calls of all provider instances at once; more than the CLI makes, for it counts steps and not checks."""
STREAMS = 4096
"""Calls to the language host at once: each provider instance holds one for as long as it lives."""
OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.max_send_message_length", MESSAGE_LIMIT),
    # A port is never shared: whoever listens on it first would otherwise get a part of the other's calls.
    ("grpc.so_reuseport", 0),
)


def load_own() -> tuple[Packages, Callable[[], None]]:
    """Berth's providers, which share one SSH connection to each host."""
    from plugins import providers
    from plugins.ssh import Session

    session = Session()
    return providers.load(session), session.close


class Instances:
    """The provider instances of a run, which share connections and threads."""

    def __init__(self, load: Loader = load_own) -> None:
        self._load = load
        self._close: Callable[[], None] | None = None
        self._packages: Packages = {}
        self._lock = threading.Lock()
        self._calls = ThreadPoolExecutor(CALLS, thread_name_prefix="call")

    def load(self) -> Packages:
        """The providers; half a second of imports, which a program needs as long for and which go side by side."""
        with self._lock:
            if not self._packages:
                self._packages, self._close = self._load()
        return self._packages

    def close(self) -> None:
        """Close all connections."""
        if self._close is not None:
            self._close()

    def cancel(self) -> None:
        """End what any instance waits for: one run has them all."""
        for package in self._packages.values():
            package.cancel()

    def run(self, package: str, version: str, ended: Callable[[Callable[[], None]], bool]) -> Iterator[str | int]:
        """Serve one instance: its port first, then lines for the CLI's log, until the caller is gone.

        `ended` registers a callback for the end of the call, and returns whether the call is active.
        """
        packages = self.load()
        known = packages.get(package)
        if known is None:
            raise LookupError(f"Berth has no provider {package}; it has {', '.join(sorted(packages))}")
        output: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        servicer = ProviderServer(known, version, output.put, self.cancel)
        server = grpc.server(self._calls, options=OPTIONS)
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            if ended(lambda: output.put(None)):
                yield port
                while (text := output.get()) is not None:
                    yield text
        finally:
            server.stop(None)
            servicer.close()


def main(engine: str, load: Loader = load_own) -> None:
    """Serve these providers until the CLI closes this process's standard input or interrupts it."""
    over = threading.Event()
    # The CLI puts each plugin into a process group of its own, which Ctrl-C at a terminal does not reach, and ends it
    # by SIGINT after the last call.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    instances = Instances(load)
    server = grpc.server(ThreadPoolExecutor(STREAMS, thread_name_prefix="language"), options=OPTIONS)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageHost(engine, instances.run), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    threading.Thread(target=_wait_for_end_of_input, args=(over,), daemon=True).start()
    print(port, flush=True)
    threading.Thread(target=instances.load, daemon=True).start()
    over.wait()
    # Nobody waits for what may still be running, and its threads would hold up an orderly end.
    threading.Thread(target=instances.close, daemon=True).start()
    server.stop(None).wait(1)
    os._exit(0)


def _wait_for_end_of_input(over: threading.Event) -> None:
    """The CLI holds the other end and never writes: its end, however it comes, is the end of this process."""
    while sys.stdin.buffer.read(4096):
        pass
    over.set()
