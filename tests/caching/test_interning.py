"""Equal trees are kept once, and only those that nobody could tell apart."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.caching import interning
from bridge.caching.interning import interned, once_for_each
from bridge.model.entities import Json

trees: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


def test_an_equal_tree_is_the_one_that_was_met_first() -> None:
    first = {"kind": "Group", "metadata": {"name": "cashiers"}}
    assert interned(first) is first
    assert interned({"kind": "Group", "metadata": {"name": "cashiers"}}) is first


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"replicas": 1}, {"replicas": True}),
        ({"replicas": 1}, {"replicas": "1"}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ],
)
def test_what_would_render_differently_is_not_shared(one: Json, other: Json) -> None:
    """To Python `1` and `True` are equal; to a reader of the catalog they are not."""
    interned(one)
    assert interned(other) is other


@given(trees)
def test_whatever_is_shared_says_the_same(tree: Json) -> None:
    """Lone surrogates and huge numbers included."""
    assert json.dumps(interned(tree)) == json.dumps(tree)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A catalog of a million different entities does not fill the memory with digests."""
    monkeypatch.setattr(interning, "_MOST", 10)
    monkeypatch.setattr(interning, "_known", {})
    for number in range(35):
        interned({"number": number})
    assert len(interning._known) <= 10


def test_the_very_same_tree_is_worked_on_once_and_an_equal_one_for_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(interning, "_MOST_MADE", 3)
    met: list[Json] = []

    def number(tree: Json) -> int:
        met.append(tree)
        return len(met)

    count = once_for_each(number)
    one: Json = {"kind": "Group"}
    assert [count(one), count(one), count({"kind": "Group"})] == [1, 1, 2]
    # Trees come and go, and their ids are given to others: none gets what was made of another.
    assert [count({"kind": n}) for n in range(50)] == list(range(3, 53))
