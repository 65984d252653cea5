"""Facts from strangers: all of a push is right, or none of it is recorded."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import FactsRefused
from bridge.ox.facts.pushing import pushed
from tests.ox.books import SHAPE, SPEED, book, ref
from tests.ox.subjects import NOW, fact, told

ENTITIES = frozenset({ref("api")})


def push(*readings: Any, retriever: Any = "shape") -> Any:
    return {"retriever": retriever, "readings": list(readings)}


def one(**more: Any) -> dict[str, Any]:
    return {"entity": "component:default/API", "facts": {"tested": True}} | more


def test_a_push_says_what_it_knows_and_the_rest_is_unknown() -> None:
    at = (NOW - timedelta(hours=1)).isoformat()
    body = push(one(timestamp=at, source="https://ci/1", unknown={"lines": "it broke off"}))
    (reading,) = pushed(body, (SHAPE, SPEED), ENTITIES, NOW)
    assert (reading.entity, reading.retriever, reading.version) == (ref("api"), "shape", "1.0.0")
    assert reading.seen_at == NOW - timedelta(hours=1)
    assert told(reading, "tested") is True
    assert fact(reading, "tested").source == "https://ci/1"
    assert fact(reading, "lines").reason == "it broke off"
    assert fact(reading, "words").reason == "it was not pushed"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "expected"),
        ({"retriever": "shape"}, "expected"),
        (push(one(), retriever="manifest"), "takes no pushed facts; registered are shape, speed"),
        (push(*[one()] * 1001), "at most 1000"),
        (push("x"), "readings[0]: expected an object"),
        (push(one(), one(entity="component:default/other")), "readings[1].entity"),
        (push(one(entity="api")), "component:default/api"),
        (push(one(entity=["x"])), "readings[0].entity"),
        (push(one(timestamp="yesterday")), "readings[0].timestamp"),
        (push(one(timestamp="2026-05-04T12:00:00")), "with a zone"),
        (push(one(timestamp="2099-01-01T00:00:00Z")), "none in the future"),
        (push(one(timestamp="1999-12-31T23:59:59Z")), "none before 2000"),
        (push(one(timestamp="0001-01-01T00:00:00+23:59")), "none before 2000"),
        (push(one(timestamp="9999-12-31T23:59:59-23:59")), "none in the future"),
        (push(one(source=7)), "readings[0].source"),
        (push(one(facts=[])), "are objects"),
        (push(one(facts={"testd": True})), "'testd' is no fact of 'shape'"),
        (push(one(facts={"tested": "yes"})), "facts.tested: expected true or false"),
        (push(one(facts={"lines": 1.5})), "facts.lines: expected a whole number"),
        (push(one(facts={"words": ["a", "a"]})), "facts.words: a text is there twice"),
        (push(one(unknown={"tested": "why"})), "in `unknown` too"),
        (push(one(unknown={"lines": ""})), "unknown.lines: expected the reason"),
        (
            push(
                {"entity": "component:default/api", "facts": {"p99_ms": 1e999}}, retriever="speed"
            ),
            "expected a finite number",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(body: Any, said: str) -> None:
    with pytest.raises(FactsRefused) as caught:
        pushed(body, (SHAPE, SPEED), ENTITIES, NOW)
    assert said in str(caught.value)


def test_every_problem_is_told_up_to_a_bound() -> None:
    with pytest.raises(FactsRefused) as caught:
        pushed(push(*[one(source=1)] * 30), (SHAPE,), ENTITIES, NOW)
    assert len(caught.value.problems) == 21
    assert caught.value.problems[-1] == "and 10 more"


trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(
            st.sampled_from(["entity", "facts", "tested", "timestamp", "unknown", "lines"]), below
        )
    ),
    max_leaves=8,
)


@given(trees)
def test_whatever_is_pushed_is_recorded_whole_or_refused(tree: Any) -> None:
    """A law: a stranger's body never crashes, and never gives a part of a reading."""
    for body in (tree, push(tree), push(one(facts=tree)), push(one(unknown=tree))):
        try:
            readings = pushed(body, (SHAPE,), ENTITIES, NOW)
        except FactsRefused:
            continue
        assert all(len(reading.facts) == len(SHAPE.facts) for reading in readings)


@pytest.mark.store
async def test_what_was_pushed_is_the_latest_and_is_history(tmp_path: Path) -> None:
    async with book(tmp_path, "api") as it:
        assert await it.push(push(one())) == 1
        assert told(it.board.latest[ref("api")]["shape"], "tested") is True
        with pytest.raises(FactsRefused):
            await it.push(push(one(facts={"tested": False}), one(entity="x")))
        assert told(it.board.latest[ref("api")]["shape"], "tested") is True
        assert len(await it.between(ref("api"), ["shape"], NOW, NOW)) == 1
