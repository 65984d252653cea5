"""Two GitLabs in one catalog, real ones on loopback: one of them dies, and the other goes on."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from pydantic import SecretStr

from bridge.api.webhooks import PATH
from bridge.cli.after_pass import facts_and_scores
from bridge.errors import ConfigurationError
from bridge.model.numbers import number_of
from bridge.ox.facts.schemas import GITLAB_REST
from bridge.passes.runner import Passes
from bridge.passes.stages import PassOptions
from bridge.sandbox.hooks import Hooks
from bridge.sandbox.world import World
from bridge.scrapers.gitlab.throttle import Throttle
from bridge.settings import Settings
from bridge.store import open_store
from bridge.wiring import wired
from tests.service.site import (
    SECRET,
    TOKEN,
    Replica,
    a_gitlab,
    a_replica,
    a_world,
    manifest,
    published,
    settings,
)

pytestmark = pytest.mark.real

LAB_SECRET = "what opens the lab's door"


def a_lab() -> World:
    """Another organization: the same ids and the same paths, other services."""
    world = a_world(0)
    for number in range(1, 4):
        world.add_project(f"shop/p{number}", files={"qm.yaml": manifest(f"lab{number}")})
    return world


def both(first: str, lab: str, folder: Path, **more: Any) -> Settings:
    sources = [first, {"name": "lab", "url": lab}]
    chosen = settings(first, folder, **({"from": sources} | more))
    own = {"token": SecretStr(TOKEN), "webhook_token": SecretStr(LAB_SECRET)}
    return chosen.model_copy(update={"source_secrets": {"lab": own}})


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long between two tries."""

    async def no_pause(self: Throttle, attempt: int) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(Throttle, "back_off", no_pause)


async def answer(replica: Replica, path: str) -> str:
    address = replica.hooks_url.removesuffix(PATH)
    async with ClientSession() as session, session.get(f"{address}{path}") as got:
        return await got.text()


async def refused(address: str, token: str) -> int:
    """The status by which a hook with this secret is refused."""
    shown = {"X-Gitlab-Token": token}
    async with ClientSession() as session, session.post(address, json={}, headers=shown) as got:
        assert (await got.json())["status"] == "refused"
        return got.status


async def test_one_dies_and_the_other_goes_on(url: str, tmp_path: Path) -> None:
    """A push is followed by the GitLab that sent it. Of the dead one nothing is removed."""
    world, lab_world = a_world(2), a_lab()
    store = url
    async with AsyncExitStack() as stack, AsyncExitStack() as mortal:
        sandbox, first = await mortal.enter_async_context(a_gitlab(world))
        lab_sandbox, lab = await stack.enter_async_context(a_gitlab(lab_world))
        chosen = both(first, lab, tmp_path, store=store, gitlab={"timeout": 2})
        replica = await stack.enter_async_context(a_replica(chosen))
        everything = {"s1", "s2", "lab1", "lab2", "lab3"}
        await replica.until(lambda: {each.source for each in replica.reports} == {"", "lab"})
        assert published(tmp_path) == everything

        # The same id in both: which one is read depends on where the hook comes in.
        sandbox.forget_requests()
        lab_sandbox.forget_requests()
        hooks = Hooks(lab_world, f"{replica.hooks_url}/lab", token=LAB_SECRET)
        lab_world.commit_file(2, "qm.yaml", manifest("pushed"))
        assert await hooks.deliver() == [202]
        await replica.until(lambda: "pushed" in published(tmp_path))
        assert replica.reports[-1].source == "lab"
        assert not [each for each in sandbox.requests if each.kind == "graphql"]
        assert await refused(f"{replica.hooks_url}/nowhere", SECRET) == 404
        assert await refused(f"{replica.hooks_url}/lab", SECRET) == 401  # the first one's
        assert await refused(replica.hooks_url, LAB_SECRET) == 401

        await mortal.aclose()  # the first is gone
        post = replica.service.posts[""]
        assert post.schedule is not None
        post.schedule.poke()
        await replica.until(
            lambda: replica.reports[-1].source == "" and replica.reports[-1].failure != ""
        )
        lab_world.commit_file(3, "qm.yaml", manifest("later"))
        assert await hooks.deliver() == [202]
        await replica.until(lambda: "later" in published(tmp_path))
        assert published(tmp_path) == {"s1", "s2", "lab1", "pushed", "later"}
        told = await answer(replica, "/readyz")
        assert '"first": {' in told
        assert '"last_pass": "failed"' in told
        text = await answer(replica, "/metrics")
        assert 'fester_source_unread{source="first"} 1.0' in text
        assert 'fester_source_unread{source="lab"} 0.0' in text
        assert 'fester_source_requests_total{outcome="200",source="lab"}' in text
        page = await answer(replica, "/")
        assert "<h2>Sources</h2>" in page
        assert first in page
        assert lab in page


