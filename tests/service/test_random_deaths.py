"""kill -9 and SIGSTOP of a leading `fester serve` at instants that nobody chose."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from bridge.sandbox.world import World
from bridge.store import open_store
from tests.service.process import Process, serve
from tests.service.site import a_gitlab, manifest, published, until
from tests.survival.test_kill_9 import files, named_is_there

pytestmark = pytest.mark.real

PROJECTS = 40
CHANGED = 5  # projects whose services are named anew; the others never change


def a_town() -> World:
    """Its clock is ours: who asks what changed is told."""
    world = World(lambda: datetime.now(UTC))
    for number in range(1, PROJECTS + 1):
        world.add_project(f"shop/p{number}", files={"qm.yaml": manifest(f"s{number}")})
    return world


def constant() -> set[str]:
    return {f"s{n}" for n in range(CHANGED + 1, PROJECTS + 1)}


def whole(folder: Path) -> None:
    """The index leads to what is there, and nobody who never changed is missing."""
    found = files(folder / "out")
    if "catalog.json" in found and "index.yaml" in found:
        named_is_there(found)
        assert constant() <= published(folder)


def rename(world: World, turn: int) -> set[str]:
    """Every one of the services that change gets another name; gives the names of all."""
    for number in range(1, CHANGED + 1):
        world.commit_file(number, "qm.yaml", manifest(f"t{turn}-{number}"))
    return constant() | {f"t{turn}-{n}" for n in range(1, CHANGED + 1)}


async def known_to(store: str, source: str) -> set[str]:
    """The components that a store holds."""
    opened = await open_store(store)
    try:
        refs = await opened.model.digests(source)
    finally:
        await opened.close()
    return {ref.rpartition("/")[2] for ref in refs if ref.startswith("component:")}


async def test_a_leader_that_is_killed_again_and_again_loses_nothing(
    url: str, tmp_path: Path
) -> None:
    """Whatever it was at, the next one goes on: store, index and files say the same."""
    world, dice = a_town(), Random(11)
    async with a_gitlab(world) as (_, gitlab):
        for turn in range(3):
            truth = rename(world, turn)
            async with serve(gitlab, tmp_path, url, FESTER_LEASE="1s") as doomed:
                # From before it leads to after its first pass.
                await asyncio.sleep(dice.uniform(0.0, 1.5))
                doomed.process.send_signal(signal.SIGKILL)
                await doomed.process.wait()
            whole(tmp_path)
        async with serve(gitlab, tmp_path, url, FESTER_LEASE="1s") as last:
            await until(lambda: published(tmp_path) == truth)
            await until(lambda: shows(last, truth))
        whole(tmp_path)
        assert await known_to(url, gitlab) == truth


async def shows(process: Process, truth: set[str]) -> bool:
    """Whether the read API has just these, and nothing that went while somebody else led."""
    return await process.names() == truth


async def test_a_leader_that_was_stopped_and_goes_on_publishes_nothing_old(
    url: str, tmp_path: Path
) -> None:
    """SIGSTOP while it reads or publishes; the other one takes over; then SIGCONT."""
    world, dice, url = a_town(), Random(5), soon_without(url)
    more = {"FESTER_LEASE": "1s", "FESTER_EVERY": "1s", "FESTER_FULL_EVERY": "1s"}
    truth = rename(world, 0)
    async with a_gitlab(world) as (_, gitlab), serve(gitlab, tmp_path, url, **more) as first:
        await until(first.leads)
        async with serve(gitlab, tmp_path, url, **more) as second:
            leader, other = first, second
            for turn in (1, 2):
                await until(lambda truth=truth: published(tmp_path) == truth)  # type: ignore[misc]
                truth = rename(world, turn)
                await asyncio.sleep(dice.uniform(0.0, 1.2))  # its passes follow each other
                os.kill(leader.process.pid, signal.SIGSTOP)
                if await takes_over(other, url):
                    await until(lambda truth=truth: published(tmp_path) == truth)  # type: ignore[misc]
                    whole(tmp_path)
                    os.kill(leader.process.pid, signal.SIGCONT)
                    await until(leader.follows)
                    assert await other.leads()
                    assert published(tmp_path) == truth
                    leader, other = other, leader
                else:
                    os.kill(leader.process.pid, signal.SIGCONT)
                for each in (leader, other):
                    await until(lambda each=each, truth=truth: shows(each, truth))  # type: ignore[misc]
        whole(tmp_path)


def soon_without(url: str) -> str:
    """The store's URL, where a transaction of one that is stopped ends in seconds: PostgreSQL keeps
    its locks for half a minute else."""
    if url.startswith("sqlite"):
        return url
    limit = "options=-c%20idle_in_transaction_session_timeout%3D2000"
    return f"{url}{'&' if '?' in url else '?'}{limit}"


async def takes_over(other: Process, url: str) -> bool:
    """Whether the other one leads. One that was stopped within a transaction of SQLite's keeps its
    lock: then nobody leads until it goes on."""
    try:
        async with asyncio.timeout(5 if url.startswith("sqlite") else None):
            await until(other.leads)
    except TimeoutError:
        if not url.startswith("sqlite"):
            raise
        return False
    return True
