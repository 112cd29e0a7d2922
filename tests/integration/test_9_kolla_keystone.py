"""The kolla profile up to Keystone's tokens, with a control node frozen, and while Keystone changes."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from operations.drill.lab_node import LabNode, freeze, tree
from operations.kolla import verify
from tests.integration.test_9_kolla_up import CONTROL, KollaLab, comes_back, new_lab, starts

pytestmark = pytest.mark.full
KEYSTONE = "http://10.73.0.20:5000"


class Profile(KollaLab):
    """All services of the profile."""

    def write_settings(self, **changes: Any) -> None:
        document = self.document()
        kolla = document["config"]["berth:kolla"]
        kolla |= changes
        self.stack_file.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")

    @property
    def password(self) -> str:
        """The administrator's, as an operator gets it."""
        said = self.berth("kolla", "post-deploy")
        path = re.search(r"clouds.yaml: (\S+)", said)
        assert path, said
        clouds = yaml.safe_load(Path(path[1]).read_text(encoding="utf-8"))
        return str(clouds["clouds"]["kolla-admin"]["auth"]["password"])


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Profile]:
    with new_lab(Profile, tmp_path_factory.mktemp("keystone"), "keystone", "10.73.0") as made:
        made.write_settings()
        output = made.berth("up", "--yes", timeout=2400)
        print(output[-3000:])
        yield made


@contextmanager
def tokens(profile: Profile, password: str) -> Iterator[Callable[[], float]]:
    """Asks for a token twice a second; gives the longest time without one so far, in seconds."""
    stop, seen = threading.Event(), [time.monotonic()]

    def ask() -> None:
        while not stop.wait(0.5):
            if verify.token(KEYSTONE, password).ok:
                seen.append(time.monotonic())

    def gap() -> float:
        times = [*seen, time.monotonic()]
        return max(later - earlier for earlier, later in itertools.pairwise(times))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield gap
    finally:
        stop.set()
        asking.join()


def test_keystone_issues_a_token_through_the_internal_address(profile: Profile) -> None:
    said = profile.berth("kolla", "verify")
    assert re.search(r"verify: all \d+ checks passed", said)
    assert verify.token(KEYSTONE, profile.password).ok
    for node in CONTROL:
        status = profile.on(node, "docker", "exec", "rabbitmq", "rabbitmqctl", "cluster_status", "--formatter=json")
        assert len(json.loads(status)["running_nodes"]) == 3


@pytest.mark.parametrize("node", CONTROL)
def test_with_one_control_node_frozen_tokens_are_still_issued(profile: Profile, node: str) -> None:
    password = profile.password
    init = LabNode(node, f"berth-{profile.stack}-{node}").init()
    freeze(init)
    try:
        deadline = time.monotonic() + 60
        while not verify.token(KEYSTONE, password).ok:
            assert time.monotonic() < deadline, f"no token for a minute without {node}"
        good = [verify.token(KEYSTONE, password).ok for _ in range(10)]
        assert sum(good) >= 9, good
    finally:
        for pid in tree(init):
            os.kill(pid, signal.SIGCONT)
    comes_back(profile)


def test_an_override_of_keystone_touches_keystone_alone_one_node_at_a_time(profile: Profile) -> None:
    before = {node: starts(profile, node) for node in CONTROL}
    folder = profile.root / "overrides" / "keystone"
    folder.mkdir(parents=True, exist_ok=True)
    (folder.parent / "keystone.conf").write_text("[token]\nexpiration = 7200\n")
    profile.write_settings(overrides="overrides")
    with tokens(profile, profile.password) as gap:
        output = profile.berth("up", "--yes", timeout=900)
        assert "deploy --tags keystone --extra-vars kolla_serial=1" in output
        print(f"longest time without a token: {gap():.1f} s")
        assert gap() < 30, "seconds without a token"
    after = {node: starts(profile, node) for node in CONTROL}
    for node in CONTROL:
        changed = {name for name in after[node] if after[node][name] != before[node][name]}
        assert "keystone" in changed and all(name.startswith("keystone") for name in changed)
    first, second, third = sorted(datetime.fromisoformat(after[node]["keystone"]) for node in CONTROL)
    assert min(second - first, third - second) > timedelta(seconds=10), "all tasks of a node come between"
