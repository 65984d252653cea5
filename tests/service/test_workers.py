"""`fester worker` beside `fester serve`, on PostgreSQL: processes that read one sweep."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bridge.model.runs import Outcome
from bridge.model.work import Task
from bridge.processors.mapping import shipped_folder
from bridge.sandbox.latency import Latency
from bridge.sandbox.world import World
from bridge.store import open_store
from tests.benchmarks.gitlab import gitlab as in_a_process
from tests.benchmarks.workers import compared
from tests.service import process, site
from tests.service.process import SMALL_PARTS, Process, serve, worker
from tests.service.site import a_gitlab, a_world, manifest, published, until
from tests.service.test_random_deaths import known_to, rename, shows, soon_without, whole
from tests.store.conftest import database

pytestmark = pytest.mark.real

PROJECTS = 40


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four or five processes start here, and each sweep is one of many parts."""
    for each in (site, process):
        monkeypatch.setattr(each, "LONG", 120.0)


@pytest.fixture
def url(server: str) -> str:
    """An empty PostgreSQL store's URL."""
    return database(server)


async def metric(process: Process, name: str) -> float:
    _, body = await process.asks("metrics")
    found = re.search(rf"^{re.escape(name)} (\S+)$", body.decode(), re.M)
    return float(found[1]) if found else 0.0


async def ready(process: Process) -> bool:
    return (await process.asks("readyz"))[0] == 200


async def test_workers_read_what_one_process_would(url: str, tmp_path: Path) -> None:
    """Every part is read once, by whoever has a hand free; the catalog is whole."""
    async with a_gitlab(a_world(PROJECTS)) as (_, gitlab), AsyncExitStack() as stack:
        made = [
            await stack.enter_async_context(worker(gitlab, tmp_path, url, SMALL_PARTS))
            for _ in range(2)
        ]
        for each in made:
            await until(lambda each=each: ready(each))  # type: ignore[misc]
        await stack.enter_async_context(serve(gitlab, tmp_path, url, SMALL_PARTS))
        truth = {f"s{n}" for n in range(1, PROJECTS + 1)}
        await until(lambda: published(tmp_path) == truth)
        store = await open_store(url)
        read, merged, checked, rendered = await store.parts.progress(gitlab)
        await store.close()
        done = [await metric(each, 'fester_worker_parts_total{fate="done"}') for each in made]
        tasks = [read.task, merged.task, checked.task, rendered.task]
        assert tasks == [Task.READ, Task.MERGE, Task.CHECK, Task.RENDER]
        assert (read.failed, read.left, read.done) == (0, 0, PROJECTS / 4)
        assert (merged.failed, merged.left, checked.failed, checked.left) == (0, 0, 0, 0)
        assert (rendered.failed, rendered.left, rendered.done >= 2) == (0, 0, True)
        assert (read.projects_done, merged.projects_done) == (PROJECTS, merged.projects)
        assert merged.projects >= PROJECTS
        assert 0 < sum(done) <= read.done + merged.done + checked.done + rendered.done
        told = jobs(gitlab, url)
        assert [each["work"] for each in told] == ["read", "merge", "check", "render"]
        assert told[0]["parts"] == {"done": 10, "under_way": 0, "waiting": 0, "failed": 0}


SLOW = Latency(rest=0.02, graphql=0.15)
AGAIN = {"FESTER_LEASE": "1s", "FESTER_EVERY": "1s", "FESTER_FULL_EVERY": "1s"}


def a_town() -> World:
    """Its clock is ours: who asks what changed is told."""
    world = World(lambda: datetime.now(UTC))
    for number in range(1, PROJECTS + 1):
        world.add_project(f"shop/p{number}", files={"qm.yaml": manifest(f"s{number}")})
    return world


# Each part takes so long that a signal finds the task it is meant for.
SLOW_HANDS = f"""{SMALL_PARTS}tasks.LEAST = shards.LEAST = 2
import asyncio
do = tasks.CatalogHand.do
async def slowly(hand, *part):
    await asyncio.sleep(0.3)
    return await do(hand, *part)
tasks.CatalogHand.do = slowly
"""


@asynccontextmanager
async def hands(
    count: int, gitlab: str, folder: Path, url: str, before: str = SMALL_PARTS
) -> AsyncIterator[list[Process]]:
    """Workers that take jobs; `before` is code that runs first."""
    async with AsyncExitStack() as stack:
        made = [
            await stack.enter_async_context(worker(gitlab, folder, url, before, **AGAIN))
            for _ in range(count)
        ]
        for each in made:
            await until(lambda each=each: ready(each))  # type: ignore[misc]
        yield made


