"""Default and explicit providers and the references that resources carry."""

from __future__ import annotations

from tests.engine.conftest import Sandbox


def test_a_default_provider_appears_in_the_state_with_a_lasting_id(sandbox: Sandbox) -> None:
    sandbox.up_ok("Thing('a', opts=O(version='1.2.3'))")
    provider = sandbox.resources()["default_1_2_3"]
    assert provider["inputs"] == {"__internal": {}, "version": "1.2.3"}
    assert provider["outputs"] == {"version": "1.2.3"}
    assert "parent" not in provider
    assert sandbox.resources()["a"]["provider"] == f"{provider['urn']}::{provider['id']}"
    sandbox.up_ok("Thing('a', opts=O(version='1.2.3'), color='red')")
    assert sandbox.resources()["default_1_2_3"]["id"] == provider["id"]


def test_an_explicit_provider_configures_its_resources(sandbox: Sandbox) -> None:
    sandbox.up_ok("p = Fake('p', prefix='my-')\nt = Thing('a', opts=O(provider=p))\npulumi.export('made', t.made)")
    assert sandbox.run("stack", "output", "made").out == "my-a\n"
    assert sandbox.resources()["a"]["provider"].startswith(sandbox.resources()["p"]["urn"])


def test_a_provider_that_is_replaced_replaces_its_resources(sandbox: Sandbox) -> None:
    program = "p = Fake('p', host='HOST')\nThing('a', opts=O(provider=p))"
    sandbox.up_ok(program.replace("HOST", "one"))
    sandbox.program(program.replace("HOST", "two"))
    assert sandbox.preview() == {"p": "replace", "a": "replace"}
    sandbox.up_ok()
    assert sandbox.preview() == {}
    assert sandbox.run("destroy", "--yes").code == 0
    assert sandbox.world.names() == []


def test_a_provider_with_an_unknown_configuration_is_not_called_in_preview(sandbox: Sandbox) -> None:
    sandbox.program(
        "a = Thing('a')\np = Fake('p', prefix=a.serial)\nb = Thing('b', opts=O(provider=p))\n"
        "pulumi.export('made', b.made)"
    )
    assert sandbox.preview() == {"proj-dev": "create", "a": "create", "p": "create", "b": "create"}
    sandbox.up_ok()
    assert sandbox.preview() == {}


def test_provider_settings_that_are_lists_are_stored_without_spaces(sandbox: Sandbox) -> None:
    sandbox.up_ok("""p = Fake('p', options=Output.json_dumps(["-o", "x"]))\nThing('a', opts=O(provider=p))""")
    assert sandbox.resources()["p"]["inputs"]["options"] == '["-o","x"]'


def test_an_explicit_provider_outlives_the_resources_deleted_with_it(sandbox: Sandbox) -> None:
    sandbox.up_ok("p = Fake('p')\nThing('a', opts=O(provider=p))")
    sandbox.up_ok("")
    assert sandbox.world.names() == []
    assert set(sandbox.resources()) == {"proj-dev"}
