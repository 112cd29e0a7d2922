"""What a preview says in sentences."""

from __future__ import annotations

from operations.preview.notices import CONTAINER, notices
from operations.pulumi.events import Step


def step(stage: str, name: str, op: str = "replace", type_: str = CONTAINER) -> Step:
    return Step(f"urn:pulumi:dev::berth::berth:{stage}:Stage${type_}::{name}", op)


def test_a_change_of_the_object_store_is_announced_as_an_outage() -> None:
    (said,) = notices([step("object-store", "object-store-node1"), step("object-store", "object-store-node2")])
    assert "object-store-node1, object-store-node2" in said
    assert "same time" in said
    assert "exported first" in said


def test_replicas_are_announced_as_one_after_the_other() -> None:
    (said,) = notices([step("registry", "registry-node1"), step("registry", "registry-node2")])
    assert "one after the other (registry-node1, registry-node2)" in said


def test_a_replacement_reported_in_three_steps_counts_once() -> None:
    three = [step("registry", "registry-node1", op) for op in ("create-replacement", "replace", "delete-replaced")]
    assert len(notices(three)) == 1


def test_new_containers_and_changed_files_are_no_news() -> None:
    assert notices([step("registry", "r", "create"), step("registry", "f", "replace", "command:remote:Command")]) == []


def test_a_node_that_restarts_for_its_configuration_is_named() -> None:
    def of(name: str, op: str = "update") -> Step:
        return step("nodes", name, op, "command:local:Command")

    (said,) = notices([of("nodes-berth5-configuration"), of("nodes-berth5"), of("nodes-berth6-configuration")])
    assert said.startswith("Nodes: one after the other (berth5) restarts")
    assert notices([of("nodes-berth5-configuration", "create"), of("nodes-berth5", "create")]) == []
