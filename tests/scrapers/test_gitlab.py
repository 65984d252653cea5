"""The GitLab scraper against the sandbox GitLab, over real sockets on loopback."""

from __future__ import annotations

import logging
from contextlib import aclosing
from dataclasses import replace
from datetime import timedelta

import pytest
from aiohttp import ClientSession

from bridge.errors import SourceError, SourceRefused
from bridge.model.scrape import Coverage, Gap, ProjectGone, Record, ScrapeEnd, ScrapeRequest
from bridge.ports import Scraper
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.faults import Fault, FaultPlan, FaultRule
from bridge.sandbox.world import World
from bridge.scrapers import GitLabOptions, GitLabScraper
from bridge.scrapers.gitlab import queries
from tests.scrapers.crawling import (
    FILES,
    TOKEN,
    Time,
    a_world,
    assert_nothing_is_lost,
    crawl,
    crawl_at,
)


@pytest.mark.real
async def test_every_kind_of_project_is_read_and_told_truthfully() -> None:
    time = Time()
    world = a_world(time)
    crawled = await crawl(world, time)
    assert_nothing_is_lost(world, crawled)
    assert [gap.path for gap in crawled.gaps] == ["odd/forbidden"]
    refused = {
        read.project.path: file.refused
        for read in crawled.read.values()
        for file in read.files
        if file.refused
    }
    assert refused == {
        "odd/binary": "binary",
        "odd/large": "293 kB; the limit is 256 kB",
        "odd/lfs": "an LFS pointer",
        "odd/link": "a symbolic link",
    }
    assert isinstance(crawled.records[-1], ScrapeEnd)
    assert crawled.records[-1].coverage is Coverage.FULL


async def test_the_scraper_is_the_ports_scraper_and_shows_no_token() -> None:
    scraper = GitLabScraper("https://gitlab.example.com/shop/", TOKEN)
    assert isinstance(scraper, Scraper)
    assert scraper.name == "https://gitlab.example.com/shop"
    assert TOKEN not in repr(scraper) + repr(vars(scraper))
    await scraper.close()
    await scraper.close()


@pytest.mark.real
@pytest.mark.parametrize("files", [FILES, FILES[:1], tuple(f"{n}.yaml" for n in range(9))])
@pytest.mark.parametrize("usual", [(), ("docs", "mkdocs.yml", ".gitlab/CODEOWNERS")])
@pytest.mark.parametrize("with_facts", [False, True])
async def test_the_estimated_price_is_never_below_the_servers_own(
    files: tuple[str, ...], with_facts: bool, usual: tuple[str, ...]
) -> None:
    sandbox = SandboxGitLab(World(Time().moment), token=TOKEN, text_tenfold=True)
    usual = usual if with_facts else ()
    asked = queries.read_projects(files, with_facts=with_facts, usual=usual)
    query = asked.removesuffix("}") + " queryComplexity { score } }"
    async with running(sandbox) as url, ClientSession() as session:
        for page in (1, 50, 100):
            price = queries.complexity(len(files), page, with_facts=with_facts, usual=usual)
            if price > queries.COMPLEXITY_LIMIT:
                continue
            body = {"query": query, "variables": {"ids": [], "first": page}}
            headers = {"Authorization": f"Bearer {TOKEN}"}
            async with session.post(f"{url}/api/graphql", json=body, headers=headers) as response:
                answer = await response.json()
            score = answer["data"]["queryComplexity"]["score"] - 3
            assert score <= price <= 1.5 * score


@pytest.mark.real
async def test_a_group_is_read_with_its_subgroups_and_nothing_else() -> None:
    time = Time()
    world = a_world(time)
    world.add_project("bankrupt/x")
    world.add_project("bank/old", archived=True)
    crawled = await crawl(world, time, group="bank")
    assert_nothing_is_lost(world, crawled, group="bank/")
    assert {read.project.path.split("/")[0] for read in crawled.read.values()} == {"bank"}
    assert list(crawled.skipped.values()) == ["archived (`gitlab.archived` is off)"]


@pytest.mark.real
async def test_a_poisoned_project_in_a_group_costs_only_itself() -> None:
    time = Time()
    world = a_world(time)
    world.add_project("bank/poison", poisoned=True)
    crawled = await crawl(world, time, group="bank")
    assert_nothing_is_lost(world, crawled, group="bank/")
    assert len(crawled.read) == 30


