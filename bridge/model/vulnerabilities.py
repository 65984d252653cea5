"""Open vulnerabilities by severity and age: what a scanner's facts hold, and a report adds up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from bridge.model.entities import Json

RETRIEVER: Final = "snyk"
BY_AGE: Final = "issues_by_age"
SEVERITIES: Final = ("critical", "high", "medium", "low")
# Names of ages, and below how many days each is; the last has no end.
AGES: Final[Mapping[str, int]] = {"week": 7, "month": 30, "quarter": 90, "older": 0}


def age_of(since: datetime, now: datetime) -> str:
    """The name of an age."""
    days = (now - since).days
    return next((name for name, end in AGES.items() if days < end), "older")


def counts_of(value: Json, severity: str) -> dict[str, int]:
    """How many of a severity there are of each age, as a fact says; 0 where it says nothing."""
    row = value.get(severity) if isinstance(value, Mapping) else None
    given = row if isinstance(row, Mapping) else {}
    found = {age: given.get(age) for age in AGES}
    return {age: n if type(n) is int and n > 0 else 0 for age, n in found.items()}
