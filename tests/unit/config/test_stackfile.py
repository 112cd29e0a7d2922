"""Stack files: the committed ones are good, broken ones are refused in a sentence, all without an engine."""

from __future__ import annotations

import base64
import copy
import datetime
import hashlib
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from ruamel.yaml import YAML

from config import stackfile
from config.problems import SettingsError
from tests.unit.components import node_stack
from tests.unit.config.stacks import ROOT, STACKS, document

ENCRYPTED = {"secure": "v1:aaaa:bbbb"}


def with_bob(secrets: Any, name: str = "bob") -> dict[str, Any]:
    bob = {"name": name, "role": "pull", "password": "configured"}
    changes = {"registry.users[3]": bob} | ({} if secrets is None else {"secrets": secrets})
    return document("dev", changes)


@pytest.mark.parametrize("stack", STACKS)
def test_the_committed_stack_files_are_good(stack: str) -> None:
    assert stackfile.check(stack, document(stack)) == []


@pytest.mark.parametrize("stack", STACKS)
def test_the_committed_stack_files_survive_being_written_and_read_again(stack: str, tmp_path: Path) -> None:
    yaml, written = YAML(), tmp_path / f"Pulumi.{stack}.yaml"
    yaml.dump(yaml.load((ROOT / written.name).read_text("utf-8")), written)
    assert stackfile.parse(stack, stackfile.read(written)) == stackfile.parse(
        stack, stackfile.read(ROOT / f"Pulumi.{stack}.yaml")
    )


@pytest.mark.parametrize("stack", STACKS)
def test_a_parser_that_keeps_comments_gives_the_same_settings(stack: str) -> None:
    commented = YAML().load((ROOT / f"Pulumi.{stack}.yaml").read_text("utf-8"))
    assert stackfile.parse(stack, commented) == stackfile.parse(stack, stackfile.read(ROOT / f"Pulumi.{stack}.yaml"))


