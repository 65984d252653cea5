"""What teams are told: a row a notice and channel, and what was seen when they were told last."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Select, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.errors import StoreError
from bridge.model.notices import (
    Delivery,
    DeliveryState,
    Notice,
    NoticeFilter,
    NoticeMemory,
    NoticeTally,
)
from bridge.store.codec import Undecodable, pack, unpack
from bridge.store.lease import Open
from bridge.store.moments import microseconds, moment_of
from bridge.store.ox_tables import notice_memory, notices
from bridge.store.sources import claim_source, source_id_of
from bridge.store.upsert import insert_into, put_rows

EVERY_NOTICE: Final = NoticeFilter()
_CHUNK: Final = 500
_NOTICE = TypeAdapter(Notice)
_MEMORY = TypeAdapter(NoticeMemory)
_OPEN: Final = (DeliveryState.WAITING.value, DeliveryState.SENDING.value)


class _Taken(Exception):
    """Somebody else was faster."""


class SqlNotices:
    """A `bridge.ox.interfaces.NoticeStore`; get one from `SqlStore.notices`."""

    def __init__(self, writing: Open, reading: Open) -> None:
        self._writing = writing
        self._reading = reading

    async def memory(self, source: str) -> NoticeMemory | None:
        """What was seen up to the last look. Raises `StoreError`."""
        async with self._reading(f"load what was noticed of {source}") as connection:
            number = await source_id_of(connection, source)
            wanted = select(notice_memory.c.body).where(notice_memory.c.source_id == number)
            body = (await connection.execute(wanted)).scalar_one_or_none()
        return None if body is None else await asyncio.to_thread(_memory, body, source)

    async def note(self, source: str, memory: NoticeMemory, deliveries: Sequence[Delivery]) -> None:
        """What was seen, and what is to be told of it, in one transaction. Raises `StoreError`."""
        body = await asyncio.to_thread(lambda: pack(_MEMORY.dump_json(memory).decode()))
        async with self._writing(f"note what is new of {source}") as connection:
            number = await claim_source(connection, source)
            row = {"source_id": number, "body": body}
            await put_rows(connection, notice_memory, [row])
            rows = [_row(number, delivery) for delivery in deliveries]
            statement = insert_into(connection, notices).on_conflict_do_nothing()
            for start in range(0, len(rows), _CHUNK):
                await connection.execute(statement, rows[start : start + _CHUNK])

    async def open(self, source: str) -> list[Delivery]:
        """Those that wait or are being sent, the oldest first. Raises `StoreError`."""
        order = (notices.c.made, notices.c.key, notices.c.channel)
        async with self._reading(f"load the notices of {source}") as connection:
            number = await source_id_of(connection, source)
            wanted = select(notices).where(
                notices.c.source_id == number, notices.c.state.in_(_OPEN)
            )
            return await _deliveries(connection, wanted.order_by(*order))

    async def last_sent(self, source: str) -> dict[tuple[str, str], datetime]:
        """When each team was last sent something. Raises `StoreError`."""
        sent = (DeliveryState.SENT.value, DeliveryState.UNSURE.value)
        async with self._reading(f"look up the notices of {source}") as connection:
            number = await source_id_of(connection, source)
            wanted = (
                select(notices.c.channel, notices.c.team, func.max(notices.c.at).label("at"))
                .where(notices.c.source_id == number, notices.c.state.in_(sent))
                .group_by(notices.c.channel, notices.c.team)
            )
            found = (await connection.execute(wanted)).all()
        return {(row.channel, row.team): moment_of(row.at) for row in found}

    async def claim(
        self, source: str, deliveries: Sequence[Delivery], batch: str, at: datetime
    ) -> bool:
        """Write the intent to send these as one message. Raises `StoreError`."""
        values = {"state": DeliveryState.SENDING.value, "batch": batch, "at": microseconds(at)}
        try:
            async with self._writing(f"claim notices of {source}") as connection:
                number = await claim_source(connection, source)
                for each in deliveries:
                    statement = update(notices).where(*_same(number, each)).values(values)
                    if (await connection.execute(statement)).rowcount != 1:
                        raise _Taken
        except _Taken:
            return False
        return True

    async def settle(
        self, source: str, batch: str, state: DeliveryState, at: datetime, *, refused: bool = False
    ) -> None:
        """What became of a message. Raises `StoreError`."""
        async with self._writing(f"note what became of notices of {source}") as connection:
            number = await claim_source(connection, source)
            mine = (
                notices.c.source_id == number,
                notices.c.batch == batch,
                notices.c.state == DeliveryState.SENDING.value,
            )
            tries = notices.c.tries + int(refused)
            values = {"state": state.value, "at": microseconds(at), "tries": tries}
            await connection.execute(update(notices).where(*mine).values(values))

    async def drop(self, source: str, deliveries: Sequence[Delivery], at: datetime) -> None:
        """These are over before they were sent. Raises `StoreError`."""
        values = {"state": DeliveryState.OVER.value, "at": microseconds(at)}
        async with self._writing(f"drop notices of {source}") as connection:
            number = await claim_source(connection, source)
            for each in deliveries:
                await connection.execute(update(notices).where(*_same(number, each)).values(values))

    async def latest(
        self, source: str, limit: int, asked: NoticeFilter = EVERY_NOTICE
    ) -> list[Delivery]:
        """The newest ones that are asked for. Raises `StoreError`."""
        order = (notices.c.made.desc(), notices.c.key, notices.c.channel)
        async with self._reading(f"load the notices of {source}") as connection:
            number = await source_id_of(connection, source)
            wanted = select(notices).where(notices.c.source_id == number)
            if asked.team:
                wanted = wanted.where(notices.c.team == asked.team)
            if asked.state is not None:
                wanted = wanted.where(notices.c.state == asked.state.value)
            return await _deliveries(connection, wanted.order_by(*order).limit(limit))

    async def tallies(self, source: str) -> list[NoticeTally]:
        """How many there are, by channel and state. Raises `StoreError`."""
        async with self._reading(f"count the notices of {source}") as connection:
            number = await source_id_of(connection, source)
            wanted = (
                select(
                    notices.c.channel,
                    notices.c.state,
                    func.count().label("number"),
                    func.sum(notices.c.tries).label("tries"),
                    func.min(notices.c.made).label("oldest"),
                )
                .where(notices.c.source_id == number)
                .group_by(notices.c.channel, notices.c.state)
                .order_by(notices.c.channel, notices.c.state)
            )
            found = (await connection.execute(wanted)).all()
        return [
            NoticeTally(
                row.channel,
                DeliveryState(row.state),
                row.number,
                int(row.tries),
                moment_of(row.oldest),
            )
            for row in found
        ]

    async def prune(self, source: str, before: datetime) -> None:
        """Forget what was settled before then. Raises `StoreError`."""
        async with self._writing(f"prune the notices of {source}") as connection:
            number = await claim_source(connection, source)
            old = (notices.c.at < microseconds(before), notices.c.state.not_in(_OPEN))
            await connection.execute(delete(notices).where(notices.c.source_id == number, *old))


def _same(number: int, delivery: Delivery) -> tuple[Any, ...]:
    """The delivery's row, as long as it is as it was given."""
    return (
        notices.c.source_id == number,
        notices.c.key == _digest(delivery.notice.key),
        notices.c.channel == delivery.channel,
        notices.c.state == delivery.state.value,
        notices.c.at == microseconds(delivery.at),
    )


