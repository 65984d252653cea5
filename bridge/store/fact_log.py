"""One entity's readings by one retriever, as lines of JSON of which each tells only what changed.

A line is `[microseconds, changes, version, source]`; the last two are left out when they are as in
the line before. `changes` has a fact's name → `[value]`, `[value, source]` when it was seen
elsewhere than the others, `[null, source, standing, reason]` when it is not known, a fifth item
(microseconds) when it was not seen with the others, and null for a fact that is no longer given.
A first line tells everything. A fact that never changes therefore costs nothing a day.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from bridge.model.entities import Json, Ref
from bridge.model.facts import Fact, Reading, Standing
from bridge.store.codec import Undecodable
from bridge.store.moments import microseconds, moment_of

_to_json = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class LoggedReading:
    """A reading in the shape that lines are made of."""

    at: int  # microseconds since 1970, UTC
    version: str
    source: str  # where most facts were seen
    facts: dict[str, list[Json]]

    @property
    def digest(self) -> str:
        """The same for readings that differ in their time alone."""
        text = _to_json([self.version, self.source, sorted(self.facts.items())])
        return sha256(text.encode("ascii")).hexdigest()[:32]


def moment(at: int) -> datetime:
    """The moment of a number. Raises `Undecodable`."""
    try:
        return moment_of(at)
    except OverflowError as error:
        raise Undecodable(f"expected microseconds since 1970, got {at}") from error


def state_of(reading: Reading) -> LoggedReading:
    """A reading as a state. Raises TypeError or ValueError for what JSON cannot hold."""
    at = microseconds(reading.seen_at)
    source = reading.facts[0].source if reading.facts else ""
    facts = {fact.name: _items(fact, at, source) for fact in reading.facts}
    return LoggedReading(at, reading.version, source, facts)


def reading_of(entity: Ref, retriever: str, state: LoggedReading) -> Reading:
    """The reading of a state. Raises `Undecodable`."""
    seen_at = moment(state.at)
    facts = tuple(_fact(name, items, seen_at, state) for name, items in state.facts.items())
    return Reading(entity, retriever, state.version, seen_at, facts)


def line(state: LoggedReading, before: LoggedReading | None = None) -> str:
    """A line that tells what `state` changes of the one `before` it."""
    old = before.facts if before else {}
    changes: dict[str, Json] = {
        name: items for name, items in state.facts.items() if old.get(name) != items
    }
    changes |= dict.fromkeys(name for name in old if name not in state.facts)
    if before and (before.version, before.source) == (state.version, state.source):
        return _to_json([state.at, changes])
    return _to_json([state.at, changes, state.version, state.source])


def lines(states: Sequence[LoggedReading]) -> str:
    """All of these, oldest first."""
    befores = [None, *states]
    return "\n".join(line(*pair) for pair in zip(states, befores, strict=False))


def states(text: str) -> Iterator[LoggedReading]:
    """The states of a text of lines, oldest first. Raises `Undecodable`."""
    state: LoggedReading | None = None
    for each in text.splitlines():
        state = _next(state, each)
        yield state


def _next(before: LoggedReading | None, text: str) -> LoggedReading:
    try:
        at, changes, *rest = json.loads(text)
        version, source = rest or (before.version, before.source)  # type: ignore[union-attr]
        facts = {**before.facts} if before else {}
        for name, items in changes.items():
            if items is None:
                facts.pop(name, None)
            else:
                facts[str(name)] = list(items)
        return LoggedReading(int(at), str(version), str(source), facts)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise Undecodable(f"expected a line of facts ({error})") from error


def _items(fact: Fact, at: int, source: str) -> list[Json]:
    elsewhere = "" if fact.source == source else fact.source
    seen = microseconds(fact.seen_at)
    items: list[Json] = [fact.value, elsewhere, fact.standing.value, fact.reason, seen]
    plain: list[Json] = [None, "", Standing.KNOWN.value, "", at]
    while len(items) > 1 and items[-1] == plain[len(items) - 1]:
        items.pop()
    json.dumps(items, allow_nan=False)  # before anything is written: what JSON cannot hold
    return items


def _fact(name: str, items: list[Any], seen_at: datetime, state: LoggedReading) -> Fact:
    value, elsewhere, standing, reason, at = [*items, *_DEFAULTS[len(items) :]]
    try:
        return Fact(
            name,
            value,
            seen_at if at is None else moment(int(at)),
            str(elsewhere) or state.source,
            _STANDINGS[standing],
            str(reason),
        )
    except (ValueError, LookupError, TypeError, OverflowError) as error:
        raise Undecodable(f"expected a fact at {name!r} ({error})") from error


_STANDINGS = {standing.value: standing for standing in Standing}
_DEFAULTS: list[Any] = [None, "", Standing.KNOWN.value, "", None]
