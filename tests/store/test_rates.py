"""One budget of requests for all processes that ask a GitLab with the same token."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.model.rates import PROBES, LimitAnswer, Rate
from bridge.model.scrape import ProjectRead, ScrapeRequest
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.world import World
from bridge.scrapers import GitLabOptions, GitLabScraper
from bridge.scrapers.gitlab.throttle import Throttle
from bridge.store import open_store
from tests.scrapers.crawling import Time

NOW = 1_800_000_000.0


class SharedTime(Time):
    """Who sleep at once wake at once: each sleeps from when it looked at the clock."""

    def __init__(self) -> None:
        super().__init__()
        self._looked: dict[object, float] = {}

    def clock(self) -> float:
        self._looked[asyncio.current_task()] = self.now
        return self.now

    def moment(self) -> datetime:
        return datetime.fromtimestamp(self.clock(), UTC)

    async def sleep(self, seconds: float) -> None:
        self.now = max(self.now, self._looked[asyncio.current_task()] + seconds)
        await asyncio.sleep(0)


def entered(rate: Rate, times: int = 1, now: float = NOW) -> Rate:
    for _ in range(times):
        rate, pause = rate.entering(now, ahead=False, most=120)
        assert pause == 0
    return rate


def test_while_nothing_is_known_only_a_few_go_out() -> None:
    """However many workers there are: one of them would send as many before the first answer."""
    full = entered(Rate(), PROBES)
    assert full.entering(NOW, ahead=False, most=120)[1] > 0
    answered = full.left(NOW, LimitAnswer(200, remaining=50, reset=NOW + 30))
    used_up = entered(answered, 50 - (PROBES - 1))
    assert used_up.entering(NOW, ahead=True, most=120)[1] == 30


def test_an_answer_that_was_overtaken_gives_nothing_back() -> None:
    """Of six sent at once the first one's answer comes last: it told of more than is left."""
    rate = entered(Rate(), 6)
    for left in (6, 7, 8, 9, 10, 11):
        rate = rate.left(NOW, LimitAnswer(200, remaining=left, reset=NOW + 30, limit=12))
    assert entered(rate, 6).entering(NOW, ahead=True, most=120)[1] == 30


def test_an_answer_of_the_window_before_tells_nothing_of_this_one() -> None:
    """It was asked in the one and came in the other, where GitLab may have counted it."""
    rate = entered(Rate(), 2)
    rate = rate.left(NOW, LimitAnswer(200, remaining=1, reset=NOW + 60, limit=12))
    rate = rate.left(NOW, LimitAnswer(200, remaining=9, reset=NOW, limit=12))
    assert rate.entering(NOW, ahead=True, most=120)[1] == 60


def test_another_counter_that_answers_for_once_is_not_kept_to() -> None:
    """Whose window is longer: what the usual one tells afterwards counts."""
    rate = entered(Rate(), 2)
    rate = rate.left(NOW, LimitAnswer(200, remaining=1, reset=NOW + 600, limit=5))
    rate = rate.left(NOW, LimitAnswer(200, remaining=1999, reset=NOW + 30, limit=2000))
    entered(rate, 100)


def test_a_window_told_by_a_clock_set_wrong_is_not_kept_to() -> None:
    rate = entered(Rate(), 2)
    rate = rate.left(NOW, LimitAnswer(200, remaining=0, reset=NOW + 1e6, limit=12))
    rate = rate.left(NOW, LimitAnswer(200, remaining=9, reset=NOW + 60, limit=12))
    entered(rate, 9)


def test_a_request_that_ended_untold_is_counted() -> None:
    rate = entered(Rate(), 2).left(NOW, LimitAnswer(200, remaining=3, reset=NOW + 60, limit=12))
    rate = entered(rate.left(NOW, LimitAnswer(0)), 2)
    assert rate.entering(NOW, ahead=True, most=120)[1] == 60


def test_a_gitlab_without_limits_holds_nobody_back() -> None:
    rate = entered(Rate()).left(NOW, LimitAnswer(200))
    entered(rate, 5 * PROBES)


def test_a_new_window_is_tried_by_a_few_first() -> None:
    told = LimitAnswer(200, remaining=0, reset=NOW + 30)
    rate = entered(Rate()).left(NOW, told)
    assert rate.entering(NOW, ahead=False, most=120)[1] == 30
    later = entered(rate, PROBES, NOW + 30)
    assert later.entering(NOW + 30, ahead=False, most=120)[1] > 0


