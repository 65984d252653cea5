"""What changed is asked for by GitLab's clock, whatever the clock of Fester's host says."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from bridge.model.scrape import Coverage
from tests.fakes import fresh
from tests.passes.town import town
from tests.store.test_store import opened

pytestmark = pytest.mark.real


@pytest.mark.parametrize("hours", [3, -3])
async def test_a_host_whose_clock_is_off_sees_what_changes(tmp_path: Path, hours: int) -> None:
    """No hook tells of it, and the next full sweep is hours away."""
    async with opened(fresh(tmp_path)) as store, town(tmp_path / "out", store, 8) as it:
        it.off = timedelta(hours=hours)
        await it.sweep()
        it.time.now += 2 * 3600.0
        await it.due()
        for number in (7, 14):
            it.time.now += 600.0
            it.commit(number)
            done = await it.due()
            assert done.report.kind == Coverage.CHANGES.value
            assert it.published()[number] == it.gives()[number]


async def test_one_that_is_right_after_one_that_was_off_misses_nothing(tmp_path: Path) -> None:
    async with opened(fresh(tmp_path)) as store, town(tmp_path / "out", store, 8) as it:
        for hours in (3, 0, -3, 0):
            it.restart()
            it.off = timedelta(hours=hours)
            it.time.now += 600.0
            it.commit(7)
            await it.due()
            assert it.published()[7] == it.gives()[7]
