"""The lock files: in step with pyproject.toml, every package hashed, no index named."""

from __future__ import annotations

import re
import tomllib

import pytest

from config.paths import ROOT

LOCKS = ("requirements.lock", "requirements-go.lock", "requirements-kolla-build.lock", "requirements-kolla.lock")


def lines(name: str) -> list[str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def pins() -> dict[str, str]:
    found = (re.match(r"([\w.-]+)==([^\s;]+)", line) for line in lines("requirements.lock"))
    return {normal(match[1]): match[2] for match in found if match}


def normal(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def test_requirements_in_holds_what_pyproject_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = project["dependencies"] + project["optional-dependencies"]["dev"]
    assert sorted(lines("requirements.in")) == sorted(asked), "edit requirements.in and compile the lock again"


def test_every_requirement_is_pinned_to_a_version_it_allows() -> None:
    from packaging.requirements import Requirement

    pinned = pins()
    for line in lines("requirements.in"):
        requirement = Requirement(line)
        version = pinned.get(normal(requirement.name))
        assert version and requirement.specifier.contains(version), f"compile requirements.lock again: {line}"


@pytest.mark.parametrize("name", LOCKS)
def test_every_pin_has_a_hash(name: str) -> None:
    packages = [line for line in lines(name) if "==" in line]
    assert packages and all(line.endswith("\\") for line in packages)


@pytest.mark.parametrize("name", LOCKS)
def test_no_package_index_is_named(name: str) -> None:
    assert not re.search(r"://|--index|--find-links|file:", (ROOT / name).read_text(encoding="utf-8"))
