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

from config.paths import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
JOBS = [
    pytest.param(path.stem, name, job, id=f"{path.stem}-{name}")
    for path in WORKFLOWS
    for name, job in yaml.safe_load(path.read_text())["jobs"].items()
]
DEPLOY_HOST = {"group": "berth-deploy-hosts", "labels": ["berth-${{ matrix.stack }}"]}
REQUEST = "github.event.workflow_run"
DEFAULT_BRANCH = "github.event.repository.default_branch"
# YAML 1.1 takes the word for a truth value.
ON = True


def uses_secret(job: Any) -> bool:
    text = json.dumps(job)
    return "secrets." in text or "github.token" in text or "environment" in job


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_workflow_with_rights_is_a_file_that_a_request_brings(path: Path) -> None:
    document = yaml.safe_load(path.read_text())
    privileged = any(uses_secret(job) or job["runs-on"] == DEPLOY_HOST for job in document["jobs"].values())
    # GitHub takes the file of the default branch for the second kind, and the request's own for a pull request.
    assert not (privileged and {"pull_request", "pull_request_target", "push"} & set(document[ON]))
    assert privileged or "workflow_run" not in document[ON]
    assert document["permissions"] in ({}, {"contents": "read"})


@pytest.mark.parametrize(("workflow", "name", "job"), JOBS)
def test_secrets_and_deploy_hosts_go_together_in_a_group_of_their_own(
    workflow: str, name: str, job: dict[str, Any]
) -> None:
    if not uses_secret(job):
        assert isinstance(job["runs-on"], str) and "self-hosted" not in job["runs-on"], "a machine of the forge's"
        return
    assert job["environment"] == "${{ matrix.stack }}"
    assert job["runs-on"] == DEPLOY_HOST


def github_runs(workflow: str, facts: dict[str, str]) -> bool:
    """Whether the job's condition holds where nothing else is known than this."""
    document = yaml.safe_load((ROOT / ".github" / "workflows" / f"{workflow}.yml").read_text())

    def read(match: re.Match[str]) -> str:
        word = match[0]
        known = {"&&": "and", "||": "or", "format": "str.format"}
        return known.get(word) or (word if word.startswith("'") else repr(facts.get(word, "")))

    return bool(eval(re.sub(r"'[^']*'|&&|\|\||[a-z][\w.\[\]]*", read, document["jobs"]["stack"]["if"])))


BRANCH = {
    "vars.BERTH_STACKS": '["prod"]',
    "github.repository": "we/berth",
    DEFAULT_BRANCH: "main",
    f"{REQUEST}.event": "pull_request",
    f"{REQUEST}.head_repository.full_name": "we/berth",
    f"{REQUEST}.pull_requests[0].base.ref": "main",
    f"{REQUEST}.actor.login": "al",
}


@pytest.mark.parametrize(
    ("changed", "runs"),
    [
        ({}, True),
        ({"vars.BERTH_STACKS": ""}, False),
        ({f"{REQUEST}.event": "push"}, False),
        ({f"{REQUEST}.head_repository.full_name": "somebody/berth"}, False),
        ({f"{REQUEST}.pull_requests[0].base.ref": "another"}, False),
        ({f"{REQUEST}.actor.login": "dependabot[bot]"}, False),
    ],
)
def test_the_deploy_host_previews_branches_of_this_repository_only(changed: dict[str, str], runs: bool) -> None:
    assert github_runs("stack-preview", {**BRANCH, **changed}) is runs


@pytest.mark.parametrize(("ref", "runs"), [("refs/heads/main", True), ("refs/heads/other", False)])
def test_drift_is_looked_for_from_the_default_branch(ref: str, runs: bool) -> None:
    facts = {"vars.BERTH_STACKS": '["prod"]', DEFAULT_BRANCH: "main", "github.ref": ref}
    assert github_runs("drift", facts) is runs


def test_the_deploy_host_runs_the_default_branch_on_a_requests_folder() -> None:
    document = yaml.safe_load((ROOT / ".github" / "workflows" / "stack-preview.yml").read_text())
    checkouts, runs = [], []
    for step in document["jobs"]["stack"]["steps"]:
        (checkouts if "uses" in step else runs).append(step)
    # Without a ref it is the commit of the run, which is the default branch's for this event.
    requested = {step["with"]["path"] for step in checkouts if "ref" in step["with"]}
    ours = {step["with"]["path"] for step in checkouts if "ref" not in step["with"]}
    assert len(requested) == 1 and not any(path.startswith((*ours, ".")) for path in requested), "beside the checkout"
    assert not any({"submodules", "lfs"} & step["with"].keys() for step in checkouts)
    assert {step["working-directory"] for step in runs} == ours