async def shared(url: str, gitlab: str, task: Task = Task.READ) -> bool:
    """Whether several processes are at a task."""
    store = await open_store(url)
    try:
        return any(e.left for e in await store.parts.progress(gitlab) if e.task is task)
    finally:
        await store.close()


async def test_workers_that_are_killed_or_stopped_lose_nothing(url: str, tmp_path: Path) -> None:
    """kill -9 and SIGSTOP in mid-sweep at instants that nobody chose; SIGCONT when it is over.

    What they were at is read by others, and what the one that was stopped brings late is refused:
    in between every project was renamed, and nothing of before comes back.
    """
    world, dice = a_town(), Random(3)
    async with a_gitlab(world, SLOW) as (_, gitlab), hands(3, gitlab, tmp_path, url) as made:
        doomed, stopped, _ = made
        truth = rename(world, 0)
        async with serve(gitlab, tmp_path, url, SMALL_PARTS, **AGAIN) as leader:
            await until(lambda: shared(url, gitlab))
            await asyncio.sleep(dice.uniform(0.0, 0.4))
            doomed.process.send_signal(signal.SIGKILL)
            await asyncio.sleep(dice.uniform(0.0, 0.4))
            stopped.process.send_signal(signal.SIGSTOP)
            await until(lambda: published(tmp_path) == truth)
            whole(tmp_path)
            truth = rename(world, 1)
            await until(lambda: published(tmp_path) == truth)
            stopped.process.send_signal(signal.SIGCONT)
            await until(lambda: ready(stopped))
            await until(lambda: shared(url, gitlab))
            truth = rename(world, 2)
            await until(lambda: published(tmp_path) == truth)
            await until(lambda: shows(leader, truth))
            whole(tmp_path)
        assert await known_to(url, gitlab) == truth


async def test_a_leader_that_is_killed_in_a_shared_sweep_loses_nothing(
    url: str, tmp_path: Path
) -> None:
    """Again and again, with workers beside it, while these do what comes after reading, too: the
    next one begins its sweep anew.
    """
    world, dice = a_town(), Random(8)
    async with a_gitlab(world, SLOW) as (_, gitlab), hands(2, gitlab, tmp_path, url, SLOW_HANDS):
        for turn, task in enumerate(Task):
            truth = rename(world, turn)
            async with serve(gitlab, tmp_path, url, SLOW_HANDS, **AGAIN) as doomed:
                await until(lambda task=task: shared(url, gitlab, task))  # type: ignore[misc]
                await asyncio.sleep(dice.uniform(0.0, 0.3))
                doomed.process.send_signal(signal.SIGKILL)
                await doomed.process.wait()
            whole(tmp_path)
        async with serve(gitlab, tmp_path, url, SMALL_PARTS, **AGAIN) as last:
            await until(lambda: published(tmp_path) == truth)
            await until(lambda: shows(last, truth))
        whole(tmp_path)
        assert await known_to(url, gitlab) == truth


async def test_a_leader_that_was_stopped_in_a_shared_sweep_publishes_nothing_old(
    url: str, tmp_path: Path
) -> None:
    """The follower takes over while its parts are still read; then SIGCONT."""
    world, dice, url = a_town(), Random(4), soon_without(url)
    truth = rename(world, 0)
    async with (
        a_gitlab(world, SLOW) as (_, gitlab),
        hands(1, gitlab, tmp_path, url),
        serve(gitlab, tmp_path, url, SMALL_PARTS, **AGAIN) as first,
    ):
        await until(first.leads)
        async with serve(gitlab, tmp_path, url, SMALL_PARTS, **AGAIN) as second:
            await until(lambda: published(tmp_path) == truth)
            await until(lambda: shared(url, gitlab))
            await asyncio.sleep(dice.uniform(0.0, 0.3))
            first.process.send_signal(signal.SIGSTOP)
            truth = rename(world, 1)
            await until(second.leads)
            await until(lambda: published(tmp_path) == truth)
            first.process.send_signal(signal.SIGCONT)
            await until(first.follows)
            assert published(tmp_path) == truth
            for each in (first, second):
                await until(lambda each=each: shows(each, truth))  # type: ignore[misc]
        whole(tmp_path)