@pytest.mark.real
async def test_filters_leave_out_with_a_reason() -> None:
    time = Time()
    world = a_world(time, 4)
    fork = world.add_project("shop/fork", fork=True, topics=["java"])
    java = world.add_project("shop/java", topics=["Java"])
    old = world.add_project("shop/old", archived=True)
    crawled = await crawl(world, time, forks=False, topics=("java",), exclude=("ODD/*",))
    assert set(crawled.read) == {java.id}
    assert crawled.skipped[fork.id] == "a fork (`gitlab.forks` is off)"
    assert crawled.skipped[7] == "without any of the topics java of `gitlab.topics`"
    odd = world.find("odd/lfs")
    assert odd is not None
    assert crawled.skipped[odd.id] == "excluded by the pattern 'ODD/*' of `gitlab.exclude`"
    assert crawled.of(old.id) is None
    assert old.id in (await crawl(world, time, archived=True)).read


@pytest.mark.real
async def test_one_poisoned_project_is_found_and_all_others_are_read() -> None:
    time = Time()
    world = a_world(time)
    poisoned = world.add_project("odd/poisoned", poisoned=True)
    crawled = await crawl(world, time, page_size=50)
    assert_nothing_is_lost(world, crawled)
    gap = crawled.of(poisoned.id)
    assert isinstance(gap, Gap)
    assert (gap.path, gap.reason) == ("odd/poisoned", "GitLab answered 500")
    assert len(crawled.gaps) == 2


@pytest.mark.real
async def test_a_project_deleted_between_listing_and_reading_is_gone_by_its_404() -> None:
    time = Time()
    world = a_world(time, 30)
    sandbox = SandboxGitLab(world, token=TOKEN)
    async with running(sandbox) as url:
        options = GitLabOptions(page_size=1, concurrency=1)
        scraper = GitLabScraper(url, TOKEN, options=options, clock=time.clock, sleep=time.sleep)
        records: list[Record] = []
        async with aclosing(scraper.scrape(ScrapeRequest(FILES))) as stream:  # type: ignore[type-var]
            async for record in stream:
                if not records:  # the newest are read first: this one is still to come
                    world.delete(7)
                records.append(record)
        await scraper.close()
    gone = [record for record in records if isinstance(record, ProjectGone)]
    assert [record.project_id for record in gone] == [7]
    assert all(not isinstance(r, Gap) or r.path == "odd/forbidden" for r in records)


@pytest.mark.real
async def test_only_some_are_read_wherever_they_are_now() -> None:
    time = Time()
    world = a_world(time)
    world.transfer(14, "elsewhere")
    request = ScrapeRequest(FILES, only=(7, 14, 999_999))
    crawled = await crawl(world, time, request=request, group="shop")
    assert set(crawled.read) == {7}
    assert crawled.skipped == {14: "outside the group shop"}
    assert crawled.gone == {999_999}
    assert crawled.records[-1] == ScrapeEnd(Coverage.SELECTED, crawled.requests)


@pytest.mark.real
async def test_no_more_is_read_than_was_asked_for_at_most_and_what_it_cost_is_told() -> None:
    time = Time()
    whole = await crawl(a_world(time), time, request=ScrapeRequest(FILES))
    ids = tuple(n for n, each in whole.read.items() if each.files)
    part = ScrapeRequest(FILES, only=ids, part=True, most=1)
    crawled = await crawl(a_world(time), time, request=part)
    assert sum(bool(each.files) for each in crawled.read.values()) == 1 < len(ids)
    assert crawled.requests > 0
    assert crawled.records[-1] == ScrapeEnd(Coverage.SELECTED, crawled.requests, cut=True)


@pytest.mark.real
@pytest.mark.parametrize("group", ["", "bank"])
async def test_changes_are_found_in_a_handful_of_requests(group: str) -> None:
    time = Time()
    world = a_world(time)
    since = time.moment()
    idle = await crawl(world, time, group=group, request=ScrapeRequest(FILES, since=since))
    assert idle.requests <= 5
    assert idle.records == [ScrapeEnd(Coverage.CHANGES, idle.requests)]
    time.now += 7200
    world.commit_file(14, "qm.yaml", "version: 1\n")
    world.archive(28)
    changed = await crawl(world, time, group=group, request=ScrapeRequest(FILES, since=since))
    assert set(changed.read) == {14}
    assert changed.skipped == {28: "archived (`gitlab.archived` is off)"}


@pytest.mark.real
@pytest.mark.parametrize("minutes", [3, 50])
async def test_a_change_within_the_overlap_of_lazy_timestamps_is_found(minutes: int) -> None:
    """GitLab moves neither date for a second push within five minutes, one of two in an hour."""
    time = Time()
    world = a_world(time)
    world.commit_file(7, "qm.yaml", "version: 1\n")
    time.now += timedelta(minutes=minutes).total_seconds()
    since = time.moment()
    world.commit_file(7, "qm.yaml", "version: 2\n")
    changed = await crawl(world, time, request=ScrapeRequest(FILES, since=since))
    assert changed.read[7].files[0].text == "version: 2\n"