@pytest.mark.parametrize(("workflow", "name", "job"), JOBS)
def test_jobs_may_no_more_than_they_do(workflow: str, name: str, job: dict[str, Any]) -> None:
    allowed = {"contents": "read"}
    if (workflow, name) == ("stack-preview", "stack"):
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
        assert "${{" not in step["run"], "what an outsider may write reaches a script by the environment only"


def gitlab() -> dict[str, Any]:
    document = yaml.safe_load((ROOT / ".gitlab-ci.yml").read_text())
    jobs = {name: job for name, job in document.items() if isinstance(job, dict) and "script" in job}
    return {name: {**document.get(job.get("extends"), {}), **job} for name, job in jobs.items()}


def gitlab_runs(facts: dict[str, str]) -> set[str]:
    """The jobs with a secret that a pipeline with these variables has; a job's first rule that holds decides."""

    def holds(rule: dict[str, str]) -> bool:
        text = re.sub(r"(\$\w+) =~ /(.*)/", r'bool(re.search(r"\2", \1))', rule["if"])
        text = re.sub(r"\$([A-Z]\w*)", lambda match: repr(facts.get(match[1], "")), text)
        return bool(eval(text.replace("&&", "and").replace("||", "or")))

    with_secret = {name: job for name, job in gitlab().items() if "BERTH_PASSPHRASE" in json.dumps(job)}
    decided = {name: next(filter(holds, job["rules"]), {"when": "never"}) for name, job in with_secret.items()}
    return {name for name, rule in decided.items() if rule.get("when") != "never"}


WEB = {
    "BERTH_DEPLOY_HOSTS": "yes",
    "CI_DEFAULT_BRANCH": "main",
    "CI_COMMIT_BRANCH": "main",
    "CI_PIPELINE_SOURCE": "web",
}


@pytest.mark.parametrize(
    ("facts", "jobs"),
    [
        ({"MERGE_REQUEST": "5"}, {"preview"}),
        ({"MERGE_REQUEST": "5; id"}, set()),
        ({"CI_PIPELINE_SOURCE": "schedule"}, {"drift"}),
        ({"CI_PIPELINE_SOURCE": "push"}, set()),
        ({"MERGE_REQUEST": "5", "CI_COMMIT_BRANCH": "another"}, set()),
        ({"CI_PIPELINE_SOURCE": "schedule", "CI_COMMIT_BRANCH": "another"}, set()),
        ({"MERGE_REQUEST": "5", "BERTH_DEPLOY_HOSTS": ""}, set()),
    ],
)
def test_gitlabs_jobs_with_a_secret_run_for_the_default_branch_only(facts: dict[str, str], jobs: set[str]) -> None:
    assert gitlab_runs({**WEB, **facts}) == jobs


def test_gitlabs_jobs_with_a_secret_are_a_deploy_hosts_own() -> None:
    for job in gitlab().values():
        if "BERTH_PASSPHRASE" in json.dumps(job):
            assert (job["environment"]["name"], job["tags"]) == ("$STACK", ["berth-$STACK"])


def test_gitlabs_jobs_without_a_secret_have_no_deploy_host() -> None:
    for name in ("settings", "tests", "preview-offline"):
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
            "MERGE_REQUEST": "5",
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
    outsider = forge.comment(preview("prod", "not ours"), kind="User", author=8)
    for stack, text in [("prod", "first"), ("staging", "other"), ("prod", "second"), ("prod", "third")]:
        done = comment(forge, kind, tmp_path, preview(stack, text))
        assert (done.returncode, done.stderr) == (0, "")
    assert [item["body"] for item in forge.comments[101:]] == [preview("prod", "third"), preview("staging", "other")]
    assert outsider["body"] == preview("prod", "not ours")
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
echo "Pulumi.prod.yaml: <b>no</b>" >&2
while [ "$#" -gt 1 ]; do
    [ "$1" != --output ] || [ -e refuses ] ||
        printf '<!-- berth preview: prod -->\\n<!-- berth labels: -->\\nsaid\\n' >"$2"
    shift