async def test_a_group_of_one_gitlab_is_not_the_group_of_another(tmp_path: Path) -> None:
    """Both have a group `shop`; a rename in one reads that one's projects alone."""
    world, lab_world = a_world(2), a_lab()
    async with AsyncExitStack() as stack:
        sandbox, first = await stack.enter_async_context(a_gitlab(world))
        lab_sandbox, lab = await stack.enter_async_context(a_gitlab(lab_world))
        replica = await stack.enter_async_context(a_replica(both(first, lab, tmp_path)))
        await replica.until(lambda: len(published(tmp_path)) == 5)
        sandbox.forget_requests()
        lab_sandbox.forget_requests()
        hooks = Hooks(lab_world, f"{replica.hooks_url}/lab", token=LAB_SECRET)
        lab_world.rename_group("shop", "store")
        assert set(await hooks.deliver()) == {202}
        await replica.until(lambda: replica.reports[-1].kind == "selected")
        assert not sandbox.requests
        asked = {n for each in lab_sandbox.requests for n in each.project_ids}
        assert asked == {1, 2, 3}


async def test_hints_of_both_wait_in_one_store_for_whoever_leads(tmp_path: Path) -> None:
    """A follower keeps them under the numbers that tell whose they are."""
    world, lab_world = a_world(1), a_lab()
    async with AsyncExitStack() as stack:
        _, first = await stack.enter_async_context(a_gitlab(world))
        _, lab = await stack.enter_async_context(a_gitlab(lab_world))
        chosen = both(first, lab, tmp_path, lease=3600)
        async with a_replica(chosen) as leader:
            await leader.until(lambda: len(published(tmp_path)) == 4)
            async with a_replica(chosen) as follower:
                hooks = Hooks(lab_world, f"{follower.hooks_url}/lab", token=LAB_SECRET)
                lab_world.commit_file(1, "qm.yaml", manifest("told"))
                assert await hooks.deliver() == [202]
                await leader.until(lambda: "told" in published(tmp_path))
        store = await open_store(chosen.store)
        known = await store.load(first)
        assert known.projects.keys() == {1, *(number_of("lab", n) for n in (1, 2, 3))}
        assert known.projects[number_of("lab", 1)].project.web_url.startswith(lab)
        await store.close()


async def test_an_existing_store_of_one_gitlab_takes_a_second_one_in(tmp_path: Path) -> None:
    """Nothing of the first is numbered anew, and an order that would lose it is refused."""
    world, lab_world = a_world(2), a_lab()
    async with AsyncExitStack() as stack:
        _, first = await stack.enter_async_context(a_gitlab(world))
        _, lab = await stack.enter_async_context(a_gitlab(lab_world))
        async with a_replica(settings(first, tmp_path)) as alone:
            await alone.until(lambda: len(published(tmp_path)) == 2)
        claims = await _claims(tmp_path, first)
        with pytest.raises(ConfigurationError, match=r"put .* first, so that what is known"):
            async with wired(both(lab, first, tmp_path)):
                pass
        async with a_replica(both(first, lab, tmp_path)) as replica:
            await replica.until(lambda: len(published(tmp_path)) == 5)
        after = await _claims(tmp_path, first)
        assert claims.items() <= after.items()
        assert {key for key in after if key not in claims} == {
            (number_of("lab", n), "qm.yaml") for n in (1, 2, 3)
        }


async def _claims(folder: Path, source: str) -> dict[tuple[int, str], datetime | None]:
    """When each manifest was first seen, by its key."""
    store = await open_store(f"sqlite:///{folder}/s.db")
    try:
        known = await store.load(source)
        return {key: each.held_since for key, each in known.manifests.items()}
    finally:
        await store.close()


async def test_each_gitlab_is_shown_its_own_token_and_asked_in_its_own_words(
    tmp_path: Path,
) -> None:
    """Own group, own exclusions; a token goes nowhere else. Facts are asked where they are."""
    world, lab_world = a_world(1), a_lab()
    lab_world.add_project("other/p9", files={"qm.yaml": manifest("left")})
    async with AsyncExitStack() as stack:
        sandbox, first = await stack.enter_async_context(a_gitlab(world))
        lab_sandbox, lab = await stack.enter_async_context(a_gitlab(lab_world))
        lab_sandbox.token = "the-labs-own"
        chosen = both(
            first,
            lab,
            tmp_path,
            **{
                "from": [
                    first,
                    {"name": "lab", "url": f"{lab}/shop", "gitlab": {"exclude": ["shop/p3"]}},
                ],
                "ox": {"collect": True},
            },
        )
        chosen = chosen.model_copy(
            update={"source_secrets": {"lab": {"token": SecretStr("the-labs-own")}}}
        )
        async with wired(chosen) as parts:
            passes = Passes(parts.stages)
            done = await passes.run_all([PassOptions(source=n) for n in parts.stages.sources])
            assert done.report.outcome.value == "complete"
            assert published(tmp_path) == {"s1", "lab1", "lab2"}
            await facts_and_scores(parts, done, lambda stage, count: None)
            facts = parts.facts.board.latest
        for name in ("s1", "lab1"):
            (ref,) = [each for each in facts if each.name == name and each.kind == "component"]
            assert facts[ref][GITLAB_REST.id].values()
        asked = {n for each in lab_sandbox.requests for n in each.project_ids}
        assert asked <= {1, 2, 3}
        assert not [each for each in sandbox.requests if max(each.project_ids, default=0) > 1]
