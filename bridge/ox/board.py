"""The scoreboard: every score and roll-up of one moment. Pure: no clock, order-independent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from bridge.model.entities import Body, CatalogEntity, Ref
from bridge.model.facts import Reading
from bridge.model.problems import Problem
from bridge.model.scores import Score, Scoreboard, Waiver
from bridge.ox.rollups import rollups
from bridge.ox.rubric import LoadedRubric
from bridge.ox.scoring import judge, scored, sight
from bridge.ox.waivers import waivers_of

TIER: Final = "fester.dev/tier"
NONE: Final[Mapping[Ref, Sequence[Waiver]]] = MappingProxyType({})
_TIER: Final = re.compile(r"tier_([1-4])")


def tier_of(body: Body) -> int | None:
    """The tier that an entity names; None when it names none."""
    labels = body["metadata"].get("labels") or {}
    found = _TIER.fullmatch(str(labels.get(TIER)))
    return int(found[1]) if found else None


def evaluate(
    loaded: LoadedRubric,
    entities: Iterable[CatalogEntity],
    readings: Mapping[Ref, Mapping[str, Reading]],
    now: datetime,
    given: Mapping[Ref, Sequence[Waiver]] = NONE,
) -> Scoreboard:
    """The board at `now`. `readings` are the latest, by entity and retriever; `given` are waivers
    from elsewhere than the rubric and the manifests.

    Entities of kinds that no check is for have no score.
    """
    kinds = {kind for check in loaded.rubric.checks for kind in check.kinds}
    every = sorted(entities, key=lambda entity: entity.ref)
    scores: dict[Ref, Score] = {}
    problems: list[Problem] = []
    for entity in every:
        if entity.ref.kind in kinds:
            latest, more = readings.get(entity.ref, {}), given.get(entity.ref, ())
            score, found = _score(loaded, entity, latest, now, more)
            scores[entity.ref] = score
            problems += found
    return Scoreboard(now, loaded.rubric.version, scores, rollups(every, scores), tuple(problems))


def _score(
    loaded: LoadedRubric,
    entity: CatalogEntity,
    readings: Mapping[str, Reading],
    now: datetime,
    given: Sequence[Waiver],
) -> tuple[Score, list[Problem]]:
    rubric, tier = loaded.rubric, tier_of(entity.body)
    waivers, problems = waivers_of(rubric, entity, now.astimezone(UTC).date(), given)
    seen = sight(entity.ref, tier or rubric.untiered, readings, loaded.cadences, now)
    results = [
        judge(loaded.conditions[check.id], check, seen, waivers.get(check.id))
        for check in rubric.checks
    ]
    return scored(rubric, entity.ref, tier, results, now), problems
