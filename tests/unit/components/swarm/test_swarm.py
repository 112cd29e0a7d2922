"""What the swarm's scripts are told."""

from __future__ import annotations

from components.swarm.render import Member, arranged, joining, question, roster, text, tokens
from config.model.clusters import SwarmSettings

MANAGER, WORKER = Member("node1", "192.0.2.11", True), Member("node2", "192.0.2.12", False)
SETTINGS = SwarmSettings.model_validate(
    {
        "networks": [
            {"name": "back", "subnet": "10.20.1.0/24"},
            {"name": "front", "subnet": "10.20.2.0/24", "encrypted": False, "attachable": True},
        ],
        "labels": {"node2": {"zone": "a b"}},
    }
)


def test_a_network_is_encrypted_unless_somebody_says_otherwise() -> None:
    assert text(arranged(SETTINGS)) == (
        "network\tback\t10.20.1.0/24\tencrypted\town\n"
        "network\tfront\t10.20.2.0/24\tplain\tattachable\n"
        "label\tnode2\tzone\ta b\n"
        "tokens\t1\n"
    )
    assert ("encrypts", "yes") in joining(WORKER, SETTINGS)
    assert ("encrypts", "no") in joining(WORKER, SwarmSettings())


def test_new_tokens_converge_the_swarm_after_every_node_has_joined() -> None:
    assert arranged(SETTINGS) != arranged(SETTINGS.model_copy(update={"token_version": 2}))


def test_verify_asks_managers_for_the_networks_and_workers_for_themselves() -> None:
    assert text(question(SETTINGS)) == "ask\tswarm\tback 10.20.1.0/24 encrypted\tfront 10.20.2.0/24\n"
    assert text(question()) == "ask\tswarm\n"


def test_a_name_on_another_machine_is_another_line_of_the_roster() -> None:
    before = roster([MANAGER, WORKER], ["one", "two"])
    after = roster([MANAGER, WORKER], ["one", "three"])
    assert before[0] == after[0]
    assert before[1][:4] == after[1][:4] == ("node", "node2", "192.0.2.12", "worker")
    assert before[1] != after[1]


def test_only_tokens_and_the_swarms_id_are_read_from_managers_output() -> None:
    said = {"192.0.2.11": "noise\ntoken\tworker\tSWMTKN-1\ncluster\tabc\n", "192.0.2.13": ""}
    assert tokens(said) == "token\t192.0.2.11\tworker\tSWMTKN-1\ncluster\t192.0.2.11\tabc\n"
