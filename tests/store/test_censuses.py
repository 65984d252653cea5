"""The censuses of full passes: one a day, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import text

from bridge.errors import StoreError
from bridge.model.census import Census
from bridge.model.runs import Outcome
from bridge.store import SqlStore, open_store

pytestmark = pytest.mark.store

FIRST = datetime(2026, 3, 1, 6, tzinfo=UTC)
CENSUS = Census(
    FIRST,
    Outcome.INCOMPLETE,
    61.5,
    40,
    800,
    projects={"seen": 800},
    entities={"Component": 12},
    problems={"error": 2},
    by_rule={"manifest-invalid": {"error": 2}},
    by_team={"": {"error": 1}, "group:default/zürich \ud800": {"error": 1}},
)
GITLAB = "https://gitlab.example.com"


@pytest.fixture
async def store(url: str) -> AsyncIterator[SqlStore]:
    opened = await open_store(url)
    yield opened
    await opened.close()


async def test_the_last_one_of_a_day_counts_and_comes_back_whole(store: SqlStore) -> None:
    kept = store.censuses
    assert await kept.last(GITLAB) is None
    assert await kept.since(GITLAB, date.min) == []
    oldest = date(2026, 1, 1)
    later = replace(CENSUS, at=FIRST + timedelta(hours=6), requests=41)
    for each in (CENSUS, later, replace(CENSUS, at=FIRST + timedelta(days=2))):
        await kept.keep(GITLAB, each, oldest)
    found = await kept.since(GITLAB, FIRST.date())
    assert found == [later, replace(CENSUS, at=FIRST + timedelta(days=2))]
    assert await kept.since(GITLAB, date(2026, 3, 2)) == found[1:]
    assert await kept.last(GITLAB) == found[1]
    assert await kept.last("https://other.example.com") is None


async def test_what_is_old_goes(store: SqlStore) -> None:
    for days in (0, 1, 2):
        at = FIRST + timedelta(days=days)
        await store.censuses.keep(GITLAB, replace(CENSUS, at=at), (at - timedelta(days=1)).date())
    found = await store.censuses.since(GITLAB, date(2000, 1, 1))
    assert [each.at.day for each in found] == [2, 3]


async def test_a_census_that_cannot_be_read_says_which(store: SqlStore) -> None:
    await store.censuses.keep(GITLAB, CENSUS, FIRST.date())
    async with store._writing("break it") as connection:
        await connection.execute(text("UPDATE fester_censuses SET body = :b"), {"b": b"no"})
    with pytest.raises(StoreError, match="census of 2026-03-01"):
        await store.censuses.last(GITLAB)
