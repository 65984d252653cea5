"""Facts on a crawl of the sandbox GitLab: what each costs, and what cannot be had."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from bridge.model.scrape import Observation
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.world import ProjectFacts, Release, World
from tests.scrapers.crawling import FILES, TOKEN, Crawled, Time, a_world, crawl, crawl_at


def seen(crawled: Crawled, project_id: int) -> Observation:
    told = crawled.read[project_id].observation
    assert told is not None
    return told


async def crawled_with(world: World, time: Time, **sandbox: Any) -> tuple[Crawled, int]:
    gitlab = SandboxGitLab(world, token=TOKEN, **sandbox)
    async with running(gitlab) as url:
        found = await crawl_at(url, time)
    return found, gitlab.counts["graphql"]


async def test_facts_come_with_the_manifests_and_cost_no_request() -> None:
    time = Time()
    world = World(time.moment)
    facts = ProjectFacts(
        pipeline_status="failed",
        languages={"Go": 60.0, "Shell": 40.0},
        releases=(Release("v1", time.moment() - timedelta(days=3)),),
        open_issues=4,
    )
    files = {"qm.yaml": "version: 1", "README.md": "x", "docs/CODEOWNERS": "* @a"}
    project = world.add_project("shop/api", files=files, facts=facts)
    for n in range(9):
        world.add_project(f"shop/other-{n}")
    found, requests = await crawled_with(world, time, text_tenfold=True)
    assert requests == 1
    told = seen(found, project.id)
    assert told.seen_at == time.moment()
    assert told.unknown == {}
    picked = ("readme", "codeowners", "license", "pipeline_status", "main_language", "open_issues")
    assert [told.values[name] for name in picked] == [True, True, False, "failed", "Go", 4]
    assert found.read[project.id].files[0].path in FILES


async def test_a_fact_that_times_out_costs_neither_its_manifest_nor_another_fact() -> None:
    time = Time()
    world = a_world(time)
    slow = world.projects[1]
    slow.facts.slow = frozenset({"languages", "pipeline"})
    found = await crawl(world, time)
    told = seen(found, slow.id)
    assert set(told.unknown) == {"languages", "main_language", "pipeline_status"}
    assert "Timeout on Project.languages" in told.unknown["languages"]
    assert [file.path for file in found.read[slow.id].files] == ["qm.yaml"]
    assert seen(found, world.projects[0].id).unknown == {}


async def test_an_older_gitlab_gives_its_manifests_and_unknown_facts() -> None:
    """One field that it does not know costs one request, not the crawl."""
    time = Time()
    world = a_world(time)
    plain, _ = await crawled_with(world, time)
    found, _ = await crawled_with(world, time, lacks=frozenset({"Project.languages"}))
    assert found.read.keys() == plain.read.keys()
    assert found.gaps == plain.gaps
    told = seen(found, world.projects[0].id)
    assert told.values == {}
    assert "doesn't exist on type 'Project'" in told.unknown["readme"]


async def test_issues_that_are_switched_off_are_none_and_not_zero() -> None:
    time = Time()
    world = World(time.moment)
    project = world.add_project("a/b", facts=ProjectFacts(issues=False))
    found, _ = await crawled_with(world, time)
    assert seen(found, project.id).values["open_issues"] is None