def _row(number: int, delivery: Delivery) -> Mapping[str, Any]:
    notice = delivery.notice
    return {
        "source_id": number,
        "key": _digest(notice.key),
        "channel": delivery.channel,
        "team": notice.team,
        "state": delivery.state.value,
        "made": microseconds(delivery.made),
        "at": microseconds(delivery.at),
        "batch": delivery.batch,
        "tries": delivery.tries,
        "body": json.dumps(_NOTICE.dump_python(notice, mode="json"), separators=(",", ":")),
    }


async def _deliveries(connection: AsyncConnection, wanted: Select[Any]) -> list[Delivery]:
    return [_delivery(row) for row in (await connection.execute(wanted)).all()]


def _delivery(row: Any) -> Delivery:
    try:
        notice = _NOTICE.validate_json(row.body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise StoreError(
            f"a notice (table fester_notices) cannot be understood: {first['msg']}; remove its row"
        ) from error
    return Delivery(
        notice,
        row.channel,
        moment_of(row.made),
        moment_of(row.at),
        DeliveryState(row.state),
        row.batch,
        row.tries,
    )


def _memory(body: bytes, source: str) -> NoticeMemory:
    try:
        return _MEMORY.validate_json(unpack(body))
    except (Undecodable, ValidationError) as error:
        raise StoreError(
            f"what was noticed of {source} (table fester_notice_memory) cannot be understood; "
            "restore the store from a backup, or remove the row: the next look is then a first one"
        ) from error


def _digest(key: str) -> str:
    return blake2b(key.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
