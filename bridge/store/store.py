"""The store: one transaction a save, only what differs is written, loads of one moment."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from tempfile import TemporaryDirectory
from typing import Any

import structlog
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bridge.errors import StoreError
from bridge.model.destinations import Mark
from bridge.model.entities import Catalog
from bridge.model.memory import Horizon, Memory, PassRecord
from bridge.model.problems import with_sources
from bridge.model.runs import Report
from bridge.store import rows, schema
from bridge.store.address import (
    CONNECTIONS,
    StoreAddress,
    make_engine,
    names_former_driver,
    read_address,
    reader_of,
    refuse_other_files,
)
from bridge.store.censuses import SqlCensuses
from bridge.store.codec import Undecodable, decode_horizon
from bridge.store.concluded import PASSES_KEPT
from bridge.store.digests import SqlDigests
from bridge.store.editions import Editions
from bridge.store.entity_changes import SqlEntityChanges
from bridge.store.facts import FactHistory, SqlFactStore
from bridge.store.faults import explained
from bridge.store.hints import Hints
from bridge.store.kept_text import SqlEditionText, SqlKeptText
from bridge.store.lease import SqlLease
from bridge.store.marks import Marks
from bridge.store.model import SqlModel
from bridge.store.notices import SqlNotices
from bridge.store.parts import SqlParts
from bridge.store.rates import SqlRates
from bridge.store.receivers import SqlReceivers
from bridge.store.remediation import SqlRemediation
from bridge.store.scores import ScoreHistory, SqlScoreStore
from bridge.store.search import SqlSearch
from bridge.store.sources import parts_of, source_id_of, source_name
from bridge.store.statistics import Statistics
from bridge.store.tables import MODEL, manifests, passes, projects, sources

log = structlog.get_logger()

_PATIENCE = 15.0  # seconds to wait for another process's transaction
_PAUSE = 0.05
_LONGEST_STEP = 3600.0  # seconds that one statement of a migration may take


def _utc_now() -> datetime:
    return datetime.now(UTC)


async def open_store(
    url: str,
    *,
    patience: float = _PATIENCE,
    clock: Callable[[], datetime] = _utc_now,
    connections: int = CONNECTIONS,
) -> SqlStore:
    """Open the store at `url` and bring its tables up to date; close it when done.

    `patience` is how many seconds to wait for another process's transaction, or for one of the
    `connections` to PostgreSQL that there may be. Raises
    `ConfigurationError` for a URL of no known kind, `StoreError` for whatever else is wrong.
    """
    address = read_address(url)
    if names_former_driver(address):
        log.warning(
            "The store's URL names a driver that Fester no longer uses; write postgresql://",
            action="store_driver_ignored",
            store=address.shown,
        )
    with explained(address, "open the tables"):
        await asyncio.to_thread(refuse_other_files, address)
    # Steps over large tables may take long; whatever comes after them may not.
    preparing = make_engine(address, patience, _LONGEST_STEP)
    engine = preparing
    if not address.sqlite:
        engine = make_engine(address, patience, connections=connections)
    try:
        with explained(address, "open the tables"):
            await _prepare(preparing, address, patience)
    except BaseException:
        await engine.dispose()
        raise
    finally:
        if preparing is not engine:
            await preparing.dispose()
    return SqlStore(engine, address, patience, clock)


async def _prepare(engine: AsyncEngine, address: StoreAddress, patience: float) -> None:
    try:
        if address.sqlite and not address.in_memory:
            await _set_wal(engine, patience)
        async with reader_of(engine).connect() as connection:
            if await connection.run_sync(schema.is_current):
                return
        async with engine.begin() as connection:
            await connection.run_sync(schema.upgrade)
    except StoreError as error:
        if address.shown in str(error):
            raise
        raise StoreError(f"cannot use the store {address.shown}: {error}") from error


async def _set_wal(engine: AsyncEngine, patience: float) -> None:
    # Readers go on while a pass is saved. The mode stays with the file. SQLite does not wait for
    # a lock when the mode changes, so of two processes that start at once one must try again.
    attempts = max(1, int(patience / _PAUSE))
    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()
        driver: Any = raw.driver_connection  # beneath SQLAlchemy: no transaction may be open
        for attempt in range(1, attempts + 1):
            try:
                await driver.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                if attempt == attempts or "locked" not in str(error):
                    raise
                await asyncio.sleep(_PAUSE)
            else:
                return


class SqlStore:
    """A `bridge.passes.interfaces.Store` in SQLite or PostgreSQL; made by `open_store`."""

    def __init__(
        self,
        engine: AsyncEngine,
        address: StoreAddress,
        patience: float = _PATIENCE,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._engine = engine
        self._reader = reader_of(engine)
        self._address = address
        self._patience = patience
        self._clock = clock
        self._closed = False
        self._statistics = None if address.sqlite else Statistics(self._single)
        self.lease = SqlLease(self._writing, self._reading)
        self._marks = Marks(self._writing, self._reading)
        self.editions = Editions(self._growing, self._reading)
        self.model = SqlModel(self.editions, clock)
        opening = self.editions.opening
        self.parts = SqlParts(self._growing, self._reading, opening, clock)
        self.rates = SqlRates(self._alone, lambda: clock().timestamp())
        self.hints = Hints(self._writing, self._reading)
        self.remediation = SqlRemediation(self._writing, self._reading)
        self.entity_changes = SqlEntityChanges(self._writing, self._reading)
        self.search = SqlSearch(self._reading)
        self.censuses = SqlCensuses(self._writing, self._reading)
        self.receivers = SqlReceivers(self._writing, self._reading)
        self.digests = SqlDigests(self._writing, self._reading)
        self.notices = SqlNotices(self._writing, self._reading)
        self.teams_elsewhere = SqlKeptText(
            self._writing, self._reading, sources.c.teams_elsewhere, "the teams elsewhere"
        )
        self.group_defaults = SqlEditionText(
            self._reading, opening, sources.c.group_defaults, "the defaults for groups"
        )

    @property
    def shared(self) -> bool:
        """Whether processes on several machines may use it at once."""
        return not self._address.sqlite

    @property
    def shown(self) -> str:
        """Its address as people may see it, without a password."""
        return self._address.shown

    def facts(self, history: FactHistory | None = None) -> SqlFactStore:
        """Facts and their history in the same database."""
        return SqlFactStore(self._writing, self._reading, history or FactHistory())

    def scores(self, history: ScoreHistory | None = None) -> SqlScoreStore:
        """Scores and their history in the same database."""
        return SqlScoreStore(self._writing, self._reading, history or ScoreHistory())

    def __repr__(self) -> str:
        return f"SqlStore({self._address.shown!r})"

    async def close(self) -> None:
        """Release connections; safe to call twice. Afterwards everything raises `StoreError`."""
        self._closed = True
        await self._engine.dispose()

    async def load(self, source: str) -> Memory:
        """All that is known of a source; empty when it was never seen.

        Raises `StoreError`, also for a row that cannot be understood: to go on without it would
        look as if its manifest had been deleted.
        """
        found_projects: dict[Any, Any] = {}
        found_manifests: dict[Any, Any] = {}
        async with self._reading(f"load what is known of {source}") as connection:
            source_id = await source_id_of(connection, source)
            if source_id is None:
                return Memory()
            horizon = await _horizon(connection, source, source_id)
            wanted = select(projects).where(projects.c.source_id == source_id)
            async for part in parts_of(connection, wanted):
                found_projects |= await asyncio.to_thread(rows.known_projects, part)
            wanted = select(*rows.manifest_columns).where(manifests.c.source_id == source_id)
            async for part in parts_of(connection, wanted):
                found_manifests |= await asyncio.to_thread(rows.known_manifests, part)
        return Memory(found_projects, found_manifests, horizon)

    async def report(self, source: str) -> Report | None:
        """The report of the last saved pass, with the problems as they stand.

        Raises `StoreError`.
        """
        found = await self.passes(source, 1)
        if not found:
            return None
        names = (await self.model.state(source)).horizon.others
        standing = with_sources(await self.model.problems(source), names)
        return replace(found[0], problems=(*found[0].problems, *standing))

    async def latest(self, source: str) -> PassRecord | None:
        """The last saved pass of a source, with the catalog and the problems as they stand.

        Raises `StoreError`.
        """
        report = await self.report(source)
        if report is None:
            return None
        made = [each async for part in self.model.catalog(source) for each in part]
        made.sort(key=lambda entity: str(entity.ref))
        return PassRecord(report, Catalog(tuple(made)))

    @asynccontextmanager
    async def scratch(self, source: str) -> AsyncIterator[SqlStore]:
        """A copy of what is known of a source, in a temporary file; gone at the end."""
        with TemporaryDirectory(prefix="fester-") as folder:
            copy = await open_store(f"sqlite:///{folder}/copy.db", clock=self._clock)
            try:
                async with self._reading(f"copy what is known of {source}") as connection:
                    source_id = await source_id_of(connection, source)
                    if source_id is not None:
                        await copy._take_over(connection, source_id)
                yield copy
            finally:
                await copy.close()

    async def _take_over(self, theirs: AsyncConnection, source_id: int) -> None:
        """Copy a source out of another store."""
        async with self._writing("copy what is known") as ours:
            for table in (sources, *MODEL):
                key = table.c.id if table is sources else table.c.source_id
                wanted = select(table).where(key == source_id)
                async for part in parts_of(theirs, wanted):
                    await ours.execute(table.insert(), [dict(row._mapping) for row in part])

    async def passes_saved(self, source: str) -> int:
        """How many passes of a source were saved. Raises `StoreError`."""
        async with self._reading(f"count the passes of {source}") as connection:
            wanted = select(sources.c.passes).where(sources.c.name == source_name(source))
            return (await connection.execute(wanted)).scalar_one_or_none() or 0

    async def mark(self, source: str) -> Mark | None:
        """Whose what this store publishes of a source is; None when it never published any."""
        return await self._marks.current(source)

    async def next_mark(self, source: str, passes: int, above: int = 0) -> Mark:
        """The mark of the next publish; see `bridge.passes.interfaces.Store`."""
        return await self._marks.draw(source, passes, above)

    async def sources(self) -> list[str]:
        """The names of all sources that were ever saved, sorted. Raises `StoreError`."""
        async with self._reading("list the sources") as connection:
            names = await connection.execute(select(sources.c.name).order_by(sources.c.name))
            return [str(name) for (name,) in names]

    async def passes(self, source: str, limit: int = PASSES_KEPT) -> list[Report]:
        """The reports of a source's latest passes, newest first. Raises `StoreError`."""
        async with self._reading(f"load the reports of {source}") as connection:
            source_id = await source_id_of(connection, source)
            if source_id is None or limit < 1:
                return []
            return await _reports(connection, source_id, limit)

    @asynccontextmanager
    async def _reading(self, action: str) -> AsyncIterator[AsyncConnection]:
        with explained(self._address, action):
            self._refuse_closed()
            async with self._reader.connect() as connection:
                yield connection

    @asynccontextmanager
    async def _writing(self, action: str) -> AsyncIterator[AsyncConnection]:
        with explained(self._address, action):
            self._refuse_closed()
            async with self._engine.begin() as connection:
                if connection.dialect.name == "postgresql":
                    wait = text("SELECT set_config('lock_timeout', :wait, true)")
                    await connection.execute(wait, {"wait": f"{int(self._patience * 1000)}ms"})
                yield connection

    @asynccontextmanager
    async def _growing(self, action: str) -> AsyncIterator[AsyncConnection]:
        """As `_writing`, for what a sweep writes by the thousand."""
        async with self._writing(action) as connection:
            yield connection
        if self._statistics is not None:
            await self._statistics.written()

    @asynccontextmanager
    async def _alone(self, action: str) -> AsyncIterator[AsyncConnection]:
        """A connection on which each statement is a transaction; on SQLite all of them are one."""
        if self._address.sqlite:
            async with self._writing(action) as connection:
                yield connection
            return
        with explained(self._address, action):
            self._refuse_closed()
            async with self._single() as connection:
                yield connection

    def _single(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection on which each statement is a transaction, where there may be several."""
        return self._engine.execution_options(isolation_level="AUTOCOMMIT").connect()

    def _refuse_closed(self) -> None:
        if self._closed:
            raise StoreError(f"the store {self._address.shown} is closed; open it again")


async def _horizon(connection: AsyncConnection, source: str, source_id: int) -> Horizon:
    wanted = select(sources.c.horizon, sources.c.passes).where(sources.c.id == source_id)
    text, passes = (await connection.execute(wanted)).one()
    try:
        return decode_horizon(text, passes)
    except Undecodable as error:
        raise StoreError(f"the horizon of {source} (table fester_sources): {error}") from error


async def _reports(connection: AsyncConnection, source_id: int, limit: int) -> list[Report]:
    wanted = (
        select(passes.c.id, passes.c.report)
        .where(passes.c.source_id == source_id)
        .order_by(passes.c.id.desc())
        .limit(limit)
    )
    found = (await connection.execute(wanted)).all()
    return [await asyncio.to_thread(rows.stored_report, row.id, row.report) for row in found]
