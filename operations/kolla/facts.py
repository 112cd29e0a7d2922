"""`python -m operations.kolla.facts SHARE` writes what the settings' rules must know of the installed release.

SHARE is share/kolla-ansible in the environment of `requirements-kolla.lock`.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from config.kolla_release import FOLDER
from config.model.kolla import KollaSettings

# Every release may follow the one before it; every second one (.1) also the one a year before.
AFTER = {"2026.1": ["2025.1", "2025.2"]}
_GROUP = re.compile(r"^\[([a-z0-9_-]+)(?::children)?\]", re.MULTILINE)


def facts(share: Path, release: str) -> dict[str, Any]:
    """Services, groups and types of variables, from kolla-ansible's own files."""
    ansible = share / "ansible"
    variables: dict[str, Any] = {}
    for file in [*sorted(ansible.glob("roles/*/defaults/main.yml")), *sorted(ansible.glob("group_vars/all/*.yml"))]:
        variables |= yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    types: dict[str, list[str]] = {"bool": [], "int": [], "list": [], "dict": []}
    for name in sorted(variables):
        kind = type(variables[name]).__name__
        if kind in types:
            types[kind].append(name)
    sample = (ansible / "inventory" / "multinode").read_text(encoding="utf-8")
    services = sorted(name.removeprefix("enable_") for name in variables if name.startswith("enable_"))
    groups = sorted(set(_GROUP.findall(sample)))
    return {"after": AFTER[release], "services": services, "groups": groups, "types": types}


def text(share: Path, release: str) -> str:
    """The file's content."""
    return json.dumps(facts(share, release), indent=1) + "\n"


if __name__ == "__main__":
    name = KollaSettings().release
    (FOLDER / f"{name}.json").write_text(text(Path(sys.argv[1]), name), encoding="utf-8")
