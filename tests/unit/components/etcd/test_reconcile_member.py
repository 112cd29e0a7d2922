"""A member starts, joins, is replaced, restarted or removed, and never at the cluster's cost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.etcd.render import TEXTS, Cluster, reconciliation
from tests.unit.components.etcd.test_render import CLUSTER
from tests.unit.components.fake_node import FakeNode

PROGRAMS = ("curl", "etcdctl", "systemctl", "journalctl")
CURRENT, OLD = "BERTH_CONFIG=now", "BERTH_CONFIG=before"
OWN, *OTHERS = CLUSTER.members


class Member:
    """node1 of a cluster whose other members are node2 and node3."""

    def __init__(self, root: Path) -> None:
        self.node = FakeNode(root, Path(__file__).with_name("fake_etcd.py"), PROGRAMS)
        self.data = root / "data"
        self.cluster = replace(CLUSTER, data_dir=str(self.data))
        self.join_file = root / "run/berth-etcd-join"
        self.join_file.parent.mkdir()
        (root / "etc/berth/etcd").mkdir(parents=True)
        urls = [
            f"ETCD_INITIAL_ADVERTISE_PEER_URLS={CLUSTER.peer_url(OWN)}",
            f"ETCD_ADVERTISE_CLIENT_URLS={CLUSTER.client_url(OWN)}",
        ]
        self.environment = urls
        self.node.state = {
            "own": {
                "name": OWN.name,
                "client": CLUSTER.client_url(OWN),
                "peer": CLUSTER.peer_url(OWN),
                "environment": [*urls, CURRENT],
                "proc": str(root / "proc"),
                "data": str(self.data),
            },
            "runs": False,
            "members": [],
            "healthy": [],
            "broken": False,
            "refused": {},
            "done": [],
        }

    def set(self, **changes: Any) -> None:
        self.node.state = self.node.state | changes

    def knows(self, *members: dict[str, str], healthy: tuple[str, ...] = ("node2", "node3")) -> None:
        """What the cluster's other members say, and which of them do."""
        urls = [CLUSTER.client_url(one) for one in CLUSTER.members if one.name in healthy]
        self.set(members=list(members), healthy=urls)

    def runs(self, config: str = CURRENT, *, healthy: bool = True) -> None:
        """The process that was started with these settings, its data beside it."""
        environ = self.node.root / "proc/1/environ"
        environ.parent.mkdir()
        environ.write_text("\0".join([*self.environment, config]) + "\0")
        (self.data / "member").mkdir(parents=True)
        own = [CLUSTER.client_url(OWN)] if healthy else []
        self.set(runs=True, healthy=[*self.node.state["healthy"], *own])

    def reconcile(self, verb: str = "again", cluster: Cluster | None = None) -> str:
        """Output of a run that must succeed."""
        done = self._run(verb, cluster)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refusal(self, verb: str = "again") -> str:
        """The one sentence of a run that must fail."""
        done = self._run(verb, None)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stdout + done.stderr
        assert done.stderr.startswith("berth: "), done.stderr
        return done.stderr.removeprefix("berth: ").rstrip("\n")

    def _run(self, verb: str, cluster: Cluster | None) -> Any:
        return self.other("reconcile_member", verb, cluster=cluster)

    def other(self, name: str, *arguments: str, cluster: Cluster | None = None) -> Any:
        """Another of the member's scripts."""
        return self.node.run(TEXTS[name], *arguments, stdin=reconciliation(cluster or self.cluster, "now", "machine"))

    @property
    def done(self) -> list[str]:
        found: list[str] = self.node.state["done"]
        return found


def entry(number: int, *, learner: bool = False, started: bool = True) -> dict[str, str]:
    """A member as `etcdctl member list` has it."""
    member = CLUSTER.members[number - 1]
    return {
        "id": f"id{number}",
        "status": "started" if started else "unstarted",
        "name": member.name if started else "",
        "peer": CLUSTER.peer_url(member),
        "client": CLUSTER.client_url(member) if started else "",
        "learner": str(learner).lower(),
    }


@pytest.fixture
def member(tmp_path: Path) -> Member:
    return Member(tmp_path)


def test_the_first_member_of_a_new_cluster_starts_and_waits_for_no_one(member: Member) -> None:
    member.set(broken=True)
    assert member.reconcile("first") == ""
    assert member.done == ["systemctl restart"]


