"""Scores on the entities that are published: annotations, and a link to the scorecard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import quote

from bridge.model.entities import Body, CatalogEntity, Json, Ref
from bridge.model.scores import Score, Scoreboard

SCORE: Final = "fester.dev/ox-score"
LEVEL: Final = "fester.dev/ox-level"


def with_score_annotations(
    entity: CatalogEntity, board: Scoreboard | None, url: str = ""
) -> CatalogEntity:
    """An entity with its score on `board`; with `url`, a link to the scorecard under it.

    Scores are whole numbers there, so that a small change publishes nothing anew.
    """
    return entity if board is None else _scored(entity, board.scores.get(entity.ref), url)


def changed_scores(before: Scoreboard | None, now: Scoreboard | None) -> set[Ref]:
    """The entities of which the boards give different annotations."""
    if before is now:
        return set()
    old, new = (board.scores if board is not None else {} for board in (before, now))
    return {
        ref
        for ref in old.keys() | new.keys()
        if _annotations(old.get(ref)) != _annotations(new.get(ref))
    }


def _annotations(score: Score | None) -> dict[str, str]:
    if score is None:
        return {}
    known = score.sufficient and score.value is not None
    said = {SCORE: f"{score.value:.0f}" if known else "insufficient data"}
    return {**said, LEVEL: score.level} if score.level else said


def _scored(entity: CatalogEntity, score: Score | None, url: str) -> CatalogEntity:
    said = _annotations(score)
    if not said:
        return entity
    metadata: Mapping[str, Json] = entity.body["metadata"]
    changed = {**metadata, "annotations": {**(metadata.get("annotations") or {}), **said}}
    if url:
        link = {"url": scorecard_url(url, str(entity.ref)), "title": "Scorecard", "type": "ox"}
        changed["links"] = [*(metadata.get("links") or []), link]
    body: Body = {**entity.body, "metadata": changed}
    return replace(entity, body=body)


def scorecard_url(url: str, ref: str) -> str:
    """Where the scorecard of an entity is, below Fester's own address."""
    return f"{url.rstrip('/')}/scores/entity/{quote(ref, safe='/:')}"
