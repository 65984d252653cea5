"""Leases: of several processes on one store, one at a time may do what a name stands for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import CursorResult, case, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.store.tables import leases
from bridge.store.upsert import insert_into

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Open = Callable[[str], AbstractAsyncContextManager[AsyncConnection]]


@dataclass(frozen=True, slots=True)
class Held:
    """Who holds a lease until when. `fence` grows each time the lease changes hands."""

    holder: str
    expires: datetime
    fence: int


class Lease:
    """Leases in a store; get one from `SqlStore.lease`. Every method raises `StoreError`.

    `now` is always given and aware, so that one clock rules; hosts whose clocks differ by more
    than the time to live may both believe that they hold a lease.
    """

    def __init__(self, writing: Open, reading: Open) -> None:
        self._writing = writing
        self._reading = reading

    async def acquire(self, name: str, holder: str, ttl_seconds: float, now: datetime) -> bool:
        """Take the lease if it is free, expired or the holder's already; whether it is held now."""
        moment = _micros(now)
        values = {
            "name": name,
            "holder": holder,
            "expires": moment + _span(ttl_seconds),
            "fence": 1,
        }
        free = leases.c.expires <= moment
        async with self._writing(f"acquire the lease {name!r}") as connection:
            statement = insert_into(connection, leases).values(values)
            statement = statement.on_conflict_do_update(
                index_elements=[leases.c.name],
                set_={
                    "holder": holder,
                    "expires": values["expires"],
                    "fence": leases.c.fence + case((free, 1), else_=0),
                },
                where=or_(free, leases.c.holder == holder),
            )
            return _one(await connection.execute(statement))

    async def renew(self, name: str, holder: str, ttl_seconds: float, now: datetime) -> bool:
        """Hold it longer; False when it has expired or is another's, and work must stop."""
        moment = _micros(now)
        statement = (
            update(leases)
            .where(leases.c.name == name, leases.c.holder == holder, leases.c.expires > moment)
            .values(expires=moment + _span(ttl_seconds))
        )
        async with self._writing(f"renew the lease {name!r}") as connection:
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

    async def held(self, name: str, now: datetime) -> Held | None:
        """Who holds it at `now`, if anybody does."""
        statement = select(leases).where(leases.c.name == name, leases.c.expires > _micros(now))
        async with self._reading(f"look up the lease {name!r}") as connection:
            row = (await connection.execute(statement)).one_or_none()
        if row is None:
            return None
        return Held(row.holder, _EPOCH + timedelta(microseconds=row.expires), row.fence)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _span(seconds: float) -> int:
    return timedelta(seconds=seconds) // timedelta(microseconds=1)


def _one(result: CursorResult[Any]) -> bool:
    return result.rowcount == 1
