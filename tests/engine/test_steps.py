"""Which step each change of a program leads to."""

from __future__ import annotations

import pytest

from tests.engine.conftest import Sandbox


def test_a_new_resource_is_created_and_a_second_run_changes_nothing(sandbox: Sandbox) -> None:
    sandbox.up_ok("Thing('a', color='red')")
    before = sandbox.state_file.read_bytes()
    result = sandbox.up_ok()
    assert "2 unchanged" in result.out
    assert sandbox.world.calls().count("create a") == 1
    assert sandbox.state_file.read_bytes() == before, "a run without changes leaves the state file as it is"


def test_a_preview_touches_neither_world_nor_state(sandbox: Sandbox) -> None:
    sandbox.program("Thing('a')")
    before = sandbox.state_file.read_bytes()
    assert sandbox.preview() == {"proj-dev": "create", "a": "create"}
    assert sandbox.world.names() == []
    assert sandbox.state_file.read_bytes() == before
    assert not sandbox.locks.exists() or not list(sandbox.locks.iterdir())


def test_a_changed_input_is_an_update_that_keeps_the_id(sandbox: Sandbox) -> None:
    sandbox.up_ok("Thing('a', color='red')")
    first = sandbox.resources()["a"]
    sandbox.program("Thing('a', color='blue')")
    assert sandbox.preview() == {"a": "update"}
    sandbox.up_ok()
    second = sandbox.resources()["a"]
    assert (second["id"], second["created"]) == (first["id"], first["created"])
    assert second["inputs"]["color"] == second["outputs"]["color"] == "blue"


def test_a_resource_that_left_the_program_is_deleted(sandbox: Sandbox) -> None:
    sandbox.up_ok("Thing('a')\nThing('b')")
    sandbox.program("Thing('b')")
    assert sandbox.preview() == {"a": "delete"}
    sandbox.up_ok()
    assert sandbox.world.names() == ["b"]
    assert "a" not in sandbox.resources()


def test_a_replacement_creates_the_new_one_before_it_deletes_the_old(sandbox: Sandbox) -> None:
    sandbox.up_ok("Thing('a', kind='x')")
    sandbox.program("Thing('a', kind='y')")
    assert sandbox.preview() == {"a": "replace"}
    sandbox.world.forget_calls()
    sandbox.up_ok()
    assert [call for call in sandbox.world.calls() if call != "close"] == ["create a", "delete a"]


@pytest.mark.parametrize(
    ("props", "option"), [("", "delete_before_replace=True"), ("unique=True, ", "")], ids=["option", "provider"]
)
def test_delete_before_replace_takes_dependents_that_must_be_replaced_with_it(
    sandbox: Sandbox, props: str, option: str
) -> None:
    program = f"""
a = Thing('a', {props}kind='KIND', opts=O({option}))
b = Thing('b', kind=a.serial)
Thing('c', color=a.serial)
Thing('d', kind='x', opts=O(depends_on=[b]))
"""
    sandbox.up_ok(program.replace("KIND", "x"))
    sandbox.program(program.replace("KIND", "y"))
    assert sandbox.preview() == {"a": "replace", "b": "replace", "c": "update"}
    sandbox.world.forget_calls()
    sandbox.up_ok()
    calls = [call for call in sandbox.world.calls() if call != "close"]
    assert calls[:3] == ["delete b", "delete a", "create a"]
    assert sorted(calls[3:]) == ["create b", "update c"]
    assert not any(raw.get("pendingReplacement") for raw in sandbox.resources().values())
    assert sandbox.preview() == {}


def test_delete_before_replace_set_to_false_wins_over_the_provider(sandbox: Sandbox) -> None:
    program = "Thing('a', unique=True, kind='KIND', opts=O(delete_before_replace=False))"
    sandbox.up_ok(program.replace("KIND", "x"))
    sandbox.world.forget_calls()
    sandbox.up_ok(program.replace("KIND", "y"))
    assert sandbox.world.calls()[:2] == ["create a", "delete a"]


def test_replace_on_changes_turns_an_update_into_a_replacement(sandbox: Sandbox) -> None:
    program = "Thing('a', triggers=['T'], color='C', opts=O(replace_on_changes=['triggers[*]']))"
    sandbox.up_ok(program)
    sandbox.program(program.replace("'C'", "'D'"))
    assert sandbox.preview() == {"a": "update"}
    sandbox.program(program.replace("'T'", "'U'"))
    assert sandbox.preview() == {"a": "replace"}


