"""What a schema promises, held against what was given: nothing odd gets past here.

Collectors of others and people who push facts are strangers: values are bounded, and a value of
another type is an unknown fact with that reason.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from bridge.model.entities import Json, Ref
from bridge.model.facts import Fact, FactSchema, FactType, Reading, Standing

TEXT_LIMIT: Final = 10_000  # characters
SET_LIMIT: Final = 1_000  # items
OBJECT_LIMIT: Final = 20_000  # characters of JSON
REASON_LIMIT: Final = 500
AHEAD: Final = timedelta(minutes=5)  # how far another clock may be ahead


def fault(kind: FactType, value: Json) -> str:
    """Why a value is none of that type, as a sentence part; "" when it is one."""
    return _FAULTS[kind](value)


def _integer(value: Json) -> str:
    if type(value) is not int:
        return "expected a whole number"
    return "" if abs(value) < 2**63 else "too large"


def _float(value: Json) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "expected a number"
    return "" if math.isfinite(value) else "expected a finite number"


def _string(value: Json) -> str:
    if not isinstance(value, str):
        return "expected a text"
    return "" if len(value) <= TEXT_LIMIT else f"longer than {TEXT_LIMIT} characters"


def _boolean(value: Json) -> str:
    return "" if isinstance(value, bool) else "expected true or false"


def _datetime(value: Json) -> str:
    try:
        aware = datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        aware = False
    return "" if aware else "expected a date-time such as 2026-05-04T12:00:00Z"


def _set(value: Json) -> str:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return "expected a list of texts"
    if len(value) > SET_LIMIT or any(len(item) > TEXT_LIMIT for item in value):
        return f"more than {SET_LIMIT} texts, or one longer than {TEXT_LIMIT} characters"
    return "" if len(set(value)) == len(value) else "a text is there twice"


def _object(value: Json) -> str:
    if not isinstance(value, Mapping):
        return "expected an object"
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return "expected an object that JSON can hold"
    return "" if len(text) <= OBJECT_LIMIT else f"longer than {OBJECT_LIMIT} characters of JSON"


_FAULTS: Final[Mapping[FactType, Callable[[Json], str]]] = {
    FactType.INTEGER: _integer,
    FactType.FLOAT: _float,
    FactType.STRING: _string,
    FactType.BOOLEAN: _boolean,
    FactType.DATETIME: _datetime,
    FactType.SET: _set,
    FactType.OBJECT: _object,
}


def conforming(schema: FactSchema, reading: Reading, now: datetime) -> Reading | None:
    """The reading as the schema promises it: its facts, in its order, each known or with a reason.

    None when it is no reading by this collector, or not of a moment up to now.
    """
    moment = reading.seen_at
    if reading.retriever != schema.id or moment.tzinfo is None or moment > now + AHEAD:
        return None
    given = {fact.name: fact for fact in reading.facts}
    facts = []
    for definition in schema.facts:
        fact = given.get(definition.name)
        if fact is None or fact.seen_at.tzinfo is None:
            reason = "the collector did not tell it" if fact is None else "seen at no moment"
            fact = Fact(definition.name, None, moment, schema.id, Standing.UNKNOWN, reason)
        elif fact.standing is not Standing.KNOWN:
            fact = replace(fact, value=None, reason=fact.reason[:REASON_LIMIT])
        elif why := fault(definition.type, fact.value):
            reason = f"the collector gave something else: {why}"
            fact = replace(fact, value=None, standing=Standing.UNKNOWN, reason=reason)
        facts.append(fact)
    return Reading(reading.entity, schema.id, schema.version, moment, tuple(facts))


def entity_of(text: Json) -> Ref | None:
    """A whole reference, kind included; None for anything else."""
    try:
        return Ref.parse(text) if isinstance(text, str) and len(text) <= 600 else None
    except ValueError:
        return None