async def test_a_worker_that_is_told_to_stop_ends_what_it_is_at(url: str, tmp_path: Path) -> None:
    """SIGTERM ends it with 0, and nothing is taken over: it left nothing behind."""
    async with (
        a_gitlab(a_town(), SLOW) as (_, gitlab),
        hands(2, gitlab, tmp_path, url) as made,
        serve(gitlab, tmp_path, url, SMALL_PARTS),
    ):
        await until(lambda: shared(url, gitlab))
        made[0].process.send_signal(signal.SIGTERM)
        assert await made[0].process.wait() == 0
        truth = {f"s{n}" for n in range(1, PROJECTS + 1)}
        await until(lambda: published(tmp_path) == truth)


async def test_a_worker_with_another_token_takes_no_part(url: str, tmp_path: Path) -> None:
    """It might be shown less. The leader reads alone, as if nobody else were there."""
    other = {"GITLAB_TOKEN": "another-token"}
    async with (
        a_gitlab(a_town()) as (_, gitlab),
        worker(gitlab, tmp_path, url, SMALL_PARTS, **other) as stranger,
    ):
        await until(lambda: ready(stranger))
        async with serve(gitlab, tmp_path, url, SMALL_PARTS):
            truth = {f"s{n}" for n in range(1, PROJECTS + 1)}
            await until(lambda: published(tmp_path) == truth)
        store = await open_store(url)
        assert await store.parts.progress(gitlab) == []
        await store.close()


async def test_a_mapping_that_is_saved_in_mid_sweep_makes_no_gap(url: str, tmp_path: Path) -> None:
    """All hands take jobs of another queue by then: the leader reads the rest by itself."""
    own = tmp_path / "mappings"
    own.mkdir()
    look = f"import bridge.service.worker as w; w._LOOK = 0.2; {SMALL_PARTS}"
    more = {"FESTER_MAPPINGS": str(own), "FESTER_LEASE": "1s"}
    async with (
        a_gitlab(a_town(), Latency(rest=0.02, graphql=1.0)) as (_, gitlab),
        worker(gitlab, tmp_path, url, look, **more) as other,
    ):
        await until(lambda: ready(other))
        async with serve(gitlab, tmp_path, url, look, **more):
            await until(lambda: shared(url, gitlab))
            text = (shipped_folder() / "qm-v1.yaml").read_text()
            (own / "qm-v1.yaml").write_text(f"# ours\n{text}")
            truth = {f"s{n}" for n in range(1, PROJECTS + 1)}
            await until(lambda: published(tmp_path) == truth)
            await until(lambda: is_complete(url, gitlab))
        store = await open_store(url)
        (progress,) = await store.parts.progress(gitlab)
        await store.close()
        assert (progress.done, progress.failed, progress.left) == (PROJECTS / 4, 0, 0)
        assert "sweep_abandoned" in said(tmp_path)


async def is_complete(url: str, gitlab: str) -> bool:
    """Whether the last pass that was saved could read all."""
    store = await open_store(url)
    try:
        reports = await store.passes(gitlab, 1)
    finally:
        await store.close()
    return [each.outcome for each in reports] == [Outcome.COMPLETE]


def said(folder: Path) -> str:
    """What all processes logged."""
    return "".join(each.read_text() for each in sorted(folder.glob("said-*")))


async def test_what_several_publish_is_the_same_to_the_byte(server: str) -> None:
    """The benchmark `tests.benchmarks.workers`, small: one process, and two."""
    with in_a_process(700) as there:  # more than a thousand entities: merging is shared, too
        alone, shared = await compared(there, server, [1, 2])
    assert alone.published == shared.published
    assert (alone.led.entities, alone.led.parts) == (shared.led.entities, 0)
    assert (shared.led.parts, shared.led.others) == (4, 6)
    assert shared.requests <= 700 / 100 + 700 / 50 + 20
    assert (alone.refused, shared.refused) == (0, 0)


def jobs(gitlab: str, url: str) -> list[dict[str, Any]]:
    told = subprocess.run(
        [
            *(sys.executable, "-c", "from bridge.cli import main; main()", "jobs", "--json"),
            *("--from", gitlab, "--store", url),
        ],
        capture_output=True,
        check=True,
    )
    found: list[dict[str, Any]] = json.loads(told.stdout)
    return found
