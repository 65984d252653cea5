"""The store: one transaction a save, only what differs is written, loads of one moment."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Table, bindparam, delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from bridge.caching.memo import PassMemo
from bridge.errors import StoreConflict, StoreError
from bridge.model.destinations import Mark
from bridge.model.entities import Catalog, CatalogEntity, Ref
from bridge.model.memory import Horizon, Memory, PassRecord
from bridge.model.runs import Report
from bridge.store import rows, schema
from bridge.store.address import Address, make_engine, read_address, reader_of, refuse_other_files
from bridge.store.codec import (
    Undecodable,
    decode_horizon,
    decode_moment,
    encode_horizon,
    encode_moment,
)
from bridge.store.digests import SqlDigests
from bridge.store.facts import FactHistory, SqlFactStore
from bridge.store.faults import explained
from bridge.store.hints import Hints
from bridge.store.lease import Lease
from bridge.store.marks import Marks
from bridge.store.remediation import SqlRemediation
from bridge.store.scores import ScoreHistory, SqlScoreStore
from bridge.store.sources import CHUNK, claim_source, parts_of, source_id_of, source_name
from bridge.store.tables import catalog_slices, manifests, passes, projects, sources
from bridge.store.upsert import replace_into

Key = TypeVar("Key")
Value = TypeVar("Value")

PASSES_KEPT = 200
_PATIENCE = 15.0  # seconds to wait for another process's transaction
_PAUSE = 0.05
_LONGEST_STEP = 3600.0  # seconds that one statement of a migration may take


def _utc_now() -> datetime:
    return datetime.now(UTC)


async def open_store(
    url: str, *, patience: float = _PATIENCE, clock: Callable[[], datetime] = _utc_now
) -> SqlStore:
    """Open the store at `url` and bring its tables up to date; close it when done.

    `patience` is how many seconds to wait for another process's transaction. Raises
    `ConfigurationError` for a URL of no known kind, `StoreError` for whatever else is wrong.
    """
    address = read_address(url)
    with explained(address, "open the tables"):
        await asyncio.to_thread(refuse_other_files, address)
    # Steps over large tables may take long; whatever comes after them may not.
    preparing = make_engine(address, patience, _LONGEST_STEP)
    engine = preparing if address.sqlite else make_engine(address, patience)
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


async def _prepare(engine: AsyncEngine, address: Address, patience: float) -> None:
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
    """A `bridge.ports.Store` in SQLite or PostgreSQL; made by `open_store`."""

    def __init__(
        self,
        engine: AsyncEngine,
        address: Address,
        patience: float = _PATIENCE,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._engine = engine
        self._reader = reader_of(engine)
        self._address = address
        self._patience = patience
        self._clock = clock
        self._closed = False
        self.lease = Lease(self._writing, self._reading)
        self._marks = Marks(self._writing, self._reading)
        self._slices: PassMemo[Ref, rows.Values] = PassMemo()
        self._loaded = rows.Loaded()
        self.hints = Hints(self._writing, self._reading)
        self.remediation = SqlRemediation(self._writing, self._reading)
        self.digests = SqlDigests(self._writing, self._reading)

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
            with self._loaded.projects.round() as known:
                async for part in parts_of(connection, wanted):
                    found_projects |= await asyncio.to_thread(rows.known_projects, part, known)
            wanted = select(*rows.manifest_columns).where(manifests.c.source_id == source_id)
            with self._loaded.manifests.round() as held:
                async for part in parts_of(connection, wanted):
                    found_manifests |= await asyncio.to_thread(rows.known_manifests, part, held)
        return Memory(found_projects, found_manifests, horizon)

    async def save(
        self, source: str, before: Memory, after: Memory, record: PassRecord | None
    ) -> None:
        """Replace `before` by `after` in one transaction, writing only what differs.

        With `record`, also make it the source's latest pass. Raises `StoreConflict` when somebody
        saved a pass since `before` was loaded, else `StoreError`; then everything is as it was.
        """
        write_projects = _changed(before.projects, after.projects)
        write_manifests = _changed(before.manifests, after.manifests)
        gone_projects = [(key,) for key in before.projects if key not in after.projects]
        gone_manifests = [key for key in before.manifests if key not in after.manifests]
        same = before.horizon == after.horizon
        changed = write_projects or write_manifests or gone_projects or gone_manifests
        if same and not changed and record is None:
            return
        self._loaded = rows.Loaded()  # who saves goes on from what it has, and does not load
        slices = []
        if record:
            slices = await asyncio.to_thread(rows.catalog_rows, record.catalog, self._slices)
        async with self._writing(f"save what is known of {source}") as connection:
            source_id = await claim_source(connection, source)
            await _advance(connection, source, source_id, before.horizon, after.horizon)
            await _remove(connection, projects, source_id, gone_projects)
            await _remove(connection, manifests, source_id, gone_manifests)
            await _replace(connection, projects, source_id, write_projects, rows.project_rows)
            await _replace(connection, manifests, source_id, write_manifests, rows.manifest_rows)
            if record is not None:
                await self._add_pass(connection, source_id, record.report)
                await _replace_catalog(connection, source_id, record.catalog, slices)

    async def latest(self, source: str) -> PassRecord | None:
        """The last saved pass of a source. Raises `StoreError`."""
        async with self._reading(f"load the latest catalog of {source}") as connection:
            source_id = await source_id_of(connection, source)
            if source_id is None:
                return None
            found = await _reports(connection, source_id, 1)
            if not found:
                return None
            entities = await self._entities(connection, source, source_id)
            wanted = select(sources.c.catalog_made_at).where(sources.c.id == source_id)
            made_at = (await connection.execute(wanted)).scalar_one()
        try:
            return PassRecord(found[0], Catalog(tuple(entities), decode_moment(made_at)))
        except Undecodable as error:
            raise StoreError(f"the catalog's date of {source}: {error}") from error

    async def _entities(
        self, connection: AsyncConnection, source: str, source_id: int
    ) -> list[CatalogEntity]:
        """The catalog's entities; of slices that were loaded before, the same objects."""
        columns = catalog_slices.c
        wanted = (
            select(columns.ordinal, columns.digest, columns.body)
            .where(columns.source_id == source_id)
            .order_by(columns.ordinal)
        )
        entities: list[CatalogEntity] = []
        with self._loaded.slices.round() as known:
            async for part in parts_of(connection, wanted, size=1):
                ordinal, digest, body = part[0]
                made = partial(rows.catalog_slice, source, ordinal, body)
                entities += await asyncio.to_thread(known.get, digest, (), made)
        return entities

    async def passes_saved(self, source: str) -> int:
        """How many passes of a source were saved. Raises `StoreError`."""
        async with self._reading(f"count the passes of {source}") as connection:
            wanted = select(sources.c.passes).where(sources.c.name == source_name(source))
            return (await connection.execute(wanted)).scalar_one_or_none() or 0

    async def mark(self, source: str) -> Mark | None:
        """Whose what this store publishes of a source is; None when it never published any."""
        return await self._marks.current(source)

    async def next_mark(self, source: str, passes: int, above: int = 0) -> Mark:
        """The mark of the next publish; see `bridge.ports.Store`."""
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

    async def _add_pass(self, connection: AsyncConnection, source_id: int, report: Report) -> None:
        row = {
            "source_id": source_id,
            "saved_at": self._clock().isoformat(),
            "outcome": report.outcome.value,
            "report": await asyncio.to_thread(rows.packed_report, report),
        }
        await connection.execute(passes.insert(), [row])
        mine = passes.c.source_id == source_id
        kept = select(passes.c.id).where(mine).order_by(passes.c.id.desc()).limit(PASSES_KEPT)
        oldest = select(func.min(kept.subquery().c.id)).scalar_subquery()
        await connection.execute(delete(passes).where(mine, passes.c.id < oldest))

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

    def _refuse_closed(self) -> None:
        if self._closed:
            raise StoreError(f"the store {self._address.shown} is closed; open it again")


