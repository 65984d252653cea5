"""The queue of parts, on a real PostgreSQL: who takes jobs, what is lost, no wait that lasts."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import psycopg
import pytest
from sqlalchemy.engine import make_url

from bridge.errors import StoreError
from bridge.service.schedule import ended
from bridge.store import open_store
from bridge.store.job_queue import JobQueue, open_queue
from tests.service.relay import pooler_before, relay_to
from tests.store.conftest import database

pytestmark = pytest.mark.real


@pytest.fixture
def url(server: str) -> str:
    """An empty database of PostgreSQL."""
    return database(server)


async def until(holds: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(60):
        while not await holds():  # noqa: ASYNC110 — nobody tells of it
            await asyncio.sleep(0.02)


async def told(done: list[int], *numbers: int) -> bool:
    return set(numbers) <= set(done)


async def nothing(queue: JobQueue, sweep: int) -> bool:
    return not await queue.known(sweep)


@asynccontextmanager
async def hand(queue: JobQueue, name: str, done: list[int]) -> AsyncIterator[None]:
    """Takes jobs of a queue, and notes their numbers."""

    async def do(sweep: int, number: int) -> bool:
        done.append(number)
        return False

    task = asyncio.create_task(queue.work(name, do))
    try:
        await until(lambda: queue.hands(name))
        yield
    finally:
        with suppress(StoreError):  # where nothing answers any more
            await ended(task)


async def test_only_who_takes_jobs_of_a_queue_is_a_hand_for_it(url: str) -> None:
    """Another one's queue does not count, nor does one that has ended."""
    async with AsyncExitStack() as stack:
        one, two = [
            await stack.enter_async_context(open_queue(url, name, 15)) for name in ("one", "two")
        ]
        done: list[int] = []
        async with hand(one, "ours", done), hand(two, "theirs", done):
            assert await one.seen() == [("one", "ours"), ("two", "theirs")]
            assert (await one.hands("ours"), await one.others("ours")) == (1, 0)
            assert (await two.hands("ours"), await two.others("ours")) == (1, 1)
            await two.put("ours", 7, [1, 2])
            await until(lambda: told(done, 1, 2))
        assert await one.seen() == []
        assert await one.stalled() == 0


async def test_a_job_tells_whether_one_is_at_it(url: str) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def do(sweep: int, number: int) -> bool:
        begun.set()
        await go_on.wait()
        return False

    async with open_queue(url, "one", 15) as queue:
        await queue.put("ours", 7, [1])
        assert await queue.known(7) == {1: False}
        task = asyncio.create_task(queue.work("ours", do))
        await begun.wait()
        assert await queue.known(7) == {1: True}
        go_on.set()
        await until(lambda: nothing(queue, 7))
        await ended(task)


async def test_a_store_takes_no_more_connections_than_it_may(url: str) -> None:
    """Who wants one more waits for it; five processes of twenty each were refused them."""
    store = await open_store(url, connections=2)
    held, most = asyncio.Semaphore(0), 0

    async def reads() -> None:
        nonlocal most
        async with store._reading("look"):
            held.release()
            with psycopg.connect(url) as connection:
                row = connection.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND pid <> pg_backend_pid()"
                ).fetchone()
            assert row is not None
            most = max(most, row[0])
            if most < 2:  # the first one waits for a second one beside it
                await held.acquire()
                await held.acquire()

    async with asyncio.timeout(60):
        await asyncio.gather(*(reads() for _ in range(8)))
    await store.close()
    assert most == 2


async def test_no_wait_for_a_network_that_swallows_packets_lasts(url: str) -> None:
    """Neither a question, nor taking jobs, nor opening, nor closing; then all goes on."""
    port = make_url(url).port
    assert port is not None
    async with relay_to(port) as relay:
        through = make_url(url).set(port=relay.port).render_as_string(hide_password=False)
        async with asyncio.timeout(120), open_queue(through, "one", 1) as queue:
            done: list[int] = []
            async with hand(queue, "ours", done):
                relay.swallow()
                with pytest.raises(StoreError, match="look for workers"):
                    await queue.seen()
                with pytest.raises(StoreError, match="put a job"):
                    await queue.put("ours", 7, [1])
                with pytest.raises(StoreError):
                    async with open_queue(through, "two", 1):
                        raise AssertionError("nothing answers")
        relay.go_on()
        async with open_queue(through, "one", 1) as queue, hand(queue, "ours", done):
            await queue.put("ours", 8, [2])
            await until(lambda: told(done, 2))


