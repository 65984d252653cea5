"""Readings as lines of what changed: nothing is lost, and what did not change costs nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.entities import Ref
from bridge.model.facts import Fact, Reading, Standing
from bridge.store import fact_log
from bridge.store.codec import Undecodable

REF = Ref("component", "default", "api")
START = datetime(2026, 1, 1, tzinfo=UTC)

values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 2**60) | st.floats(-1, 1) | st.text(max_size=4),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(st.text(max_size=2), below),
    max_leaves=4,
)


@st.composite
def readings(draw: st.DrawFn) -> list[Reading]:
    found = []
    for n in range(draw(st.integers(1, 5))):
        at = START + timedelta(hours=n)
        facts = []
        for name in draw(st.lists(st.sampled_from("abc"), unique=True)):
            standing = draw(st.sampled_from(Standing))
            known = standing is Standing.KNOWN
            facts.append(
                Fact(
                    name,
                    draw(values) if known else None,
                    at - timedelta(seconds=draw(st.integers(0, 1))),
                    draw(st.sampled_from(["here", "there"])),
                    standing,
                    "" if known else draw(st.text(max_size=4)),
                )
            )
        version = draw(st.sampled_from(["1.0.0", "1.1.0"]))
        found.append(Reading(REF, "manifest", version, at, tuple(facts)))
    return found


def by_name(reading: Reading) -> Reading:
    facts = tuple(sorted(reading.facts, key=lambda fact: fact.name))
    return Reading(reading.entity, reading.retriever, reading.version, reading.seen_at, facts)


@given(readings())
def test_what_was_written_is_read_again(written: list[Reading]) -> None:
    """A law. A reading without facts has no source to keep, and needs none."""
    text = fact_log.lines([fact_log.state_of(reading) for reading in written])
    read = [fact_log.reading_of(REF, "manifest", state) for state in fact_log.states(text)]
    assert list(map(by_name, read)) == list(map(by_name, written))


def test_a_fact_that_stays_is_not_written_again() -> None:
    facts = tuple(Fact(n, n, START, "here") for n in "abc")
    later = START + timedelta(days=1)
    moved = (Fact("a", "other", later, "here"), *(Fact(n, n, later, "here") for n in "bc"))
    first = fact_log.state_of(Reading(REF, "m", "1.0.0", START, facts))
    second = fact_log.state_of(Reading(REF, "m", "1.0.0", later, moved))
    assert json.loads(fact_log.line(second, first))[1:] == [{"a": ["other"]}]
    assert first.digest != second.digest
    assert first.digest == fact_log.state_of(Reading(REF, "m", "1.0.0", START, facts)).digest


@pytest.mark.parametrize("text", ["x", "[]", "[1]", "[1,{}]", '[1,{"a":3},"1","s"]', "{}"])
def test_a_line_that_is_none_is_not_guessed_at(text: str) -> None:
    with pytest.raises(Undecodable):
        [fact_log.reading_of(REF, "m", state) for state in fact_log.states(text)]


def test_what_json_cannot_hold_is_refused_before_anything_is_written() -> None:
    for value in (float("nan"), {1, 2}):
        with pytest.raises((TypeError, ValueError)):
            fact_log.state_of(Reading(REF, "m", "1", START, (Fact("a", value, START, "here"),)))
    naive = START.replace(tzinfo=None)
    with pytest.raises(ValueError, match="time zone"):
        fact_log.state_of(Reading(REF, "m", "1", naive, ()))