def test_a_member_alone_is_started_and_waited_for(member: Member) -> None:
    assert member.reconcile("again", replace(member.cluster, members=[OWN])) == ""
    assert member.done == ["systemctl restart"]


def test_a_member_of_a_new_cluster_that_the_others_wait_for_starts(member: Member) -> None:
    member.knows(entry(1, started=False), entry(2), entry(3))
    assert member.reconcile("first") == ""
    assert member.done == ["systemctl start"]


def test_a_member_that_the_cluster_does_not_know_joins_as_a_learner(member: Member) -> None:
    member.knows(entry(2), entry(3))
    assert member.reconcile("first") == "node1 joined\n"
    assert member.done == [
        f"etcdctl member add node1 --learner --peer-urls={CLUSTER.peer_url(OWN)}",
        "systemctl restart",
        "etcdctl member promote new",
    ]
    assert not member.join_file.exists()


def test_a_joining_member_sets_old_data_aside(member: Member) -> None:
    member.knows(entry(2), entry(3))
    (member.data / "member").mkdir(parents=True)
    (member.data / "member" / "wal").touch()
    member.reconcile("first")
    assert (member.data / "before" / "wal").exists()
    assert not (member.data / "member" / "wal").exists()


def test_dead_members_without_a_role_go_before_one_joins(member: Member) -> None:
    gone = entry(2) | {
        "id": "gone",
        "name": "node9",
        "peer": "https://192.0.2.19:2380",
        "client": "https://192.0.2.19:2379",
    }
    member.knows(entry(2), entry(3), gone)
    assert member.reconcile("first") == "removed node9, which is lost\nnode1 joined\n"
    assert member.done[0] == "etcdctl member remove gone"


def test_a_cluster_that_takes_no_new_member_is_quoted(member: Member) -> None:
    member.knows(entry(2), entry(3))
    member.set(refused={"add": "etcdserver: too many learner members in cluster"})
    assert member.refusal("first") == "the cluster does not take node1: etcdserver: too many learner members in cluster"


def test_a_learner_that_was_left_behind_is_promoted(member: Member) -> None:
    member.knows(entry(1, learner=True), entry(2), entry(3))
    member.runs()
    assert member.reconcile() == ""
    assert member.done == ["etcdctl member promote id1"]


def test_a_learner_that_does_not_catch_up_is_an_error_with_etcds_reason(member: Member) -> None:
    member.knows(entry(1, learner=True), entry(2), entry(3))
    member.runs()
    member.set(refused={"promote": "etcdserver: can only promote a learner member which is in sync with leader"})
    assert member.refusal().startswith("etcd on node1 does not catch up within 60 s: etcdserver: can only promote")


def test_a_member_that_lost_its_data_is_replaced_by_itself(member: Member) -> None:
    member.knows(entry(1), entry(2), entry(3))
    assert member.reconcile() == "node1 has lost its data\nnode1 joined\n"
    assert member.done == [
        "systemctl stop",
        "etcdctl member remove id1",
        f"etcdctl member add node1 --learner --peer-urls={CLUSTER.peer_url(OWN)}",
        "systemctl restart",
        "etcdctl member promote new",
    ]


def test_lost_data_is_not_replaced_where_quorum_would_be_lost(member: Member) -> None:
    member.knows(entry(1), entry(2), entry(3), healthy=("node2",))
    assert member.refusal() == (
        "etcd on node1 is not replaced: without it 1 of 3 members would be healthy, and 2 are needed; not answering: "
        "node3. Repair that first (systemctl status etcd.service there), then run up again"
    )
    assert member.done == []


def test_lost_data_with_no_other_member_to_ask_is_refused(member: Member) -> None:
    assert "etcd on node1 has lost its data, and no other member answers" in member.refusal("again")
    assert member.done == []


def test_a_current_member_is_left_alone(member: Member) -> None:
    member.knows(entry(1), entry(2), entry(3))
    member.runs()
    assert member.reconcile() == "nothing to change\n"
    assert member.done == []


def test_a_current_member_whose_others_are_silent_is_left_alone(member: Member) -> None:
    member.knows(healthy=())
    member.runs()
    assert member.reconcile() == "nothing to change\n"
    assert member.done == []


