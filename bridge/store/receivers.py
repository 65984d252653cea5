"""How far each receiver of changes has been told: a row a receiver."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.model.receivers import Backlog, ReceiverState
from bridge.store.lease import Open
from bridge.store.moments import microseconds, moment_of
from bridge.store.sources import source_id_of
from bridge.store.tables import entity_changes, receivers
from bridge.store.upsert import insert_into

MOST_COUNTED: Final = 10_000


class SqlReceivers:
    """Receivers in a store; get one from `SqlStore.receivers`. Every method raises `StoreError`."""

    def __init__(self, writing: Open, reading: Open) -> None:
        self._writing = writing
        self._reading = reading

    async def known(self, source: str, name: str) -> ReceiverState | None:
        """How far it has been told; None when nobody ever looked at it."""
        async with self._reading(f"look up the receiver {name}") as connection:
            number = await source_id_of(connection, source)
            return await _state(connection, number, name) if number is not None else None

    async def state(self, source: str, name: str) -> ReceiverState | None:
        """The same. A new one is told of what changes from now on; None before a first pass."""
        found = await self.known(source, name)
        if found is not None:
            return found
        async with self._writing(f"begin with the receiver {name}") as connection:
            number = await source_id_of(connection, source)
            if number is None:
                return None
            newest = select(func.coalesce(func.max(entity_changes.c.id), 0))
            cursor = newest.where(entity_changes.c.source_id == number)
            at = (await connection.execute(cursor)).scalar_one()
            row = _row(ReceiverState(at))
            fresh = insert_into(connection, receivers).values(source_id=number, name=name, **row)
            await connection.execute(fresh.on_conflict_do_nothing())
            return await _state(connection, number, name)

    async def save(
        self, source: str, name: str, before: ReceiverState, after: ReceiverState
    ) -> bool:
        """Take one state for another; False when it is another one already, by another replica."""
        async with self._writing(f"note what the receiver {name} was told") as connection:
            number = await source_id_of(connection, source)
            columns = receivers.c
            same = (
                columns.source_id == number,
                columns.name == name,
                columns.cursor == before.cursor,
                columns.sending == before.sending,
                columns.tries == before.tries,
                columns.next_at.is_not_distinct_from(_micros(before.next_at)),
            )
            changed = update(receivers).where(*same).values(**_row(after)).returning(columns.name)
            return (await connection.execute(changed)).one_or_none() is not None

    async def backlog(self, source: str, cursor: int) -> Backlog:
        """What changed above a number; no more than `MOST_COUNTED` are counted."""
        async with self._reading("count what receivers were not told of") as connection:
            number = await source_id_of(connection, source)
            columns = entity_changes.c
            above = select(columns.at).where(columns.source_id == number, columns.id > cursor)
            part = above.order_by(columns.id).limit(MOST_COUNTED).subquery()
            wanted = select(func.count(), func.min(part.c.at)).select_from(part)
            count, oldest = (await connection.execute(wanted)).one()
        return Backlog(count, _moment(oldest))


async def _state(connection: AsyncConnection, number: int, name: str) -> ReceiverState | None:
    wanted = select(receivers).where(receivers.c.source_id == number, receivers.c.name == name)
    row = (await connection.execute(wanted)).one_or_none()
    if row is None:
        return None
    return ReceiverState(
        row.cursor,
        row.sending,
        row.tries,
        _moment(row.next_at),
        _moment(row.failing_since),
        _moment(row.delivered_at),
        row.reason,
        _moment(row.told_until),
    )


def _row(state: ReceiverState) -> dict[str, Any]:
    return {
        "cursor": state.cursor,
        "sending": state.sending,
        "tries": state.tries,
        "next_at": _micros(state.next_at),
        "failing_since": _micros(state.failing_since),
        "delivered_at": _micros(state.delivered_at),
        "reason": state.reason,
        "told_until": _micros(state.told_until),
    }


def _micros(moment: datetime | None) -> int | None:
    return microseconds(moment) if moment is not None else None


def _moment(micros: int | None) -> datetime | None:
    return moment_of(micros) if micros is not None else None
