"""The tree keeps its own rules: who imports whom, what is pure, how long a test's name is, which words are gone."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from config.paths import ROOT

PRODUCT = ("bench", "components", "config", "images", "operations", "plugins")
DOCSTRINGS_ONLY = ("components", "config", "operations")
HOST_FILES = "components.lib.host_files"
PURE = (f"{HOST_FILES}.bundle", f"{HOST_FILES}.parse", f"{HOST_FILES}.shell")

LONGEST_NAME = 70

RETIRED: Mapping[str, str] = {
    r"roll ?call|rollcall": "prune members",
    r"moody|moods?": "fault proxy, fault config",
    r"again_when": "triggers",
    r"way_in|ways_in": "connection",
    r"first_contact": "ssh bootstrap",
    r"pretend\w*|tamed": "simulate, stub",
    r"strays?": "orphans",
    r"leftovers?": "orphans, cleanup",
    r"strangers?": "outsiders, unknown keys, IP conflict",
    r"mend(?:s|ed|ing)?": "repair, remedy",
    r"patience|impatient": "timeout",
    r"judge[ds]?|judgement": "validate, check",
}
"""Words with a private sense that no file may use again -> what to write instead. Patterns are of whole words."""

RETIRED_IN_DOCS: Mapping[str, str] = {
    r"doors?": "port, connection, check",
    r"ways? in": "SSH endpoint",
    r"least force": "reload or restart; least disruption",
    r"struck|strikes?": "fault, injection",
}
"""The same for the documentation, where the code has not got rid of a word yet."""


@cache
def files(suffix: str = "", *folders: str) -> list[Path]:
    """Files of the tree, those not yet committed included."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *(folders or (".",))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this is no git checkout")
    return [path for name in done.stdout.splitlines() if (path := ROOT / name).is_file() and name.endswith(suffix)]


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def modules() -> dict[str, Path]:
    """Every product module by its name."""
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in files(".py", *PRODUCT)
    }


@cache
def imports(name: str) -> frozenset[str]:
    """Modules that a product module imports anywhere in it, lazy imports and those for types included."""
    return _imports(name, parsed(modules()[name]))


@cache
def imports_at_run_time(name: str) -> frozenset[str]:
    """The same without those that are for types alone."""
    return _imports(name, _WithoutTypeChecking().visit(parsed(modules()[name])))


class _WithoutTypeChecking(ast.NodeTransformer):
    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        return node.orelse if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING" else node


def _imports(name: str, tree: ast.AST) -> frozenset[str]:
    path, found = modules()[name], set[str]()
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            inner = {f"{base}.{alias.name}" for alias in node.names}
            found |= {one if one in modules() else base for one in inner}
    return frozenset(found - {name})


def reached(name: str) -> dict[str, str]:
    """Every module that importing `name` brings along -> the module that imports it."""
    seen: dict[str, str] = {}
    waiting = [name]
    while waiting:
        by = waiting.pop()
        for one in imports_at_run_time(by) - seen.keys() if by in modules() else ():
            seen[one] = by
            waiting.append(one)
    return seen


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph = {name: imports(name) & modules().keys() for name in modules()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as circle:
        pytest.fail(f"a circle of imports: {' <- '.join(circle.args[1])}")


def test_packages_are_docstrings_only() -> None:
    for path in files("__init__.py", *DOCSTRINGS_ONLY):
        body = parsed(path).body
        assert len(body) <= 1 and all(_is_docstring(node) for node in body), f"{path.relative_to(ROOT)} has code"


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def pure() -> list[str]:
    """Modules that only compute: all settings but their loader, all renderers, the format of host files."""
    settings = [name for name in modules() if name.startswith("config") and name != "config.load"]
    renderers = [name for name in modules() if name.startswith("components") and name.endswith(".render")]
    return sorted({*settings, *renderers, *PURE})


@pytest.mark.parametrize("name", pure())
def test_pure_code_imports_no_pulumi(name: str) -> None:
    brought = {one: by for one, by in reached(name).items() if re.match(r"pulumi(_\w+)?(\.|$)", one)}
    assert not brought, f"{name} brings along {', '.join(f'{one} (by {by})' for one, by in sorted(brought.items()))}"


def test_test_names_are_short() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {node.name} has {len(node.name)} characters"
        for path in files(".py", "tests")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and len(node.name) > LONGEST_NAME
    ]
    assert not long, "\n".join([f"Test names have at most {LONGEST_NAME} characters:", *long])


def test_paths_in_the_documentation_exist() -> None:
    broken = [
        f"{page.relative_to(ROOT)}:{number}: there is no {named}"
        for page in documentation()
        for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1)
        for named, path in _paths(page, line)
        if not path.exists()
    ]
    assert not broken, "\n".join(broken)


def _paths(page: Path, line: str) -> Iterator[tuple[str, Path]]:
    """Files of this repository that a line names or links to; those of another commit, which it names too, are not."""
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", line):
        yield link, page.parent / link
    if re.search(r"of (that )?commit|commit `?[0-9a-f]{7}", line):
        return
    folders = "|".join((*PRODUCT, "docs", "tests", r"\.ci"))
    for name in re.findall(rf"(?<=`)((?:{folders})/[\w./-]+?)(?=[`: ])", line):
        yield name, ROOT / name


def test_links_to_headings_in_the_documentation_exist() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {link}#{anchor}"
        for page in documentation()
        for link, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", page.read_text(encoding="utf-8"))
        if anchor not in anchors(page.parent / link if link else page)
    ]
    assert not broken, "\n".join(broken)


@cache
def anchors(page: Path) -> frozenset[str]:
    """The headings of a page as GitHub and GitLab name them in links."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)


def test_retired_words_are_not_used_again() -> None:
    used = [*uses(RETIRED, texts()), *uses(RETIRED_IN_DOCS, documentation())]
    assert not used, "\n".join(used)


def texts() -> list[Path]:
    """Product code, tests and documentation. Decisions are history, golden files have their templates' words."""
    suffixes = (".py", ".sh", ".go", ".j2", ".toml", ".md", ".yaml", ".yml")
    history = (ROOT / "docs" / "decisions", ROOT / "tests" / "golden")
    own = [Path(__file__), ROOT / ".ci" / "accepted-advisories.toml"]
    return [
        path
        for path in files()
        if path.suffix in suffixes and path not in own and not any(path.is_relative_to(folder) for folder in history)
    ]


def documentation() -> list[Path]:
    return [path for path in texts() if path.suffix == ".md"]


def uses(words: Mapping[str, str], paths: Collection[Path]) -> Iterator[str]:
    """Each line with a retired word, and what to write instead; parts of names count as words."""
    for pattern, instead in words.items():
        word = re.compile(rf"(?<![a-z])(?:{pattern})(?![a-z])", re.IGNORECASE)
        for path in paths:
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                if match := word.search(line):
                    yield f"{path.relative_to(ROOT)}:{number}: {match[0]!r}: write {instead}"