@pytest.mark.real
@pytest.mark.parametrize("token", ["wrong", None])
async def test_a_refused_token_stops_at_once_and_says_what_to_check(
    token: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    time = Time()
    world = a_world(time, 3)
    sandbox = SandboxGitLab(
        world,
        token=TOKEN,
        faults=None if token else FaultPlan.rates(unauthorized=1.0),
    )
    caplog.set_level(logging.DEBUG)
    async with running(sandbox) as url:
        with pytest.raises(SourceRefused, match=r"401.*GITLAB_TOKEN.*read_api") as caught:
            await crawl_at(url, time, token=token)
    assert len(sandbox.requests) == 1
    assert "wrong" not in str(caught.value) + caplog.text


@pytest.mark.real
async def test_a_token_that_expires_in_the_middle_stops_the_crawl() -> None:
    time = Time()
    rule = FaultRule(Fault.UNAUTHORIZED, "graphql", skip=2)
    with pytest.raises(SourceRefused):
        await crawl(a_world(time), time, faults=FaultPlan((rule,)))


@pytest.mark.real
async def test_a_server_that_is_not_there_is_an_error_naming_the_address() -> None:
    time = Time()
    sandbox = SandboxGitLab(World(time.moment), token=TOKEN)
    async with running(sandbox) as url:
        pass
    with pytest.raises(SourceError, match=r"127\.0\.0\.1.*Check the address"):
        await crawl_at(url, time)


@pytest.mark.real
async def test_a_group_that_is_not_there_is_an_error() -> None:
    time = Time()
    with pytest.raises(SourceError, match="no group 'nowhere/at-all'"):
        await crawl(a_world(time, 2), time, group="nowhere/at-all")


@pytest.mark.real
async def test_a_gitlab_that_lists_nothing_is_not_taken_for_one_where_all_was_deleted() -> None:
    time = Time()
    crawled = await crawl(World(time.moment), time)
    assert [gap.project_id for gap in crawled.gaps] == [None]


@pytest.mark.real
async def test_a_group_that_lists_nothing_is_not_taken_for_one_where_all_was_deleted() -> None:
    time = Time()
    world = World(time.moment)
    world.add_group("shop")
    world.add_project("shop/api", hidden=True)
    crawled = await crawl(world, time, group="shop")
    assert [(gap.project_id, "any projects of shop" in gap.reason) for gap in crawled.gaps] == [
        (None, True)
    ]


@pytest.mark.real
async def test_a_crawl_that_nobody_listens_to_any_more_ends() -> None:
    time = Time()
    async with running(SandboxGitLab(a_world(time), token=TOKEN)) as url:
        scraper = GitLabScraper(url, TOKEN, options=replace(GitLabOptions(), page_size=1))
        async with aclosing(scraper.scrape(ScrapeRequest(FILES))) as stream:  # type: ignore[type-var]
            async for _ in stream:
                break
        await scraper.close()


@pytest.mark.real
async def test_the_rate_limit_is_obeyed_before_gitlab_says_429() -> None:
    time = Time()
    world = a_world(time)
    sandbox = SandboxGitLab(world, token=TOKEN, rate_limit=12)
    async with running(sandbox) as url:
        crawled = await crawl_at(url, time, page_size=3, concurrency=1)
    assert_nothing_is_lost(world, crawled)
    assert len(crawled.gaps) == 1
    assert len(sandbox.requests) == crawled.requests


@pytest.mark.real
async def test_progress_is_told() -> None:
    time = Time()
    heard: list[tuple[int, int]] = []
    async with running(SandboxGitLab(a_world(time, 5), token=TOKEN)) as url:
        scraper = GitLabScraper(url, TOKEN, on_progress=lambda *told: heard.append(told))
        async for _ in scraper.scrape(ScrapeRequest(FILES)):
            pass
        await scraper.close()
    assert heard[-1] == (11, 11)


@pytest.mark.real
async def test_a_full_sweep_stays_within_its_budget_of_requests() -> None:
    time = Time()
    world = World(time.moment)
    for n in range(1000):
        world.add_project(f"g/p{n}", files={"qm.yaml": "version: 1\n"})
    crawled = await crawl(world, time, page_size=50, concurrency=8)
    assert len(crawled.read) == 1000
    assert crawled.requests <= 1000 / 100 + 1000 / 50 + 20
