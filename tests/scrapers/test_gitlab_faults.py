"""Every failure that `SandboxGitLab` knows, rare and frequent: nothing is silently missing."""

from __future__ import annotations

import pytest

from bridge.errors import SourceError
from bridge.model.scrape import ScrapeRequest
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.faults import Fault, FaultPlan, FaultRule
from tests.scrapers.crawling import FILES, Time, a_world, assert_nothing_is_lost, crawl, crawl_at

pytestmark = pytest.mark.real

CALM = {Fault.UNAUTHORIZED, Fault.FORBIDDEN}
MENDING = sorted(set(Fault) - CALM)


@pytest.mark.parametrize("fault", MENDING)
async def test_a_rare_failure_costs_nothing_but_requests(fault: Fault) -> None:
    """Retries and smaller pages get every project through."""
    time = Time()
    world = a_world(time)
    plan = FaultPlan((FaultRule(fault, first_n=2, skip=1),), seed=3)
    crawled = await crawl(world, time, faults=plan, timeout=0.3)
    assert_nothing_is_lost(world, crawled)
    assert [gap.path for gap in crawled.gaps] == ["odd/forbidden"]


@pytest.mark.parametrize("rate", [0.1, 0.6])
@pytest.mark.parametrize("fault", [*MENDING, Fault.FORBIDDEN])
async def test_a_frequent_failure_leaves_gaps_and_never_absences(fault: Fault, rate: float) -> None:
    time = Time()
    world = a_world(time)
    slow = fault is Fault.HANG
    plan = FaultPlan((FaultRule(fault, rate=rate),), seed=11, retry_after_as="date")
    try:
        crawled = await crawl(
            world, time, faults=plan, timeout=0.05 if slow else 2.0, max_retries=2
        )
    except SourceError:
        return  # nothing at all is said, so nothing can be taken for deleted
    assert_nothing_is_lost(world, crawled)


@pytest.mark.parametrize("fault", sorted(Fault))
async def test_a_gitlab_that_always_fails_ends_in_an_error_or_in_gaps(fault: Fault) -> None:
    time = Time()
    world = a_world(time)
    plan = FaultPlan((FaultRule(fault),))
    try:
        crawled = await crawl(world, time, faults=plan, timeout=0.05, max_retries=1)
    except SourceError:
        return
    assert_nothing_is_lost(world, crawled)


@pytest.mark.parametrize("fault", [Fault.PARTIAL, Fault.NO_DATA, Fault.BAD_GATEWAY])
async def test_reading_that_always_fails_is_given_up_after_a_bounded_number_of_requests(
    fault: Fault,
) -> None:
    time = Time()
    world = a_world(time, 400)
    plan = FaultPlan((FaultRule(fault, "graphql"),), partial_share=1.0)
    crawled = await crawl(world, time, faults=plan, max_retries=1)
    assert_nothing_is_lost(world, crawled)
    assert crawled.read == {}
    assert crawled.requests < 250


async def test_what_failed_once_is_read_by_the_next_crawl() -> None:
    time = Time()
    world = a_world(time)
    plan = FaultPlan.rates(seed=5, bad_gateway=0.4, partial=0.4, truncated=0.1)
    async with running(sandbox := SandboxGitLab(world, token="t", faults=plan)) as url:
        broken = await crawl_at(url, time, token="t", max_retries=1)
        sandbox.use_faults(FaultPlan())
        healed = await crawl_at(url, time, token="t")
    assert_nothing_is_lost(world, broken)
    assert [gap.path for gap in healed.gaps] == ["odd/forbidden"]


async def test_changes_missed_by_a_failure_are_told_as_a_gap() -> None:
    time = Time()
    world = a_world(time)
    since = time.moment()
    time.now += 7200
    world.commit_file(7, "qm.yaml", "version: 3\n")
    plan = FaultPlan((FaultRule(Fault.BAD_GATEWAY, "rest-enumeration", skip=1),))
    request = ScrapeRequest(FILES, since=since)
    crawled = await crawl(world, time, faults=plan, request=request, max_retries=1)
    assert any(gap.project_id is None for gap in crawled.gaps)


@pytest.mark.parametrize("fault", [Fault.CUT_SHORT, Fault.LOST_PAGE])
async def test_a_list_that_stops_short_is_a_gap_even_if_it_looks_complete(fault: Fault) -> None:
    """Only the newest hundred come; every page after that is empty, and says it is the last."""
    time = Time()
    world = a_world(time, 250)
    plan = FaultPlan((FaultRule(fault, "rest-enumeration", skip=1),))
    crawled = await crawl(world, time, faults=plan, max_retries=1)
    assert_nothing_is_lost(world, crawled)
    assert len(crawled.read) == 99
    assert any(gap.project_id is None for gap in crawled.gaps)
