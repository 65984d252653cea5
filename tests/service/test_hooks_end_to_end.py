"""From a webhook to the published file, with real hooks, a real crawl and a real folder."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from aiohttp import ClientSession

from bridge.api.webhooks import PATH
from bridge.passes.stages import Pass
from bridge.sandbox.app import SandboxGitLab
from bridge.sandbox.faults import Fault, FaultPlan, FaultRule
from bridge.sandbox.latency import Latency
from tests.exporters.test_backstage_refresh import Backstage, location
from tests.exporters.test_backstage_refresh import running as told_by
from tests.service.site import (
    Replica,
    a_gitlab,
    a_replica,
    a_world,
    hooks_to,
    manifest,
    published,
    settings,
    until,
)

pytestmark = pytest.mark.real


def crawled(gitlab: SandboxGitLab) -> list[tuple[int, ...]]:
    """The projects that each request of the crawl asked for."""
    return [r.project_ids for r in gitlab.requests if r.kind in ("graphql", "rest-enumeration")]


async def metrics(replica: Replica) -> str:
    address = replica.hooks_url.removesuffix(PATH)
    async with ClientSession() as session, session.get(f"{address}/metrics") as answer:
        return await answer.text()


async def test_a_push_is_published_by_a_pass_of_its_own(tmp_path: Path) -> None:
    world = a_world()
    async with a_gitlab(world) as (gitlab, url), a_replica(settings(url, tmp_path)) as replica:
        await replica.until(lambda: len(replica.reports) == 1)
        gitlab.forget_requests()
        hooks = hooks_to(world, replica)
        world.commit_file(2, "qm.yaml", manifest("renamed"))
        assert await hooks.deliver() == [202]
        await replica.until(lambda: "renamed" in published(tmp_path))
        assert published(tmp_path) == {"s1", "renamed", "s3", "s4", "s5"}
        assert set(crawled(gitlab)) == {(2,)}
        assert replica.reports[-1].kind == "selected"
        text = await metrics(replica)
        assert 'fester_passes_total{kind="selected",outcome="complete"} 1.0' in text
        assert 'fester_webhooks_total{fate="accepted"} 1.0' in text
        assert re.search(r'fester_gitlab_requests_total\{outcome="200"\} \d', text)


async def test_backstage_is_told_of_a_push_while_facts_are_still_collected(tmp_path: Path) -> None:
    """Those of a large organization take minutes after each pass."""
    world, backstage, collecting = a_world(), Backstage(), asyncio.Event()
    backstage.known = {location("all")}

    async def never_done(done: Pass) -> None:
        collecting.set()
        await asyncio.Event().wait()

    async with (
        a_gitlab(world) as (_, url),
        told_by(backstage) as refresher,
        a_replica(settings(url, tmp_path), refresher=refresher, listeners=(never_done,)) as replica,
    ):
        await collecting.wait()
        await until(lambda: len(backstage.refreshed) == 1)
        hooks = hooks_to(world, replica)
        world.commit_file(2, "qm.yaml", manifest("renamed"))
        assert await hooks.deliver() == [202]
        await until(lambda: len(backstage.refreshed) == 2)
        assert "renamed" in published(tmp_path)


async def test_a_push_that_touches_no_manifest_costs_no_request(tmp_path: Path) -> None:
    world = a_world()
    world.commit_file(2, "README.md", "h")  # a file that is new may be one that was renamed
    async with a_gitlab(world) as (gitlab, url), a_replica(settings(url, tmp_path)) as replica:
        await replica.until(lambda: len(replica.reports) == 1)
        gitlab.forget_requests()
        hooks = hooks_to(world, replica)
        world.commit_file(2, "README.md", "hello")
        world.commit_file(3, "qm.yaml", manifest("three"))
        await hooks.deliver()
        await replica.until(lambda: "three" in published(tmp_path))
        assert set(crawled(gitlab)) == {(3,)}


async def test_a_push_that_touches_only_a_definition_publishes_it(tmp_path: Path) -> None:
    """The manifest is as it was: what it names beside is another text."""
    first, second = "openapi: 3.1.0\ninfo: {title: One}\n", "openapi: 3.1.0\ninfo: {title: Two}\n"
    world = a_world()
    world.commit_file(2, "openapi.yaml", first)
    apis = "  apis: {provides: [{name: Two, type: openapi, definition: openapi.yaml}]}\n"
    world.commit_file(2, "qm.yaml", manifest("two") + apis)
    out = tmp_path / "out"

    def definitions() -> set[str]:
        return {path.read_text() for path in out.glob("definitions/*.yaml")}

    def named() -> set[str]:
        """The definitions that the published APIs lead to."""
        text = "".join(path.read_text() for path in out.glob("entities/*.yaml"))
        return {(out / name).read_text() for name in re.findall(r"definitions/\w+\.yaml", text)}

    async with a_gitlab(world) as (gitlab, url), a_replica(settings(url, tmp_path)) as replica:
        await replica.until(lambda: len(replica.reports) == 1)
        assert definitions() == {first}
        gitlab.forget_requests()
        hooks = hooks_to(world, replica)
        world.commit_file(2, "openapi.yaml", second)
        assert await hooks.deliver() == [202]
        await replica.until(lambda: second in definitions())
        assert set(crawled(gitlab)) == {(2,)}
        assert named() == {second}


async def test_a_push_to_another_branch_costs_no_request(tmp_path: Path) -> None:
    """The branch of the settings is none of those: it is read though it is not the default one."""
    world = a_world()
    world.commit_to_branch(1, "release", "qm.yaml", manifest("released"))
    async with a_gitlab(world) as (gitlab, url):
        chosen = settings(url, tmp_path, gitlab={"branches": {"shop/p1": "release"}})
        async with a_replica(chosen) as replica:
            await replica.until(lambda: "released" in published(tmp_path))
            gitlab.forget_requests()
            hooks = hooks_to(world, replica)
            world.commit_to_branch(2, "draft", "qm.yaml", manifest("drafted"))
            world.commit_file(1, "qm.yaml", manifest("main-of-1"))
            world.commit_to_branch(1, "release", "qm.yaml", manifest("again"))
            assert await hooks.deliver() == [202, 202, 202]
            await replica.until(lambda: "again" in published(tmp_path))
            assert published(tmp_path) == {"again", "s2", "s3", "s4", "s5"}
            assert {ids for ids in crawled(gitlab) if ids} == {(1,)}
            assert 'fester_webhooks_total{fate="ignored"} 2.0' in await metrics(replica)


async def test_a_system_hook_tells_no_files_so_the_project_is_read(tmp_path: Path) -> None:
    world = a_world()
    async with a_gitlab(world) as (gitlab, url), a_replica(settings(url, tmp_path)) as replica:
        await replica.until(lambda: len(replica.reports) == 1)
        gitlab.forget_requests()
        hooks = hooks_to(world, replica, system=True)
        world.commit_file(2, "README.md", "hello")
        world.commit_file(3, "qm.yaml", manifest("three"))
        assert await hooks.deliver() == [202, 202]
        await replica.until(lambda: "three" in published(tmp_path))
        assert {number for ids in crawled(gitlab) for number in ids} == {2, 3}


async def test_an_archived_group_is_followed_and_so_is_its_way_back(tmp_path: Path) -> None:
    """Its projects' dates stay as they were: but for the hook only a sweep would see it."""
    world = a_world()
    world.add_project("old/cart", files={"qm.yaml": manifest("cart")})
    async with a_gitlab(world) as (_, url), a_replica(settings(url, tmp_path)) as replica:
        await replica.until(lambda: "cart" in published(tmp_path))
        hooks = hooks_to(world, replica, system=True)
        world.archive_group("old")
        assert await hooks.deliver() == [202]
        await replica.until(lambda: "cart" not in published(tmp_path))
        world.archive_group("old", archived=False)
        assert await hooks.deliver() == [202]
        await replica.until(lambda: "cart" in published(tmp_path))
        assert published(tmp_path) == {"s1", "s2", "s3", "s4", "s5", "cart"}


