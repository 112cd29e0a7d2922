"""Which settings name files of the deploy host."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel

from config import stackfile
from config.local_paths import is_local_path, local_paths
from config.model.stack import StackSettings
from tests.unit.config.stacks import document


def places(kind: Any, at: str = "") -> Iterator[str]:
    """Where in the settings such a path may stand."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        for name, field in kind.model_fields.items():
            if is_local_path(field):
                yield f"{at}{name}"
            yield from places(field.annotation, f"{at}{name}.")
    for part in get_args(kind):
        yield from places(part, at)


def test_these_settings_name_files_of_the_deploy_host_and_no_others() -> None:
    # One more is one more file that a preview of a request might read: it is treated like these.
    assert sorted(places(StackSettings)) == [
        "kolla.overrides",
        "nodes.ssh.key_file",
        "virtualbox.directory",
        "virtualbox.iso",
    ]


def test_every_one_that_a_stack_has_is_found_wherever_it_stands() -> None:
    changed = document("prod", {"nodes[2].ssh.keyFile": "/root/another", "kolla.overrides": "kolla/prod"})
    found = set(local_paths(stackfile.parse("prod", changed)))
    assert found == {"~/.ssh/berth", "/root/another", "kolla/prod"}
