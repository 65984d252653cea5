"""Initiatives: checks that should pass for some services until a day, and how far that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from bridge.model.entities import Json, Ref
from bridge.model.scores import CheckState

PACE_OVER: Final = 28  # days that tell how fast it goes


@dataclass(frozen=True, slots=True)
class Initiative:
    """One goal. `tiers`, `systems` and `teams` narrow down whom it concerns; empty: everybody.

    `where` is an expression that does the same, as it stands in the file.
    """

    id: str
    title: str
    owner: str
    checks: tuple[str, ...]
    starts: date
    due: date
    description: str = ""
    tiers: frozenset[int] = frozenset()
    systems: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()
    where: str = ""


@dataclass(frozen=True, slots=True)
class OpenService:
    """A service that is not done: the checks that fail, and those of which nobody knows."""

    entity: Ref
    failing: tuple[str, ...]
    unknown: tuple[str, ...]

    def as_json(self) -> dict[str, Json]:
        """The service with documented keys."""
        return {
            "entityRef": str(self.entity),
            "failing": list(self.failing),
            "unknown": list(self.unknown),
        }


class InitiativeState(StrEnum):
    """Where an initiative is in its time."""

    TO_COME = "to come"
    RUNNING = "running"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an initiative is on `day`: today, or for one that has ended the day it was due.

    `burn_down` tells how many services were open at the end of some days, oldest first.
    """

    initiative: Initiative
    day: date
    today: date
    concerned: int
    open: tuple[OpenService, ...]
    burn_down: tuple[tuple[date, int], ...] = ()

    @property
    def state(self) -> InitiativeState:
        """Where today lies."""
        if self.today < self.initiative.starts:
            return InitiativeState.TO_COME
        ended = self.today > self.initiative.due
        return InitiativeState.ENDED if ended else InitiativeState.RUNNING

    @property
    def done(self) -> int:
        """How many services are done."""
        return self.concerned - len(self.open)

    @property
    def expected(self) -> date | None:
        """When it is done at the pace of the last four weeks; None when it stands still."""
        if not self.open:
            return self.day
        since = self.day - timedelta(days=PACE_OVER)
        earlier = [(day, count) for day, count in self.burn_down if since <= day < self.day]
        if not earlier:
            return None
        start, count = earlier[0]
        closed = count - len(self.open)
        if closed <= 0:
            return None
        days = (self.day - start).days * len(self.open) / closed
        return self.day + timedelta(days=min(round(days), 3_650))

    @property
    def at_risk(self) -> bool:
        """Whether it runs, is not done, and will not be done in time at this pace."""
        if self.state is not InitiativeState.RUNNING or not self.open:
            return False
        return self.expected is None or self.expected > self.initiative.due

    def as_json(self) -> dict[str, Json]:
        """The progress with documented keys."""
        goal = self.initiative
        return {
            "id": goal.id,
            "title": goal.title,
            "description": goal.description,
            "owner": goal.owner,
            "checks": list(goal.checks),
            "starts": goal.starts.isoformat(),
            "due": goal.due.isoformat(),
            "state": self.state.value,
            "asOf": self.day.isoformat(),
            "services": self.concerned,
            "done": self.done,
            "atRisk": self.at_risk,
            "expected": self.expected.isoformat() if self.expected else None,
            "burnDown": [{"day": day.isoformat(), "open": n} for day, n in self.burn_down],
            "open": [each.as_json() for each in self.open],
        }


def open_service(
    entity: Ref, checks: tuple[str, ...], states: Mapping[str, CheckState]
) -> OpenService | None:
    """What keeps a service from being done; None when nothing does.

    What is waived or does not apply keeps nobody.
    """
    failing = tuple(check for check in checks if states.get(check) is CheckState.FAIL)
    unsure = (CheckState.UNKNOWN, CheckState.STALE)
    unknown = tuple(check for check in checks if states.get(check) in unsure)
    return OpenService(entity, failing, unknown) if failing or unknown else None
