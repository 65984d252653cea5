"""What a changed rubric would move, told by two boards of the same facts at the same moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bridge.model.entities import Json, Ref
from bridge.model.scores import Rollup, RollupKind, Score, Scoreboard

INSUFFICIENT = "insufficient data"


@dataclass(frozen=True, slots=True)
class ServiceMove:
    """A service that would stand differently; None where it has no score under that rubric."""

    entity: Ref
    before: Score | None
    after: Score | None

    @property
    def points(self) -> float:
        """By how much its shown score moves; 0 where one of both is not shown."""
        was, will = shown(self.before), shown(self.after)
        return will - was if was is not None and will is not None else 0.0

    def as_json(self) -> dict[str, Json]:
        """The move with documented keys."""
        return {
            "entityRef": str(self.entity),
            "before": _stand(self.before),
            "after": _stand(self.after),
        }


@dataclass(frozen=True, slots=True)
class TeamMove:
    """A team whose mean or whose services on target would change."""

    team: str
    before: Rollup | None
    after: Rollup | None

    def as_json(self) -> dict[str, Json]:
        """The move with documented keys."""
        return {"team": self.team, "before": _mean(self.before), "after": _mean(self.after)}


@dataclass(frozen=True, slots=True)
class RubricTrial:
    """Scores by the rubric in force and by another one. `source` is the other one's file."""

    source: str
    before: Scoreboard
    after: Scoreboard
    services: tuple[ServiceMove, ...]
    teams: tuple[TeamMove, ...]

    @property
    def levels(self) -> Mapping[tuple[str, str], int]:
        """How many services go from which level to which other one."""
        moved = ((level_of(each.before), level_of(each.after)) for each in self.services)
        return Counter(pair for pair in moved if pair[0] != pair[1])

    @property
    def counts(self) -> Mapping[str, int]:
        """How many services would move, by what moves."""
        pairs = [(each.before, each.after) for each in self.services]
        targets = [(on_target(was), on_target(will)) for was, will in pairs]
        known = [(shown(was) is not None, shown(will) is not None) for was, will in pairs]
        return {
            "scored": len(self.after.scores),
            "moved": len(self.services),
            "higher": sum(each.points > 0 for each in self.services),
            "lower": sum(each.points < 0 for each in self.services),
            "to_target": sum(not was and will for was, will in targets),
            "off_target": sum(was and not will for was, will in targets),
            "to_known": sum(not was and will for was, will in known),
            "to_insufficient": sum(was and not will for was, will in known),
        }

    def as_json(self) -> dict[str, Json]:
        """The trial with documented keys."""
        return {
            "at": self.after.at.isoformat(),
            "rubric": self.before.rubric,
            "next": self.after.rubric,
            "source": self.source,
            "counts": dict(self.counts),
            "levels": [
                {"from": was, "to": will, "services": count}
                for (was, will), count in sorted(self.levels.items())
            ],
            "teams": [each.as_json() for each in self.teams],
            "services": [each.as_json() for each in self.services],
        }


def trial_of(source: str, before: Scoreboard, after: Scoreboard) -> RubricTrial:
    """Compare two boards: what falls most first."""
    services = sorted(_services(before, after), key=lambda each: (each.points, each.entity))
    return RubricTrial(source, before, after, tuple(services), tuple(_teams(before, after)))


def shown(score: Score | None) -> float | None:
    """A score as it is shown: a tenth is its finest step, and without enough data there is none."""
    if score is None or not score.sufficient or score.value is None:
        return None
    return round(score.value, 1)


def level_of(score: Score | None) -> str:
    """A service's level, or why it has none."""
    if score is None:
        return "not scored"
    return score.level or INSUFFICIENT


def on_target(score: Score | None) -> bool:
    """Whether the target is reached for sure."""
    return score is not None and score.on_target is True


def _services(before: Scoreboard, after: Scoreboard) -> Iterator[ServiceMove]:
    for ref in before.scores.keys() | after.scores.keys():
        was, will = before.scores.get(ref), after.scores.get(ref)
        if _stand(was) != _stand(will):
            yield ServiceMove(ref, was, will)


def _teams(before: Scoreboard, after: Scoreboard) -> Iterator[TeamMove]:
    was = {each.name: each for each in before.rollups if each.kind is RollupKind.TEAM}
    will = {each.name: each for each in after.rollups if each.kind is RollupKind.TEAM}
    for team in sorted(was.keys() | will.keys()):
        if _mean(was.get(team)) != _mean(will.get(team)):
            yield TeamMove(team, was.get(team), will.get(team))


def _stand(score: Score | None) -> Json:
    if score is None:
        return None
    return {
        "score": shown(score),
        "level": score.level or None,
        "target": score.target,
        "onTarget": score.on_target,
        "gatesFailed": sorted(score.gates_failed),
    }


def _mean(rollup: Rollup | None) -> Json:
    if rollup is None:
        return None
    return {
        "score": None if rollup.value is None else round(rollup.value, 1),
        "services": rollup.services,
        "unknown": rollup.unknown,
        "belowTarget": rollup.below_target,
    }
