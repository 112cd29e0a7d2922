"""A node's way into the swarm and out of it, and what managers do with the others."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from components.swarm.render import TEXTS, Line, Member, arranged, joining, roster, text, tokens
from config.model.clusters import SwarmSettings
from tests.unit.components.fake_node import FakeNode
from tests.unit.components.swarm.test_swarm import SETTINGS

ROLES = [Member("node1", "192.0.2.11", True), Member("node2", "192.0.2.12", True), Member("node3", "192.0.2.13", False)]
MACHINES = ["one", "two", "three"]
EVERYBODY = roster(ROLES, MACHINES)
PLAIN = SwarmSettings()
TOKENS = tokens({"192.0.2.12": "token\tworker\tSWMTKN-w\ntoken\tmanager\tSWMTKN-m\ncluster\tswarm\n"})
PRINTED = "token\tworker\tSWMTKN-worker\ntoken\tmanager\tSWMTKN-manager\ncluster\tswarm\n"


class Swarm:
    """The swarm as one of its nodes sees it."""

    def __init__(self, root: Path) -> None:
        self.node = FakeNode(root, Path(__file__).with_name("fake_docker.py"), ("docker", "curl"))
        self.note = root / "docker/swarm/berth"
        self.node.state = {
            "own": {"LocalNodeState": "inactive", "ControlAvailable": "false", "DockerRootDir": str(root / "docker")},
            "nodes": [],
            "networks": {},
            "refused": {},
            "done": [],
        }

    def set(self, **changes: Any) -> None:
        self.node.state = self.node.state | changes

    def is_managed(self, *nodes: dict[str, Any], own: str = "id1") -> None:
        """This node is a manager of a swarm of these."""
        known = {"LocalNodeState": "active", "ControlAvailable": "true", "NodeID": own, "Cluster.ID": "swarm"}
        managers = str(sum(one["manager"] != "-" for one in nodes))
        self.set(own=self.node.state["own"] | known | {"Managers": managers}, nodes=list(nodes))
        self.notes("swarm")

    def notes(self, cluster: str) -> None:
        self.note.parent.mkdir(parents=True, exist_ok=True)
        self.note.write_text(f"{cluster}\n")

    def run(self, task: str, *arguments: str, stdin: str) -> subprocess.CompletedProcess[str]:
        """A run that must succeed."""
        done = self._run(task, arguments, stdin)
        assert done.returncode == 0, done.stderr
        return done

    def refusal(self, task: str, *arguments: str, stdin: str) -> str:
        """The last sentence of a run that must fail."""
        done = self._run(task, arguments, stdin)
        assert done.returncode == 1, done.stdout + done.stderr
        last = done.stderr.splitlines()[-1]
        assert last.startswith("berth: "), done.stderr
        return last.removeprefix("berth: ")

    def _run(self, task: str, arguments: Sequence[str], stdin: str) -> subprocess.CompletedProcess[str]:
        return self.node.run(TEXTS[task], *arguments, stdin=stdin)

    @property
    def done(self) -> list[Any]:
        found: list[Any] = self.node.state["done"]
        return found


def entry(number: int, *, manager: str = "-", state: str = "ready", **changes: Any) -> dict[str, Any]:
    """A node as the swarm knows it."""
    return {
        "id": f"id{number}",
        "name": f"node{number}",
        "state": state,
        "manager": manager,
        "machine": EVERYBODY[number - 1][4] if number <= len(EVERYBODY) else "-",
        "labels": {},
        "tasks": 0,
    } | changes


def connection(own: Member, settings: SwarmSettings = PLAIN, known: str = "") -> str:
    return text([*EVERYBODY, *joining(own, settings)]) + known


def arrangement(settings: SwarmSettings = PLAIN, members: list[Line] = EVERYBODY) -> str:
    return text([*members, *arranged(settings)])


LEADER, MANAGER, WORKER = entry(1, manager="leader"), entry(2, manager="reachable"), entry(3)


@pytest.fixture
def swarm(tmp_path: Path) -> Swarm:
    return Swarm(tmp_path)


def test_the_first_manager_makes_the_swarm_and_prints_the_tokens(swarm: Swarm) -> None:
    swarm.set(nodes=[entry(1, manager="leader", id="own")])
    done = swarm.run("member", "first", stdin=connection(ROLES[0]))
    assert (done.stdout, done.stderr) == (PRINTED, "node1 made the swarm\n")
    verb, body = swarm.done[0]
    assert (verb, body["AdvertiseAddr"], body["DefaultAddrPool"]) == ("init", "192.0.2.11", [PLAIN.address_pool])
    assert swarm.note.read_text() == "swarm\n"


def test_a_worker_joins_by_its_own_token_at_every_manager(swarm: Swarm) -> None:
    done = swarm.run("member", "next", stdin=connection(ROLES[2], known=TOKENS))
    assert (done.stdout, done.stderr) == ("", "node3 joined as worker\n")
    verb, body = swarm.done[0]
    assert (verb, body["JoinToken"]) == ("join", "SWMTKN-w")
    assert body["RemoteAddrs"] == ["192.0.2.11:2377", "192.0.2.12:2377"]
    assert swarm.note.read_text() == "swarm\n"


def test_a_manager_joins_at_the_other_managers_only(swarm: Swarm) -> None:
    swarm.run("member", "next", stdin=connection(ROLES[1], known=TOKENS))
    assert swarm.done[0][1]["JoinToken"] == "SWMTKN-m"
    assert swarm.done[0][1]["RemoteAddrs"] == ["192.0.2.11:2377"]


def test_a_node_that_is_in_is_left_there(swarm: Swarm) -> None:
    swarm.is_managed(LEADER, MANAGER, WORKER)
    assert swarm.run("member", "next", stdin=connection(ROLES[0], known=TOKENS)).stderr == ""
    assert swarm.done == []


def test_a_node_in_a_swarm_of_somebody_elses_is_refused(swarm: Swarm) -> None:
    swarm.is_managed(LEADER)
    swarm.note.unlink()
    assert swarm.refusal("member", "next", stdin=connection(ROLES[0], known=TOKENS)) == (
        "node1 is in a swarm already that Berth did not make: take it out (docker swarm leave), then run again"
    )


def test_a_node_left_in_a_swarm_that_is_no_more_joins_the_new_one(swarm: Swarm) -> None:
    swarm.is_managed(LEADER)
    swarm.notes("another")
    swarm.run("member", "next", stdin=connection(ROLES[2], known=TOKENS))
    assert [one if isinstance(one, str) else one[0] for one in swarm.done] == ["leave", "join"]


def test_without_a_token_only_the_first_manager_makes_a_swarm(swarm: Swarm) -> None:
    assert swarm.refusal("member", "next", stdin=connection(ROLES[2])) == "no manager gave node3 a token"
    assert swarm.done == []


def test_dockers_own_reason_is_given_where_it_does_not_join(swarm: Swarm) -> None:
    swarm.set(refused={"join": "Timeout was reached"})
    assert "node3 cannot join the swarm: Timeout was reached" in swarm.refusal(
        "member", "next", stdin=connection(ROLES[2], known=TOKENS)
    )


def test_another_version_of_the_tokens_renews_them(swarm: Swarm) -> None:
    swarm.is_managed(entry(1, manager="leader", labels={"berth.tokens": "1"}))
    settings = PLAIN.model_copy(update={"token_version": 2})
    assert swarm.run("member", "first", stdin=connection(ROLES[0], settings)).stderr == "new tokens\n"
    assert swarm.done == ["rotate worker", "rotate manager", "node update --label-add berth.tokens=2 id1"]


def test_pruning_keeps_every_node_that_is_ready_and_prints_the_tokens(swarm: Swarm) -> None:
    swarm.is_managed(LEADER, MANAGER, WORKER)
    done = swarm.run("prune_members", stdin=text(EVERYBODY))
    assert (done.stdout, done.stderr, swarm.done) == (PRINTED, "", [])


def test_pruning_removes_a_node_without_a_role_after_its_work(swarm: Swarm) -> None:
    swarm.is_managed(LEADER, MANAGER, WORKER, entry(4, tasks=2))
    assert swarm.run("prune_members", stdin=text(EVERYBODY)).stderr == "node4 left the swarm\n"
    assert swarm.done == ["node update --availability drain id4", "node rm --force id4"]


def test_pruning_takes_a_managers_vote_before_it_goes(swarm: Swarm) -> None:
    swarm.is_managed(LEADER, MANAGER, WORKER, entry(4, manager="unreachable", state="down"))
    swarm.run("prune_members", stdin=text(EVERYBODY))
    assert swarm.done == ["node update --availability drain id4", "node demote id4", "node rm --force id4"]


def test_pruning_removes_what_ran_on_a_machine_that_is_lost(swarm: Swarm) -> None:
    swarm.is_managed(LEADER, MANAGER, entry(3, state="down", machine="old"))
    assert swarm.run("prune_members", stdin=text(EVERYBODY)).stderr == "node3 left the swarm\n"
    assert swarm.done[-1] == "node rm --force id3"


def test_pruning_keeps_a_node_that_is_down_on_its_own_machine(swarm: Swarm) -> None:
    swarm.is_managed(LEADER, MANAGER, entry(3, state="down"))
    assert swarm.run("prune_members", stdin=text(EVERYBODY)).stderr == ""
    assert swarm.done == []


def test_pruning_says_what_the_swarm_refuses(swarm: Swarm) -> None:
    swarm.is_managed(LEADER, MANAGER, WORKER, entry(4, manager="reachable"))
    swarm.set(refused={"demote": "rpc error: would result in a loss of quorum"})
    assert swarm.refusal("prune_members", stdin=text(EVERYBODY)) == (
        "the swarm does not let its manager node4 go: rpc error: would result in a loss of quorum"
    )


def test_pruning_without_a_leader_ends_with_what_to_do(swarm: Swarm) -> None:
    swarm.is_managed(LEADER, MANAGER, WORKER)
    swarm.set(refused={"ls": "the swarm does not have a leader"})
    assert "no majority of its managers any more" in swarm.refusal("prune_members", stdin=text(EVERYBODY))


def test_a_node_that_manages_no_swarm_prunes_nothing(swarm: Swarm) -> None:
    assert swarm.run("prune_members", stdin=text(EVERYBODY)).stdout == ""


def test_managers_are_promoted_before_others_are_demoted(swarm: Swarm) -> None:
    swarm.is_managed(LEADER, entry(2), entry(3, manager="reachable"))
    swarm.run("converge", "dev", stdin=arrangement())
    assert [one for one in swarm.done if "--label-add" not in one] == ["node promote id2", "node demote id3"]


def test_a_node_that_never_becomes_ready_is_named(swarm: Swarm) -> None:
    swarm.is_managed(LEADER, MANAGER, entry(3, state="down"))
    assert swarm.refusal("converge", "dev", stdin=arrangement()) == (
        "not ready in the swarm after 60 s: node3 (docker node ls; the swarm knows nodes by their host names)"
    )


def test_what_a_node_left_behind_when_it_joined_anew_goes(swarm: Swarm) -> None:
    swarm.is_managed(LEADER, MANAGER, WORKER, entry(3, id="old", state="down"))
    assert swarm.run("converge", "dev", stdin=arrangement()).stdout == "node3 left the swarm\n"
    assert "node rm --force old" in swarm.done


def test_labels_that_are_not_wanted_any_more_go_and_others_stay(swarm: Swarm) -> None:
    labels = {"berth.labels": "rack zone", "rack": "7", "zone": "old", "theirs": "x"}
    swarm.is_managed(LEADER, entry(2, manager="reachable", labels=labels), WORKER)
    swarm.run("converge", "dev", stdin=arrangement(SETTINGS))
    assert swarm.node.state["nodes"][1]["labels"] == {
        "berth.labels": "zone",
        "zone": "a b",
        "theirs": "x",
        "berth.machine": EVERYBODY[1][4],
    }


def test_networks_are_made_made_anew_and_removed_as_the_settings_say(swarm: Swarm) -> None:
    swarm.is_managed(LEADER, MANAGER, WORKER)
    ours = {"subnet": "10.20.9.0/24", "encrypted": True, "attachable": False, "stack": "dev"}
    swarm.set(networks={"back": ours, "gone": ours, "theirs": ours | {"stack": ""}})
    output = swarm.run("converge", "dev", stdin=arrangement(SETTINGS)).stdout
    assert output.splitlines() == [
        "network back removed",
        "network gone removed",
        "network back created",
        "network front created",
    ]
    known = swarm.node.state["networks"]
    assert (known["back"]["subnet"], known["back"]["encrypted"]) == ("10.20.1.0/24", True)
    assert (known["front"]["encrypted"], known["front"]["attachable"]) == (False, True)
    assert swarm.run("converge", "dev", stdin=arrangement(SETTINGS)).stdout == ""


def test_a_network_of_somebody_elses_by_the_same_name_is_refused(swarm: Swarm) -> None:
    swarm.is_managed(LEADER, MANAGER, WORKER)
    swarm.set(networks={"back": {"subnet": "10.20.1.0/24", "encrypted": True, "attachable": False, "stack": ""}})
    assert "there is a network back already that Berth did not make" in swarm.refusal(
        "converge", "dev", stdin=arrangement(SETTINGS)
    )


def test_a_manager_that_leaves_gives_up_its_work_and_its_vote_first(swarm: Swarm) -> None:
    swarm.is_managed(LEADER, MANAGER, entry(3, manager="reachable", tasks=1), own="id3")
    swarm.run("leave", stdin=connection(ROLES[2]))
    assert swarm.done == ["node update --availability drain id3", "node demote id3", "leave"]


def test_the_last_manager_ends_the_swarm(swarm: Swarm) -> None:
    swarm.is_managed(LEADER)
    swarm.run("leave", stdin=connection(ROLES[0]))
    assert swarm.done == ["leave"]


def test_a_node_of_somebody_elses_swarm_stays_in_it(swarm: Swarm) -> None:
    swarm.is_managed(LEADER)
    swarm.note.unlink()
    swarm.run("leave", stdin=connection(ROLES[0]))
    assert swarm.done == []
