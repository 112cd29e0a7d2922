"""Keeps one comment of a pull or merge request up to date: `python3 .ci/comment.py FILE`.

The first line of the Markdown says whose comment it is, the second which labels it asks for; a label stays as long as
any of the comments asks for it. Needs nothing but Python; where and who is told by the forge's environment variables.
"""

from __future__ import annotations

import json
import os
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MARKER = re.compile(r"\A<!-- berth preview: \S+ -->\n")
ASKED = re.compile(r"^<!-- berth labels: (.*?) *-->$", re.MULTILINE)
OURS = ("docker-restarts", "preview-by-hand")
CUT = "\n\n> The rest is too long for a comment: see the job's own summary, or run the preview yourself.\n"


class Forge:
    """What GitHub and GitLab have in common: a list of comments on one request."""

    limit = 0
    comments = ""
    headers: dict[str, str]

    def call(self, method: str, url: str, body: Any = None) -> Any:
        """One call; the answer's JSON, None for an empty one."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {**self.headers, "Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def every(self) -> Iterator[dict[str, Any]]:
        """All comments, page by page."""
        page = 1
        while found := self.call("GET", f"{self.comments}?per_page=100&page={page}"):
            yield from found
            page += 1

    def is_own(self, comment: dict[str, Any]) -> bool:
        raise NotImplementedError

    def update(self, comment: dict[str, Any], body: str) -> None:
        raise NotImplementedError

    def label(self, wanted: set[str]) -> None:
        raise NotImplementedError


class GitHub(Forge):
    limit = 65000

    def __init__(self, environment: dict[str, str]) -> None:
        repository = f"{environment['GITHUB_API_URL']}/repos/{environment['GITHUB_REPOSITORY']}"
        self._issue = f"{repository}/issues/{environment['PULL_REQUEST']}"
        self._comment = f"{repository}/issues/comments"
        self.comments = f"{self._issue}/comments"
        self.headers = {
            "Authorization": f"Bearer {environment['GITHUB_TOKEN']}",
            "Accept": "application/vnd.github+json",
        }

    def is_own(self, comment: dict[str, Any]) -> bool:
        return bool(comment["user"]["type"] == "Bot")

    def update(self, comment: dict[str, Any], body: str) -> None:
        self.call("PATCH", f"{self._comment}/{comment['id']}", {"body": body})

    def label(self, wanted: set[str]) -> None:
        if wanted:
            self.call("POST", f"{self._issue}/labels", {"labels": sorted(wanted)})
        for name in set(OURS) - wanted:
            try:
                self.call("DELETE", f"{self._issue}/labels/{name}")
            except urllib.error.HTTPError as error:
                if error.code != 404:
                    raise


class GitLab(Forge):
    limit = 900_000

    def __init__(self, environment: dict[str, str]) -> None:
        self._request = (
            f"{environment['CI_API_V4_URL']}/projects/{environment['CI_PROJECT_ID']}"
            f"/merge_requests/{environment['MERGE_REQUEST']}"
        )
        self.comments = f"{self._request}/notes"
        self.headers = {"PRIVATE-TOKEN": environment["BERTH_COMMENT_TOKEN"]}
        self._me = self.call("GET", f"{environment['CI_API_V4_URL']}/user")["id"]

    def is_own(self, comment: dict[str, Any]) -> bool:
        return bool(comment["author"]["id"] == self._me)

    def update(self, comment: dict[str, Any], body: str) -> None:
        self.call("PUT", f"{self.comments}/{comment['id']}", {"body": body})

    def label(self, wanted: set[str]) -> None:
        gone = sorted(set(OURS) - wanted)
        self.call("PUT", self._request, {"add_labels": ",".join(sorted(wanted)), "remove_labels": ",".join(gone)})


def fitting(text: str, limit: int) -> str:
    """The text with whole folded parts left out at its end, if it is too long."""
    while len(text) > limit and (start := text.rfind("\n<details>")) > 0:
        text = text[:start].removesuffix(CUT) + CUT
    return text


def keep(forge: Forge, text: str) -> None:
    """Write or renew the comment, then give the request the labels that all comments together ask for."""
    found = MARKER.match(text)
    if not found:
        sys.exit("the file does not begin like a preview in Markdown")
    body = fitting(text, forge.limit)
    ours = [comment for comment in forge.every() if forge.is_own(comment) and MARKER.match(comment["body"])]
    same = [comment for comment in ours if comment["body"].startswith(found.group())]
    if same:
        forge.update(same[0], body)
    else:
        forge.call("POST", forge.comments, {"body": body})
    bodies = [body, *(comment["body"] for comment in ours if comment not in same)]
    forge.label({name for one in bodies for asked in ASKED.findall(one)[:1] for name in asked.split()})


def main() -> None:
    """The forge is the one whose variables are there."""
    environment = dict(os.environ)
    text = Path(sys.argv[1]).read_text(encoding="utf-8")
    try:
        keep(GitLab(environment) if "MERGE_REQUEST" in environment else GitHub(environment), text)
    except KeyError as missing:
        sys.exit(f"{missing.args[0]} is not set: without it nobody can be told")
    except urllib.error.HTTPError as error:
        sys.exit(f"{error.url.partition('?')[0]} answered {error.code} {error.reason}")
    except OSError as error:
        sys.exit(f"the preview could not be commented: {error}")


if __name__ == "__main__":
    main()
