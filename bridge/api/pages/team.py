"""What a team's page says besides what every entity's does: services, scores, problems, waivers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

from aiohttp import web

from bridge.answers.knowledge import Knowledge, ref_of, title_of
from bridge.api.keys import CLOCK, SCORES
from bridge.api.memo import OF_BOARD, OF_INDEX
from bridge.api.problems.owned import counted_by_team
from bridge.api.scores.waivers import GivenWaiver, waivers
from bridge.catalog.jsontext import loaded
from bridge.model.entities import Ref
from bridge.model.scores import TIER, Rollup, RollupKind, Score, tier_in, tier_of

MOST: Final = 100  # services
MOST_WAIVERS: Final = 20
_TIER: Final = f"metadata.labels.{TIER}"


@dataclass(frozen=True, slots=True)
class TeamService:
    """A service of the team, and its score if it has one."""

    ref: str
    title: str
    tier: int | None
    score: Score | None


@dataclass(frozen=True, slots=True)
class TeamSheet:
    """`services` are the first of `total`, the most critical first; counts are by severity."""

    services: tuple[TeamService, ...]
    total: int
    rollup: Rollup | None
    problems: Mapping[str, int]
    waivers: tuple[GivenWaiver, ...]
    waived: int  # how many waivers there are


async def team_of(request: web.Request, ref: str, known: Knowledge) -> TeamSheet:
    """All of it, of the group of a reference."""
    index = known.index
    services = await request.app[OF_INDEX].get(
        index, ("services", ref), lambda: _services(ref, known)
    )
    given = await _waivers(request, ref)
    board = request.app[SCORES].board
    return TeamSheet(
        tuple(_service(loaded(index.raws[slot]), known) for slot in services[:MOST]),
        len(services),
        board.rollup(RollupKind.TEAM, ref) if board is not None else None,
        (await counted_by_team(request)).get(ref, {}),
        tuple(given[:MOST_WAIVERS]),
        len(given),
    )


def _services(ref: str, known: Knowledge) -> list[int]:
    """The slots of the team's services, the most critical first, then by title."""
    index = known.index
    flags = index.flags(
        index.equal("kind", ("component",)) & index.equal("relations.ownedby", (ref,))
    )
    titles = {slot: each.rpartition("/")[2] for each, slot in index.slots.items() if flags[slot]}
    titles |= {slot: title for slot, title in index.column("metadata.title") if flags[slot]}
    labels = {slot: label for slot, label in index.column(_TIER) if flags[slot]}
    order = {slot: tier_in(labels.get(slot, "")) or 9 for slot in titles}
    return sorted(titles, key=lambda slot: (order[slot], titles[slot].lower(), slot))


def _service(entity: Mapping[str, Any], known: Knowledge) -> TeamService:
    ref = ref_of(entity)
    score = known.scores.get(Ref.parse(ref))
    return TeamService(ref, title_of(entity), tier_of(entity), score)


async def _waivers(request: web.Request, ref: str) -> list[GivenWaiver]:
    scores = request.app[SCORES]
    board = scores.board
    if board is None:
        return []
    today, rubric = request.app[CLOCK]().astimezone(UTC).date(), scores.rubric
    every = await request.app[OF_BOARD].get(
        board, ("waivers", today), lambda: waivers(board, rubric, today)
    )
    return [each for each in every if each.team == ref]
