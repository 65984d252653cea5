"""Scores on the entities that are published: annotations, and a link to the scorecard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import quote

from bridge.model.entities import Body, CatalogEntity, Json
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


def _scored(entity: CatalogEntity, score: Score | None, url: str) -> CatalogEntity:
    if score is None:
        return entity
    metadata: Mapping[str, Json] = entity.body["metadata"]
    known = score.sufficient and score.value is not None
    said = {SCORE: f"{score.value:.0f}" if known else "insufficient data"}
    if score.level:
        said[LEVEL] = score.level
    changed = {**metadata, "annotations": {**(metadata.get("annotations") or {}), **said}}
    if url:
        link = {"url": scorecard_url(url, str(entity.ref)), "title": "Scorecard", "type": "ox"}
        changed["links"] = [*(metadata.get("links") or []), link]
    body: Body = {**entity.body, "metadata": changed}
    return replace(entity, body=body)


def scorecard_url(url: str, ref: str) -> str:
    """Where the scorecard of an entity is, below Fester's own address."""
    return f"{url.rstrip('/')}/scores/entity/{quote(ref, safe='/:')}"
