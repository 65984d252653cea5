"""The scoreboard: every score and roll-up of one moment. Pure: no clock, order-independent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

from bridge.model.entities import CatalogEntity, Ref
from bridge.model.facts import Reading
from bridge.model.problems import Problem
from bridge.model.scores import Score, Scoreboard, Waiver, tier_of
from bridge.ox.scores.rollups import rollups
from bridge.ox.scores.rubric import LoadedRubric
from bridge.ox.scores.scoring import fresh_until, judge, scored, sight
from bridge.ox.scores.waivers import Waivers, waiver_notes, waiver_strangers

NO_WAIVERS: Final[Mapping[Ref, Sequence[Waiver]]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _Judged:
    """A score, what it was made of, and from when until when it would come out the same."""

    entity: CatalogEntity
    readings: Mapping[str, Reading]
    given: Sequence[Waiver]
    since: datetime
    until: datetime
    score: Score
    problems: tuple[Problem, ...]

    def holds(
        self,
        entity: CatalogEntity,
        readings: Mapping[str, Reading],
        given: Sequence[Waiver],
        now: datetime,
    ) -> bool:
        """Whether it would come out the same."""
        if not self.since <= now <= self.until:
            return False
        mine = (self.entity, self.readings, self.given)
        return mine == (entity, readings, given)


@dataclass(slots=True)
class EarlierScores:
    """What an evaluation may take over from the one before: what would come out the same."""

    by: LoadedRubric | None = None
    judged: Mapping[Ref, _Judged] = field(default_factory=dict)

    def under(self, loaded: LoadedRubric) -> Mapping[Ref, _Judged]:
        """What was found by this very rubric."""
        return self.judged if self.by is loaded else {}

    def keep(self, loaded: LoadedRubric, judged: Mapping[Ref, _Judged]) -> None:
        """Take what was found for the next evaluation."""
        self.by, self.judged = loaded, judged


def evaluate(
    loaded: LoadedRubric,
    entities: Iterable[CatalogEntity],
    readings: Mapping[Ref, Mapping[str, Reading]],
    now: datetime,
    given: Mapping[Ref, Sequence[Waiver]] = NO_WAIVERS,
    *,
    earlier: EarlierScores | None = None,
) -> Scoreboard:
    """The board at `now`. `readings` are the latest, by entity and retriever; `given` are waivers
    from elsewhere than the rubric and the manifests.

    A score has the results of the checks for its kind; without any there is no score. With
    `earlier` only those are judged of whom something changed; it is left as this evaluation found
    it. The board is the same without.
    """
    kinds = {kind for check in loaded.rubric.checks for kind in check.kinds}
    waivers = Waivers(loaded.rubric, now.astimezone(UTC).date())
    every = sorted(entities, key=lambda entity: entity.ref)
    before = earlier.under(loaded) if earlier is not None else {}
    judged: dict[Ref, _Judged] = {}
    for entity in every:
        if entity.ref.kind not in kinds:
            continue
        known, more = readings.get(entity.ref, {}), given.get(entity.ref, ())
        old = before.get(entity.ref)
        if old is not None and old.holds(entity, known, more, now):
            score = replace(old.score, at=now)
            judged[entity.ref] = replace(old, since=now, score=score)
        else:
            judged[entity.ref] = _judged(loaded, waivers, entity, known, more, now=now)
    if earlier is not None:
        earlier.keep(loaded, judged)
    scores = {ref: each.score for ref, each in judged.items()}
    told = tuple(_told(loaded, every, judged.values(), now))
    return Scoreboard(now, loaded.rubric.version, scores, rollups(every, scores), told)


def _told(
    loaded: LoadedRubric,
    entities: Sequence[CatalogEntity],
    judged: Iterable[_Judged],
    now: datetime,
) -> Iterator[Problem]:
    """What there is to say of waivers."""
    yield from waiver_notes(loaded.rubric, now.astimezone(UTC).date())
    yield from waiver_strangers(loaded.rubric, [entity.ref for entity in entities])
    for each in judged:
        yield from each.problems


def _judged(
    loaded: LoadedRubric,
    waivers: Waivers,
    entity: CatalogEntity,
    readings: Mapping[str, Reading],
    given: Sequence[Waiver],
    *,
    now: datetime,
) -> _Judged:
    rubric, tier = loaded.rubric, tier_of(entity.body)
    waived, problems = waivers.of(entity, given)
    seen = sight(entity.ref, tier or rubric.untiered, readings, loaded.cadences, now)
    results = [
        judge(loaded.conditions[check.id], check, seen, waived.get(check.id))
        for check in rubric.checks
        if entity.ref.kind in check.kinds
    ]
    score = scored(rubric, entity.ref, tier, results, now)
    tomorrow = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    tomorrow += timedelta(days=1) - timedelta(microseconds=1)  # a waiver may end with the day
    until = min(tomorrow, fresh_until(readings, loaded.cadences, now))
    return _Judged(entity, readings, given, now, until, score, tuple(problems))