def test_ignored_paths_keep_their_old_value(sandbox: Sandbox) -> None:
    program = "Thing('a', color='C', labels={'x': 'X', 'y': 'Y'}, opts=O(ignore_changes=['color', 'labels.x']))"
    sandbox.up_ok(program)
    sandbox.program(program.replace("'C'", "'D'").replace("'X'", "'Z'"))
    assert sandbox.preview() == {}
    sandbox.program(program.replace("'C'", "'D'").replace("'X'", "'Z'").replace("'Y'", "'W'"))
    sandbox.up_ok()
    inputs = sandbox.resources()["a"]["inputs"]
    assert inputs["color"] == "C"
    assert inputs["labels"] == {"x": "X", "y": "W"}


def test_a_replaced_resource_is_made_with_the_values_that_were_ignored(sandbox: Sandbox) -> None:
    program = "Thing('a', kind='KIND', color='C', opts=O(ignore_changes=['color']))"
    sandbox.up_ok(program)
    sandbox.up_ok(program.replace("KIND", "x").replace("'C'", "'D'"))
    assert sandbox.resources()["a"]["inputs"]["color"] == "D"


def test_a_protected_resource_is_neither_deleted_nor_replaced(sandbox: Sandbox) -> None:
    sandbox.up_ok("Thing('a', kind='x', opts=O(protect=True))\nThing('b')")
    sandbox.program("")
    deleted = sandbox.up()
    assert deleted.code == 1
    assert "protected" in deleted.err
    assert sandbox.world.names() == ["a", "b"], "nothing is deleted when anything is protected"
    sandbox.program("Thing('a', kind='y', opts=O(protect=True))")
    assert "marked for protection" in sandbox.up().err
    assert sandbox.run("destroy", "--yes").code == 1
    assert sandbox.world.names() == ["a", "b"]


def test_retained_and_deleted_with_resources_leave_only_the_state(sandbox: Sandbox) -> None:
    sandbox.up_ok(
        "a = Thing('a')\nThing('kept', opts=O(retain_on_delete=True))\nThing('inside', opts=O(deleted_with=a))"
    )
    sandbox.world.forget_calls()
    assert sandbox.run("destroy", "--yes").code == 0
    assert [call for call in sandbox.world.calls() if call != "close"] == ["delete a"]
    assert sandbox.resources() == {}


def test_an_alias_finds_a_renamed_resource_and_its_children(sandbox: Sandbox) -> None:
    sandbox.up_ok("g = Group('old')\na = Thing('a', opts=O(parent=g))\nThing('b', color=a.serial)")
    sandbox.program(
        "g = Group('new', opts=O(aliases=[pulumi.Alias(name='old')]))\n"
        "a = Thing('a2', opts=O(parent=g, aliases=[pulumi.Alias(name='a')]))\nThing('b', color=a.serial)"
    )
    assert sandbox.preview() == {}
    sandbox.world.forget_calls()
    sandbox.up_ok()
    assert sandbox.world.calls() == ["close"]
    assert set(sandbox.resources()) >= {"new", "a2", "b"}
    assert "old" not in sandbox.resources()


def test_what_the_program_prints_stays_out_of_the_documents(sandbox: Sandbox) -> None:
    sandbox.program("print('hello')\nThing('a')\npulumi.log.warn('careful')")
    result = sandbox.run("preview", "--json")
    assert result.json["diagnostics"] == [{"message": "careful", "severity": "warning"}]
    assert result.err == "hello\n"


def test_a_name_used_twice_is_an_error(sandbox: Sandbox) -> None:
    sandbox.program("Thing('a')\nThing('a')")
    result = sandbox.up()
    assert result.code == 1
    assert "Duplicate resource URN" in result.err


def test_urns_carry_the_types_of_all_parents_but_the_stack(sandbox: Sandbox) -> None:
    sandbox.up_ok("g = Group('g')\nh = Group('h', opts=O(parent=g))\nThing('a', opts=O(parent=h))")
    assert sandbox.resources()["a"]["urn"] == (
        "urn:pulumi:dev::proj::test:index:Group$test:index:Group$fake:index:Thing::a"
    )


