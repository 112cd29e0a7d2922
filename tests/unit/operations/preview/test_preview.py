"""`berth preview` as a user and a workflow meet it, on a fake engine with recorded answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components.docker_daemon.render import entries
from components.lib.host_files.bundle import File, render
from config.model.docker import DockerSettings
from operations.preview import sentences
from operations.preview.daemons import RESTART, Effect
from operations.preview.report import Report
from operations.pulumi.values import SIGNATURE
from tests.unit.conftest import OUTPUTS, Checkout

ROOT = "urn:pulumi:dev::berth::"
STACK = f"{ROOT}pulumi:pulumi:Stack::berth-dev"
SECRET = "hush-hush-hush"


def secret(value: Any) -> dict[str, str]:
    return {SIGNATURE: "1b47061264138c4ac30d75fd1eb44270", "plaintext": json.dumps(value)}


def urn(stage: str, type_: str, name: str) -> str:
    return f"{ROOT}berth:{stage}:Stage${type_}::{name}"


def command(stage: str, name: str) -> str:
    return urn(stage, "command:remote:Command", name)


def container(stage: str, name: str) -> str:
    return urn(stage, "docker:index/container:Container", name)


def connection(node: int) -> dict[str, Any]:
    return secret({"host": f"10.77.0.1{node}", "port": 22, "hostKey": "ssh-ed25519 AAAA", "privateKey": SECRET})


def daemon(**settings: Any) -> str:
    return render(entries(DockerSettings.model_validate(settings)))


class World:
    """What the engine says: a state, a plan over it, and how the preview ended."""

    def __init__(self) -> None:
        self.state: list[dict[str, Any]] = [
            {"urn": STACK, "type": "pulumi:pulumi:Stack", "outputs": {"node_access": OUTPUTS["node_access"]}}
        ]
        self.plan: dict[str, Any] = {}
        self.steps: list[dict[str, Any]] = []
        self.diagnostics: list[dict[str, Any]] = []
        self.code = 0

    def change(self, urn: str, old: dict[str, Any] | None, new: dict[str, Any] | None, op: str, **entry: Any) -> None:
        """One resource; the plan says what the CLI's would."""
        if old is not None:
            self.state.append({"urn": urn, "type": urn.split("::")[2].rsplit("$", 1)[-1], "inputs": old, **entry})
        if new is not None:
            before = old or {}
            difference = {
                "adds": {key: value for key, value in new.items() if key not in before},
                "updates": {key: value for key, value in new.items() if key in before and before[key] != value},
                "deletes": [key for key in before if key not in new],
            }
            parent = f"{urn.split('$', 1)[0]}::parent"
            self.plan[urn] = {"steps": [op], "goal": {"parent": parent, "inputDiff": difference}}
        self.steps.append({"urn": urn, "op": op})

    def tell(self, checkout: Checkout) -> None:
        checkout.install_pulumi()
        checkout.deploy()
        checkout.answer("stack export", out=json.dumps({"deployment": {"resources": self.state}}))
        document = {"steps": self.steps, "diagnostics": self.diagnostics, "changeSummary": {"same": 40}}
        plan = {} if self.code else {"plan": self.plan}
        checkout.answer("preview", out=json.dumps(document), code=self.code, **plan)


@pytest.fixture
def world() -> World:
    return World()


def daemons(world: World, *nodes: int, **settings: Any) -> None:
    """The Docker settings of these nodes change from the defaults."""
    for node in nodes:
        before, after = ({"connection": connection(node), "stdin": daemon(**values)} for values in ({}, settings))
        world.change(command("docker-daemon", f"docker-node{node}"), before, after, "update")


def test_the_summary_says_what_docker_does_on_each_node_and_in_which_order(
    checkout: Checkout, berth: Any, world: World
) -> None:
    daemons(world, 1, 2, logOptions={"max-size": "20m"})
    world.change(
        command("docker-daemon", "docker-node3"), None, {"connection": connection(3), "stdin": daemon()}, "create"
    )
    world.tell(checkout)
    text = berth("preview", "--markdown").out
    assert text.startswith("<!-- berth preview: dev -->\n<!-- berth labels: docker-restarts -->\n### Preview of `dev`")
    summary, _, details = text.partition("<details>")
    assert "**1 to create, 2 to update, 40 unchanged**" in summary
    assert "- node1, node2: Docker restarts (log-opts)" in summary
    assert "- node3: unknown until contact" in summary
    assert "one node after the other (node1, node2, node3)" in summary
    assert '-    "max-size": "10m"' in details and '+    "max-size": "20m"' in details
    assert "<summary>Files on node1, node2: 1</summary>" in details, "the same difference is shown once"


