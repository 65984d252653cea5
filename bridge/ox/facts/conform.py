"""What a schema promises, held against what was given: nothing odd gets past here.

Collectors of others and people who push facts are strangers: values are bounded, and a value of
another type is an unknown fact with that reason.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from bridge.model.entities import Json, Ref
from bridge.model.fact_values import fault
from bridge.model.facts import Fact, FactSchema, Reading, Standing

REASON_LIMIT: Final = 500
AHEAD: Final = timedelta(minutes=5)  # how far another clock may be ahead
EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)  # nobody saw a fact before


def conform(schema: FactSchema, reading: Reading, now: datetime) -> Reading | None:
    """The reading as the schema promises it: its facts, in its order, each known or with a reason.

    None when it is no reading by this collector, or not of a moment up to now.
    """
    moment = reading.seen_at
    if reading.retriever != schema.id or not sensible(moment, now):
        return None
    given = {fact.name: fact for fact in reading.facts}
    facts = []
    for definition in schema.facts:
        fact = given.get(definition.name)
        if fact is None or not sensible(fact.seen_at, now):
            reason = (
                "the collector did not tell it" if fact is None else "seen at no moment that can be"
            )
            fact = Fact(definition.name, None, moment, schema.id, Standing.UNKNOWN, reason)
        elif fact.standing is not Standing.KNOWN:
            fact = replace(fact, value=None, reason=fact.reason[:REASON_LIMIT])
        elif why := fault(definition.type, fact.value):
            reason = f"the collector gave something else: {why}"
            fact = replace(fact, value=None, standing=Standing.UNKNOWN, reason=reason)
        facts.append(fact)
    return Reading(reading.entity, schema.id, schema.version, moment, tuple(facts))


def sensible(moment: datetime, now: datetime) -> bool:
    """Whether something can have been seen then."""
    return moment.tzinfo is not None and EARLIEST <= moment <= now + AHEAD


def entity_of(text: Json) -> Ref | None:
    """A whole reference, kind included; None for anything else."""
    try:
        return Ref.parse(text) if isinstance(text, str) and len(text) <= 600 else None
    except ValueError:
        return None
