"""Runs kolla-build: an environment of its own, one rendering, only what has changed, each image shown."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

from operations.errors import BerthError
from operations.host.shell import Shell
from operations.host.steps import StepDisplay, StepLine
from operations.host.venv import Venv
from operations.kolla.images import catalogue
from operations.kolla.images.build_keys import NAMESPACE, REQUIREMENTS, Recipe, dump, load, read, rendering_key
from operations.pulumi.events import COLOR, TRACE
from operations.pulumi.follow import end_with_parent

TAIL = 10
"""Lines of a failed image's log that are shown."""
_TEMPLATES_PARENT = re.compile(r"^FROM .*}}([\w-]+):", re.MULTILINE)
_PREFIX = re.compile(r"^\w+:[\w.-]+:")
_EVENT = re.compile(r"^\w+:kolla\.common\.utils\.(?P<image>[\w.-]+):(?P<what>Building started|Built) at ")


class Tools(Venv):
    """kolla-build in its virtual environment."""

    def __init__(self, folder: Path) -> None:
        wanted = catalogue.images_of(catalogue.buildable())
        trim = partial(remove_other_templates, folder / "share" / "kolla" / "docker", wanted)
        super().__init__(folder, REQUIREMENTS, catalogue.TABLE, then=trim)

    def command(self, config: Path, *words: str) -> list[str]:
        """A call of kolla-build."""
        return [self.program("kolla-build"), f"--config-file={config}", *words]


def remove_other_templates(templates: Path, names: Sequence[str]) -> None:
    """Remove the templates of all other images: kolla-build renders all that it has before each build."""
    files = {file.parent.name: file for file in templates.rglob("Dockerfile.j2")}
    kept = set[str]()
    for image in names:
        name = image
        while name in files:
            kept.add(files[name].relative_to(templates).parts[0])
            parent = _TEMPLATES_PARENT.search(files[name].read_text(encoding="utf-8"))
            name = parent[1] if parent else ""
    others = [folder for folder in templates.iterdir() if folder.is_dir() and folder.name not in kept]
    # What pip compiled has times in it, and would make every installation's images others.
    for folder in (*others, *templates.rglob("__pycache__")):
        shutil.rmtree(folder, ignore_errors=True)


def rendered(tools: Tools, config: str, cache: Path, shell: Shell) -> dict[str, Recipe]:
    """The recipes of all of Kolla's images; rendering takes many seconds, so it is done once for each input."""
    kept = cache / f"kolla-recipes-{rendering_key(config)}.json"
    if kept.is_file():
        return load(kept.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="kolla-", dir=cache) as folder:
        file = Path(folder) / "kolla-build.conf"
        file.write_text(config, encoding="utf-8")
        shell.run(tools.command(file, "--template-only", f"--work-dir={folder}"))
        recipes = read(Path(folder) / "docker")
    for old in cache.glob("kolla-recipes-*.json"):
        old.unlink()
    kept.write_text(dump(recipes), encoding="utf-8")
    return recipes


def local(name: str, tag: str) -> str:
    """The image on this machine's Docker: `tag` is the release while it is built on, the key once it is made."""
    return f"{NAMESPACE}/{name}:{tag}"


