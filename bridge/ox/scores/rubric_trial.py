"""A changed rubric tried on what is known now, before it is in force. Pure, and writes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from bridge.model.entities import CatalogEntity, Ref
from bridge.model.facts import Reading
from bridge.model.rubric_trials import RubricTrial, trial_of
from bridge.model.scores import Waiver
from bridge.ox.scores.rubric import LoadedRubric
from bridge.ox.scores.scoreboard import NO_WAIVERS, evaluate


def try_rubric(
    force: LoadedRubric,
    other: LoadedRubric,
    *,
    entities: Iterable[CatalogEntity],
    readings: Mapping[Ref, Mapping[str, Reading]],
    now: datetime,
    given: Mapping[Ref, Sequence[Waiver]] = NO_WAIVERS,
) -> RubricTrial:
    """What `other` would move against the rubric in `force`; the arguments are `evaluate`'s.

    Both are evaluated at `now`: what time alone changed since the last scoring is no move.
    """
    every = tuple(entities)
    before = evaluate(force, every, readings, now, given)
    after = evaluate(other, every, readings, now, given)
    return trial_of(other.rubric.source, before, after)