def _changed(before: Mapping[Key, Value], after: Mapping[Key, Value]) -> list[Value]:
    if before is after:
        return []
    # What stayed is mostly the same object, so the deep comparison is rare.
    return [
        value
        for key, value in after.items()
        if (old := before.get(key)) is not value and old != value
    ]


def _chunks(values: Sequence[Value]) -> Iterator[Sequence[Value]]:
    for start in range(0, len(values), CHUNK):
        yield values[start : start + CHUNK]


async def _horizon(connection: AsyncConnection, source: str, source_id: int) -> Horizon:
    wanted = select(sources.c.horizon, sources.c.passes).where(sources.c.id == source_id)
    text, passes = (await connection.execute(wanted)).one()
    try:
        return decode_horizon(text, passes)
    except Undecodable as error:
        raise StoreError(f"the horizon of {source} (table fester_sources): {error}") from error


async def _advance(
    connection: AsyncConnection, source: str, source_id: int, before: Horizon, after: Horizon
) -> None:
    wanted = select(sources.c.passes).where(sources.c.id == source_id)
    if (await connection.execute(wanted)).scalar_one() != before.passes:
        raise StoreConflict(
            f"another Fester saved a pass of {source} meanwhile; what this pass found is not "
            "saved, and the next one goes on from there"
        )
    if before != after:
        values = {"passes": after.passes, "horizon": encode_horizon(after)}
        await connection.execute(update(sources).where(sources.c.id == source_id).values(values))


