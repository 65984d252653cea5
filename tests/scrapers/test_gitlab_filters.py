"""Which projects are read, and from which branch: every filter of the settings."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.model.scrape import ProjectRead, ScrapeRequest
from bridge.sandbox.world import World
from bridge.scrapers import GitLabOptions
from tests.scrapers.crawling import FILES, Time, crawl


def a_world(time: Time) -> World:
    world = World(time.moment)
    projects: dict[str, dict[str, Any]] = {
        "shop/cart": {"topics": ["go"]},
        "shop/pay/card": {"topics": ["Python"]},
        "bank/core": {},
        "bank/fork": {"fork": True},
        "bank/old": {"archived": True},
        "tools/lint": {},
        "tools/theirs": {"member": False, "visibility": "internal", "topics": ["theirs"]},
    }
    for path, facts in projects.items():
        world.add_project(path, files={"qm.yaml": f"# {path}"}, **facts)
    return world


ALL = {"shop/cart", "shop/pay/card", "bank/core", "bank/fork", "tools/lint", "tools/theirs"}


@pytest.mark.real
@pytest.mark.parametrize(
    ("options", "read"),
    [
        ({}, ALL),
        ({"forks": False}, ALL - {"bank/fork"}),
        ({"membership": True}, ALL - {"tools/theirs"}),
        ({"membership": True, "groups": ("tools",)}, {"tools/lint"}),
        ({"membership": True, "topics": ("theirs",)}, set()),
        ({"groups": ("shop",)}, {"shop/cart", "shop/pay/card"}),
        ({"groups": ("shop/pay", "bank")}, {"shop/pay/card", "bank/core", "bank/fork"}),
        ({"groups": ("bank",), "archived": True}, {"bank/core", "bank/fork", "bank/old"}),
        ({"groups": ("bank",), "forks": False}, {"bank/core"}),
        ({"exclude": ("shop/**", "*/LINT", "*/t*")}, {"bank/core", "bank/fork"}),
        ({"topics": ("python",)}, {"shop/pay/card"}),
        ({"topics": ("python", "go"), "exclude": ("**/card",)}, {"shop/cart"}),
    ],
)
async def test_filters_leave_out_what_they_say(options: dict[str, Any], read: set[str]) -> None:
    """In a full sweep, in a pass over what changed, and in one over a few projects."""
    time = Time()
    world = a_world(time)
    ids = tuple(project.id for project in world)
    for request in (
        ScrapeRequest(FILES),
        ScrapeRequest(FILES, since=time.moment()),
        ScrapeRequest(FILES, only=ids),
    ):
        crawled = await crawl(world, time, request=request, **options)
        assert {each.project.path for each in crawled.read.values()} == read
        assert crawled.gaps == []


@pytest.mark.real
async def test_who_is_no_member_any_more_is_told_apart_from_a_gap() -> None:
    """Of a project that a hook names: it is seen by its id, and not among the member's own."""
    time = Time()
    world = a_world(time)
    theirs = world.find("tools/theirs")
    assert theirs is not None
    crawled = await crawl(
        world, time, request=ScrapeRequest(FILES, only=(theirs.id, 999)), membership=True
    )
    assert crawled.skipped == {
        theirs.id: "the token's user is no member of it (`gitlab.membership` is on)"
    }
    assert crawled.gone == {999}


@pytest.mark.real
async def test_a_group_in_the_url_is_one_more_of_the_groups() -> None:
    time = Time()
    crawled = await crawl(a_world(time), time, group="shop/pay", groups=("tools",))
    paths = {each.project.path for each in crawled.read.values()}
    assert paths == {"shop/pay/card", "tools/lint", "tools/theirs"}


def with_branches(time: Time) -> World:
    world = a_world(time)
    for project in world.projects:
        if project.path.startswith("shop/"):
            world.commit_to_branch(project.id, "release", "qm.yaml", f"# released {project.path}")
    return world


BRANCHES = (("shop/**", "release"), ("tools/*", "main"))


@pytest.mark.real
@pytest.mark.parametrize("page_size", [1, 50])
@pytest.mark.parametrize("kind", ["full", "changes", "selected", "also"])
async def test_projects_are_read_from_the_branch_that_the_settings_name(
    kind: str, page_size: int
) -> None:
    time = Time()
    world = with_branches(time)
    ids = tuple(project.id for project in world)
    request = {
        "full": ScrapeRequest(FILES),
        "changes": ScrapeRequest(FILES, since=time.moment()),
        "selected": ScrapeRequest(FILES, only=ids),
        "also": ScrapeRequest(FILES, since=time.moment(), also=ids),
    }[kind]
    crawled = await crawl(world, time, request=request, branches=BRANCHES, page_size=page_size)
    found = {
        each.project.path: (each.project.default_branch, each.files[0].text)
        for each in crawled.read.values()
    }
    assert found == {
        "shop/cart": ("release", "# released shop/cart"),
        "shop/pay/card": ("release", "# released shop/pay/card"),
        "bank/core": ("main", "# bank/core"),
        "bank/fork": ("main", "# bank/fork"),
        "tools/lint": ("main", "# tools/lint"),
        "tools/theirs": ("main", "# tools/theirs"),
    }


@pytest.mark.real
async def test_a_branch_that_is_not_there_is_a_gap_and_no_absence() -> None:
    time = Time()
    world = with_branches(time)
    crawled = await crawl(world, time, branches=(("bank/**", "releaze"),))
    (first, second) = crawled.gaps
    assert {first.path, second.path} == {"bank/core", "bank/fork"}
    assert "no branch 'releaze'" in first.reason
    assert "gitlab.branches" in first.reason


@pytest.mark.real
async def test_a_file_that_only_the_default_branch_has_is_not_there() -> None:
    time = Time()
    world = a_world(time)
    project = world.find("tools/lint")
    assert project is not None
    world.commit_to_branch(project.id, "next", "README.md", "new")
    del project.branches["next"]["qm.yaml"]
    crawled = await crawl(world, time, branches=(("tools/*", "next"),))
    record = crawled.of(project.id)
    assert isinstance(record, ProjectRead)
    assert record.files == ()


def test_the_first_glob_that_fits_names_the_branch() -> None:
    options = GitLabOptions(branches=(("Shop/pay/*", "a"), ("shop/**", "b")))
    assert [options.branch_of(path) for path in ("shop/PAY/x", "shop/x", "bank/x")] == [
        *("a", "b", ""),
    ]
