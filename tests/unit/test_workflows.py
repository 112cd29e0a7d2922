"""What CI may do: which jobs see a secret, for whom they run, and that one comment is kept up to date."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
JOBS = [
    pytest.param(path.stem, name, job, id=f"{path.stem}-{name}")
    for path in WORKFLOWS
    for name, job in yaml.safe_load(path.read_text())["jobs"].items()
]
SAME_REPOSITORY = "github.event.pull_request.head.repo.full_name == github.repository"
# YAML 1.1 takes the word for a truth value.
ON = True


def uses_secret(job: Any) -> bool:
    text = json.dumps(job)
    return "secrets." in text or "github.token" in text or "environment" in job


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_workflow_runs_a_forks_code_with_the_repositorys_rights(path: Path) -> None:
    document = yaml.safe_load(path.read_text())
    assert "pull_request_target" not in document[ON] and "workflow_run" not in document[ON]
    assert document["permissions"] in ({}, {"contents": "read"})


@pytest.mark.parametrize(("workflow", "name", "job"), JOBS)
def test_jobs_that_see_a_secret_never_run_for_forks_and_only_in_their_stacks_environment(
    workflow: str, name: str, job: dict[str, Any]
) -> None:
    if not uses_secret(job):
        assert "self-hosted" not in json.dumps(job["runs-on"]), "code of forks never runs on a deploy host"
        return
    assert job["environment"] == "${{ matrix.stack }}"
    assert job["runs-on"] == ["self-hosted", "berth-${{ matrix.stack }}"]
    triggers = yaml.safe_load((ROOT / ".github" / "workflows" / f"{workflow}.yml").read_text())[ON]
    if "pull_request" in triggers:
        assert SAME_REPOSITORY in job["if"]


@pytest.mark.parametrize(("workflow", "name", "job"), JOBS)
def test_jobs_may_no_more_than_they_do(workflow: str, name: str, job: dict[str, Any]) -> None:
    allowed = {"contents": "read"}
    if (workflow, name) == ("preview", "stack"):
        allowed["pull-requests"] = "write"
    assert job.get("permissions", {"contents": "read"}) == allowed


@pytest.mark.parametrize(("workflow", "name", "job"), JOBS)
def test_steps_are_scripts_of_this_repository_or_an_action_by_its_commit(
    workflow: str, name: str, job: dict[str, Any]
) -> None:
    for step in job["steps"]:
        if "uses" in step:
            assert re.fullmatch(r"actions/checkout@[0-9a-f]{40}", step["uses"])
            assert step["with"]["persist-credentials"] is False
            continue
        script = ROOT / step["run"].split()[0]
        assert script.parent == ROOT / ".ci" and os.access(script, os.X_OK), step["run"]
        assert "${{" not in step["run"], "what a stranger may write reaches a script by the environment only"


def gitlab() -> dict[str, Any]:
    document = yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text())
    jobs = {name: job for name, job in document.items() if isinstance(job, dict) and "script" in job}
    return {name: {**document.get(job.get("extends"), {}), **job} for name, job in jobs.items()}


def test_gitlabs_jobs_with_a_secret_run_for_this_project_only_in_their_stacks_environment() -> None:
    with_secret = {name: job for name, job in gitlab().items() if "BERTH_PASSPHRASE" in json.dumps(job)}
    assert set(with_secret) == {"preview", "drift"}
    for job in with_secret.values():
        assert job["environment"]["name"] == "$STACK"
        assert job["tags"] == ["berth-$STACK"]
    run_when = [rule["if"] for rule in with_secret["preview"]["rules"] if rule.get("when") != "never"]
    assert run_when == [
        '$CI_PIPELINE_SOURCE == "merge_request_event" && $CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_PROJECT_ID'
    ]


def test_gitlabs_jobs_without_a_secret_have_neither_an_environment_nor_a_deploy_host() -> None:
    for name in ("settings", "tests", "preview-without-secrets"):
        job = gitlab()[name]
        assert "environment" not in job and "berth-$STACK" not in json.dumps(job)


def test_the_stacks_of_both_are_committed() -> None:
    for stack in yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text())[".stack"]["parallel"]["matrix"][0]["STACK"]:
        assert (ROOT / f"Pulumi.{stack}.yaml").exists()


class Forge(ThreadingHTTPServer):
    """A GitHub and a GitLab in one, as far as comments and labels go."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.comments: list[dict[str, Any]] = []
        self.labels: set[str] = set()
        self.tokens: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def comment(self, body: str, kind: str = "Bot", author: int = 7) -> dict[str, Any]:
        made = {"id": len(self.comments) + 1, "body": body, "user": {"type": kind}, "author": {"id": author}}
        self.comments.append(made)
        return made


class _Answers(BaseHTTPRequestHandler):
    server: Forge

    def _handle(self) -> None:
        forge = self.server
        forge.tokens.add(self.headers.get("Authorization") or self.headers.get("PRIVATE-TOKEN") or "none")
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
        path, _, query = self.path.partition("?")
        status, answer = 200, None
        if re.fullmatch(r".*/(comments|notes)", path) and self.command == "GET":
            page = int(re.findall(r"page=(\d+)$", query)[0])
            answer = forge.comments[(page - 1) * 100 : page * 100]
        elif re.fullmatch(r".*/(comments|notes)", path):
            answer = forge.comment(body["body"])
        elif found := re.fullmatch(r".*/(?:comments|notes)/(\d+)", path):
            forge.comments[int(found[1]) - 1]["body"] = body["body"]
        elif path.endswith("/labels"):
            forge.labels |= set(body["labels"])
        elif "/labels/" in path:
            label = path.rpartition("/")[2]
            status = 200 if label in forge.labels else 404
            forge.labels.discard(label)
        elif path.endswith("/merge_requests/5"):
            forge.labels |= set(filter(None, body["add_labels"].split(",")))
            forge.labels -= set(body["remove_labels"].split(","))
        elif path.endswith("/user"):
            answer = {"id": 7}
        else:
            status = 500
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _handle

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def forge() -> Iterator[Forge]:
    server = Forge()
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def preview(stack: str, text: str, labels: str = "") -> str:
    return f"<!-- berth preview: {stack} -->\n<!-- berth labels: {labels} -->\n### Preview\n{text}\n"


