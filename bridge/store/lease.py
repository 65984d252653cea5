"""Leases: of several processes on one store, one at a time may do what a name stands for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CursorResult,
    case,
    cast,
    extract,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.store.moments import microseconds, moment_of
from bridge.store.tables import leases
from bridge.store.upsert import insert_into

Open = Callable[[str], AbstractAsyncContextManager[AsyncConnection]]


@dataclass(frozen=True, slots=True)
class Held:
    """Who holds a lease until when. `fence` grows each time the lease changes hands."""

    holder: str
    expires: datetime
    fence: int


class SqlLease:
    """Leases in a store; get one from `SqlStore.lease`. Every method raises `StoreError`.

    The database's own clock rules, so that hosts may think of the time what they like. Who gives
    `now`, which is aware, has it ruled by that instead.
    """

    def __init__(self, writing: Open, reading: Open) -> None:
        self._writing = writing
        self._reading = reading

    async def acquire(
        self, name: str, holder: str, ttl_seconds: float, now: datetime | None = None
    ) -> bool:
        """Take the lease if it is free, expired or the holder's already; whether it is held now."""
        async with self._writing(f"acquire the lease {name!r}") as connection:
            moment = _moment(connection, now)
            expires = moment + _span(ttl_seconds)
            free = leases.c.expires <= moment
            values = {"name": name, "holder": holder, "expires": expires, "fence": 1}
            statement = insert_into(connection, leases).values(values)
            statement = statement.execution_options(preserve_rowcount=True)
            statement = statement.on_conflict_do_update(
                index_elements=[leases.c.name],
                set_={
                    "holder": holder,
                    "expires": expires,
                    "fence": leases.c.fence + case((free, 1), else_=0),
                },
                where=or_(free, leases.c.holder == holder),
            )
            return _one(await connection.execute(statement))

    async def renew(
        self, name: str, holder: str, ttl_seconds: float, now: datetime | None = None
    ) -> bool:
        """Hold it longer; False when it has expired or is another's, and work must stop."""
        async with self._writing(f"renew the lease {name!r}") as connection:
            moment = _moment(connection, now)
            statement = (
                update(leases)
                .where(leases.c.name == name, leases.c.holder == holder, leases.c.expires > moment)
                .values(expires=moment + _span(ttl_seconds))
            )
            return _one(await connection.execute(statement))

    async def release(self, name: str, holder: str) -> bool:
        """Give it back; False when the holder did not have it. The fence is kept."""
        statement = (
            update(leases)
            .where(leases.c.name == name, leases.c.holder == holder)
            .values(holder="", expires=0)
        )
        async with self._writing(f"release the lease {name!r}") as connection:
            return _one(await connection.execute(statement))

    async def held(self, name: str, now: datetime | None = None) -> Held | None:
        """Who holds it at `now`, if anybody does."""
        async with self._reading(f"look up the lease {name!r}") as connection:
            moment = _moment(connection, now)
            statement = select(leases).where(leases.c.name == name, leases.c.expires > moment)
            row = (await connection.execute(statement)).one_or_none()
        if row is None:
            return None
        return Held(row.holder, moment_of(row.expires), row.fence)


def _moment(connection: AsyncConnection, now: datetime | None) -> ColumnElement[int]:
    """Microseconds since 1970, as the database has them, or of `now`."""
    if now is not None:
        return literal(microseconds(now), BigInteger)
    if connection.dialect.name == "postgresql":
        # Not now(), which is when the transaction began: it may have waited for a lock since.
        seconds = extract("epoch", func.clock_timestamp())
        return cast(seconds * 1_000_000, BigInteger)
    days = func.julianday("now") - literal(2440587.5)  # the Julian day of 1970
    return cast(days * literal(86_400_000_000.0), BigInteger)


def _span(seconds: float) -> int:
    return timedelta(seconds=seconds) // timedelta(microseconds=1)


def _one(result: CursorResult[Any]) -> bool:
    return result.rowcount == 1