async def test_who_takes_jobs_hears_that_nothing_comes_any_more(url: str) -> None:
    """`work` ends by itself, so that whoever called it begins anew."""
    port = make_url(url).port
    assert port is not None
    async with relay_to(port) as relay:
        through = make_url(url).set(port=relay.port).render_as_string(hide_password=False)
        async with asyncio.timeout(120), open_queue(through, "one", 1) as queue:

            async def do(sweep: int, number: int) -> bool:
                return False

            task = asyncio.create_task(queue.work("ours", do))
            await until(lambda: queue.hands("ours"))
            relay.swallow()
            await asyncio.wait([task])
            assert task.exception() is None or isinstance(task.exception(), StoreError)


async def test_jobs_of_other_versions_and_of_yesterday_go(url: str) -> None:
    """A schema in use stays, and so does what is not ours."""
    async with open_queue(url, "one", 15) as queue:
        await queue.put("ours", 7, [1, 2])
    with psycopg.connect(url, autocommit=True) as connection:
        for name in ("fester_jobs_01", "fester_jobs_02", "somebodys"):
            connection.execute(f"CREATE SCHEMA {name}")
            connection.execute(
                f"CREATE TABLE {name}.procrastinate_workers (last_heartbeat timestamptz)"
            )
        connection.execute("INSERT INTO fester_jobs_02.procrastinate_workers VALUES (now())")
        row = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'fester_jobs_0%' AND "
            "nspname NOT IN ('fester_jobs_01', 'fester_jobs_02')"
        ).fetchone()
        assert row is not None
        connection.execute(
            f"UPDATE {row[0]}.procrastinate_events SET at = at - interval '2 days'"
            " WHERE job_id = (SELECT min(job_id) FROM"
            f" {row[0]}.procrastinate_events)"
        )
    async with open_queue(url, "one", 15) as queue:
        assert set(await queue.known(7)) == {2}
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'fester_jobs_%'"
            " OR nspname = 'somebodys'"
        ).fetchall()
    assert {name for (name,) in found} == {row[0], "fester_jobs_02", "somebodys"}


async def test_a_pooler_that_hands_on_no_search_path_is_refused(url: str) -> None:
    """Its connections would look for the tables of jobs elsewhere, and no sweep be shared."""
    port = make_url(url).port
    assert port is not None
    async with pooler_before(port) as pooled:
        through = make_url(url).set(port=pooled).render_as_string(hide_password=False)
        await (await open_store(through)).close()
        with pytest.raises(StoreError, match="does not keep its search_path"):
            async with open_queue(through, "one", 15):
                raise AssertionError("its tables are not found")


async def test_taking_jobs_ends_where_their_tables_are_gone(url: str) -> None:
    """What shows that jobs are taken goes on no longer than jobs are taken."""
    async with open_queue(url, "one", 15) as queue:
        with psycopg.connect(url) as connection:
            connection.execute(f"DROP SCHEMA {queue.schema} CASCADE")

        async def do(sweep: int, number: int) -> bool:
            return False

        async with asyncio.timeout(60):
            for _ in range(5):
                with pytest.raises(StoreError, match="take jobs"):
                    await queue.work("ours", do)


async def test_a_job_that_another_process_took_over_ends_without_a_word(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its end cannot be noted any more; that was a traceback for whoever runs the process."""
    done: list[int] = []

    async def do(sweep: int, number: int) -> bool:
        if number == 1:
            async with await psycopg.AsyncConnection.connect(url) as connection:
                await connection.execute(f"SET search_path TO {queue.schema}")
                await connection.execute("DELETE FROM procrastinate_jobs")
        done.append(number)
        return False

    async with open_queue(url, "one", 15) as queue:
        await queue.put("ours", 7, [1])
        task = asyncio.create_task(queue.work("ours", do))
        await until(lambda: told(done, 1))
        await queue.put("ours", 7, [3])  # jobs go on
        await until(lambda: told(done, 3))
        await ended(task)
    gc.collect()
    assert [each.getMessage() for each in caplog.records if each.name == "asyncio"] == []
