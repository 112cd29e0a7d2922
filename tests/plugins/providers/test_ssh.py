"""One connection per host, host keys before credentials, and retries only for hosts that are still starting."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncssh
import pytest

from plugins.ssh import Cancelled, Result, Session, SSHError, Target
from tests.plugins.providers.conftest import Server


def target(server: Server, **changes: object) -> Target:
    settings: dict[str, object] = {
        "host": "127.0.0.1",
        "port": server.port,
        "private_key": server.private_key,
        "host_keys": (server.public_host_key,),
        **changes,
    }
    return Target(**settings)  # type: ignore[arg-type]


def test_many_commands_at_once_share_one_connection(server: Server, session: Session) -> None:
    results: list[bytes] = []

    def run(number: int) -> None:
        results.append(session.run(target(server), f"echo {number}").stdout)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results, key=int) == [b"%d\n" % number for number in range(20)]
    assert server.connections == 1


def test_output_error_output_and_exit_status_come_back_apart(server: Server, session: Session) -> None:
    result = session.run(target(server), "cat; echo no >&2; exit 3", stdin="given")
    assert (result.stdout, result.stderr, result.exit) == (b"given", b"no\n", 3)


def test_an_unexpected_host_key_is_refused_with_both_fingerprints(server: Server, session: Session) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519")
    with pytest.raises(SSHError) as refused:
        session.run(target(server, host_keys=(other.export_public_key().decode(),)), "true")
    text = str(refused.value)
    assert "127.0.0.1" in text
    assert other.get_fingerprint() in text
    assert server.host_key.get_fingerprint() in text
    assert server.logins == 0


def test_a_key_of_another_kind_than_the_pinned_one_is_named_too(server: Server, session: Session) -> None:
    other = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    with pytest.raises(SSHError, match=r"expected ecdsa-sha2-nistp256 .*found ssh-ed25519"):
        session.run(target(server, host_keys=(other.export_public_key().decode(),)), "true")
    assert server.logins == 0


def test_a_connection_without_a_pin_is_not_reused_for_one_with_a_pin(server: Server, session: Session) -> None:
    session.run(target(server, host_keys=None), "true")
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    with pytest.raises(SSHError, match="not the expected one"):
        session.run(target(server, host_keys=(other,)), "true")


def test_a_refused_login_fails_at_once_and_says_what_to_check(server: Server, session: Session) -> None:
    outsider = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    began = time.monotonic()
    with pytest.raises(SSHError, match="authorized_keys"):
        session.run(target(server, private_key=outsider), "true")
    assert time.monotonic() - began < 2


def test_a_host_that_is_still_starting_is_dialled_again(server: Server, session: Session) -> None:
    server.stop()
    threading.Timer(0.6, server.start).start()
    assert session.run(target(server), "echo up").stdout == b"up\n"


def test_a_host_that_never_answers_is_given_up_after_the_limit(session: Session) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        gone = Target("127.0.0.1", taken.getsockname()[1], private_key=None, dial_error_limit=1)
        with pytest.raises(SSHError, match="after 2 attempts"):
            session.run(gone, "true")


def test_a_host_that_was_given_up_is_used_once_it_is_back(server: Server, session: Session) -> None:
    server.stop()
    with pytest.raises(SSHError):
        session.run(target(server, dial_error_limit=0), "true")
    began = time.monotonic()
    with pytest.raises(SSHError):
        session.run(target(server), "true")
    assert time.monotonic() - began < 1
    server.start()
    assert session.run(target(server), "echo back").stdout == b"back\n"


def test_a_connection_that_a_restart_broke_is_dialled_again(server: Server, session: Session) -> None:
    session.run(target(server), "true")
    server.stop()
    server.start()
    assert session.run(target(server), "echo again").stdout == b"again\n"
    assert server.connections == 2


def test_a_connection_that_breaks_before_a_command_is_dialled_again(server: Server, session: Session) -> None:
    where = target(server)

    async def break_and_run() -> Result:
        (await session.connection(where)).abort()
        return await session._run(where, "echo again", b"", {}, None)

    assert session._wait(break_and_run()).stdout == b"again\n"
    assert server.connections == 2


def test_a_command_that_hangs_is_given_up_after_its_time(server: Server, session: Session) -> None:
    with pytest.raises(SSHError, match=r"within 0\.3 seconds"):
        session.run(target(server), "sleep 5", timeout=0.3)


def test_a_cancelled_run_ends_its_dialling_at_once(server: Server, session: Session) -> None:
    server.stop()
    away = [target(server), target(server, user="other"), target(server, proxy=target(server))]
    with ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(session.run, one, "true") for one in away]
        time.sleep(0.5)
        begun = time.monotonic()
        session.cancel()
        for call, one in zip(calls, away, strict=True):
            with pytest.raises(Cancelled, match="the run was cancelled before this was done") as caught:
                call.result(5)
            assert str(one) in str(caught.value)
    assert time.monotonic() - begun < 1


def test_a_cancelled_run_dials_no_host_and_waits_for_nothing(server: Server, session: Session) -> None:
    session.cancel()
    begun = time.monotonic()
    for call in (lambda: session.run(target(server), "true"), lambda: session.pause(5, "network n")):
        with pytest.raises(Cancelled):
            call()
    assert time.monotonic() - begun < 1
    assert server.connections == 0


def test_after_cancel_a_running_command_is_left_to_finish(server: Server, session: Session, tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(session.run, target(server), f"touch {tmp_path}/begun; sleep 1; echo done")
        while not (tmp_path / "begun").exists():
            time.sleep(0.05)
        session.cancel()
        with pytest.raises(Cancelled):
            session.run(target(server), f"touch {tmp_path}/late")
        assert running.result(10).stdout == b"done\n"
    assert not (tmp_path / "late").exists()