done
exit 1
"""


class Trusted:
    """A checkout of the default branch on a deploy host, with a `berth` that says what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.root, self.home = folder / "checkout", folder / "home"
        shutil.copytree(ROOT / ".ci", self.root / ".ci")
        (self.root / "berth").write_text(BERTH)
        (self.root / "berth").chmod(0o755)
        (self.root / "requirements.lock").write_text("one")
        (self.home / "venv").mkdir(parents=True)
        (self.home / "venv" / ".berth-lock").write_text("one")
        # What a hostile request would like to be run: none of it may be.
        self.requested = folder / "requested"
        (self.requested / ".ci").mkdir(parents=True)
        for name in ("berth", ".ci/preview", ".ci/comment.py"):
            (self.requested / name).write_text(f"#!/bin/sh\ntouch {folder}/ran\n")
            (self.requested / name).chmod(0o755)
        self.ran = folder / "ran"

    def run(self, forge: Forge, *words: str, kind: str = "github") -> subprocess.CompletedProcess[str]:
        known = {**variables(forge, kind), "BERTH_HOME": str(self.home), "PATH": os.environ["PATH"]}
        command = [str(self.root / ".ci" / words[0]), *words[1:]]
        done = subprocess.run(command, env=known, cwd=self.root, capture_output=True, text=True, check=False)
        assert not self.ran.exists()
        return done

    def calls(self) -> list[str]:
        return (self.root / "calls").read_text().splitlines() if (self.root / "calls").exists() else []


@pytest.fixture
def trusted(tmp_path: Path) -> Trusted:
    return Trusted(tmp_path)


def test_a_failed_preview_is_commented_and_the_request_is_only_data(forge: Forge, trusted: Trusted) -> None:
    done = trusted.run(forge, "preview", "prod", "../requested")
    assert done.returncode == 1, done.stderr
    assert [item["body"].splitlines()[-1] for item in forge.comments] == ["said"]
    [call] = trusted.calls()
    assert call.startswith(f"preview --stack prod --requested {trusted.requested} --markdown --fail-on-protected")


def test_a_request_that_is_not_previewed_is_told_why_and_gets_the_label(forge: Forge, trusted: Trusted) -> None:
    (trusted.root / "refuses").touch()
    assert trusted.run(forge, "preview", "prod", "../requested").returncode == 1
    [comment] = forge.comments
    assert comment["body"].endswith("There is none of this request:\n\n    Pulumi.prod.yaml: <b>no</b>\n")
    assert forge.labels == {"preview-by-hand"}


def test_a_preview_never_exchanges_the_deploy_hosts_packages(forge: Forge, trusted: Trusted) -> None:
    (trusted.home / "venv" / ".berth-lock").write_text("two")
    done = trusted.run(forge, "preview", "prod", "../requested")
    assert (done.returncode, trusted.calls()) == (1, [])
    assert "run ./berth up there first" in forge.comments[0]["body"]


def git(folder: Path, *words: str) -> str:
    command = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "init.defaultBranch=main", *words]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_gitlabs_request_is_fetched_as_data_and_its_preview_goes_to_it(forge: Forge, trusted: Trusted) -> None:
    origin, requested = trusted.root.parent / "origin.git", trusted.requested
    git(trusted.root.parent, "init", "-q", "--bare", str(origin))
    (requested / "Pulumi.prod.yaml").symlink_to("/etc/shadow")
    for folder, ref in ((trusted.root, "refs/heads/main"), (requested, "refs/merge-requests/5/merge")):
        git(folder, "init", "-q")
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", "x")
        git(folder, "remote", "add", "origin", str(origin))
        git(folder, "push", "-q", "origin", f"HEAD:{ref}")
    hook = trusted.root / ".git" / "hooks" / "post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {trusted.ran}\n")
    hook.chmod(0o755)
    shows = 'case $1 in preview) ls -l "$5"/Pulumi.prod.yaml >listing ;; esac\n'
    (trusted.root / "berth").write_text(BERTH.replace("#!/bin/sh\n", f"#!/bin/sh\n{shows}"))
    done = trusted.run(forge, "preview-merge-request", "prod", "5", kind="gitlab")
    assert done.returncode == 1, done.stderr
    assert [item["body"].splitlines()[-1] for item in forge.comments] == ["said"], done.stderr
    assert (trusted.root / "listing").read_text().startswith("-"), "a link is a file with its text"
    assert git(trusted.root, "worktree", "list").count("\n") == 0, "nothing is left"
    for number in ("6", "5; touch ran", "../main", ""):
        assert trusted.run(forge, "preview-merge-request", "prod", number, kind="gitlab").returncode in (1, 2)
    assert len(trusted.calls()) == 1