async def _remove(
    connection: AsyncConnection, table: Table, source_id: int, gone: Sequence[tuple[Any, ...]]
) -> None:
    names = [column.name for column in table.primary_key.columns]
    statement = delete(table).where(*(table.c[name] == bindparam(f"b_{name}") for name in names))
    for part in _chunks(gone):
        bound = [
            {f"b_{name}": value for name, value in zip(names, (source_id, *key), strict=True)}
            for key in part
        ]
        await connection.execute(statement, bound)


async def _replace(
    connection: AsyncConnection,
    table: Table,
    source_id: int,
    values: Sequence[Value],
    as_rows: Callable[[int, Sequence[Value]], list[rows.Values]],
) -> None:
    statement = replace_into(connection, table)
    for part in _chunks(values):
        await connection.execute(statement, await asyncio.to_thread(as_rows, source_id, part))


async def _replace_catalog(
    connection: AsyncConnection, source_id: int, catalog: Catalog, slices: list[rows.Values]
) -> None:
    made_at = encode_moment(catalog.made_at)
    await connection.execute(
        update(sources).where(sources.c.id == source_id).values(catalog_made_at=made_at)
    )
    mine = catalog_slices.c.source_id == source_id
    wanted = select(catalog_slices.c.ordinal, catalog_slices.c.digest).where(mine)
    stored = {row.ordinal: row.digest for row in await connection.execute(wanted)}
    await connection.execute(
        delete(catalog_slices).where(mine, catalog_slices.c.ordinal >= len(slices))
    )
    statement = replace_into(connection, catalog_slices)
    for row in slices:
        if stored.get(row["ordinal"]) != row["digest"]:
            await connection.execute(statement, [{"source_id": source_id, **row}])


async def _reports(connection: AsyncConnection, source_id: int, limit: int) -> list[Report]:
    wanted = (
        select(passes.c.id, passes.c.report)
        .where(passes.c.source_id == source_id)
        .order_by(passes.c.id.desc())
        .limit(limit)
    )
    found = (await connection.execute(wanted)).all()
    return [await asyncio.to_thread(rows.stored_report, row.id, row.report) for row in found]
