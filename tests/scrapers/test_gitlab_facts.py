"""Facts on a crawl of the sandbox GitLab: what each costs, and what cannot be had."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bridge.model.scrape import Observation, ProjectRead, ProjectSkipped, ScrapeRequest
from bridge.sandbox.app import SandboxGitLab, running
from bridge.sandbox.project import ProjectFacts, Release, SandboxFile, submodule
from bridge.sandbox.schema import UNKNOWN_TO_16_3
from bridge.sandbox.world import World
from bridge.scrapers import GitLabOptions, GitLabScraper
from tests.scrapers.crawling import FILES, TOKEN, Crawled, Time, a_world, crawl, crawl_at

pytestmark = pytest.mark.real


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
    assert set(told.unknown) == {"languages", "main_language"}
    assert "too old to tell it" in told.unknown["languages"]


async def test_a_gitlab_16_3_gives_all_but_a_few_facts_and_is_asked_in_vain_once() -> None:
    time = Time()
    world = a_world(time, 30)
    world.schedule_deletion(7)
    dead = world.schedule_group_deletion("bank")
    gitlab = SandboxGitLab(world, token=TOKEN, lacks=UNKNOWN_TO_16_3)
    async with running(gitlab) as url:
        options = GitLabOptions(page_size=50, concurrency=1)
        scraper = GitLabScraper(url, TOKEN, options=options, clock=time.clock, sleep=time.sleep)
        records = [record async for record in scraper.scrape(ScrapeRequest(FILES))]
        first = gitlab.counts["graphql"]
        gitlab.forget_requests()
        async for _ in scraper.scrape(ScrapeRequest(FILES)):
            pass
        again = gitlab.counts["graphql"]
        await scraper.close()
    read = {r.project.id: r for r in records if isinstance(r, ProjectRead)}
    skipped = [r for r in records if isinstance(r, ProjectSkipped)]
    assert (first - again, again) == (1, 1)
    told = read[21].observation
    assert told is not None
    assert set(told.unknown) == {"open_merge_requests"}
    assert {r.reason for r in skipped} == {"scheduled for deletion in GitLab"}
    assert {r.project.id for r in skipped} == {7, *(n * 7 for n in range(2, 31, 2))}
    assert all(r.project.path.startswith((f"{dead}/", "shop/p1-")) for r in skipped)


async def test_files_are_found_where_only_the_project_knows_them_to_be() -> None:
    """The CI file of the project's own setting, and what hides behind a hundred other files."""
    time = Time()
    world = World(time.moment)
    facts = ProjectFacts(ci_config_path="ci/pipeline.yml")
    files = {"qm.yaml": "version: 1", "readme.md": "x", "ci/pipeline.yml": "x"}
    elsewhere = world.add_project("shop/api", files=files, facts=facts)
    lost = world.add_project("shop/lost", files={".gitlab-ci.yml": "x"}, facts=facts)
    many = {f"a{n:03}.sql": "select 1" for n in range(120)} | {"renovate.json": "{}"}
    large = world.add_project("shop/large", files=many)
    found, requests = await crawled_with(world, time)
    assert requests == 2
    assert seen(found, elsewhere.id).values["ci_config"] is True
    assert seen(found, elsewhere.id).values["readme"] is True
    assert seen(found, lost.id).values["ci_config"] is False
    told = seen(found, large.id)
    assert (told.values["dependency_updater"], told.values["ci_config"]) == (True, False)
    assert set(told.unknown) == {"readme", "license"}


async def test_an_empty_repository_has_none_of_the_files() -> None:
    time = Time()
    world = World(time.moment)
    project = world.add_project("shop/someday", repository="empty")
    found, _ = await crawled_with(world, time)
    told = seen(found, project.id)
    assert told.unknown == {}
    assert (told.values["readme"], told.values["ci_config"]) == (False, False)


async def test_a_directory_or_a_submodule_of_a_files_name_is_not_that_file() -> None:
    time = Time()
    world = World(time.moment)
    files: dict[str, str | SandboxFile] = {
        "qm.yaml/part.yaml": "x",
        "README.md": submodule("a" * 40),
        "CODEOWNERS/a": "x",
        "docs/CODEOWNERS/b": "x",
    }
    project = world.add_project("shop/api", files=files)
    found, _ = await crawled_with(world, time)
    assert found.read[project.id].files == ()
    told = seen(found, project.id)
    assert (told.values["readme"], told.values["codeowners"]) == (False, False)


async def test_a_skipped_pipeline_and_a_release_to_come() -> None:
    time = Time()
    world = World(time.moment)
    releases = tuple(
        Release(f"v{n}", time.moment() + timedelta(days=days)) for n, days in enumerate((-9, 3))
    )
    facts = ProjectFacts(pipeline_status="success", releases=releases)
    project = world.add_project("shop/api", files={"qm.yaml": "version: 1"}, facts=facts)
    world.commit_file(project.id, "README.md", "x", skip_ci=True)
    found, _ = await crawled_with(world, time)
    told = seen(found, project.id)
    assert (told.values["last_release"], told.values["pipeline_status"]) == ("v0", None)


async def test_issues_that_are_switched_off_are_none_and_not_zero() -> None:
    time = Time()
    world = World(time.moment)
    project = world.add_project("a/b", facts=ProjectFacts(issues=False))
    found, _ = await crawled_with(world, time)
    assert seen(found, project.id).values["open_issues"] is None