async def test_renames_moves_archiving_and_deletion_are_followed(tmp_path: Path) -> None:
    """Twice each, shuffled, and out of order: what is read counts, not what a hook says."""
    world = a_world()
    async with a_gitlab(world) as (_, url), a_replica(settings(url, tmp_path)) as replica:
        await replica.until(lambda: len(replica.reports) == 1)
        hooks = hooks_to(world, replica, repeats=1.0, reorder=True, seed=7)
        world.rename(1, "moved")
        world.transfer(2, "elsewhere")
        world.archive(3)
        world.delete(4)
        world.add_project("shop/new", files={"qm.yaml": manifest("fresh")})
        assert set(await hooks.deliver()) == {202}
        # Hooks that come while a pass runs are of the next one: nobody knows how many follow.
        await replica.until(lambda: published(tmp_path) == {"s1", "s2", "s5", "fresh"})

        async def paths() -> dict[int, str]:
            known = (await replica.service.passes.known()).memory.projects
            return {n: each.left_out or each.project.path for n, each in known.items()}

        async def moved() -> bool:
            found = await paths()
            left = found.pop(3)
            there = {1: "shop/moved", 2: "elsewhere/p2", 5: "shop/p5", 6: "shop/new"}
            return left.startswith("archived") and found == there

        async def moved_with_its_group() -> bool:
            return (await paths())[5] == "store/p5"

        await until(moved)
        world.rename_group("shop", "store")
        await hooks.deliver()
        await until(moved_with_its_group)


