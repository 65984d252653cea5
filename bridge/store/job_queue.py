"""Who reads which part of a sweep: jobs in PostgreSQL, by procrastinate.

Its tables lie in a schema of their own, named by their version: processes of two releases have two
queues, and nothing is ever to be migrated, for a job lasts seconds. A job names a part; what is to
be done and what came of it lies in `fester_parts`.
https://procrastinate.readthedocs.io/
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib.resources import files
from typing import Any, Final, LiteralString, cast

import psycopg
from procrastinate import App, BaseRetryStrategy, PsycopgConnector, RetryDecision, exceptions
from procrastinate.jobs import Job
from procrastinate.manager import JobManager
from procrastinate.schema import SchemaManager
from procrastinate.worker import Worker
from psycopg import sql
from psycopg.conninfo import make_conninfo

from bridge.errors import StoreError
from bridge.store.address import read_address
from bridge.store.postgresql import connect_seconds, parameters, patient

Connection = psycopg.AsyncConnection[Any]
Do = Callable[[int, int], Awaitable[bool]]

_TASK: Final = "read"
_SIDE_BY_SIDE: Final = 2  # jobs of a process: while one waits for GitLab the other translates
_ENDING: Final = 5.0  # seconds that a job has to end when the process is told to stop
_POLL: Final = 2.0  # seconds, where a notification was lost
_LOCK: Final = 0x666573746A6F  # any fixed number: "festjo"
_BEATS: Final = 3  # signs of life within the time after which one is missed
_LONGEST: Final = 81  # seconds until a part is tried for the last time: 3, 9, 27 before
_HANDS: Final[LiteralString] = """
    CREATE TABLE IF NOT EXISTS fester_hands (
        name text, queue text, seen timestamptz NOT NULL, PRIMARY KEY (name, queue)
    )"""
_SHOW: Final[LiteralString] = """
    WITH old AS (DELETE FROM fester_hands WHERE seen < now() - interval '1 day')
    INSERT INTO fester_hands VALUES (%(name)s, %(queue)s, now())
    ON CONFLICT (name, queue) DO UPDATE SET seen = now()"""
_LEAVE: Final[LiteralString] = (
    "DELETE FROM fester_hands WHERE name = %(name)s AND queue = %(queue)s"
)
_SEEN: Final[LiteralString] = (
    "SELECT name, queue FROM fester_hands"
    " WHERE seen > now() - make_interval(secs => %(seconds)s) ORDER BY name"
)
_SCHEMAS: Final = "fester_jobs_"  # how their names begin
_OTHERS: Final[LiteralString] = (
    "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %(begin)s)"
    " AND nspname <> %(own)s AND pg_has_role(nspowner, 'USAGE')"
)
_USED: Final[LiteralString] = (
    "SELECT EXISTS (SELECT FROM {} WHERE last_heartbeat > now() - interval '1 hour')"
)
_FORGET: Final[LiteralString] = """
    DELETE FROM procrastinate_jobs WHERE id IN (
        SELECT job_id FROM procrastinate_events
        GROUP BY job_id HAVING max(at) < now() - interval '1 day')"""
_JOBS: Final[LiteralString] = (
    "SELECT (args->>'number')::int AS number, status FROM procrastinate_jobs"
    " WHERE status IN ('todo', 'doing') AND (args->>'sweep')::bigint = %(sweep)s"
)


class AgainPlease(Exception):
    """A part could not be read, and is to be tried again."""


class _Later(BaseRetryStrategy):
    """When a job is done again: a part that could not be read later and later, else soon."""

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision:
        seconds = (
            min(3 ** (job.attempts + 1), _LONGEST) if isinstance(exception, AgainPlease) else 3
        )
        return RetryDecision(retry_in={"seconds": seconds})


class _Jobs(JobManager):
    """The jobs. One whose end cannot be noted was taken over by another process, or is looked for
    as lost: no fault, and nobody hears of it who could do anything.
    """

    async def finish_job(self, *args: Any, **more: Any) -> None:
        with suppress(exceptions.ConnectorException):
            await super().finish_job(*args, **more)

    async def retry_job(self, *args: Any, **more: Any) -> None:
        with suppress(exceptions.ConnectorException):
            await super().retry_job(*args, **more)


class JobQueue:
    """Jobs of one database; made by `open_queue`. Every method raises `StoreError`.

    Its tables lie in `schema`. `name` is that of this process, as no other one has it; `patience`
    is how many seconds one may show no sign of life before another one does what it was at.
    """

    def __init__(self, app: App, schema: str, name: str, patience: float) -> None:
        self.schema = schema
        self._app = app
        self._name = name
        self._patience = patience
        self._do: Do | None = None
        # A part is given up by what is known of it, never by its jobs.
        app.task(name=_TASK, retry=_Later())(self._read)

    async def put(self, queue: str, sweep: int, numbers: Iterable[int]) -> None:
        """Have parts read by whoever takes jobs of this queue."""
        with _explained("put a job"):
            task = self._app.configure_task(_TASK, queue=queue)
            for number in numbers:
                await task.defer_async(sweep=sweep, number=number)

    async def hands(self, queue: str) -> int:
        """How many processes take jobs of this queue now, this one included."""
        return sum(each == queue for _, each in await self.seen())

    async def others(self, queue: str) -> int:
        """How many other processes do."""
        return sum(each == queue and name != self._name for name, each in await self.seen())

    async def seen(self) -> list[tuple[str, str]]:
        """The processes that take jobs now, and of which queue."""
        with _explained("look for workers"):
            found = await self._app.connector.execute_query_all_async(_SEEN, seconds=self._patience)
        return [(row["name"], row["queue"]) for row in found]

    async def take_over(self, queue: str) -> int:
        """Have done again what processes were at that show no sign of life; how much it was."""
        with _explained("take over jobs"):
            found = await self._stalled(queue)
            for job in found:
                await self._app.job_manager.retry_job(job)
        return len(found)

    async def stalled(self) -> int:
        """How many jobs of any queue processes were at that show no sign of life."""
        with _explained("look for stalled jobs"):
            return len(await self._stalled(None))

    async def _stalled(self, queue: str | None) -> list[Job]:
        found = await self._app.job_manager.get_stalled_jobs(
            queue=queue, seconds_since_heartbeat=self._patience
        )
        return list(found)

    async def known(self, sweep: int) -> dict[int, bool]:
        """The parts of a sweep for which there is a job, and whether one is at it."""
        with _explained("look at jobs"):
            found = await self._app.connector.execute_query_all_async(_JOBS, sweep=sweep)
        return {row["number"]: row["status"] == "doing" for row in found}

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
        showing = asyncio.create_task(self._show(queue))
        try:
            with _explained("take jobs"):
                await cast(Any, worker).run()  # which has no types
        finally:
            showing.cancel()
            await asyncio.gather(showing, return_exceptions=True)
            with suppress(StoreError):
                await self._say(_LEAVE, queue)

    async def _show(self, queue: str) -> None:
        """Show that this process takes jobs of a queue, until cancelled."""
        task = asyncio.current_task()
        assert task is not None
        while True:
            with suppress(StoreError):  # whoever looks in vain will do without us
                await self._say(_SHOW, queue)
            if task.cancelling():  # a fault of the store's, or its answer, came in place of that
                return
            await asyncio.sleep(self._patience / _BEATS)

    async def _say(self, statement: LiteralString, queue: str) -> None:
        with _explained("show that jobs are taken"):
            execute = self._app.connector.execute_query_async
            await execute(statement, name=self._name, queue=queue)

    async def _read(self, sweep: int, number: int) -> None:
        assert self._do is not None
        if await self._do(sweep, number):
            raise AgainPlease


@asynccontextmanager
async def open_queue(url: str, name: str, patience: float) -> AsyncIterator[JobQueue]:
    """The queue in a PostgreSQL, its tables made if they are not there. Raises `StoreError`.

    No wait for the database lasts: a network may swallow packets.
    """
    # What goes wrong is told by us, and what is done by the parts' own states.
    for each in ("procrastinate", "psycopg.pool"):
        logging.getLogger(each).setLevel(logging.CRITICAL)
    schema = f"{_SCHEMAS}{_version()}"
    told = parameters(read_address(url).url, patience)
    told["connect_timeout"] = connect_seconds(patience)
    kind = patient(2 * patience)
    with _explained("make the tables of jobs"):
        await _prepare(kind, make_conninfo("", **told), schema)
    told["options"] += f" -c search_path={schema}"
    app = App(
        connector=PsycopgConnector(
            conninfo=make_conninfo("", **told),
            connection_class=kind,
            min_size=1,
            max_size=4,
            timeout=patience,
        )
    )
    app.job_manager = _Jobs(app.connector)
    with _explained("open the jobs"):
        await app.open_async()
    try:
        await _refuse_other_schema(app, schema)
        yield JobQueue(app, schema, name, patience)
    finally:
        with _explained("close the jobs"):
            await app.close_async()


async def _refuse_other_schema(app: App, schema: str) -> None:
    """A pooler between us and PostgreSQL may not hand on where our tables lie."""
    with _explained("find the tables of jobs"):
        found = await app.connector.execute_query_one_async("SELECT current_schema() AS own")
    if found["own"] != schema:
        raise StoreError(
            f"cannot share sweeps: a connection to the store does not keep its search_path "
            f"({schema}), as through a PgBouncer that ignores `options`; name PostgreSQL itself as "
            "the store, or write `share_sweeps: false`"
        )


def _version() -> str:
    """The version of the tables: that of the last step towards them."""
    steps = (each.name for each in files("procrastinate.sql.migrations").iterdir())
    last = max(name for name in steps if name.endswith(".sql"))
    return "_".join(last.replace(".", "_").split("_")[:4])


async def _prepare(kind: type[Connection], conninfo: str, schema: str) -> None:
    """Make the tables where they are not there, and drop those of other versions."""
    async with await kind.connect(conninfo) as connection:
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        there = await _is_there(connection, schema, "procrastinate_workers")
        name = sql.Identifier(schema)
        if not there:
            await connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(name))
        await connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(name))
        if not there:
            await connection.execute(SchemaManager.get_schema())
        if not await _is_there(connection, schema, "fester_hands"):
            await connection.execute(_HANDS)
        await connection.execute(_FORGET)  # of queues that nobody takes jobs of any more
    async with await kind.connect(conninfo) as connection:
        await _drop_others(connection, schema)


async def _is_there(connection: Connection, schema: str, table: str) -> bool:
    found = await connection.execute("SELECT to_regclass(%s)", (f"{schema}.{table}",))
    return (await found.fetchone() or (None,))[0] is not None


async def _drop_others(connection: Connection, schema: str) -> None:
    """Drop the jobs of versions that nobody has used for an hour: they lasted seconds.

    What is another user's, or in use, stays.
    """
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    found = await connection.execute(_OTHERS, {"begin": _SCHEMAS, "own": schema})
    for (other,) in await found.fetchall():
        name = sql.Identifier(other)
        used = sql.SQL(_USED).format(sql.Identifier(other, "procrastinate_workers"))
        with suppress(psycopg.Error):
            async with connection.transaction():
                await connection.execute("SET LOCAL lock_timeout TO '1s'")
                if not (await (await connection.execute(used)).fetchone() or (False,))[0]:
                    await connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(name))


@contextmanager
def _explained(action: str) -> Iterator[None]:
    """Turn what the queue raises into a `StoreError` that says what to do."""
    try:
        yield
    except (exceptions.ProcrastinateException, psycopg.Error, OSError, TimeoutError) as error:
        reason = _reason(error)
        advice = "check that PostgreSQL runs"
        if "permission denied" in reason:
            advice = (
                "grant this user the right to create a schema in the database, or write "
                "`share_sweeps: false`"
            )
        raise StoreError(
            f"cannot {action} in the store, by which several processes share a sweep: {reason}; "
            f"{advice}"
        ) from None  # the cause may quote the URL with its password


def _reason(error: BaseException) -> str:
    """The first line of what the database said."""
    said: Any = error.__cause__ or error
    return str(said or type(said).__name__).partition("\n")[0]
