"""Expressions over values that nobody could see."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.language.expressions import compile_expression
from bridge.language.names import Shape
from bridge.language.unknown_values import KnownValues, UnknownValue
from bridge.model.entities import Json

NAMES = ("a", "b", "c")


class Anything:
    """A scope in which `f` is a map of anything."""

    @property
    def names(self) -> dict[str, Shape]:
        return {"f": None}

    def step(self, shape: Shape, key: str) -> Shape:
        return None

    def fault(self, shape: Shape) -> str | None:
        return None

    def incomparable(self, shape: Shape, constant: object) -> str | None:
        return None


def run(source: str, facts: dict[str, Json]) -> Json:
    expression, faults = compile_expression(source, Anything())
    assert faults == []
    return expression.run({"f": KnownValues("f", facts)})


atoms = st.sampled_from([f"f.{name}" for name in NAMES])
expressions = st.recursive(
    atoms | st.sampled_from(["true", "false", "f.a == f.b", "f.a in [true]", "f.c is none"]),
    lambda inner: st.one_of(
        st.builds("not ({})".format, inner),
        st.builds("({}) and ({})".format, inner, inner),
        st.builds("({}) or ({})".format, inner, inner),
        st.builds("({}) if ({}) else ({})".format, inner, inner, inner),
    ),
    max_leaves=6,
)


@given(expressions, st.dictionaries(st.sampled_from(NAMES), st.booleans()))
def test_what_is_decided_holds_whatever_the_unseen_values_are(
    source: str, seen: dict[str, bool]
) -> None:
    hidden = [name for name in NAMES if name not in seen]
    try:
        decided = bool(run(source, seen))
    except UnknownValue as unseen:
        needed = unseen.keys
    else:
        needed = frozenset()
        for values in product([True, False], repeat=len(hidden)):
            assert bool(run(source, {**seen, **dict(zip(hidden, values, strict=True))})) is decided
    assert needed <= {f"f.{name}" for name in hidden}


@pytest.mark.parametrize(
    ("source", "facts", "value"),
    [
        ("f.a and f.b", {"a": False}, False),
        ("f.b and f.a", {"a": False}, False),
        ("f.a or f.b", {"b": True}, True),
        ("1 if f.a else 1", {}, 1),
        ("f.a.deep is none", {"a": None}, True),
    ],
)
def test_the_known_side_decides_where_it_can(
    source: str, facts: dict[str, Json], value: Json
) -> None:
    assert run(source, facts) == value


@pytest.mark.parametrize(
    ("source", "facts", "keys"),
    [
        ("f.a and f.b", {"a": True}, {"f.b"}),
        ("f.a or f.b", {}, {"f.a", "f.b"}),
        ("not f.a", {}, {"f.a"}),
        ("f.a >= 1", {}, {"f.a"}),
        ("f.a.deep == 1", {}, {"f.a"}),
        ("f.a is none", {}, {"f.a"}),
        ("f.a | default(1)", {}, {"f.a"}),
        ("1 if f.a else 2", {}, {"f.a"}),
    ],
)
def test_else_the_result_is_unseen_and_says_what_was_missing(
    source: str, facts: dict[str, Json], keys: set[str]
) -> None:
    with pytest.raises(UnknownValue) as unseen:
        run(source, facts)
    assert unseen.value.keys == keys
