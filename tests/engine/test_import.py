"""A deployment that was exported takes the place of the state, secrets still encrypted."""

from __future__ import annotations

import json
import os
from pathlib import Path

from tests.engine.conftest import Sandbox


def imported(sandbox: Sandbox, document: object) -> tuple[int, str]:
    path = Path(sandbox.root) / "deployment.json"
    path.write_text(json.dumps(document))
    result = sandbox.run("stack", "import", "--file", str(path))
    return result.code, result.err


def test_an_edited_export_is_what_the_next_run_compares_with(sandbox: Sandbox) -> None:
    program = "Thing('a', color=Output.secret('red'))\nThing('b', color='blue')"
    sandbox.up_ok(program)
    export = sandbox.run("stack", "export").json
    assert imported(sandbox, export) == (0, "")
    assert sandbox.up_ok(program).out.count("update") == 0, "what was not edited is the same"
    thing = next(one for one in export["deployment"]["resources"] if one["urn"].endswith("::b"))
    thing["inputs"]["color"] = "green"
    thing["outputs"]["color"] = "green"
    assert imported(sandbox, export) == (0, "")
    preview = sandbox.run("preview", "--json").json
    assert [(step["op"], step["urn"][-1]) for step in preview["steps"] if step["op"] != "same"] == [("update", "b")]


def test_a_resource_that_was_taken_out_is_made_again_and_nothing_is_deleted(sandbox: Sandbox) -> None:
    sandbox.up_ok("Thing('a', color='red')")
    export = sandbox.run("stack", "export").json
    export["deployment"]["resources"] = [
        one for one in export["deployment"]["resources"] if not one["urn"].endswith("::a")
    ]
    imported(sandbox, export)
    sandbox.up_ok("Thing('a', color='red')")
    assert not any(call.startswith("delete") for call in sandbox.world.calls())
    assert len(sandbox.world.names()) == 2


def test_what_is_no_deployment_of_this_stack_is_refused_and_the_state_stays(sandbox: Sandbox) -> None:
    sandbox.up_ok("Thing('a')")
    before = sandbox.state_file.read_bytes()
    export = sandbox.run("stack", "export").json
    code, said = imported(sandbox, {"deployment": []})
    assert (code, "no exported deployment" in said) == (1, True)
    export["deployment"]["secrets_providers"]["state"]["salt"] = "v1:other"
    assert "another salt" in imported(sandbox, export)[1]
    sandbox.locks.mkdir(parents=True, exist_ok=True)
    (sandbox.locks / "x.json").write_text(json.dumps({"pid": os.getpid(), "hostname": "elsewhere"}))
    assert "currently locked" in imported(sandbox, export)[1]
    assert sandbox.state_file.read_bytes() == before
