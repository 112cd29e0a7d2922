"""The certificate that a service of a node shows, seen through the SSH connection to the node."""

from __future__ import annotations

import contextlib
import ssl
from typing import Any

import asyncssh

from operations.inspect.expected import fingerprint


async def served_certificate(connection: asyncssh.SSHClientConnection, name: str, address: str, port: int) -> str:
    """sha256 of a listener's certificate, or why there is none; only the TLS handshake is done."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    there, here = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context.wrap_bio(there, here, server_hostname=name)
    try:
        reader, writer = await connection.open_connection("127.0.0.1" if address == "0.0.0.0" else address, port)
        with contextlib.closing(writer):
            while not await _handshake_step(session, there, here, reader, writer):
                pass
    except (asyncssh.Error, OSError) as error:
        return f"({error_text(error)})"
    return fingerprint(session.getpeercert(binary_form=True) or b"")


async def _handshake_step(
    session: ssl.SSLObject, there: ssl.MemoryBIO, here: ssl.MemoryBIO, reader: Any, writer: Any
) -> bool:
    """One step of a handshake; whether it was the last."""
    with contextlib.suppress(ssl.SSLWantReadError):
        session.do_handshake()
        return True
    writer.write(here.read())
    if not there.write(await reader.read(65536)):
        raise ConnectionError("the connection was closed")
    return False


def error_text(error: BaseException) -> str:
    """The first line of what a connection failed with."""
    text = str(getattr(error, "strerror", None) or getattr(error, "reason", None) or error)
    return text.strip().splitlines()[0] if text.strip() else type(error).__name__
