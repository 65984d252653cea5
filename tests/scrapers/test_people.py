"""Groups and their members against the look-alike: what comes, and what fails."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.model.scrape import GROUP_FILE, Gap, ProjectGone, ProjectRead, ScrapeRequest
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.faults import Fault, FaultPlan, FaultRule
from bridge.sandbox.graphql import GraphQLService
from bridge.sandbox.world import World
from bridge.scrapers.gitlab.people import ALL_GROUPS, MEMBERS, PAGE, SUBGROUPS
from tests.scrapers.crawling import FILES, TOKEN, Crawled, Time, crawl, crawl_at

EVERYTHING = ScrapeRequest((*FILES, GROUP_FILE))


@pytest.fixture
def time() -> Time:
    return Time()


def a_world(time: Time) -> World:
    world = World(time.moment)
    world.add_project("shop/payments/api", files={"qm.yaml": "version: 1\n"})
    world.add_project("ops/tools", files={})
    people = world.members
    people.user("ann", "Ann Lee", email="ann@shop.example")
    people.user("ci_bot", bot=True)
    people.user("dan", state="blocked")
    people.add("shop", "root", 50)
    for name, role in (("ann", 40), ("ci_bot", 40), ("dan", 30), (None, 30)):
        people.add("shop/payments", name, role)
    people.add("ops", "olga")
    people.invite_group("shop/payments", "ops")
    return world


def groups(crawled: Crawled) -> dict[str, list[dict[str, Any]]]:
    """The groups that were read, each with its files' data."""
    return {
        record.project.path: [json.loads(file.text or "") for file in record.files]
        for record in crawled.records
        if isinstance(record, ProjectRead) and record.project.id < 0
    }


@pytest.mark.real
async def test_a_group_comes_with_its_direct_and_invited_members_and_its_parent(
    time: Time,
) -> None:
    crawled = await crawl(a_world(time), time, request=EVERYTHING, people=True)
    found = groups(crawled)
    assert set(found) == {"shop", "shop/payments", "ops"}
    (payments,) = found["shop/payments"]
    assert payments["group"]["parent"] == "shop"
    assert found["shop"][0]["group"]["parent"] is None
    members = {each["username"]: each for each in payments["members"]}
    # Who is inherited (root) is a member of the group above; an open invitation is nobody yet.
    assert sorted(members) == ["ann", "ci_bot", "dan", "olga"]
    assert members["ann"] == {
        "username": "ann",
        "name": "Ann Lee",
        "email": "ann@shop.example",
        "state": "active",
        "bot": False,
        "role": 40,
        "direct": True,
    }
    assert (members["olga"]["direct"], members["olga"]["email"]) == (False, None)
    assert (members["ci_bot"]["bot"], members["dan"]["state"]) == (True, "blocked")


@pytest.mark.real
async def test_only_what_is_asked_for_and_no_repository_is_asked_for_a_groups_file(
    time: Time,
) -> None:
    world = a_world(time)
    world.add_project("shop/forger", files={GROUP_FILE: '{"group": {"path": "admins"}}'})
    assert groups(await crawl(world, time, request=EVERYTHING)) == {}
    one = await crawl(world, time, request=EVERYTHING, people=True, groups=("shop",))
    assert set(groups(one)) == {"shop", "shop/payments"}
    for record in one.records:
        if isinstance(record, ProjectRead) and record.project.id > 0:
            assert GROUP_FILE not in {file.path for file in record.files}


@pytest.mark.real
async def test_a_long_list_of_members_and_of_groups_is_read_page_by_page(time: Time) -> None:
    world = World(time.moment)
    for number in range(2 * PAGE + 3):
        world.add_group(f"team-{number:03}")
    for number in range(4 * MEMBERS + 50):
        world.members.add("team-001", f"user-{number:04}")
    found = groups(await crawl(world, time, request=EVERYTHING, people=True))
    assert len(found) == 2 * PAGE + 3
    first, second = found["team-001"]
    assert [first["first"], second["first"]] == [True, False]
    names = [each["username"] for part in (first, second) for each in part["members"]]
    assert names == sorted(names)
    assert len(names) == 4 * MEMBERS + 50


