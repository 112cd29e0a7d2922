"""The order in which daemons change."""

from __future__ import annotations

from config import stackfile
from config.model.docker import DockerRolloutSettings
from config.model.nodes import NodeSettings, Role
from config.rollout import waves
from tests.unit.config.stacks import document


def node(name: str, *roles: Role) -> NodeSettings:
    return NodeSettings(name=name, address="192.0.2.1", roles=roles)


def test_a_harmless_node_goes_first_services_alone_and_the_rest_in_batches() -> None:
    nodes = [node("s1", "registry"), node("c1"), node("c2", "compute"), node("s2", "object-store"), node("c3")]
    nodes += [node("m1", "swarm-manager"), node("c4", "monitoring"), node("k1", "control")]
    found = waves(nodes, DockerRolloutSettings(batchSize=2))
    assert found == [["c1"], ["s1"], ["s2"], ["m1"], ["k1"], ["c2", "c3"], ["c4"]]


def test_nodes_with_a_service_alone_go_one_at_a_time_in_their_order() -> None:
    found = waves([node("b", "load-balancer"), node("a", "registry")], DockerRolloutSettings())
    assert found == [["b"], ["a"]]


def test_a_hundred_nodes_without_a_service_take_eleven_waves() -> None:
    found = waves([node(f"c{index}") for index in range(100)], DockerRolloutSettings())
    assert [len(wave) for wave in found] == [1, *[10] * 9, 9]


def test_a_batch_of_none_is_refused_in_the_settings() -> None:
    (problem,) = stackfile.check("dev", document("dev", {"docker.rollout": {"batchSize": 0}}))
    assert problem.path == "berth:docker.rollout.batchSize"
