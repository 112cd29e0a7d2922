"""A `docker` that knows tags only, and a `kolla-build` that builds on them; both share a file: reference -> image."""

from __future__ import annotations

import json
from pathlib import Path

from tests.unit.conftest import executable

RELEASE = "2026.1"
BEGINNING = """\
import json, pathlib, re, sys
store = pathlib.Path({store!r})
images = json.loads(store.read_text())
arguments = sys.argv[1:]
"""
DOCKER = """
match arguments:
    case ["tag", source, target]:
        images[target] = images[source]
    case ["image", "rm", *_, reference]:
        images.pop(reference, None)
    case ["image", "ls", *_]:
        print(*images, sep="\\n")
    case _:
        sys.exit(f"no such command: {arguments}")
store.write_text(json.dumps(images))
"""
KOLLA_BUILD = """
given = dict(word.split("=", 1) for word in arguments if word.startswith("--") and "=" in word)
patterns = [word for word in arguments if not word.startswith("--")]
parents, broken = json.loads(pathlib.Path({plan!r}).read_text())
failed = []
for name, parent in parents.items():
    reference = f"berth/kolla/{{name}}:{{RELEASE}}"
    if reference in images or not any(re.search(pattern, name) for pattern in patterns):
        continue
    print(f"INFO:kolla.common.utils.{{name}}:Building started at 2026-11-22 14:03:40.775505")
    below = images.get(f"berth/kolla/{{parent}}:{{RELEASE}}", "Debian") if parent not in dict(failed) else ""
    if name in broken or not below:
        failed.append((name, "error" if below else "parent_error"))
        if below:
            log = pathlib.Path(given["--logs-dir"], f"{{name}}.log")
            log.write_text(f"ERROR:kolla.common.utils.{{name}}:no such package\\n")
        continue
    cached = "" if "--nocache" in arguments else " cached"
    images[reference] = f"{{name}}{{cached}} on {{below}}"
    # Whole or not at all: it may be terminated here.
    whole = store.with_suffix(".new")
    whole.write_text(json.dumps(images))
    whole.replace(store)
    for _ in range(2):
        print(f"INFO:kolla.common.utils.{{name}}:Built at 2026-11-22 14:04:40.775505 (took 0:01:00)")
summary = {{"failed": [{{"name": name, "status": status}} for name, status in failed]}}
pathlib.Path(given["--summary-json-file"]).write_text(json.dumps(summary))
sys.exit(len(failed))
"""


class Builds:
    """The images of a machine, and what kolla-build makes of its templates."""

    def __init__(self, docker: Path, kolla_build: Path) -> None:
        self._store, self._plan = (docker.with_name(name) for name in ("images.json", "kolla-plan.json"))
        beginning = BEGINNING.format(store=str(self._store))
        executable(docker, beginning + DOCKER)
        program = f"RELEASE = {RELEASE!r}\n" + KOLLA_BUILD.format(plan=str(self._plan))
        executable(kolla_build, beginning + program)
        self.has({})

    def has(self, images: dict[str, str]) -> None:
        """What is on this machine, by name and tag."""
        self._store.write_text(json.dumps({f"berth/kolla/{name}": image for name, image in images.items()}))

    def plan(self, parents: dict[str, str], *broken: str) -> None:
        """What there are templates of, parents first, and which of them fail."""
        self._plan.write_text(json.dumps([parents, broken]))

    def found(self, name: str, tag: str = RELEASE) -> str | None:
        """The image under that name and tag."""
        found: str | None = json.loads(self._store.read_text()).get(f"berth/kolla/{name}:{tag}")
        return found