async def test_a_forged_or_late_destroy_removes_nothing(tmp_path: Path) -> None:
    world = a_world()
    async with a_gitlab(world) as (_, url), a_replica(settings(url, tmp_path)) as replica:
        await replica.until(lambda: len(replica.reports) == 1)
        hooks = hooks_to(world, replica)
        world.delete(4)
        world.add_project("shop/p4", id=4, files={"qm.yaml": manifest("s4")})
        await hooks.deliver()
        await replica.until(lambda: len(replica.reports) == 2)
        assert "s4" in published(tmp_path)


async def test_a_push_does_not_wait_for_the_sweep_that_runs(tmp_path: Path) -> None:
    world = a_world(60)
    slow = Latency(graphql=0.3, rest=0.3)
    async with a_gitlab(world, slow) as (gitlab, url):
        chosen = settings(url, tmp_path, gitlab={"page_size": 2, "concurrency": 2})
        async with a_replica(chosen) as replica:
            await until(lambda: gitlab.counts["graphql"] > 0)  # the sweep reads
            hooks = hooks_to(world, replica)
            world.commit_file(60, "qm.yaml", manifest("quick"))
            await hooks.deliver()
            await replica.until(lambda: len(replica.reports) == 1)
            assert replica.reports[0].kind == "selected"
            assert published(tmp_path) == {"quick"}
            await replica.until(lambda: len(replica.reports) == 2)
            assert published(tmp_path) == {f"s{n}" for n in range(1, 60)} | {"quick"}


async def test_a_push_while_gitlab_fails_is_tried_again(tmp_path: Path) -> None:
    world = a_world()
    async with a_gitlab(world) as (gitlab, url), a_replica(settings(url, tmp_path)) as replica:
        await replica.until(lambda: len(replica.reports) == 1)
        trouble = FaultRule(Fault.PARTIAL, target="graphql", project_ids=(2,))
        gitlab.use_faults(FaultPlan((trouble,)))
        hooks = hooks_to(world, replica)
        world.commit_file(2, "qm.yaml", manifest("renamed"))
        await hooks.deliver()
        await replica.until(lambda: len(replica.reports) == 2)
        assert published(tmp_path) == {f"s{n}" for n in range(1, 6)}
        assert replica.reports[-1].projects["unreadable"] == 1
        assert "fester_gaps 1.0" in await metrics(replica)
        gitlab.use_faults(FaultPlan())
        await replica.until(lambda: "renamed" in published(tmp_path))
        assert replica.reports[-1].projects["unreadable"] == 0
