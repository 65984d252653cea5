"""Two replicas on one store: one makes the passes, the other serves and takes over."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from bridge.api.webhooks import PATH
from bridge.sandbox.faults import Fault, FaultPlan, FaultRule
from bridge.sandbox.hooks import Hooks
from bridge.store import open_store
from bridge.store.store import SqlStore
from tests.service.process import serve
from tests.service.site import (
    LONG,
    SECRET,
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


async def test_a_replica_takes_over_from_one_that_is_killed(url: str, tmp_path: Path) -> None:
    """kill -9 of the leader; hooks that the follower gets are followed before and after."""
    world = a_world()
    async with a_gitlab(world) as (_, gitlab), serve(gitlab, tmp_path, url) as first:
        await until(first.leads)
        async with serve(gitlab, tmp_path, url) as second:
            await until(second.follows)
            assert await second.names() == {f"s{n}" for n in range(1, 6)}
            hooks = Hooks(world, second.address.rstrip("/") + PATH, token=SECRET)

            world.commit_file(2, "qm.yaml", manifest("pushed"))
            assert await hooks.deliver() == [202]
            await until(lambda: "pushed" in published(tmp_path))
            await until(second.serves("pushed"))
            assert await first.leads()
            assert await second.follows()

            first.process.send_signal(signal.SIGKILL)
            await first.process.wait()
            await until(second.leads)
            world.commit_file(3, "qm.yaml", manifest("later"))
            assert await hooks.deliver() == [202]
            await until(lambda: "later" in published(tmp_path))
            text = (await second.asks("metrics"))[1].decode()
            assert "fester_leader 1.0" in text


async def test_a_replica_that_is_told_to_stop_hands_over_at_once(tmp_path: Path) -> None:
    """SIGTERM: exit code 0, and no waiting for a lease to expire."""
    world = a_world()
    store = f"sqlite:///{tmp_path}/s.db"
    async with a_gitlab(world) as (_, gitlab):
        async with serve(gitlab, tmp_path, store, FESTER_LEASE="1h") as first:
            await until(first.leads)
            await until(lambda: bool(published(tmp_path)))
            first.process.terminate()
            async with asyncio.timeout(LONG):
                assert await first.process.wait() == 0
        async with serve(gitlab, tmp_path, store, FESTER_LEASE="1h") as second:
            await until(second.leads)


async def test_who_loses_the_lease_stops_leading_and_publishes_nothing_more(
    url: str, tmp_path: Path
) -> None:
    """The fence stops the pass, and its hint goes to whoever leads."""
    world = a_world()
    async with (
        a_gitlab(world) as (_, gitlab),
        a_replica(settings(gitlab, tmp_path, url, lease=30)) as replica,
    ):
        await replica.until(lambda: len(replica.reports) == 1)
        lead = replica.service.leadership
        thief = await open_store(url)
        try:
            await thief.lease.release(lead.name, lead.holder)
            assert await thief.lease.acquire(lead.name, "another", 60)
            hooks = hooks_to(world, replica)
            world.commit_file(2, "qm.yaml", manifest("pushed"))
            await hooks.deliver()
            await until(lambda: replica.live.role == "follower")
            await until(left_for_others(thief, replica.service.source))
            assert "pushed" not in published(tmp_path)
            assert len(replica.reports) == 1
        finally:
            await thief.close()


async def test_a_hint_that_a_killed_leader_was_following_is_followed_by_the_next(
    url: str, tmp_path: Path
) -> None:
    """kill -9 while GitLab keeps its pass waiting; the hook is not delivered again."""
    world = a_world()
    async with a_gitlab(world) as (sandbox, gitlab), serve(gitlab, tmp_path, url) as first:
        await until(first.leads)
        await until(lambda: bool(published(tmp_path)))
        hanging = FaultRule(Fault.HANG, "graphql", project_ids=(2,))
        sandbox.use_faults(FaultPlan((hanging,)))
        hooks = Hooks(world, first.address.rstrip("/") + PATH, token=SECRET)
        sandbox.forget_requests()
        world.commit_file(2, "qm.yaml", manifest("pushed"))
        assert await hooks.deliver() == [202]
        await until(lambda: any(seen.fault is Fault.HANG for seen in sandbox.requests))
        first.process.send_signal(signal.SIGKILL)
        await first.process.wait()
        sandbox.use_faults(FaultPlan(()))
        assert "pushed" not in published(tmp_path)
        async with serve(gitlab, tmp_path, url) as second:
            await until(second.leads)
            await until(lambda: "pushed" in published(tmp_path))
            store = await open_store(url)
            try:
                await until(nothing_waits(store, gitlab))
            finally:
                await store.close()


def nothing_waits(store: SqlStore, source: str) -> Callable[[], Awaitable[bool]]:
    async def found() -> bool:
        return await store.hints.waiting(source) == {}

    return found


def left_for_others(store: SqlStore, source: str) -> Callable[[], Awaitable[bool]]:
    async def found() -> bool:
        return {hint.project_id for hint in (await store.hints.waiting(source)).values()} == {2}

    return found
