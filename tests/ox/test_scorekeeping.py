"""The scorekeeper: evaluates, saves, shows; replicas follow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from bridge.api.interfaces import CheckBook, Scores
from bridge.errors import StoreError
from bridge.model.entities import Catalog, Ref
from bridge.model.scores import CheckState, RollupKind, Waiver, WaiverPlace
from bridge.ox.scores.publishing import with_score_annotations
from bridge.ox.scores.rubric_in_force import RubricFile
from bridge.ox.scores.scorekeeping import Scorekeeper, WaiverSource, no_waivers
from bridge.store import SqlStore, open_store
from tests.ox.rubrics import NOW, SCHEMA, SMALL, reading, service, small

pytestmark = pytest.mark.store

SOURCE = "https://gitlab.example.com"
API = service("api", tier=4, spec={"owner": "group:default/red"})
GOOD = {API.ref: reading(API, {"readme": True, "protected": True})}
POOR = {API.ref: reading(API, {"readme": False, "protected": True})}


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
async def store() -> AsyncIterator[SqlStore]:
    opened = await open_store("sqlite://")
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def keeper(
    store: SqlStore, folder: Path, clock: Clock, waivers: WaiverSource = no_waivers
) -> Scorekeeper:
    file = RubricFile(folder / "rubric.yaml", [SCHEMA], small(folder))
    return Scorekeeper(SOURCE, file, store.scores(), clock, waivers)


async def test_nothing_is_scored_before_a_catalog_is_known(
    store: SqlStore, tmp_path: Path, clock: Clock
) -> None:
    scores = keeper(store, tmp_path, clock)
    _: Scores = scores
    await scores.load()
    await scores.evaluate(GOOD)
    assert scores.board is None


async def test_a_board_is_shown_survives_and_its_changes_are_told(
    store: SqlStore, tmp_path: Path, clock: Clock
) -> None:
    scores = keeper(store, tmp_path, clock)
    book: CheckBook = scores
    scores.take_catalog(Catalog((API,)))
    assert book.results(API.ref) == ()
    await scores.evaluate(POOR)
    assert [check.id for check in book.checks()] == ["readme", "protected", "approvals"]
    assert [result.state.value for result in book.results(API.ref)][:2] == ["fail", "pass"]
    clock.now += timedelta(days=1)
    await scores.evaluate({API.ref: reading(API, {"readme": True, "protected": True}, at=clock())})
    assert scores.board is not None
    assert scores.board.scores[API.ref].value == 100
    again = keeper(store, tmp_path, clock)
    await again.load()
    assert again.board == scores.board
    start, end = NOW.date(), clock.now.date()
    assert [each.value for each in await again.trend(API.ref, start, end)] == [60, 100]
    team = await again.rollup_trend(RollupKind.TEAM, "group:default/red", start, end)
    assert [each.rollup.value for each in team] == [60, 100]
    (change,) = await again.changes([API.ref], start, end)
    assert [(each.check, each.points) for each in change.checks] == [("readme", 40)]


async def test_a_label_waives_what_fails_and_hides_nothing_that_passes(
    store: SqlStore, tmp_path: Path, clock: Clock
) -> None:
    """Waivers from elsewhere are asked for anew each time that is scored."""
    scores = keeper(store, tmp_path, clock)
    scores.take_catalog(Catalog((API,)))
    given = {
        API.ref: [
            Waiver(check, "the label", NOW.date(), WaiverPlace.ISSUE)
            for check in ("readme", "owner")
        ]
    }

    async def labels() -> dict[Ref, list[Waiver]]:
        return given

    scores = keeper(store, tmp_path, clock, labels)
    scores.take_catalog(Catalog((API,)))
    for facts, state in ((POOR, CheckState.WAIVED), (GOOD, CheckState.PASS)):
        await scores.evaluate(facts)
        assert scores.results(API.ref)[0].state is state
    given.clear()
    await scores.evaluate(POOR)
    assert scores.results(API.ref)[0].state is CheckState.FAIL


async def test_a_replica_takes_over_the_board_that_another_saved(
    store: SqlStore, tmp_path: Path, clock: Clock
) -> None:
    leader, follower = (keeper(store, tmp_path, clock) for _ in range(2))
    looks: asyncio.Queue[float] = asyncio.Queue(1)

    async def sleep(seconds: float) -> None:
        await looks.put(seconds)

    work = asyncio.create_task(follower.follow(sleep))
    leader.take_catalog(Catalog((API,)))
    await leader.evaluate(GOOD)
    for _ in range(4):
        assert await looks.get() > 0
    assert follower.board == leader.board
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work


async def test_a_store_that_fails_keeps_the_board_that_was_shown(
    store: SqlStore, tmp_path: Path, clock: Clock
) -> None:
    scores = keeper(store, tmp_path, clock)
    scores.take_catalog(Catalog((API,)))
    await scores.evaluate(GOOD)
    before = scores.board
    await store.close()
    with pytest.raises(StoreError):
        await scores.evaluate(POOR)
    assert scores.board is before


async def test_the_next_evaluation_takes_a_changed_rubric(
    store: SqlStore, tmp_path: Path, clock: Clock
) -> None:
    scores = keeper(store, tmp_path, clock)
    scores.take_catalog(Catalog((API,)))
    await scores.evaluate(POOR)
    (tmp_path / "rubric.yaml").write_text(SMALL.replace("weight: 2", "weight: 7"), "utf-8")
    clock.now += timedelta(minutes=1)
    await scores.evaluate(POOR)
    assert scores.board is not None
    assert scores.board.scores[API.ref].value == 30
    assert scores.rubric.version == scores.board.rubric


async def test_a_changed_rubric_scores_at_once_and_a_broken_one_changes_nothing(
    store: SqlStore, tmp_path: Path, clock: Clock
) -> None:
    scores = keeper(store, tmp_path, clock)
    await scores.look_at_rubric()  # nothing is scored before the first pass
    scores.take_catalog(Catalog((API,)))
    await scores.evaluate(POOR)
    before = scores.board
    await scores.look_at_rubric()
    assert scores.board is before
    (tmp_path / "rubric.yaml").write_text(SMALL + "cheks: {}\n", "utf-8")
    await scores.look_at_rubric()
    assert scores.board is before
    assert "cheks" in scores.problems[0].message
    (tmp_path / "rubric.yaml").write_text(SMALL.replace("weight: 2", "weight: 7"), "utf-8")
    clock.now += timedelta(minutes=1)
    await scores.look_at_rubric()
    assert scores.board is not None
    assert scores.board.scores[API.ref].value == 30
    assert await store.scores().latest_scores(SOURCE) == scores.board
    assert scores.problems == ()
    scores.take_catalog(None)  # another replica leads: it scores
    (tmp_path / "rubric.yaml").write_text(SMALL, "utf-8")
    await scores.look_at_rubric()
    assert scores.board.scores[API.ref].value == 30


async def test_scores_are_published_as_annotations_and_a_link(
    store: SqlStore, tmp_path: Path, clock: Clock
) -> None:
    scores = keeper(store, tmp_path, clock)
    dark = service("dark", tier=4)
    scores.take_catalog(Catalog((API, dark)))
    assert with_score_annotations(API, None) is API
    await scores.evaluate(POOR)
    shown = partial(with_score_annotations, board=scores.board, url="https://fester.example.com/")
    api, other = (shown(each).body["metadata"] for each in (API, dark))
    assert api["annotations"] == {"fester.dev/ox-score": "60", "fester.dev/ox-level": "silver"}
    assert api["links"] == [
        {
            "url": "https://fester.example.com/scores/entity/component:default/api",
            "title": "Scorecard",
            "type": "ox",
        }
    ]
    assert other["annotations"] == {"fester.dev/ox-score": "insufficient data"}
    assert API.body["metadata"]["annotations"] == {}
