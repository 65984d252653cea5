"""Where GitLab is not what it seems: dead projects, hidden code, guessed texts, tags, limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bridge.model.scrape import Gap, ProjectSkipped, ScrapeRequest
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.faults import Fault, FaultPlan, FaultRule
from bridge.sandbox.limits import DEFAULTS
from bridge.sandbox.schema import UNKNOWN_TO_16_3
from bridge.sandbox.world import World
from bridge.scrapers.gitlab.deletion import marked_for_deletion
from tests.scrapers.crawling import FILES, TOKEN, Time, a_world, crawl, crawl_at

DEAD = "scheduled for deletion in GitLab"
MANIFEST = {"qm.yaml": "version: 1"}


@pytest.mark.real
@pytest.mark.parametrize("group", ["", "shop"])
async def test_a_project_scheduled_for_deletion_is_left_out_and_comes_back(group: str) -> None:
    """Itself or by a group above it, archived or not; its successor at its old path is read."""
    time = Time()
    world = World(time.moment)
    cart = world.add_project("shop/cart", files=MANIFEST)
    inner = world.add_project("shop/old/inner/api", files=MANIFEST)
    world.schedule_deletion(cart.id)
    world.schedule_group_deletion("shop/old")
    successor = world.add_project("shop/cart", files=MANIFEST)
    found = await crawl(world, time, group=group, archived=True)
    assert set(found.read) == {successor.id}
    assert found.skipped == {cart.id: DEAD, inner.id: DEAD}
    told = found.of(cart.id)
    assert isinstance(told, ProjectSkipped)
    assert told.project.path == f"shop/cart-deletion_scheduled-{cart.id}"
    world.rename(successor.id, "cart-two")
    world.restore(cart.id)
    found = await crawl(world, time, group=group)
    assert set(found.read) == {successor.id, cart.id}


@pytest.mark.parametrize(
    ("node", "path", "marked"),
    [
        ({"markedForDeletion": True}, "shop/cart", True),
        ({"markedForDeletion": False}, "shop/cart-deletion_scheduled-7", False),
        ({"markedForDeletion": None, "markedForDeletionOn": "2026-05-01"}, "shop/cart", True),
        ({"markedForDeletionOn": None}, "shop/cart", False),
        ({"markedForDeletionOn": None}, "shop-deletion_scheduled-1/cart", True),
        ({}, "shop/cart-deletion_scheduled-7", True),
        ({}, "shop/cart-deleted-7", True),
        ({}, "shop-deleted-3/old/cart", True),
        ({}, "shop/cart-deleted-8", False),  # somebody named it so: the number is not its own
        ({}, "shop/soon-deleted", False),
    ],
)
def test_what_tells_that_a_project_is_scheduled_for_deletion(
    node: dict[str, Any], path: str, marked: bool
) -> None:
    assert marked_for_deletion(node, path, 7) is marked


@pytest.mark.real
async def test_a_project_below_an_archived_group_is_archived() -> None:
    time = Time()
    world = World(time.moment)
    project = world.add_project("shop/old/api", files=MANIFEST)
    world.archive_group("shop/old")
    found = await crawl(world, time, request=ScrapeRequest(FILES, only=(project.id,)))
    assert found.skipped == {project.id: "archived (`gitlab.archived` is off)"}


@pytest.mark.real
async def test_a_repository_that_is_switched_off_is_no_gap() -> None:
    """Nobody is shown its code; where only this token is not, nothing may be concluded."""
    time = Time()
    world = World(time.moment)
    off = world.add_project("shop/off", repository="disabled")
    hidden = world.add_project("shop/hidden", repository="forbidden")
    found = await crawl(world, time)
    assert found.skipped == {off.id: "its repository is switched off in GitLab"}
    assert [gap.project_id for gap in found.gaps] == [hidden.id]
    assert "no permission" in found.gaps[0].reason


@pytest.mark.real
@pytest.mark.parametrize(
    "text", ["name: Größe\n".encode("latin-1"), "name: 決済\n".encode("shift-jis")]
)
async def test_a_text_that_gitlab_guessed_is_refused(text: bytes) -> None:
    """Its own words would be others than those in the file."""
    time = Time()
    world = World(time.moment)
    project = world.add_project("shop/api", files={"qm.yaml": text})
    found = await crawl(world, time)
    (file,) = found.read[project.id].files
    assert file.text is None
    assert file.refused.startswith("not UTF-8")


@pytest.mark.real
@pytest.mark.parametrize("text", ["name: Größe 決済\n", "\ufeffname: x\n"])
async def test_a_text_in_utf_8_is_read(text: str) -> None:
    time = Time()
    world = World(time.moment)
    project = world.add_project("shop/api", files={"qm.yaml": text})
    found = await crawl(world, time)
    assert found.read[project.id].files[0].text == text


@pytest.mark.real
async def test_a_tag_does_not_hide_the_branch_of_its_name() -> None:
    time = Time()
    world = World(time.moment)
    project = world.add_project("shop/api", files={"qm.yaml": "version: 1"})
    world.tag(project.id, "main")
    world.commit_file(project.id, "qm.yaml", "version: 2")
    world.commit_to_branch(project.id, "live", "qm.yaml", "version: 3")
    project.tags["live"] = dict(project.tags["main"])
    found = await crawl(world, time)
    assert found.read[project.id].files[0].text == "version: 2"
    found = await crawl(world, time, branches=(("*", "live"),))
    assert found.read[project.id].files[0].text == "version: 3"


@pytest.mark.real
async def test_a_tag_of_the_name_is_not_the_branch_that_the_settings_want() -> None:
    time = Time()
    world = World(time.moment)
    project = world.add_project("shop/api", files=MANIFEST)
    world.tag(project.id, "live")
    found = await crawl(world, time, branches=(("*", "live"),))
    assert isinstance(found.of(project.id), Gap)


@pytest.mark.real
@pytest.mark.parametrize("group", ["", "shop"])
async def test_what_is_too_heavy_for_gitlab_is_halved_and_not_repeated(group: str) -> None:
    time = Time()
    world = a_world(time, 40)
    skip = 1 if group else 0  # a group's list is GraphQL, too
    faults = FaultPlan((FaultRule(Fault.TOO_HEAVY, first_n=1, skip=skip),))
    sandbox = SandboxGitLab(world, token=TOKEN, faults=faults)
    before = time.now
    async with running(sandbox) as url:
        options: dict[str, Any] = {"page_size": 40, "concurrency": 1}
        found = await crawl_at(url, time, group=group, **options)
    asked = [len(r.project_ids) for r in sandbox.requests if r.kind == "graphql"][skip:]
    assert asked[1] == (asked[0] + 1) // 2
    assert time.now == before  # nothing was waited for
    assert all(gap.path == "odd/forbidden" for gap in found.gaps)


@pytest.mark.real
async def test_a_group_too_heavy_to_list_is_listed_in_smaller_pages() -> None:
    time = Time()
    world = a_world(time, 40)
    faults = FaultPlan((FaultRule(Fault.TOO_HEAVY, "graphql", first_n=3),))
    found = await crawl(world, time, group="shop", faults=faults)
    assert len(found.read) == 20
    assert not found.gaps


@pytest.mark.real
async def test_an_application_limit_is_waited_out() -> None:
    """Its 429 is JSON without a word of any limit, and its window is longer than others'."""
    time = Time()
    world = a_world(time, 30)
    (projects, *_) = DEFAULTS
    sandbox = SandboxGitLab(
        world, token=TOKEN, clock=time.moment, limits=[replace(projects, requests=1)]
    )
    begun = time.now
    async with running(sandbox) as url:
        found = await crawl_at(url, time, concurrency=1)
    assert not [gap for gap in found.gaps if gap.path != "odd/forbidden"]
    assert time.now - begun >= 300