@pytest.mark.parametrize("stack", STACKS)
def test_the_committed_stack_files_name_their_schema_first(stack: str) -> None:
    first = (ROOT / f"Pulumi.{stack}.yaml").read_text("utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=config/schema.json"


def test_the_dev_stack_derives_what_a_lab_needs() -> None:
    settings = stackfile.parse("dev", document("dev"))
    assert settings.lab is not None
    assert (settings.lab.subnet, settings.lab.gateway) == ("10.77.0.0/24", "10.77.0.1")
    assert settings.images.seed.address == "10.77.0.2"
    assert [node.name for node in settings.with_role("registry")] == ["node1", "node2"]
    assert {(node.provider, node.ssh.host == node.address) for node in settings.nodes} == {("lab", True)}


def test_settings_are_frozen() -> None:
    settings = stackfile.parse("dev", document("dev"))
    with pytest.raises(ValueError, match="frozen"):
        settings.registry.port = 1  # type: ignore[misc]


def test_the_dev_stacks_salt_belongs_to_the_passphrase_in_the_repository() -> None:
    # Pulumi drops white space around the passphrase of a file.
    passphrase = (ROOT / "lab" / "passphrase").read_text("utf-8").strip()
    version, salt, *check_value = document("dev")["encryptionsalt"].split(":")
    assert (version, check_value[0]) == ("v1", "v1")
    key = hashlib.pbkdf2_hmac("sha256", passphrase.encode(), base64.b64decode(salt), 1_000_000, 32)
    nonce, sealed = (base64.b64decode(part) for part in check_value[1:])
    assert AESGCM(key).decrypt(nonce, sealed, None) == b"pulumi"


@pytest.mark.parametrize(
    "secrets",
    [
        {"users": {"bob": ENCRYPTED}},
        {"users": {"bob": [ENCRYPTED]}},
        {"users": {"bob": [ENCRYPTED, ENCRYPTED]}},
        ENCRYPTED,
    ],
)
def test_an_encrypted_password_counts_as_present(secrets: Any) -> None:
    assert stackfile.check("dev", with_bob(secrets)) == []


@pytest.mark.parametrize("secrets", [None, {}, {"users": {}}, {"users": None}])
def test_a_missing_password_is_reported_with_the_command_that_sets_it(secrets: Any) -> None:
    (problem,) = stackfile.check("dev", with_bob(secrets))
    assert problem.path == "berth:secrets.users.bob"
    assert "`./berth config --stack dev set --secret --path berth:secrets.users.bob`" in problem.fix


def test_the_command_that_sets_a_password_is_safe_to_paste() -> None:
    (problem,) = stackfile.check("dev", with_bob(None, "o'bob $(x)"))
    assert """'berth:secrets.users["o'"'"'bob $(x)"]'""" in problem.fix


@pytest.mark.parametrize(
    "password",
    ["hunter2", "", None, 5, {"secure": 5}, {"secure": "v1:x", "more": 1}, [], [ENCRYPTED, "hunter2"], [ENCRYPTED] * 3],
)
def test_a_password_that_is_not_encrypted_is_refused(password: Any) -> None:
    (problem,) = stackfile.check("dev", with_bob({"users": {"bob": password}}))
    assert problem.path == "berth:secrets.users.bob"
    assert "without encryption" in problem.wrong
    assert "--secret" in problem.fix


def test_a_password_for_nobody_is_refused_with_a_suggestion() -> None:
    problems = stackfile.check("dev", with_bob({"users": {"bob": ENCRYPTED, "bobb": ENCRYPTED}}))
    assert [(problem.path, problem.suggestion) for problem in problems] == [("berth:secrets.users.bobb", "bob")]


def test_a_password_that_would_not_be_used_is_refused() -> None:
    (problem,) = stackfile.check("dev", document("dev", {"secrets": {"users": {"push": ENCRYPTED}}}))
    assert "would not be used" in problem.wrong


@pytest.mark.parametrize(
    ("secrets", "words"),
    [({"quay": ENCRYPTED}, "would not be used"), ({"ghcr": ENCRYPTED}, "belongs to no upstream")],
)
def test_a_password_for_an_upstream_without_user_is_refused(secrets: dict[str, Any], words: str) -> None:
    (problem,) = stackfile.check("dev", document("dev", {"secrets": {"upstreams": secrets}}))
    assert words in problem.wrong and problem.path.startswith("berth:secrets.upstreams.")


def test_an_upstreams_missing_password_names_the_command_that_sets_it() -> None:
    (problem,) = stackfile.check("dev", document("dev", {"registry.upstreams[1].user": "robot"}))
    assert "`./berth config --stack dev set --secret --path berth:secrets.upstreams.quay`" in problem.fix


def test_an_upstreams_password_in_plain_text_is_refused_and_not_repeated() -> None:
    changes = {"registry.upstreams[1].user": "robot", "secrets": {"upstreams": {"quay": "hunter2"}}}
    (problem,) = stackfile.check("dev", document("dev", changes))
    assert "without encryption" in problem.wrong
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("config: [", "is not YAML in line"),
        ("config:\n  a: 1\n  a: 2\n", "is not YAML in line"),
        ("config: *nothing\n", "is not YAML"),
        ("config: " + "9" * 5000, "is not YAML"),
        ("config: " + "[" * 1000, "is not YAML"),
    ],
)
def test_a_file_that_is_not_yaml_is_refused_in_one_sentence(text: str, words: str, tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(SettingsError) as caught:
        stackfile.read(file)
    (problem,) = caught.value.problems
    assert problem.path == "Pulumi.dev.yaml"
    assert words in problem.wrong


def test_broken_yaml_does_not_repeat_what_stands_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text('config:\n  password: "hunter2\n', "utf-8")
    with pytest.raises(SettingsError) as caught:
        stackfile.read(file)
    assert "hunter2" not in str(caught.value)


def test_a_missing_file_and_a_file_in_another_encoding_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="does not exist"):
        stackfile.read(tmp_path / "Pulumi.nothing.yaml")
    (tmp_path / "Pulumi.latin.yaml").write_bytes(b"config: \xe9\n")
    with pytest.raises(SettingsError, match="not UTF-8"):
        stackfile.read(tmp_path / "Pulumi.latin.yaml")


ALIASES = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
PINS = "from: {stack: staging, time: '2026-11-22T10:41:07Z'}\n"


@pytest.fixture
def pinned(tmp_path: Path) -> Path:
    """A stack file without pins, and beside it the folder for them."""
    (tmp_path / "pins").mkdir()
    file = tmp_path / "Pulumi.dev.yaml"
    shutil.copy(ROOT / "Pulumi.dev.yaml", file)
    return file


def problems_of(file: Path) -> str:
    with pytest.raises(SettingsError) as caught:
        stackfile.parse("dev", stackfile.read(file))
    return str(caught.value)