@pytest.mark.real
async def test_a_group_that_is_scheduled_for_deletion_is_left_out_with_a_reason(
    time: Time,
) -> None:
    world = a_world(time)
    world.add_group("shop/payments/cards")
    world.schedule_group_deletion("shop/payments")
    crawled = await crawl(world, time, request=EVERYTHING, people=True)
    assert set(groups(crawled)) == {"shop", "ops"}
    skipped = [number for number, reason in crawled.skipped.items() if "deletion" in reason]
    assert len([number for number in skipped if number < 0]) == 2


@pytest.mark.real
async def test_members_that_are_not_shown_are_a_gap_and_no_empty_team(time: Time) -> None:
    world = a_world(time)
    world.members.hidden.add("shop")
    crawled = await crawl(world, time, request=EVERYTHING, people=True)
    assert set(groups(crawled)) == {"shop/payments", "ops"}
    shop = world.group("shop")
    assert shop is not None
    (gap,) = [each for each in crawled.gaps if each.path == "shop"]
    assert gap == Gap("GitLab does not show its members to this token", -shop.id, "shop")


@pytest.mark.parametrize("roots", [(), ("team",)])
@pytest.mark.real
async def test_a_group_that_breaks_every_page_is_a_gap_of_its_own_and_the_list_goes_on(
    time: Time, roots: tuple[str, ...]
) -> None:
    world = World(time.moment)
    world.add_project("team/tools", files={})
    for number in range(2 * PAGE):
        world.add_group(f"team/{number:03}")
    world.members.add("team/007", "ann")
    world.members.poisoned.add("team/007")
    sandbox = SandboxGitLab(world, token=TOKEN)
    async with running(sandbox) as url:
        crawled = await crawl_at(
            url, time, request=EVERYTHING, people=True, groups=roots, max_retries=0
        )
    broken = world.group("team/007")
    assert broken is not None
    (gap,) = crawled.gaps
    assert (gap.project_id, gap.path) == (-broken.id, "team/007")
    assert len(groups(crawled)) == 2 * PAGE
    assert len(sandbox.requests) < PAGE  # pages grow again after it


@pytest.mark.parametrize("skip", range(6))
@pytest.mark.parametrize("fault", [Fault.BAD_GATEWAY, Fault.NO_DATA, Fault.TOO_HEAVY])
@pytest.mark.real
async def test_whatever_page_fails_every_group_is_told_of_or_lies_in_a_gap(
    time: Time, fault: Fault, skip: int
) -> None:
    world = a_world(time)
    for number in range(3 * MEMBERS):
        world.members.add("shop", f"user-{number:03}")
    rule = FaultRule(fault, "graphql", skip=skip)
    plan = FaultPlan((rule,))
    crawled = await crawl(world, time, request=EVERYTHING, people=True, faults=plan, max_retries=1)
    told = set(groups(crawled)) | {each.path for each in crawled.gaps}
    lost = any(each.project_id is None for each in crawled.gaps)
    assert lost or {"shop", "shop/payments", "ops"} <= told
    if "shop" in groups(crawled):
        (shop,) = groups(crawled)["shop"]
        assert len(shop["members"]) == 3 * MEMBERS + 1  # all of them, or a gap


@pytest.mark.real
async def test_a_group_in_a_gap_is_asked_for_again_and_one_that_is_gone_is_told(
    time: Time,
) -> None:
    world = a_world(time)
    shop = world.group("shop")
    assert shop is not None
    sandbox = SandboxGitLab(world, token=TOKEN)
    async with running(sandbox) as url:
        request = ScrapeRequest((*FILES, GROUP_FILE), since=time.moment(), also=(-shop.id, -99_999))
        crawled = await crawl_at(url, time, request=request, people=True)
    assert set(groups(crawled)) == {"shop"}  # between sweeps no other group is asked for
    gone = [each.project_id for each in crawled.records if isinstance(each, ProjectGone)]
    assert gone == [-99_999]


@pytest.mark.parametrize("query", [ALL_GROUPS, SUBGROUPS])
def test_a_page_of_groups_costs_what_gitlab_allows_even_without_a_token(
    time: Time, query: str
) -> None:
    variables = {"path": "shop", "first": PAGE, "members": MEMBERS}
    service = GraphQLService(a_world(time))
    scored = query.replace("{", "{ queryComplexity { score limit } ", 1)
    answer = service.answer(
        {"query": scored, "variables": variables}, authenticated=True, base_url="http://x"
    )
    assert answer.body["data"]["queryComplexity"]["score"] < 200
