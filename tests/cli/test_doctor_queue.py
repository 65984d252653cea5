"""`fester doctor` looks at the queue of shared sweeps on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import psycopg
import pytest
from sqlalchemy.engine import make_url

from bridge.cli.queue_seen import queue_findings
from bridge.scrapers.gitlab.inspection import Finding
from bridge.service.schedule import ended
from bridge.settings import Settings
from bridge.store.job_queue import JobQueue, open_queue
from tests.store.conftest import database, server

__all__ = ["server"]  # the fixture

GITLAB = "https://gitlab.example.com"


async def findings(store: str, *, shared: bool = True) -> list[Finding]:
    given = Settings(source=GITLAB, store=store, share_sweeps=shared)
    return [each async for each in queue_findings(given)]


async def test_of_a_store_that_one_process_has_there_is_nothing_to_say() -> None:
    """Nor where sweeps are not to be shared."""
    assert await findings("sqlite:///s.db") == []
    assert await findings("postgresql://nowhere.invalid/x", shared=False) == []


@pytest.fixture
def url(server: str) -> str:
    """An empty database."""
    return database(server)


async def _taking(stack: AsyncExitStack, url: str, name: str, queue: str) -> JobQueue:
    made = await stack.enter_async_context(open_queue(url, name, 15))

    async def do(sweep: int, number: int) -> bool:
        return False

    task = asyncio.create_task(made.work(queue, do))
    stack.push_async_callback(ended, task)
    async with asyncio.timeout(60):
        while not await made.hands(queue):  # noqa: ASYNC110 — nobody tells of it
            await asyncio.sleep(0.02)
    return made


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


@pytest.mark.real
async def test_who_takes_jobs_is_told(url: str, stack: AsyncExitStack) -> None:
    (finding,) = await findings(url)
    assert finding.fine
    assert "fester_jobs_" in finding.said
    assert "nobody takes jobs now" in finding.said
    await _taking(stack, url, "east:7:ab", "q")
    (finding,) = await findings(url)
    assert (finding.fine, finding.advice) == (True, "")
    assert finding.said.endswith("1 process takes jobs: east:7")
    await _taking(stack, url, "west:8:cd", "another")
    (finding,) = await findings(url)
    assert finding.said.endswith("2 processes take jobs: east:7, west:8")
    assert "mapping files" in finding.advice


@pytest.mark.real
async def test_stalled_jobs_are_told(url: str, stack: AsyncExitStack) -> None:
    """Of a process that was killed: its sign of life is old, and its job is under way."""
    queue = await stack.enter_async_context(open_queue(url, "east:7:ab", 15))
    await queue.put("q", 1, [1])
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"SET search_path TO {queue.schema}")
        connection.execute(
            "INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - interval '1 hour')"
        )
        connection.execute(
            "UPDATE procrastinate_jobs SET status = 'doing',"
            " worker_id = (SELECT max(id) FROM procrastinate_workers)"
        )
    (finding,) = await findings(url)
    assert "processes that show no sign of life: 1" in finding.said
    assert "fester serve" in finding.advice


@pytest.mark.real
async def test_a_user_who_may_make_no_schema_is_told_what_to_grant(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS meek")
        connection.execute("CREATE ROLE meek LOGIN")
    (finding,) = await findings(
        make_url(url).set(username="meek").render_as_string(hide_password=False)
    )
    assert not finding.fine
    assert "grant this user the right to create a schema" in finding.said
    assert "hunter2" not in finding.said