def test_the_pins_beside_a_stack_file_are_part_of_its_settings(pinned: Path) -> None:
    assert stackfile.parse("dev", stackfile.read(pinned)).pins is None
    stackfile.pins_file(pinned).write_text(PINS)
    found = stackfile.parse("dev", stackfile.read(pinned)).pins
    assert found and found.source.stack == "staging"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("from: [\n", "is not YAML in line 2"),
        ("from: {stack: a}\nfrom: {stack: b}\n", "is not YAML in line 2"),
        ("from: \xe9\n", "cannot be read: it is not UTF-8"),
        ("", "berth:pins.from\n  is missing"),
        ("- from\n", "berth:pins\n  must be an object, but is a list"),
        (PINS + "imagse: {}\n", "Did you mean `images`?"),
        (PINS + "images: {nginx: v1}\n", 'berth:pins.images.nginx: "v1"'),
        (PINS + "images: {nginx: {secure: v1:x}}\n", "is encrypted"),
        ("from: {stack: staging, time: 2026-11-22}\n", "Object of type date"),
        (ALIASES, "4 MiB"),
    ],
    ids=["YAML", "twice", "bytes", "empty", "list", "word", "tag", "encrypted", "date", "aliases"],
)
def test_a_pins_file_that_cannot_be_used_is_named(text: str, words: str, pinned: Path) -> None:
    stackfile.pins_file(pinned).write_bytes(text.encode("latin-1"))
    found = problems_of(pinned)
    assert found.startswith("pins/dev.yaml: 1 setting cannot be used\n") and words in found


@pytest.mark.parametrize("kind", ["folder", "link to nothing"])
def test_a_pins_file_that_is_no_file_is_refused(kind: str, pinned: Path) -> None:
    pins = stackfile.pins_file(pinned)
    pins.mkdir() if kind == "folder" else pins.symlink_to("nowhere")
    assert "pins/dev.yaml\n  cannot be read: " in problems_of(pinned)


@pytest.mark.parametrize("both", [True, False])
def test_pins_in_a_stack_file_are_refused_with_their_place(both: bool, pinned: Path) -> None:
    pinned.write_text(pinned.read_text() + "  berth:pins: {}\n")
    if both:
        stackfile.pins_file(pinned).write_text(PINS)
    found = problems_of(pinned)
    assert found.startswith("Pulumi.dev.yaml: 1 setting cannot be used\n")
    assert "has berth:pins, which pins/dev.yaml alone may hold" in found


def test_an_error_in_both_files_names_both(pinned: Path) -> None:
    pinned.write_text(pinned.read_text() + "  berth:nods: []\n")
    stackfile.pins_file(pinned).write_text("{}\n")
    assert problems_of(pinned).startswith("Pulumi.dev.yaml and pins/dev.yaml: 2 settings cannot be used\n")


def test_yaml_is_read_as_pulumi_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text("config:\n  a: yes\n  b: 22:22\n", "utf-8")
    assert stackfile.read(file) == {"config": {"a": "yes", "b": "22:22"}}


@pytest.mark.parametrize(
    ("document_", "path", "words"),
    [
        (None, "config", "must be an object, but is empty"),
        ([], "config", "must be an object, but is a list"),
        ({"config": []}, "config", "must be an object, but is a list"),
        ({"config": {"berth:lab": datetime.date(2024, 1, 1)}}, "berth:lab", "JSON: Object of type date"),
        ({"config": {"berth:lab": {(1, 2): 2}}}, "berth:lab", "JSON: keys must be str"),
        ({"config": {"berth:lab": float("nan")}}, "berth:lab", "JSON: Out of range float"),
        ({"config": {"berth:lab": "\ud800"}}, "berth:lab", "surrogates not allowed"),
        ({"config": {"berth:lab": 16**9999}}, "berth:lab", "Exceeds the limit"),
    ],
)
def test_what_is_not_json_is_refused_by_name(document_: Any, path: str, words: str) -> None:
    problem = stackfile.check("dev", document_)[0]
    assert problem.path == path
    assert words in problem.wrong


def test_yaml_that_contains_itself_or_multiplies_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    assert "Circular reference" in stackfile.check("dev", {"config": {"berth:nodes": endless}})[0].wrong
    laughs: Any = "ha"
    for _ in range(20):
        laughs = [laughs] * 10
    assert "larger than 4 MiB" in stackfile.check("dev", {"config": {"berth:nodes": laughs}})[0].wrong


@pytest.mark.parametrize(
    ("key", "words", "suggestion"),
    [
        ("environment", "not part of a stack file", None),
        ("confg", "not part of a stack file", "config"),
        ("berth:nodes", "is outside of `config:`", None),
    ],
)
def test_unknown_keys_beside_config_are_refused(key: str, words: str, suggestion: str | None) -> None:
    (problem,) = stackfile.check("dev", {**document("dev"), key: {}})
    assert (problem.path, problem.suggestion) == (key, suggestion)
    assert words in problem.wrong