def test_what_a_failed_run_left_on_a_node_is_not_taken_for_known(checkout: Checkout, berth: Any, world: World) -> None:
    failed, wanted = ({"connection": connection(1), "create": text, "stdin": daemon()} for text in ("", "sh"))
    world.change(command("docker-daemon", "docker-node1"), failed, wanted, "update")
    world.tell(checkout)
    text = berth("preview", "--markdown").out
    assert "node1: unknown until contact whether Docker restarts (its last change did not end)" in text
    assert "new, mode 0644" in text and "`create`" in text, text


def test_scripts_that_alone_change_are_said_in_words(checkout: Checkout, berth: Any, world: World) -> None:
    for node in (1, 2):
        old, new = ({"create": text, "stdin": daemon(), "connection": connection(node)} for text in ("sh", "bash"))
        world.change(command("registry", f"registry-node{node}"), old, new, "update")
    world.tell(checkout)
    said = "2 commands run again because Berth's scripts changed (registry-node1, registry-node2); what they write"
    assert f"{said} stays as it is" in berth("preview").out


def test_the_order_of_many_nodes_is_said_in_words() -> None:
    waves = (("light1",), ("node1",), ("node2",), ("light2", "light3"), ("light4",))
    effects = tuple(Effect(name, RESTART) for wave in waves for name in wave if name != "light4")
    *_, order = sentences.nodes(Report("dev", {}, 0, daemons=effects, waves=waves))
    assert order.startswith("Order: one node after the other (light1, node1, node2), then together (light2, light3); ")


def test_one_restart_alone_asks_for_no_label_and_a_reload_for_none(
    checkout: Checkout, berth: Any, world: World
) -> None:
    daemons(world, 1, logOptions={"max-size": "20m"})
    daemons(world, 2, registryMirrors=["https://mirror.example.com"])
    world.tell(checkout)
    answer = json.loads(berth("preview", "--json").out)["berth"]
    assert answer["labels"] == []
    assert [(item["node"], item["force"], item["keys"]) for item in answer["docker"]] == [
        ("node1", "restart", ["log-opts"]),
        ("node2", "reload", ["registry-mirrors"]),
    ]


def test_json_is_the_engines_own_with_one_member_more(checkout: Checkout, berth: Any, world: World) -> None:
    world.tell(checkout)
    answer = json.loads(berth("preview", "--json").out)
    assert answer.pop("berth")["summary"] == {"same": 40}
    assert answer == {"steps": [], "diagnostics": [], "changeSummary": {"same": 40}}


def test_expecting_no_changes_exits_with_three_when_there_are_some(
    checkout: Checkout, berth: Any, world: World
) -> None:
    world.tell(checkout)
    assert berth("preview", "--expect-no-changes").code == 0
    daemons(world, 1, logOptions={"max-size": "20m"})
    world.tell(checkout)
    assert berth("preview", "--expect-no-changes").code == 3
    assert berth("preview").code == 0


def image(digest: str) -> dict[str, Any]:
    return {"image": f"10.77.0.2:4999/berth/minio@sha256:{digest}", "capabilities": {"drops": ["ALL"]}}


def test_what_holds_data_or_trust_is_marked_red_and_fails_only_who_asks(
    checkout: Checkout, berth: Any, world: World
) -> None:
    world.change(container("object-store", "object-store-node1"), image("1"), image("2"), "replace")
    world.change(urn("nodes", "docker:index/volume:Volume", "nodes-node1-data"), {"name": "x"}, None, "delete")
    world.change(urn("certificates", "tls:index/privateKey:PrivateKey", "ca-key"), {"a": 1}, {"a": 2}, "replace")
    world.change(
        urn("registry", "tls:index/privateKey:PrivateKey", "registry-node1-key"), {"a": 1}, {"a": 2}, "replace"
    )
    world.tell(checkout)
    ended = berth("preview", "--markdown")
    assert ended.code == 0
    for line in (
        "🔴 **object store server object-store-node1 would be replaced**",
        "🔴 **disk nodes-node1-data would be deleted**",
        "🔴 **CA ca-key would be replaced**",
    ):
        assert line in ended.out
    assert "registry-node1-key would" not in ended.out
    assert "all of its servers" in ended.out and "+r" not in ended.out
    assert "PROTECTED: disk nodes-node1-data" in berth("preview").out
    assert len(json.loads(berth("preview", "--json").out)["berth"]["protected"]) == 3
    assert berth("preview", "--markdown", "--fail-on-protected").code == 1


