"""What the node itself is told, and what a reload makes of it."""

from __future__ import annotations

import threading

from tests.front.fake import Answer
from tests.front.world import World


def test_nginx_says_that_it_lives_and_whether_a_replica_answers(front: World) -> None:
    assert (front.status("alive"), front.status("backends")) == (200, 200)
    front.replicas[0].reset(lambda asked: Answer(dies=True))
    assert [front.status("backends") for _ in range(3)] == [200] * 3
    for one in front.replicas:
        one.reset(lambda asked: Answer(503))
    assert front.status("alive") == 200
    assert front.status("backends") in (502, 503)


def test_the_status_pages_are_for_the_node_alone(front: World) -> None:
    for page in ("alive", "backends", "config"):
        assert front.ask("GET", f"/{page}").status == 404


def test_a_replica_that_hangs_or_is_gone_costs_a_read_less_than_a_second(front: World) -> None:
    with front.pool(front.frozen.endpoint, "127.0.0.1:1", f"{front.replicas[0].endpoint} max_fails=0"):
        front.ask("GET", "/v2/a/tags/list")
        got = [front.ask("GET", "/v2/") for _ in range(6)]
        assert [one.status for one in got] == [200] * 6
        assert max(one.seconds for one in got) < 1.5


def test_all_replicas_at_once_failing_are_asked_again_at_once(front: World) -> None:
    for one in front.replicas:
        one.reset(lambda asked: Answer(dies=True))
    assert front.ask("GET", "/v2/").status == 502
    for one in front.replicas:
        one.reset(lambda asked: Answer(200))
    assert front.ask("GET", "/v2/").status == 200


def test_a_replica_that_is_out_of_the_pool_gets_nothing(front: World) -> None:
    first, second = front.replicas
    with front.pool(f"{first.endpoint} down", f"{first.endpoint} down backup", second.endpoint):
        assert {front.ask("GET", "/v2/").status for _ in range(4)} == {200}
        assert (first.methods(), len(second.methods())) == ([], 4)


def test_a_replica_that_does_not_answer_is_given_up_after_a_second(front: World) -> None:
    slow, other = front.replicas
    slow.reset(lambda asked: Answer(200, late=3))
    other.reset(lambda asked: Answer(200))
    seconds = [front.ask("GET", "/v2/").seconds for _ in range(3)]
    assert max(seconds) < 2.5


def test_a_request_in_flight_survives_a_reload(front: World) -> None:
    for one in front.replicas:
        one.reset(lambda asked: Answer(200, b"late", late=1.5))
    got: list[int] = []
    asking = threading.Thread(target=lambda: got.append(front.ask("GET", "/v2/a/manifests/1").status))
    asking.start()
    front.wait(lambda: any(one.asked for one in front.replicas))
    front.reload()
    asking.join()
    assert got == [200]