@pytest.mark.real
@pytest.mark.parametrize("lacks", [frozenset(), UNKNOWN_TO_16_3])
@pytest.mark.parametrize("group", ["", "shop"])
async def test_forks_are_left_out_whatever_gitlab_tells_of_them(
    lacks: frozenset[str], group: str
) -> None:
    time = Time()
    world = World(time.moment)
    own = world.add_project("shop/api", files=MANIFEST)
    fork = world.add_project("shop/fork", files=MANIFEST, fork=True)
    async with running(SandboxGitLab(world, token=TOKEN, lacks=lacks)) as url:
        found = await crawl_at(url, time, group=group, forks=False)
        hinted = await crawl_at(
            url, time, group=group, forks=False, request=ScrapeRequest(FILES, only=(fork.id,))
        )
    assert set(found.read) == {own.id}
    assert found.skipped == hinted.skipped == {fork.id: "a fork (`gitlab.forks` is off)"}


@pytest.mark.real
async def test_a_fork_of_a_hidden_project_is_a_fork() -> None:
    """REST names the original only to those who may read that one, too."""
    time = Time()
    world = World(time.moment)
    fork = world.add_project("shop/fork", files=MANIFEST, fork=True, original_hidden=True)
    found = await crawl(world, time, forks=False)
    assert found.skipped == {fork.id: "a fork (`gitlab.forks` is off)"}
