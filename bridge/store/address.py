"""From a store's URL to an engine; knows what each database needs to be set."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool
from sqlalchemy.util.concurrency import in_greenlet

from bridge.errors import ConfigurationError, StoreError
from bridge.model.problems import Problem
from bridge.store.sqlite_thread import connect

_SQLITE = ("sqlite", "sqlite+aiosqlite")
_LOG_PAGES = 4_000  # 16 MB
_FORMER = "postgresql+asyncpg"  # an older Fester's driver: people have it in their URLs
_POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg", _FORMER)
CONNECTIONS = 15  # to PostgreSQL, of one process
_KEPT = 5  # of these, while nobody needs them
_MAGIC = b"SQLite format 3\0"
_SECRET_KEYS = ("password", "passfile", "sslpassword", "sslkey")


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """A store's URL, understood. `shown` is the URL as people may see it, without its password."""

    url: URL = field(repr=False)
    shown: str
    sqlite: bool

    @property
    def in_memory(self) -> bool:
        """Whether the database is gone with its connection."""
        return self.sqlite and self.url.database in (None, "", ":memory:")


def read_address(text: str) -> StoreAddress:
    """Understand `text`. Raises `ConfigurationError` for what is no URL of a store."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # The text is not repeated: it may hold a password that could not be told apart.
        raise _not_a_store("this is not a URL") from None
    if url.drivername not in (*_SQLITE, *_POSTGRESQL):
        raise _not_a_store(f"{url.drivername!r} is not a kind of store that Fester knows")
    masked = url.update_query_dict({key: "***" for key in _SECRET_KEYS if key in url.query})
    return StoreAddress(url, masked.render_as_string(hide_password=True), url.drivername in _SQLITE)


def names_former_driver(address: StoreAddress) -> bool:
    """Whether the URL names a driver that is not the one in use."""
    return address.url.drivername == _FORMER


def without_making(text: str) -> str:
    """The same store if it is there; one in memory where its file would have to be made."""
    address = read_address(text)
    if not address.sqlite or address.in_memory or Path(str(address.url.database)).exists():
        return text
    return "sqlite://"


def missing_file_refused(text: str) -> Path | None:
    """The folder in which the file of a store that is not there cannot be made; None if it can."""
    folder = Path(str(read_address(text).url.database)).absolute().parent
    return None if folder.is_dir() and os.access(folder, os.W_OK | os.X_OK) else folder


def _not_a_store(what: str) -> ConfigurationError:
    message = (
        f"the store's URL: {what}; write sqlite:///fester.db (a file, relative), "
        "sqlite:////var/lib/fester/fester.db (absolute) or postgresql://user@host/database"
    )
    return ConfigurationError([Problem(message, "store-url")])


def refuse_other_files(address: StoreAddress) -> None:
    """Raise `sqlite3.DatabaseError` for a file that cannot be opened or is no SQLite database.

    SQLite finds that out itself, but only in the driver's thread, which the failure leaves
    behind: it answers a loop that is closed by then, and prints a traceback. See
    https://www.sqlite.org/fileformat2.html, "Magic Header String".
    """
    if not address.sqlite or address.in_memory:
        return
    file = Path(str(address.url.database))
    if not str(file).startswith("file:"):  # which is no path
        sqlite3.connect(file).close()
    if file.is_file():
        with file.open("rb") as stream:
            if stream.read(len(_MAGIC)) not in (b"", _MAGIC):
                raise sqlite3.DatabaseError("file is not a database")


def make_engine(
    address: StoreAddress, patience: float, longest: float = 0.0, connections: int = CONNECTIONS
) -> AsyncEngine:
    """An engine that has connected to nothing yet; `patience` is how long to wait for a lock.

    `longest` is how many seconds one statement may take on PostgreSQL, its answer's way included;
    0: twice the patience. Of `connections` to it there are no more: who wants one waits, as long as
    its patience lasts.

    Raises `StoreError` when the driver for PostgreSQL is not installed.
    """
    if address.sqlite:
        return _sqlite(address, patience)
    return _postgresql(address, patience, longest or 2 * patience, connections)


def reader_of(engine: AsyncEngine) -> AsyncEngine:
    """The same engine for reading: what is read in one transaction is of one moment."""
    if engine.dialect.name == "sqlite":
        return engine.execution_options(fester_reads=True)
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def _sqlite(address: StoreAddress, patience: float) -> AsyncEngine:
    # A database in memory lives in one connection; those who want it take turns.
    one = {"poolclass": AsyncAdaptedQueuePool, "pool_size": 1, "max_overflow": 0}
    engine = create_async_engine(
        address.url.set(drivername="sqlite+aiosqlite"),
        hide_parameters=True,
        connect_args={"timeout": patience, "async_creator_fn": connect},
        **(one if address.in_memory else {}),
    )
    event.listen(engine.sync_engine, "connect", _settle_connection)
    event.listen(engine.sync_engine, "begin", _begin)
    event.listen(engine.sync_engine, "invalidate", _roll_back)
    return engine


def _settle_connection(connection: Any, _record: object) -> None:
    # The driver must not begin transactions by its own rules (they leave out DDL and reads):
    # https://docs.sqlalchemy.org/en/20/dialects/sqlite.html#sqlite-transactions
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA foreign_keys=ON")
        # With WAL a lost power supply may lose the last transaction, but never breaks the file.
        cursor.execute("PRAGMA synchronous=NORMAL")
        # A sweep writes the same pages again and again: moved into the file later, once, they cost
        # fewer waits for the disk.
        cursor.execute(f"PRAGMA wal_autocheckpoint={_LOG_PAGES}")
    except Exception:
        connection.close()  # the pool has not taken it over yet: its thread would outlive us
        raise
    cursor.close()


def _roll_back(connection: Any, _record: object, _error: object) -> None:
    # A query that was cancelled midway keeps a closed connection alive, and its lock with it, until
    # the garbage collector finds its cursor: https://www.sqlite.org/c3ref/close.html (zombies).
    if in_greenlet():  # else the collector found the connection itself
        with suppress(sqlite3.Error, ValueError):
            connection.rollback()


def _begin(connection: Connection) -> None:
    # A deferred transaction that turns to writing fails at once, instead of waiting, when
    # another process wrote meanwhile; so writers say so from the start.
    driver: Any = connection.connection.driver_connection
    reads = connection.get_execution_options().get("fester_reads")
    driver.begins = "BEGIN" if reads else "BEGIN IMMEDIATE"


def _postgresql(
    address: StoreAddress, patience: float, longest: float, connections: int
) -> AsyncEngine:
    try:
        from bridge.store.postgresql import connector  # noqa: PLC0415 — its driver is an extra
    except ImportError:
        raise StoreError(
            f"the store {address.shown} needs the driver for PostgreSQL; "
            "type: pip install 'fester[postgresql]'"
        ) from None
    return create_async_engine(
        "postgresql+psycopg://",
        async_creator=connector(address.url, address.shown, patience, longest),
        hide_parameters=True,
        pool_pre_ping=True,
        pool_timeout=patience,
        pool_size=min(_KEPT, connections),
        max_overflow=max(0, connections - _KEPT),
    )
