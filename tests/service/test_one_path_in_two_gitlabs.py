"""Two GitLabs have a project of one path: what is wrong with the one is not told of the other."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from bridge.answers.library import Library
from bridge.model.numbers import mark_of
from bridge.sandbox.faults import Fault, FaultPlan, FaultRule
from bridge.store import open_store
from bridge.wiring.answers import StoredLibrary
from bridge.wiring.clock import utc_now
from tests.service.site import a_gitlab, a_replica, a_world, manifest, published
from tests.service.test_several_gitlabs import answer, both

pytestmark = pytest.mark.real

ODD = manifest("lab-cart", team="ebb").replace("owner:", "oddity: 1\n  owner:")


async def test_a_problem_is_told_with_the_gitlab_whose_it_is(url: str, tmp_path: Path) -> None:
    world, lab_world = a_world(0), a_world(0)
    world.add_project("shop/p1", files={"qm.yaml": manifest("cart")})
    lab_world.add_project("shop/p1", files={"qm.yaml": ODD})
    async with AsyncExitStack() as stack:
        _, first = await stack.enter_async_context(a_gitlab(world))
        _, lab = await stack.enter_async_context(a_gitlab(lab_world))
        chosen = both(first, lab, tmp_path, store=url)
        async with a_replica(chosen) as replica:
            await replica.until(lambda: published(tmp_path) == {"cart", "lab-cart"})
            await replica.until(lambda: {each.source for each in replica.reports} == {"", "lab"})

            async def asked(query: str) -> list[dict[str, Any]]:
                items: list[dict[str, Any]] = json.loads(
                    await answer(replica, f"/api/problems?{query}")
                )["items"]
                return items

            (told,) = await asked("project=shop/p1")
            assert (told["source"], told["team"]) == ("lab", "group:default/ebb")
            assert told["rule"] == "unknown-key"
            assert await asked("project=shop/p1&source=lab") == [told]
            assert await asked("project=shop/p1&source=first") == []
            assert await asked("team=tide") == []
            pages = {
                path: "oddity" in await answer(replica, path)
                for path in (
                    "/entity/component:default/cart",
                    "/entity/component:default/lab-cart",
                    "/problems?source=first",
                    "/problems?source=lab",
                    "/explain?ref=cart",
                    "/explain?ref=lab-cart",
                )
            }
            assert [path for path, found in pages.items() if found] == [
                "/entity/component:default/lab-cart",
                "/problems?source=lab",
                "/explain?ref=lab-cart",
            ]
            assert "1 warning" not in await answer(replica, "/entity/group:default/tide")
            assert "1 warning" in await answer(replica, "/entity/group:default/ebb")
            assert ">lab:shop/" in await answer(replica, "/problems")
        store = await open_store(chosen.store)
        try:
            report = await store.report(first)
            assert report is not None
            assert {(e.source, e.gitlab) for e in report.problems} == {("lab", mark_of("lab"))}
            library = Library((await StoredLibrary.of(store, first, "it")).open, utc_now)
            assert (await library.problems("lab:shop/p1"))["total"] == 1
            assert (await library.explain("cart"))["problems"] == []
        finally:
            await store.close()


async def test_what_cannot_be_read_of_one_is_not_said_of_the_other(tmp_path: Path) -> None:
    """Also where nothing but its path is known."""
    world, lab_world = a_world(0), a_world(0)
    world.add_project("shop/p1", files={"qm.yaml": manifest("cart")})
    closed = lab_world.add_project("shop/p1", files={"qm.yaml": ODD})
    async with AsyncExitStack() as stack:
        _, first = await stack.enter_async_context(a_gitlab(world))
        sandbox, lab = await stack.enter_async_context(a_gitlab(lab_world))
        gone = FaultRule(Fault.NO_DATA, "graphql", project_ids=[closed.id])
        sandbox.use_faults(FaultPlan((gone,)))
        async with a_replica(both(first, lab, tmp_path)) as replica:
            await replica.until(lambda: {each.source for each in replica.reports} == {"", "lab"})
            (told,) = json.loads(await answer(replica, "/api/problems"))["items"]
            assert (told["rule"], told["source"], told["team"]) == ("unreadable", "lab", None)
            assert "could not be read" not in await answer(replica, "/explain?ref=cart")
