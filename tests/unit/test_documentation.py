"""The pages name what there is: commands with their options, settings, tests. Paths and links: test_layout.py."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from config import schema
from config.model.images import PinSettings
from config.paths import ROOT
from operations.cli import app
from tests.unit.test_layout import anchors, documentation

SETTINGS = ROOT / "docs" / "settings.md"
FAULTS = ROOT / "docs" / "faults.md"
NO_SETTINGS = ("KEY", "NAME", "regsitry", "verified")
"""Placeholders, a misspelt key in an example, and a tag of the stack."""
TYPED_BY_USERS = ("secrets",)
COMMAND = typer.main.get_command(app)
PASSED_ON = ("config", "test")
"""Commands whose arguments are another program's."""


def lines() -> Iterator[tuple[str, str]]:
    """Every line of every page, with its place."""
    for page in documentation():
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
            yield f"{page.relative_to(ROOT)}:{number}", line


def commands(line: str) -> Iterator[list[str]]:
    """The words behind `berth` of each command on a line, up to a shell's operator or comment."""
    for span in re.findall(r"`(?:\./)?berth ([a-z][^`]*)`", line):
        yield _words(span)
    if found := re.match(r" *(?:\$ )?\./berth ([a-z].*)", line):
        yield _words(found[1])


def _words(text: str) -> list[str]:
    words = re.split(r" [#|>&]|[;)]", text)[0].split()
    return words[: words.index("--")] if "--" in words else words


def problem(words: Sequence[str]) -> str:
    """The first word that is no command or option; empty if all are."""
    command: Any = COMMAND
    rest = list(words)
    while hasattr(command, "list_commands") and rest:
        name = rest.pop(0).split("\\")[0]
        if name.isupper() or name.startswith("-"):
            return ""
        command = command.get_command(None, name)
        if command is None:
            return name
    if words[0] in PASSED_ON:
        return ""
    options = {"--help", "-h", *(name for one in command.params for name in one.opts)}
    return next((word for word in rest if word.startswith("-") and word.split("=")[0] not in options), "")


def test_commands_and_options_in_the_documentation_exist() -> None:
    wrong = [
        f"{place}: berth {' '.join(words)}: {one}"
        for place, line in lines()
        for words in commands(line)
        if (one := problem(words))
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("Then `./berth up --repair --yes` repairs it", ""),
        ("$ ./berth preview --nothing   # a comment", "--nothing"),
        ("`berth engine` is no more", "engine"),
        ("./berth ssh node1 -- ls --color", ""),
        ("| `./berth etcd backup\\|restore FILE` |", ""),
    ],
)
def test_an_unknown_command_or_option_is_found(line: str, wrong: str) -> None:
    assert [problem(words) for words in commands(line)] == [wrong]


def test_links_in_decisions_exist() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {link}#{anchor}"
        for page in sorted((ROOT / "docs" / "decisions").glob("*.md"))
        for link, anchor in re.findall(r"\]\(([^)#:]*)#?([^)]*)\)", page.read_text(encoding="utf-8"))
        if not _leads_somewhere(page.parent / link if link else page, anchor)
    ]
    assert not broken, "\n".join(broken)


def _leads_somewhere(page: Path, anchor: str) -> bool:
    return page.exists() and (not anchor or anchor in anchors(page))


@cache
def settings() -> dict[str, set[str]]:
    """Every key of every section of the schema -> the sections that have it."""
    found: dict[str, set[str]] = {}
    # Pins are in a file of their own, for which no editor needs a schema.
    pins = PinSettings.model_json_schema()
    for name, definition in {**schema.schema()["$defs"], "pins": pins, **pins["$defs"]}.items():
        for key in definition.get("properties", {}):
            found.setdefault(key, set()).add(name)
    return found


def test_the_settings_page_has_every_setting() -> None:
    named = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`\n]+)`", SETTINGS.read_text(encoding="utf-8")))))
    missing = {key: sections for key, sections in settings().items() if key not in named}
    assert not missing, f"docs/settings.md does not name {missing}"


def test_the_tables_of_the_settings_page_name_settings_only() -> None:
    keys = re.findall(r"^\| `([\w.]+)` \|", SETTINGS.read_text(encoding="utf-8"), re.MULTILINE)
    unknown = {key for key in keys if not settings().keys() >= set(key.split("."))}
    assert keys and not unknown, f"docs/settings.md documents {unknown}"


def test_settings_in_the_documentation_exist() -> None:
    sections = {key.removeprefix("berth:") for key in schema.schema()["properties"]["config"]["properties"]} | {"pins"}
    wrong = [
        f"{place}: there is no berth:{section}{rest}"
        for place, line in lines()
        for section, rest in re.findall(r"berth:([A-Za-z]+)((?:\[[^\]]*\]|\.[A-Za-z0-9]+)*)", line)
        if section not in NO_SETTINGS
        and (section not in sections or (section not in TYPED_BY_USERS and not _known(rest)))
    ]
    assert not wrong, "\n".join(wrong)


def _known(rest: str) -> bool:
    return set(re.findall(r"\.([A-Za-z0-9]+)", rest)) <= settings().keys()


def test_tests_that_the_page_of_faults_names_exist() -> None:
    wrong = [
        f"docs/faults.md: {file} has no test: {sentence}"
        for line in FAULTS.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ")
        for file, sentence in cited(line.split("|")[-2].strip())
        if not any(_plain(sentence) in _content(path) for path in _files(file))
    ]
    assert not wrong, "\n".join(wrong)


def cited(cell: str) -> Iterator[tuple[str, str]]:
    """Files of a cell, each with the sentences that name tests in it: `file`: one; another; `next`: ..."""
    file = ""
    for part in cell.split("; ") if cell not in ("", "test", "---") and "](" not in cell else ():
        named = re.match(r"`([^`]+)`(?:: (.*)| \(.*\))?$", part)
        file, sentence = (named[1], named[2] or "") if named else (file, part)
        yield file, sentence


def _files(name: str) -> list[Path]:
    """The test file of this name or path, or all of a folder."""
    path = ROOT / name
    if not name:
        return []
    if path.is_dir():
        return sorted(path.rglob("test_*.py"))
    return [path] if path.is_file() else sorted((ROOT / "tests").rglob(name))


@cache
def _content(path: Path) -> str:
    return _plain(path.read_text(encoding="utf-8"))


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))
