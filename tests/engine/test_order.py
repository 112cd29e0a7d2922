"""The order of resources in the state, which the CLI insists on."""

from __future__ import annotations

from typing import Any

import pytest

from engine import order
from engine.errors import EngineError


def raw(name: str, **fields: Any) -> dict[str, Any]:
    return {"urn": urn(name), "type": fields.pop("type", "fake:index:Thing"), "custom": True, **fields}


def urn(name: str) -> str:
    return f"urn:pulumi:dev::proj::fake:index:Thing::{name}"


def names(resources: list[dict[str, Any]]) -> list[str]:
    return [item["urn"].rpartition("::")[2] + ("-old" if item.get("delete") else "") for item in resources]


def test_everything_stands_after_what_it_needs_and_otherwise_keeps_its_place() -> None:
    provider = raw("provider", type="pulumi:providers:fake", id="1")
    entries = [
        raw("a", dependencies=[urn("d")]),
        raw("b", parent=urn("c")),
        raw("c", provider=f"{urn('provider')}::1"),
        raw("d"),
        raw("e", propertyDependencies={"x": [urn("b")]}, deletedWith=urn("a")),
        provider,
    ]
    ordered = order.sort(entries)
    assert names(ordered) == ["d", "a", "provider", "c", "b", "e"]
    order.validate(ordered)


def test_the_old_half_of_a_replacement_follows_the_new_one() -> None:
    ordered = order.sort([raw("a", delete=True, id="1"), raw("b", dependencies=[urn("a")]), raw("a", id="2")])
    assert names(ordered) == ["a", "a-old", "b"]
    order.validate(ordered)


def test_a_long_chain_needs_no_deep_recursion() -> None:
    entries = [raw(str(n), dependencies=[urn(str(n + 1))]) for n in range(5000)] + [raw("5000")]
    assert names(order.sort(entries))[0] == "5000"


def test_a_cycle_and_an_unknown_provider_are_refused() -> None:
    with pytest.raises(EngineError, match="depends on itself"):
        order.sort([raw("a", dependencies=[urn("b")]), raw("b", dependencies=[urn("a")])])
    with pytest.raises(EngineError, match="refers to a provider"):
        order.sort([raw("a", provider=f"{urn('p')}::1")])


def test_references_to_what_is_gone_are_dropped() -> None:
    entry = raw("a", parent=urn("x"), dependencies=[urn("x"), urn("b")], propertyDependencies={"k": [urn("x")]})
    mended = order.mend([raw("b"), entry])[1]
    assert "parent" not in mended
    assert (mended["dependencies"], mended["propertyDependencies"]) == ([urn("b")], {"k": []})


@pytest.mark.parametrize(
    "entries",
    [[raw("a", dependencies=[urn("b")]), raw("b")], [raw("a"), raw("a")], [{**raw("a", id="1"), "custom": False}]],
)
def test_a_state_that_the_cli_would_refuse_is_never_written(entries: list[dict[str, Any]]) -> None:
    with pytest.raises(EngineError, match="state not written"):
        order.validate(entries)
