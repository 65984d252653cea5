"""A census is kept after every full pass, and only then."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from bridge.api.live import Live
from bridge.errors import StoreError
from bridge.model.runs import Outcome
from bridge.model.scrape import Coverage
from bridge.store import open_store
from bridge.wiring.census import CensusTaker
from tests.api.test_problems import PROBLEMS, REPORT, serving

pytestmark = pytest.mark.store

SOURCE = "https://gitlab.example.com"


async def test_a_full_pass_is_counted_once_also_when_small_ones_follow() -> None:
    live = Live()
    serving(live, *PROBLEMS)
    store = await open_store("sqlite://")
    try:
        taker = CensusTaker(store.censuses, SOURCE, live)
        await taker.count()
        taker.hear(replace(REPORT, outcome=Outcome.FAILED))
        taker.hear(replace(REPORT, kind=Coverage.CHANGES))
        await taker.count()
        assert await store.censuses.last(SOURCE) is None
        taker.hear(replace(REPORT, problems=()))
        taker.hear(replace(REPORT, kind=Coverage.SELECTED, gitlab_requests=1))
        await taker.count()
        (kept,) = await store.censuses.since(SOURCE, date(2000, 1, 1))
        assert kept.requests == REPORT.gitlab_requests
        assert kept.problems == {"error": 2, "warning": 2, "info": 1}
        live.report = replace(REPORT, problems=())
        await taker.count()
        assert await store.censuses.last(SOURCE) == kept
    finally:
        await store.close()


async def test_a_census_that_could_not_be_kept_is_kept_later() -> None:
    live = Live()
    serving(live, *PROBLEMS)
    store = await open_store("sqlite://")
    taker = CensusTaker(store.censuses, SOURCE, live)
    taker.hear(replace(REPORT, problems=()))
    await store.close()
    with pytest.raises(StoreError):
        await taker.count()
    store = await open_store("sqlite://")
    try:
        taker.censuses = store.censuses
        await taker.count()
        assert await store.censuses.last(SOURCE) is not None
    finally:
        await store.close()