def test_what_up_itself_would_refuse_fails_every_preview(checkout: Checkout, berth: Any, world: World) -> None:
    password = urn("object-store", "random:index/randomPassword:RandomPassword", "object-store-root")
    world.change(password, {"length": 40}, {"length": 50}, "replace", protect=True)
    world.tell(checkout)
    ended = berth("preview")
    assert ended.code == 1
    assert "protected object-store-root would be replaced; up refuses that" in ended.out


def test_a_broken_rule_is_named_with_its_resource_and_fails_the_preview(
    checkout: Checkout, berth: Any, world: World
) -> None:
    world.change(container("registry", "registry-node1"), None, {**image("1"), "privileged": True}, "create")
    world.tell(checkout)
    ended = berth("preview", "--markdown")
    assert ended.code == 1
    assert "🔴 registry-node1: is privileged" in ended.out


def test_a_failed_preview_says_why_and_shows_what_it_can(checkout: Checkout, berth: Any, world: World) -> None:
    daemons(world, 1, logOptions={"max-size": "20m"})
    world.diagnostics.append({"urn": STACK, "severity": "error", "message": "error: the program broke\n"})
    world.code = 255
    world.tell(checkout)
    ended = berth("preview", "--markdown")
    assert ended.code == 1
    assert "🔴 **the program** fails:" in ended.out and "the program broke" in ended.out
    assert "update   command Command docker-node1" in ended.out


def test_a_cli_without_the_option_to_ignore_protection_gets_none(checkout: Checkout, berth: Any, world: World) -> None:
    checkout.install_pulumi()
    checkout.deploy()
    checkout.answer("preview", err="error: unknown flag: --ignore-protect\n", code=1)
    assert berth("preview").code == 1
    previews = [call["arguments"] for call in checkout.calls if call["command"] == "preview"]
    assert ["--ignore-protect" in arguments for arguments in previews] == [True, False]


def test_no_secret_is_in_any_answer(checkout: Checkout, berth: Any, world: World) -> None:
    old, new = (
        {
            "connection": connection(1),
            "environment": {"WORD": secret(word)},
            "stdin": secret(render([File("/etc/key", f"{word}\n", mode="0600"), File("/etc/open", f"a {word}\n")])),
        }
        for word in ("old-pass-word", "new-pass-word")
    )
    world.change(command("load-balancer", "balancer-node1-files"), old, new, "update")
    world.diagnostics.append({"severity": "warning", "message": "warning: new-pass-word is weak"})
    world.tell(checkout)
    for form in ([], ["--diff"], ["--json"], ["--markdown"]):
        ended = berth("preview", *form)
        assert ended.code == 0, ended.err
        for word in ("old-pass-word", "new-pass-word", SECRET):
            assert word not in ended.out + ended.err, form
    assert "contents are secret" in berth("preview", "--diff").out
    assert "a [secret]" in berth("preview", "--diff").out


def test_the_answer_can_go_to_a_file(checkout: Checkout, berth: Any, world: World, tmp_path: Any) -> None:
    world.tell(checkout)
    ended = berth("preview", "--markdown", "--output", str(tmp_path / "preview.md"))
    assert (ended.code, ended.out) == (0, "")
    assert (tmp_path / "preview.md").read_text().startswith("<!-- berth preview: dev -->")


def test_two_forms_at_once_are_refused(checkout: Checkout, berth: Any) -> None:
    assert berth("preview", "--json", "--markdown").code == 2


@pytest.mark.parametrize("words", ["get stack secrets manager: incorrect passphrase", "incorrect passphrase"])
def test_a_wrong_passphrase_is_one_clear_sentence(checkout: Checkout, berth: Any, words: str) -> None:
    checkout.install_pulumi()
    checkout.deploy()
    for question in ("preview", "stack export"):
        checkout.answer(question, err=f"error: getting stack configuration: {words}\n", code=1)
    ended = berth("preview", "--markdown")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.splitlines()[1:] == [
        "The passphrase is not the one of stack dev: see PULUMI_CONFIG_PASSPHRASE_FILE or PULUMI_CONFIG_PASSPHRASE."
    ]