@pytest.mark.parametrize("key", ["nodes", "bert:nodes", "docker:host"])
def test_keys_of_other_programs_are_refused(key: str) -> None:
    changed = document("dev")
    changed["config"][key] = 1
    assert [problem.path for problem in stackfile.check("dev", changed)] == [key]


def test_keys_of_pulumi_itself_are_left_alone() -> None:
    changed = document("dev")
    changed["config"]["pulumi:disable-default-providers"] = ["*"]
    assert stackfile.check("dev", changed) == []


@pytest.mark.parametrize("stack", ["", ".", "..", "a/b", "-x", "a" * 41, "ä", "a\n"])
def test_a_stack_name_that_cannot_be_a_file_name_is_refused(stack: str) -> None:
    assert [problem.path for problem in stackfile.check(stack, document("dev"))] == ["stack"]


HOSTILE: list[Any] = [
    *["", " ", "\n", "a\nb", "\x00", "\x1b[2J", "\ud800", "é", "'", '"', "`id`", "$(id)", "; rm -rf /", "../..", "{}"],
    *["true", "-1", "1e999", "0x10", "10.77.0.11", "10.0.0.0/8", "::1", "http://a:b@c", "http://[", "a" * 5000],
    *[
        "ssh-ed25519 AAAA",
        "ssh-rsa é",
        "@sha256:",
        "%",
        "\u202e",
        "\u00a0",
        "%s%n{0}",
        "{wrong}",
        "\uff11\uff10",
        "²",
        "localhost:²",
    ],
    *[None, True, False, 0, -1, 1.5, 65536, 2**70, float("inf"), float("nan")],
    *[[], {}, [[]], [None], {"": None}, {"secure": "v1:x"}, {"a": {"b": []}}, {1: 2}, {None: 1}, {"\ud800": 1}, b"x"],
]


def _places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place, *(found for key, item in items for found in _places(item, (*place, key)))]


def _mutate(chance: random.Random, mutant: Any) -> None:
    *above, last = chance.choice(_places(mutant)[1:])
    here = mutant
    for key in above:
        here = here[key]
    action = chance.randrange(4)
    if action == 0:
        del here[last]
    elif action == 1 and isinstance(here, dict):
        here[chance.choice([str(last)[:-1], str(last) + "x", "é", "a b", "\n", 5, "$(id)"])] = here.pop(last)
    else:
        here[last] = copy.deepcopy(chance.choice(HOSTILE))


@pytest.mark.parametrize("stack", [*STACKS, "everything", "systems"])
def test_a_mutated_stack_file_causes_only_problems_with_path_and_remedy(stack: str) -> None:
    chance = random.Random(stack)
    everything = {
        "secrets": {"users": {"bob": [ENCRYPTED, ENCRYPTED]}, "upstreams": {"ghcr": ENCRYPTED}},
        "registry.users[3]": {"name": "bob", "role": "admin", "password": "configured"},
        "registry.upstreams[2]": {
            "name": "ghcr",
            "url": "https://ghcr.io",
            "prefix": "ghcr.io",
            "user": "robot",
            "port": 4030,
        },
        "registry.nodeUser": "pull",
        "registry.users[1].versions": [1, 2],
        "lab": {"subnet": "10.77.0.0/24", "gateway": "10.77.0.1", "upstream": True},
        "docker": {
            "extra": {"debug": True, "labels": ["a=b"]},
            "insecureRegistries": ["10.0.0.0/8", "r.x:5000"],
            "registryMirrors": ["http://10.1.1.1", "https://m.x"],
            "proxies": {"http": "http://p.x:1", "https": "http://p.x:1", "noProxy": ["a"]},
            "logOptions": {"tag": "x"},
            "mtu": 1400,
        },
        "images": {"seed": {"address": "10.77.0.2", "port": 4999}, "objectStore": "a@sha256:" + "0" * 64},
        "kolla": {"enabled": False},
        "objectStore": {"port": 9000, "bucket": "abc", "dataDir": "/x"},
    }
    changes = everything if stack == "everything" else {}
    refused, rounds = 0, 800 if stack == "systems" else 2500
    for _ in range(rounds):
        mutant = (
            node_stack.everything("coreos")
            if stack == "systems"
            else document("dev" if stack == "everything" else stack, changes)
        )
        for _ in range(chance.randint(1, 4)):
            _mutate(chance, mutant)
            if not isinstance(mutant, dict) or not mutant:
                break
        problems = stackfile.check(stack, mutant)
        for problem in problems:
            assert problem.path and problem.wrong and problem.fix, problem
            str(problem).encode()
        refused += bool(problems)
        if not problems:
            stackfile.parse(stack, mutant)
    assert refused > 0.8 * rounds, "nearly every mutation is a mistake"