def test_a_component_with_changed_inputs_is_an_update(sandbox: Sandbox) -> None:
    sandbox.up_ok("Group('g', props={'x': 1})")
    sandbox.program("Group('g', props={'x': 2})")
    assert sandbox.preview() == {"g": "update"}


def test_an_option_that_is_not_implemented_is_refused_by_name(sandbox: Sandbox) -> None:
    sandbox.program("Thing('a', opts=O(import_='xyz'))")
    result = sandbox.run("preview")
    assert result.code == 1
    assert "resource option import" in result.err


def test_an_unknown_type_and_a_refused_input_are_named(sandbox: Sandbox) -> None:
    sandbox.program("pulumi.CustomResource('fake:index:Other', 'o', {})\nThing('a', invalid=1)")
    result = sandbox.run("preview")
    assert "does not know the resource type fake:index:Other" in result.err
    assert "invalid: is not accepted" in result.err


def test_an_asset_is_refused_by_name(sandbox: Sandbox) -> None:
    sandbox.program("Thing('a', file=pulumi.StringAsset('x'))")
    assert "an asset" in sandbox.run("preview").err


def test_changed_dependencies_alone_are_no_change_but_are_kept(sandbox: Sandbox) -> None:
    sandbox.up_ok("a = Thing('a')\nThing('b')")
    sandbox.program("a = Thing('a')\nThing('b', opts=O(depends_on=[a]))")
    assert sandbox.preview() == {}
    sandbox.up_ok()
    assert sandbox.resources()["b"]["dependencies"] == [sandbox.resources()["a"]["urn"]]


def test_deletion_goes_backwards_through_dependencies(sandbox: Sandbox) -> None:
    sandbox.up_ok("a = Thing('a')\nb = Thing('b', color=a.serial)\nThing('c', opts=O(depends_on=[b]))")
    sandbox.world.forget_calls()
    assert sandbox.run("destroy", "--yes").code == 0
    assert [call for call in sandbox.world.calls() if call != "close"] == ["delete c", "delete b", "delete a"]


def test_depends_on_a_component_waits_for_its_children(sandbox: Sandbox) -> None:
    sandbox.up_ok("g = Group('g')\nThing('slow', sleep=0.3, opts=O(parent=g))\nThing('after', opts=O(depends_on=[g]))")
    assert sandbox.world.calls()[:2] == ["create slow", "create after"]
    sandbox.world.forget_calls()
    assert sandbox.run("destroy", "--yes").code == 0
    assert sandbox.world.calls()[:2] == ["delete after", "delete slow"]


def test_independent_resources_are_made_side_by_side_up_to_the_limit(sandbox: Sandbox) -> None:
    sandbox.program("for n in range(8):\n    Thing(f't{n}', sleep=0.2)")
    import time

    started = time.monotonic()
    assert sandbox.up("--parallel", "8").code == 0
    assert time.monotonic() - started < 1.2


def test_refresh_takes_over_outputs_and_drops_what_is_gone(sandbox: Sandbox) -> None:
    import json

    sandbox.up_ok("a = Thing('a', color='red')\nb = Thing('b')\nThing('c', opts=O(depends_on=[b]))")
    resources = sandbox.resources()
    changed = sandbox.world.object(resources["a"]["id"])
    changed.write_text(json.dumps({**json.loads(changed.read_text()), "color": "green"}))
    sandbox.world.object(resources["b"]["id"]).unlink()
    result = sandbox.run("refresh", "--yes")
    assert result.code == 0, result.err
    after = sandbox.resources()
    assert after["a"]["outputs"]["color"] == "green"
    assert after["a"]["inputs"]["color"] == "red"
    assert "b" not in after
    assert after["c"]["dependencies"] == []
    assert sandbox.preview() == {"b": "create"}


def test_a_destroy_that_excludes_what_is_protected_leaves_it_and_what_it_needs(sandbox: Sandbox) -> None:
    sandbox.up_ok("a = Thing('a')\nThing('b', O(protect=True, depends_on=[a]))\nThing('c', O(depends_on=[a]))")
    done = sandbox.run("destroy", "--yes", "--exclude-protected")
    assert done.code == 0, done.out + done.err
    assert sandbox.resources().keys() >= {"a", "b"}
    assert "c" not in sandbox.resources()