def variables(forge: Forge, kind: str) -> dict[str, str]:
    return {
        "github": {
            "GITHUB_API_URL": forge.url,
            "GITHUB_REPOSITORY": "o/r",
            "GITHUB_TOKEN": "T",
            "PULL_REQUEST": "5",
        },
        "gitlab": {
            "CI_API_V4_URL": forge.url,
            "CI_PROJECT_ID": "3",
            "CI_MERGE_REQUEST_IID": "5",
            "BERTH_COMMENT_TOKEN": "T",
        },
    }[kind]


def comment(forge: Forge, kind: str, tmp_path: Path, text: str) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "preview.md"
    file.write_text(text)
    command = [sys.executable, str(ROOT / ".ci" / "comment.py"), str(file)]
    return subprocess.run(command, env=variables(forge, kind), capture_output=True, text=True, check=False)


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_one_comment_per_stack_is_made_and_then_kept_up_to_date(forge: Forge, kind: str, tmp_path: Path) -> None:
    for _ in range(100):
        forge.comment("what people say")
    stranger = forge.comment(preview("prod", "not ours"), kind="User", author=8)
    for stack, text in [("prod", "first"), ("staging", "other"), ("prod", "second"), ("prod", "third")]:
        done = comment(forge, kind, tmp_path, preview(stack, text))
        assert (done.returncode, done.stderr) == (0, "")
    assert [item["body"] for item in forge.comments[101:]] == [preview("prod", "third"), preview("staging", "other")]
    assert stranger["body"] == preview("prod", "not ours")
    assert forge.tokens == {"Bearer T" if kind == "github" else "T"}


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_the_label_is_there_as_long_as_any_stack_asks_for_it(forge: Forge, kind: str, tmp_path: Path) -> None:
    seen = []
    for stack, labels in [("prod", "docker-restarts"), ("staging", ""), ("prod", ""), ("prod", "")]:
        assert comment(forge, kind, tmp_path, preview(stack, "x", labels)).returncode == 0
        seen.append(set(forge.labels))
    assert seen == [{"docker-restarts"}, {"docker-restarts"}, set(), set()]


def test_a_preview_that_is_too_long_loses_whole_parts_and_says_so(forge: Forge, tmp_path: Path) -> None:
    part = "\n<details><summary>Files</summary>\n" + "x" * 30_000 + "\n</details>\n"
    assert comment(forge, "github", tmp_path, preview("prod", part * 3)).returncode == 0
    body = forge.comments[0]["body"]
    assert len(body) < 65_536
    assert body.count("<details>") == body.count("</details>") == 2
    assert "too long for a comment" in body


def test_a_forge_that_refuses_is_named_without_a_trace(forge: Forge, tmp_path: Path) -> None:
    assert "begin like a preview" in comment(forge, "github", tmp_path, "anything").stderr
    server, forge.RequestHandlerClass = forge.RequestHandlerClass, type("_Refuses", (_Answers,), {"do_GET": _refuse})
    done = comment(forge, "github", tmp_path, preview("prod", "x"))
    forge.RequestHandlerClass = server
    assert done.returncode == 1
    assert "/repos/o/r/issues/5/comments answered 403" in done.stderr and "Traceback" not in done.stderr


def _refuse(handler: BaseHTTPRequestHandler) -> None:
    handler.send_error(403)


BERTH = """#!/bin/sh
echo "$@" >>calls
echo "$BERTH_HOME" >>homes
while [ "$#" -gt 1 ]; do
    [ "$1" != --output ] || printf '<!-- berth preview: prod -->\\n<!-- berth labels: -->\\nsaid\\n' >"$2"
    shift
done
exit 1
"""


@pytest.mark.parametrize("same_packages", [True, False])
def test_a_red_preview_is_commented_all_the_same_and_never_exchanges_the_deploy_hosts_packages(
    forge: Forge, tmp_path: Path, same_packages: bool
) -> None:
    root, home = tmp_path / "checkout", tmp_path / "home"
    shutil.copytree(ROOT / ".ci", root / ".ci")
    (root / "berth").write_text(BERTH)
    (root / "berth").chmod(0o755)
    (root / "requirements.lock").write_text("one")
    (home / "venv").mkdir(parents=True)
    (home / "venv" / ".berth-lock").write_text("one" if same_packages else "two")
    environment = {**variables(forge, "github"), "BERTH_HOME": str(home), "PATH": os.environ["PATH"]}
    done = subprocess.run([root / ".ci" / "preview", "prod"], env=environment, capture_output=True, check=False)
    assert done.returncode == 1, done.stderr
    assert [item["body"].splitlines()[-1] for item in forge.comments] == ["said"]
    call = (root / "calls").read_text()
    assert call.startswith("preview --stack prod --markdown --fail-on-protected")
    assert ("--against HEAD^1" in call) is not same_packages
    assert ((root / "homes").read_text().strip() == str(home)) is same_packages