def test_who_is_in_a_hurry_may_use_what_is_kept_for_it() -> None:
    told = LimitAnswer(200, remaining=4, reset=NOW + 30, limit=2000)
    rate = entered(Rate()).left(NOW, told)
    assert rate.entering(NOW, ahead=False, most=120)[1] == 30
    assert rate.entering(NOW, ahead=True, most=120)[1] == 0


def test_the_requests_of_a_process_that_died_are_forgotten() -> None:
    full = entered(Rate(), PROBES)
    later = full.left(NOW + 100, LimitAnswer(0))
    assert len(later.in_flight) == PROBES - 1
    entered(later, PROBES, NOW + 151)


@pytest.mark.store
async def test_two_stores_count_in_one_place(url: str) -> None:
    """What one process is told holds for the other, and both use up the same budget."""
    one, other = await open_store(url), await open_store(url)
    try:
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)

        def clock() -> float:
            return datetime.now(UTC).timestamp()

        first = Throttle(clock, sleep, rates=one.rates)
        second = Throttle(clock, sleep, rates=other.rates)
        await first.enter("a:rest", longest=600)
        left = {"RateLimit-Remaining": "2", "RateLimit-Reset": str(int(clock()) + 3000)}
        await first.leave("a:rest", 200, left)
        assert await first.enter("a:rest", longest=10) == 0
        assert await second.enter("a:rest", longest=10) == 0
        assert await first.enter("a:rest", longest=10) is None
        assert await second.enter("a:rest", longest=10) is None
        assert await second.enter("b:rest", longest=10) == 0
        await second.leave("b:rest", 429, {"Retry-After": "500"})
        assert await first.enter("b:rest", longest=10) is None
        assert slept == []
    finally:
        await one.close()
        await other.close()


@pytest.mark.store
async def test_who_ask_at_once_are_each_counted(url: str) -> None:
    """Whoever was overtaken looks again: nobody uses what another one has used."""
    one, other = await open_store(url), await open_store(url)
    until = datetime.now(UTC).timestamp() + 3000

    def told(rate: Rate, now: float) -> tuple[Rate, None]:
        return replace(rate, remaining=7, reset=until), None

    def asked(rate: Rate, now: float) -> tuple[Rate, bool]:
        after, pause = rate.entering(now, ahead=True, most=120)
        return after, pause == 0

    try:
        await one.rates.change("a", told)
        found = await asyncio.gather(*(s.rates.change("a", asked) for s in (one, other) * 8))
        assert sum(found) == 7
    finally:
        await one.close()
        await other.close()


@pytest.mark.store
async def test_what_cannot_be_understood_is_begun_anew(tmp_path: Path) -> None:
    import sqlite3

    store = await open_store(f"sqlite:///{tmp_path}/s.db")
    try:
        throttle = Throttle(lambda: NOW, asyncio.sleep, rates=store.rates)
        await throttle.enter("rest", longest=0)
        with sqlite3.connect(tmp_path / "s.db") as there:
            there.execute("UPDATE fester_rates SET body = '{\"strange\": 1}'")
        there.close()
        assert await throttle.enter("rest", longest=0) == 0
    finally:
        await store.close()


@pytest.mark.real
async def test_three_that_read_at_once_are_never_told_429(tmp_path: Path) -> None:
    """The look-alike counts: what one process keeps to, three of them keep to together."""
    time, world = SharedTime(), World(Time().moment)
    for number in range(90):
        world.add_project(f"g/p{number}", files={"qm.yaml": "version: 1\n"})
    sandbox = SandboxGitLab(world, rate_limit=12, clock=time.moment)
    store = await open_store(f"sqlite:///{tmp_path}/s.db", clock=time.moment)
    options = GitLabOptions(page_size=2, concurrency=2)

    async def read(ids: tuple[int, ...]) -> int:
        one = GitLabScraper(url, sandbox.token, options=options, clock=time.clock, sleep=time.sleep)
        one.share_rates(store.rates)
        try:
            request = ScrapeRequest(("qm.yaml",), only=ids)
            found = [each async for each in one.scrape(request)]
            assert set(one.traffic.outcomes) == {"200"}
            return sum(isinstance(each, ProjectRead) for each in found)
        finally:
            await one.close()

    try:
        async with running(sandbox) as url:
            parts = [tuple(range(n, 91, 3)) for n in (1, 2, 3)]
            assert await asyncio.gather(*map(read, parts)) == [30, 30, 30]
        assert max(requests_a_minute(sandbox)) <= 12
    finally:
        await store.close()


def requests_a_minute(sandbox: SandboxGitLab) -> list[int]:
    found = Counter(int(each.at.timestamp()) // 60 for each in sandbox.requests)
    return list(found.values())