def present(keys: Mapping[str, str]) -> set[str]:
    """Images that Docker has under these keys."""
    references = {local(name, key): name for name, key in keys.items()}
    found = subprocess.run(
        ["docker", "image", "ls", "--format={{.Repository}}:{{.Tag}}", f"--filter=reference={NAMESPACE}/*"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    return {references[reference] for reference in found if reference in references}


@dataclass(frozen=True)
class Order:
    """What is to be built."""

    names: Sequence[str]
    """All images concerned, parents first."""
    keys: Mapping[str, str]
    stale: frozenset[str]
    """Those of them that are built; the others are here."""
    release: str
    config: str
    fresh: bool
    """Use no layer of Docker's cache."""


def build(tools: Tools, order: Order, environment: Mapping[str, str], logs: Path, display: StepDisplay) -> None:
    """Build what is stale on top of what is not; what was built is kept when another image fails."""
    logs.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in order.names:
        if name in order.stale:
            (logs / f"{name}.log").unlink(missing_ok=True)
            # What has the release's tag is taken for built.
            _untag(local(name, order.release))
        else:
            tag(local(name, order.keys[name]), local(name, order.release))
    with tempfile.TemporaryDirectory(prefix="kolla-") as folder:
        file, summary = Path(folder) / "kolla-build.conf", Path(folder) / "summary.json"
        file.write_text(order.config, encoding="utf-8")
        options = [f"--logs-dir={logs}", f"--work-dir={folder}", f"--summary-json-file={summary}", "--skip-existing"]
        options += ["--nocache"] if order.fresh else []
        argv = tools.command(file, *options, *(f"^{re.escape(name)}$" for name in sorted(order.stale)))
        try:
            _run(argv, {**os.environ, **environment}, logs / "kolla-build.log", display)
        finally:
            missing = _keep_built(order)
        failed = _failures(summary)
    if missing:
        raise BerthError(_explain(missing, failed, logs))


def _keep_built(order: Order) -> list[str]:
    """Tag what was built with its key, whatever ended the run: the next one goes on from there. The others' names."""
    stale = [name for name in order.names if name in order.stale]
    built = present(dict.fromkeys(stale, order.release))
    for name in filter(built.__contains__, stale):
        tag(local(name, order.release), local(name, order.keys[name]))
    return [name for name in stale if name not in built]


def _run(argv: Sequence[str], environment: Mapping[str, str], log: Path, display: StepDisplay) -> None:
    """Run kolla-build to its end and show each image while it is built."""
    with log.open("w", encoding="utf-8") as kept:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=dict(environment),
            # Bound before the fork; no thread of ours is running yet.
            preexec_fn=partial(end_with_parent, signal.SIGTERM),  # noqa: PLW1509
        )
        assert process.stdout
        try:
            with display.open():
                _show(process.stdout, kept, display)
        except BaseException:
            # Docker ends the step that is under way when nobody listens to it any more.
            process.terminate()
            raise
        finally:
            process.wait()


def _show(output: Iterable[str], log: TextIO, display: StepDisplay) -> None:
    """Log kolla-build's output, with one line per image on the display; nothing depends on how it words them."""
    under_way: dict[str, StepLine] = {}
    for line in output:
        log.write(line)
        if not (event := _EVENT.match(line)):
            continue
        name = event["image"]
        if event["what"] == "Built":
            if name in under_way:
                under_way.pop(name).done()
        elif name not in under_way:
            under_way[name] = display.start(f"Build {name}")
    for unfinished in under_way.values():
        unfinished.failed()


def _failures(summary: Path) -> dict[str, str]:
    """Image -> status as kolla-build has it."""
    try:
        document = json.loads(summary.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {entry["name"]: entry["status"] for entry in document.get("failed", [])}


def _explain(missing: Sequence[str], failed: Mapping[str, str], logs: Path) -> str:
    first = next((name for name in missing if (logs / f"{name}.log").is_file()), None)
    log = logs / f"{first}.log" if first else logs / "kolla-build.log"
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    # Each line begins with its level and logger; after the step's own output comes kolla-build's trace.
    lines = [_PREFIX.sub("", line).strip() for line in COLOR.sub("", text.partition(TRACE)[0]).splitlines()]
    tail = [f"    {line}" for line in lines if line][-TAIL:]
    others = [name for name in missing if name != first]
    waited = f" Not built for want of it, or not begun: {', '.join(others)}." if first and others else ""
    name = first or missing[0]
    headline = f"The image {name} was not built ({failed.get(name, 'kolla-build ended before')}).{waited}"
    return "\n".join([headline, *tail, f"Log: {log}; everything: {logs / 'kolla-build.log'}"])


def _untag(reference: str) -> None:
    subprocess.run(["docker", "image", "rm", "--force", "--no-prune", reference], check=False, capture_output=True)


def tag(source: str, target: str) -> None:
    """Give an image of this machine another name."""
    subprocess.run(["docker", "tag", source, target], check=True, capture_output=True)
