"""Pins enter a stack file as text: everything else stays as it was written, byte by byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ruamel.yaml import YAML

from config.paths import ROOT
from operations.errors import BerthError
from operations.promote.edit import with_pins

PINS: dict[str, Any] = {
    "from": {"stack": "staging", "time": "2026-11-22T10:41:07Z"},
    "images": {"objectStore": "sha256:" + "1" * 64},
    "repositories": {"team/app:1": "sha256:" + "2" * 64},
}
BLOCK = f"""\
  berth:pins: # written by `berth promote`
    from:
      stack: staging
      time: '2026-11-22T10:41:07Z'
    images:
      objectStore: sha256:{"1" * 64}
    repositories:
      team/app:1: sha256:{"2" * 64}
"""


def parsed(text: str) -> Any:
    return YAML(typ="safe", pure=True).load(text)


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_pins_are_added_below_everything_in_a_stack_file(stack: str) -> None:
    text = (ROOT / f"Pulumi.{stack}.yaml").read_text()
    assert with_pins("Pulumi.x.yaml", text, PINS) == text + BLOCK


def test_pins_that_are_there_are_replaced_where_they_stand() -> None:
    old = "# head\nconfig:\n  berth:pins: {from: old} # by hand\n  # about the lab\n  berth:lab: true\n"
    assert with_pins("f", old, PINS) == f"# head\nconfig:\n{BLOCK}  # about the lab\n  berth:lab: true\n"
    newer = {**PINS, "repositories": {"team/app:1": "sha256:" + "3" * 64}}
    once = with_pins("f", with_pins("f", old, PINS), newer)
    assert once == f"# head\nconfig:\n{BLOCK}  # about the lab\n  berth:lab: true\n".replace("2" * 64, "3" * 64)


def test_the_same_pins_again_change_nothing_whatever_their_layout() -> None:
    text = f"config: {{'berth:lab': true, 'berth:pins':   {json.dumps(PINS)} }}"
    assert with_pins("f", text, PINS) == text


ODD = {
    "odd indentation": "config:\n     berth:lab:   true\n     berth:nodes:\n     -   {name: a}\n     - name:   b\n",
    "comments everywhere": "# a\nconfig: # b\n  # c\n  berth:lab: true # d\n\n\n  # e\n",
    "a comment that belongs to no key": "config:\n  berth:lab: true\n# the end\n",
    "other keys behind config": "config:\n  berth:lab: true\n\n# salt\nencryptionsalt: v1:x\n",
    "quotes": "'config':\n  \"berth:lab\": 'true'\n  'berth:pins': null\n",
    "an empty value behind pins": "config:\n  berth:pins:\n  berth:lab:\n",
    "pins that were all commented out": "config:\n  berth:pins:\n    # from: x\n  berth:lab: true\n",
    "anchors": "config:\n  berth:a: &a [1,\n    2]\n  berth:b: *a\n",
    "a last line without its end": "config:\n  berth:lab: true",
    "a last text over several lines": "config:\n  berth:ca: |\n    -----BEGIN\n    x\n",
    "a folded last text, and more": "config:\n  berth:ca: >-\n    a\n    b\n\nencryptionsalt: v1:x\n",
    "a key with nothing behind it": "config:\n  berth:lab:\n",
    "an explicit document": "%YAML 1.2\n---\nconfig:\n  berth:lab: true\n...\n",
    "one line": "{config: {berth:lab: true}}",
    "flow over lines": "config: {\n  berth:lab: true, # yes\n  berth:x: [1, 2,],\n}\n",
    "JSON": json.dumps({"config": {"berth:lab": True, "berth:pins": {}, "berth:x": [1]}}, indent=1),
    "letters of others": "config:\n  berth:x: 'é ü 日本 \U0001f433'\n  berth:y: \"\\u00e9\"\n",
    "a byte order mark": "\ufeffconfig:\n  berth:lab: true\n",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["LF", "CRLF"])
def test_an_oddly_written_file_keeps_all_its_lines(text: str, newline: str) -> None:
    text = text.replace("\n", newline)
    edited = with_pins("f", text, PINS)
    document, before = parsed(edited), parsed(text)
    assert document["config"].pop("berth:pins") == PINS
    before["config"].pop("berth:pins", None)
    assert document == before
    if "berth:pins" not in text:
        added = [line for line in edited.split(newline) if line not in text.split(newline)]
        kept = [line for line in text.split(newline) if line not in edited.split(newline)]
        assert len(kept) <= 1, "at most the one line that flow style shares with its neighbours"
        assert added
    assert ("\r\n" in edited) == (newline == "\r\n") or "\n" not in text
    assert edited.count("\n") == edited.count("\r\n") or newline == "\n"


@pytest.mark.parametrize("comment", ["# salt", "# e", "# c", "# d", "# the end", "# yes"])
def test_no_comment_is_lost(comment: str) -> None:
    (text,) = [text for text in ODD.values() if f"{comment}\n" in text]
    assert comment in with_pins("f", text, PINS)


@pytest.mark.parametrize(
    "text",
    [
        "a: &a\n  berth:lab: true\nconfig: *a\n",
        "config:\n  berth:pins: &p {from: x}\n  berth:b: *p\n",
        "a: &a {berth:pins: {x: 1}}\nconfig:\n  <<: *a\n  berth:lab: true\n",
    ],
    ids=["config is an alias", "others refer to the pins", "pins come by a merge"],
)
def test_a_file_with_pins_woven_into_something_else_is_refused_or_right(text: str) -> None:
    try:
        edited = with_pins("Pulumi.prod.yaml", text, PINS)
    except BerthError as refused:
        assert "Pulumi.prod.yaml" in str(refused)
        return
    before, after = parsed(text), parsed(edited)
    assert after["config"].pop("berth:pins") == PINS
    before["config"].pop("berth:pins", None)
    assert after == before


@pytest.mark.parametrize("text", ["", "config:\n", "config: []\n", "encryptionsalt: x\n"])
def test_a_file_without_settings_is_refused(text: str) -> None:
    with pytest.raises(BerthError, match="no settings under"):
        with_pins("Pulumi.prod.yaml", text, PINS)