def test_a_member_with_other_settings_is_restarted(member: Member) -> None:
    member.knows(entry(1), entry(2), entry(3))
    member.runs(OLD)
    assert member.reconcile() == "node1 restarted\n"
    assert member.done == ["systemctl restart"]


def test_a_restart_is_refused_where_quorum_would_be_lost(member: Member) -> None:
    member.knows(entry(1), entry(2), entry(3), healthy=("node3",))
    member.runs(OLD)
    assert member.refusal() == (
        "etcd on node1 is not restarted: without it 1 of 3 members would be healthy, and 2 are needed; not answering: "
        "node2. Repair that first (systemctl status etcd.service there), then run up again"
    )
    assert member.done == []


def test_a_restart_is_refused_where_no_other_member_answers(member: Member) -> None:
    member.knows(entry(1), entry(2), entry(3), healthy=())
    member.runs(OLD)
    assert "etcd on node1 is not restarted" in member.refusal()
    assert member.done == []


def test_a_learner_does_not_count_towards_quorum(member: Member) -> None:
    member.knows(entry(1), entry(2, learner=True), entry(3))
    member.runs(OLD)
    assert "1 of 2 members would be healthy, and 2 are needed" in member.refusal()


def test_a_member_that_is_ill_already_is_restarted_whatever_the_others_do(member: Member) -> None:
    member.knows(entry(1), entry(2), entry(3), healthy=("node3",))
    member.runs(OLD, healthy=False)
    assert member.reconcile() == "node1 restarted\n"


def test_a_member_that_stopped_is_started(member: Member) -> None:
    member.knows(entry(1), entry(2), entry(3))
    (member.data / "member").mkdir(parents=True)
    assert member.reconcile() == ""
    assert member.done == ["systemctl start"]


def test_a_member_that_stays_ill_names_the_silent_ones_and_its_last_words(member: Member) -> None:
    member.knows(entry(1), entry(2), entry(3), healthy=("node3",))
    member.runs(OLD, healthy=False)
    member.set(broken=True)
    assert member.refusal() == (
        "etcd on node1 does not become healthy within 60 s, and of the others do not answer: node2; its last words: "
        "etcd's own words"
    )


def test_another_address_is_refused_before_anything_is_done(member: Member) -> None:
    member.environment = ["ETCD_INITIAL_ADVERTISE_PEER_URLS=https://198.51.100.1:2380"]
    member.knows(entry(1), entry(2), entry(3))
    member.runs()
    assert "was made with other ports or another address" in member.refusal()
    assert member.done == []


def test_the_cluster_converges_by_removing_who_has_no_role_any_more(member: Member) -> None:
    gone = entry(2) | {"id": "gone", "name": "node9", "peer": "https://192.0.2.19:2380"}
    member.knows(entry(1), entry(2), entry(3), gone, healthy=("node1", "node2", "node3"))
    done = member.other("converge")
    assert (done.returncode, done.stdout) == (0, "removed node9\n"), done.stderr
    assert member.done == ["etcdctl member remove gone"]


def test_a_member_that_etcd_does_not_let_go_is_an_error_with_its_reason(member: Member) -> None:
    gone = entry(2) | {"id": "gone", "name": "node9", "peer": "https://192.0.2.19:2380"}
    member.knows(entry(1), entry(2), entry(3), gone, healthy=("node1", "node2", "node3"))
    member.set(refused={"remove": "etcdserver: re-configuration failed due to not enough started members"})
    done = member.other("converge")
    assert done.returncode == 1
    assert done.stderr == (
        "berth: etcd refuses to let node9 go: etcdserver: re-configuration failed due to not enough started members\n"
    )


def test_the_cluster_names_the_members_that_stay_silent(member: Member) -> None:
    member.knows(entry(1), entry(2), entry(3), healthy=("node1",))
    assert "do not become healthy within 60 s: node2 node3 (" in member.other("converge").stderr


@pytest.mark.parametrize("removed", [True, False])
def test_a_member_that_leaves_keeps_its_data_until_the_cluster_lets_it_go(member: Member, removed: bool) -> None:
    member.knows(*([] if removed else [entry(1)]), entry(2), entry(3))
    member.runs()
    done = member.other("leave")
    assert done.returncode == 0, done.stderr
    assert member.done == ["systemctl stop"]
    assert member.data.exists() is not removed
