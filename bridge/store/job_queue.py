"""Who reads which part of a sweep: jobs in PostgreSQL, by procrastinate.

Its tables lie in a schema of their own, named by their version: processes of two releases have two
queues, and nothing is ever to be migrated, for a job lasts seconds. A job names a part; what is to
be done and what came of it lies in `fester_parts`.
https://procrastinate.readthedocs.io/
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib.resources import files
from typing import Any, Final, LiteralString, cast

import psycopg
from procrastinate import App, PsycopgConnector, RetryStrategy, exceptions
from procrastinate.schema import SchemaManager
from procrastinate.worker import Worker
from psycopg import sql
from psycopg.conninfo import make_conninfo

from bridge.errors import StoreError
from bridge.store.address import read_address
from bridge.store.postgresql import parameters

Do = Callable[[int, int], Awaitable[bool]]

_TASK: Final = "read"
_PRIORITY: Final = 0
_SIDE_BY_SIDE: Final = 2  # jobs of a process: while one waits for GitLab the other translates
_ENDING: Final = 5.0  # seconds that a job has to end when the process is told to stop
_POLL: Final = 2.0  # seconds, where a notification was lost
_LOCK: Final = 0x666573746A6F  # any fixed number: "festjo"
_BEATS: Final = 3  # signs of life within the time after which one is missed
_ALIVE: Final[LiteralString] = (
    "SELECT id FROM procrastinate_workers"
    " WHERE last_heartbeat > now() - make_interval(secs => %(seconds)s)"
)
_JOBS: Final[LiteralString] = (
    "SELECT (args->>'number')::int AS number FROM procrastinate_jobs"
    " WHERE status IN ('todo', 'doing') AND (args->>'sweep')::bigint = %(sweep)s"
)


class AgainPlease(Exception):
    """A part could not be read, and is to be tried again."""


class JobQueue:
    """Jobs of one database; made by `open_queue`. Every method raises `StoreError`.

    `patience` is how many seconds a process may show no sign of life before another one does what
    it was at.
    """

    def __init__(self, app: App, patience: float) -> None:
        self._app = app
        self._patience = patience
        self._own: list[Worker] = []
        self._do: Do | None = None
        # A part is given up by what is known of it, never by its jobs.
        app.task(name=_TASK, retry=RetryStrategy(wait=1))(self._read)

    async def put(self, queue: str, sweep: int, numbers: Iterable[int]) -> None:
        """Have parts read by whoever takes jobs of this queue."""
        with _explained("put a job"):
            task = self._app.configure_task(_TASK, queue=queue, priority=_PRIORITY)
            for number in numbers:
                await task.defer_async(sweep=sweep, number=number)

    async def others(self) -> int:
        """How many other processes take jobs now, whatever queue's."""
        with _explained("look for workers"):
            found = await self._app.connector.execute_query_all_async(
                _ALIVE, seconds=self._patience
            )
        own = {each.worker_id for each in self._own}
        return sum(row["id"] not in own for row in found)

    async def take_over(self, queue: str) -> int:
        """Have done again what processes were at that show no sign of life; how much it was."""
        with _explained("take over jobs"):
            manager = self._app.job_manager
            stalled = await manager.get_stalled_jobs(
                queue=queue, seconds_since_heartbeat=self._patience
            )
            found = list(stalled)
            for job in found:
                with suppress(exceptions.ConnectorException):  # it ended in this moment
                    await manager.retry_job(job)
        return len(found)

    async def known(self, sweep: int) -> set[int]:
        """The parts of a sweep for which there is a job."""
        with _explained("look at jobs"):
            found = await self._app.connector.execute_query_all_async(_JOBS, sweep=sweep)
        return {row["number"] for row in found}

    async def work(self, queue: str, do: Do) -> None:
        """Do the jobs of a queue until cancelled; then end what is under way, for some seconds.

        `do` gets a part's sweep and number, and tells whether it is to be tried again.
        """
        self._do = do
        worker = Worker(
            self._app,
            queues=[queue],
            concurrency=_SIDE_BY_SIDE,
            fetch_job_polling_interval=_POLL,
            shutdown_graceful_timeout=min(_ENDING, self._patience),
            delete_jobs="always",
            install_signal_handlers=False,
            update_heartbeat_interval=self._patience / _BEATS,
            stalled_worker_timeout=self._patience,
        )
        self._own.append(worker)
        try:
            with _explained("take jobs"):
                await cast(Any, worker).run()  # which has no types
        finally:
            self._own.remove(worker)

    async def _read(self, sweep: int, number: int) -> None:
        assert self._do is not None
        if await self._do(sweep, number):
            raise AgainPlease


@asynccontextmanager
async def open_queue(url: str, patience: float) -> AsyncIterator[JobQueue]:
    """The queue in a PostgreSQL, its tables made if they are not there. Raises `StoreError`."""
    # What goes wrong is told by us, and what is done by the parts' own states.
    logging.getLogger("procrastinate").setLevel(logging.CRITICAL)
    schema = f"fester_jobs_{_version()}"
    told = parameters(read_address(url).url, patience)
    conninfo = make_conninfo("", **told)
    with _explained("make the tables of jobs"):
        await _prepare(conninfo, schema)
    options = f"{told['options']} -c search_path={schema}"
    app = App(
        connector=PsycopgConnector(
            conninfo=make_conninfo(conninfo, options=options),
            min_size=1,
            max_size=4,
            timeout=patience,
        )
    )
    with _explained("open the jobs"):
        await app.open_async()
    try:
        yield JobQueue(app, patience)
    finally:
        with _explained("close the jobs"):
            await app.close_async()


def _version() -> str:
    """The version of the tables: that of the last step towards them."""
    steps = (each.name for each in files("procrastinate.sql.migrations").iterdir())
    last = max(name for name in steps if name.endswith(".sql"))
    return "_".join(last.replace(".", "_").split("_")[:4])


async def _prepare(conninfo: str, schema: str) -> None:
    async with await psycopg.AsyncConnection.connect(conninfo) as connection:
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        there = await connection.execute(
            "SELECT to_regclass(%s)", (f"{schema}.procrastinate_workers",)
        )
        if (await there.fetchone() or (None,))[0] is not None:
            return
        name = sql.Identifier(schema)
        await connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(name))
        await connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(name))
        await connection.execute(SchemaManager.get_schema())


@contextmanager
def _explained(action: str) -> Iterator[None]:
    """Turn what the queue raises into a `StoreError` that says what to do."""
    try:
        yield
    except (exceptions.ProcrastinateException, psycopg.Error, OSError, TimeoutError) as error:
        reason = _reason(error)
        advice = "check that PostgreSQL runs"
        if "permission denied" in reason:
            advice = "grant this user the right to create a schema in the database"
        raise StoreError(
            f"cannot {action} in the store, by which several processes share a sweep: {reason}; "
            f"{advice}"
        ) from None  # the cause may quote the URL with its password


def _reason(error: BaseException) -> str:
    """The first line of what the database said."""
    said: Any = error.__cause__ or error
    return str(said or type(said).__name__).partition("\n")[0]
