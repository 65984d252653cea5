"""How collectors are doing, told from the facts that they gave: for metrics and `fester doctor`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from bridge.model.facts import FactBoard, FactSchema, Reading, Standing

# A reason is a sentence for a person and may name anything; a metric's label must be one of few.
_CAUSES: Final = (
    ("role", re.compile(r"\brole\b")),
    ("licence", re.compile(r"licen[cs]e|Premium|Ultimate|Community")),
    ("rate-limit", re.compile(r"\b429\b|rate limit|asks to wait")),
    ("token", re.compile(r"refuses the token|\b40[13]\b|token")),
    ("no-answer", re.compile(r"did not answer|in time|did not end|timed? ?out", re.IGNORECASE)),
    ("collector", re.compile(r"the collector")),
    ("not-pushed", re.compile(r"pushed")),
    ("answer", re.compile(r"\b[45]\d\d\b|answered|gave|does not tell|too old")),
)


def cause(reason: str) -> str:
    """The class of a reason: role, licence, rate-limit, token, no-answer, …, or other."""
    return next((name for name, pattern in _CAUSES if pattern.search(reason)), "other")


@dataclass(slots=True)
class CollectorHealth:
    """What one retriever's latest readings say. `facts` counts by standing and cause of it.

    `newest` is when the latest reading was made, None without any; `unknown` are the reasons of
    unknown facts as they stand, with how many facts each holds back.
    """

    schema: FactSchema
    newest: datetime | None = None
    entities: int = 0
    facts: Counter[tuple[str, str]] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)

    @property
    def share_unknown(self) -> float:
        """The share (0-1) of facts that should be known and are not."""
        unknown = self.unknown.total()
        known = self.facts[Standing.KNOWN.value, ""]
        return unknown / (unknown + known) if unknown else 0.0

    def take(self, reading: Reading) -> None:
        """Count one entity's latest reading."""
        self.entities += 1
        self.newest = max(self.newest or reading.seen_at, reading.seen_at)
        for fact in reading.facts:
            self.facts[fact.standing.value, cause(fact.reason) if fact.reason else ""] += 1
            if fact.standing is Standing.UNKNOWN:
                self.unknown[fact.reason] += 1


def collectors_health(board: FactBoard) -> Mapping[str, CollectorHealth]:
    """Every retriever of the board, by its id."""
    found = {schema.id: CollectorHealth(schema) for schema in board.schemas}
    for readings in board.latest.values():
        for name, reading in readings.items():
            if name in found:
                found[name].take(reading)
    return found
