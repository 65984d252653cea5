"""Facts in the store: the latest reading of each, and a history that costs little.

History keeps one reading an interval (a day, by default): the last one that differed, or the first
when none did. Readings lie in segments of many days, packed, as lines of what changed; a range
query over a year reads six rows a retriever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

from sqlalchemy import ColumnElement, Row, bindparam, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.errors import StoreError
from bridge.model.entities import Ref
from bridge.model.facts import Reading
from bridge.store import fact_log
from bridge.store.codec import Undecodable, pack, unpack
from bridge.store.fact_log import LoggedReading
from bridge.store.moments import microseconds
from bridge.store.ox_tables import fact_history, facts
from bridge.store.sources import claim_source, parts_of, source_id_of
from bridge.store.upsert import put_rows

Key: TypeAlias = tuple[str, str]  # (entity, retriever)
Connect = Callable[[str], AbstractAsyncContextManager[AsyncConnection]]

DAY: Final = 86_400
SEGMENT: Final = 63 * DAY * 1_000_000  # microseconds (nine weeks) in one row of the history
_CHUNK = 400  # readings written at once


@dataclass(frozen=True, slots=True)
class FactHistory:
    """How much is kept, in seconds.

    One reading every `interval`; of those older than `thin_after` one every `thin_to`; none older
    than `keep`.
    """

    interval: float = DAY
    thin_after: float = 90 * DAY
    thin_to: float = 7 * DAY
    keep: float = 730 * DAY


@dataclass(frozen=True, slots=True)
class _Change:
    """One reading, and what to do with it."""

    key: Key
    state: LoggedReading
    digest: str
    old: Row[Any] | None

    def slot(self, interval: int) -> int:
        return self.state.at // interval

    @property
    def same(self) -> bool:
        return self.old is not None and self.old.digest == self.digest


class SqlFactStore:
    """A `bridge.ox.interfaces.FactStore`; made by `SqlStore.facts`."""

    def __init__(self, writing: Connect, reading: Connect, history: FactHistory) -> None:
        self._writing = writing
        self._reading = reading
        self._history = history
        self._interval = max(1, int(history.interval * 1_000_000))

    async def record_facts(self, source: str, readings: Sequence[Reading]) -> None:
        """Add readings; each becomes the latest of its entity and retriever.

        One that is older than what is known already is left out. Raises `StoreError`; then none
        of them is recorded.
        """
        if not readings:
            return
        async with self._writing(f"save facts of {source}") as connection:
            source_id = await claim_source(connection, source)
            for start in range(0, len(readings), _CHUNK):
                part = readings[start : start + _CHUNK]
                for states in await asyncio.to_thread(_waves, part):
                    await self._record(connection, source_id, states)

    async def latest_facts(self, source: str) -> Mapping[Ref, Mapping[str, Reading]]:
        """The latest reading of every entity, by retriever id. Raises `StoreError`."""
        found: dict[Ref, dict[str, Reading]] = {}
        async with self._reading(f"load the facts of {source}") as connection:
            source_id = await source_id_of(connection, source)
            wanted = select(facts.c.entity, facts.c.retriever, facts.c.seen_at, facts.c.body).where(
                facts.c.source_id == source_id
            )
            async for part in parts_of(connection, wanted):
                for reading in await asyncio.to_thread(_latest, part):
                    found.setdefault(reading.entity, {})[reading.retriever] = reading
        return found

    async def facts_of(self, source: str, entity: Ref) -> Mapping[str, Reading]:
        """The latest readings of one entity, by retriever id. Raises `StoreError`."""
        async with self._reading(f"load the facts of {entity}") as connection:
            source_id = await source_id_of(connection, source)
            wanted = select(facts.c.entity, facts.c.retriever, facts.c.seen_at, facts.c.body).where(
                facts.c.source_id == source_id, facts.c.entity == str(entity)
            )
            found = _latest(list(await connection.execute(wanted)))
        return {reading.retriever: reading for reading in found}

    async def facts_seen_at(self, source: str) -> datetime | None:
        """The moment of the newest reading; None when there is none. Raises `StoreError`."""
        async with self._reading(f"look at the facts of {source}") as connection:
            source_id = await source_id_of(connection, source)
            newest = select(func.max(facts.c.seen_at)).where(facts.c.source_id == source_id)
            found = (await connection.execute(newest)).scalar_one_or_none()
        try:
            return None if found is None else fact_log.moment(found)
        except Undecodable as error:
            raise _unreadable("fester_facts", "an entity", "some retriever", error) from error

    async def facts_between(
        self, source: str, entity: Ref, retrievers: Sequence[str], start: datetime, end: datetime
    ) -> Sequence[Reading]:
        """The readings of one entity from `start` to `end`, oldest first. Raises `StoreError`."""
        first, last = microseconds(start), microseconds(end)
        async with self._reading(f"load facts of {entity}") as connection:
            source_id = await source_id_of(connection, source)
            mine = (
                fact_history.c.source_id == source_id,
                fact_history.c.entity == str(entity),
                fact_history.c.retriever.in_(list(retrievers)),
                fact_history.c.segment.between(first // SEGMENT, last // SEGMENT),
            )
            kept = (await connection.execute(select(fact_history).where(*mine))).all()
            now = select(facts).where(
                facts.c.source_id == source_id,
                facts.c.entity == str(entity),
                facts.c.retriever.in_(list(retrievers)),
                facts.c.seen_at.between(first, last),
            )
            latest = (await connection.execute(now)).all()
        read = await asyncio.to_thread(_range, kept, latest)
        between = (each for each in read if first <= microseconds(each.seen_at) <= last)
        return sorted(between, key=lambda each: (each.seen_at, each.retriever))

    async def prune_facts(self, source: str, now: datetime) -> None:
        """Forget what is too old, and thin what is older than is kept whole. Raises `StoreError`.

        Cheap when there is nothing to do, so it may be called after every pass.
        """
        today, history = microseconds(now), self._history
        oldest = today - int(history.keep * 1_000_000)
        whole = (today - int(history.thin_after * 1_000_000)) // SEGMENT
        async with self._writing(f"prune the facts of {source}") as connection:
            source_id = await claim_source(connection, source)
            mine: ColumnElement[bool] = fact_history.c.source_id == source_id
            await connection.execute(
                delete(fact_history).where(mine, fact_history.c.segment < oldest // SEGMENT)
            )
            await connection.execute(
                delete(facts).where(facts.c.source_id == source_id, facts.c.seen_at < oldest)
            )
            fat = select(fact_history).where(
                mine, fact_history.c.segment < whole, fact_history.c.thinned == 0
            )
            while rows := (await connection.execute(fat.limit(_CHUNK))).all():
                every = int(history.thin_to * 1_000_000)
                thinned = await asyncio.to_thread(_thinned, rows, every)
                await put_rows(connection, fact_history, thinned)

    async def _record(
        self, connection: AsyncConnection, source_id: int, states: Mapping[Key, LoggedReading]
    ) -> None:
        wanted = select(facts).where(
            facts.c.source_id == source_id, facts.c.entity.in_({entity for entity, _ in states})
        )
        found = await connection.execute(wanted)
        known = {(row.entity, row.retriever): row for row in found}
        changes = [
            _Change(key, state, state.digest, known.get(key))
            for key, state in states.items()
            if key not in known or known[key].seen_at <= state.at
        ]
        await self._touch(connection, source_id, [each for each in changes if each.same])
        fresh = [each for each in changes if not each.same]
        rows = await asyncio.to_thread(_latest_rows, source_id, fresh)
        if rows:
            await put_rows(connection, facts, rows)
        await self._remember(connection, source_id, changes)

    async def _touch(
        self, connection: AsyncConnection, source_id: int, same: Sequence[_Change]
    ) -> None:
        statement = (
            update(facts)
            .where(
                facts.c.source_id == source_id,
                facts.c.entity == bindparam("b_entity"),
                facts.c.retriever == bindparam("b_retriever"),
            )
            .values(seen_at=bindparam("b_seen_at"))
        )
        bound = [
            {"b_entity": each.key[0], "b_retriever": each.key[1], "b_seen_at": each.state.at}
            for each in same
        ]
        if bound:
            await connection.execute(statement, bound)

    async def _remember(
        self, connection: AsyncConnection, source_id: int, changes: Sequence[_Change]
    ) -> None:
        """Write the history: nothing for what is the same as before in the same interval."""
        news = [
            each
            for each in changes
            if each.old is None
            or not each.same
            or each.slot(self._interval) != each.old.seen_at // self._interval
        ]
        if not news:
            return
        wanted = select(
            fact_history.c.entity,
            fact_history.c.retriever,
            fact_history.c.segment,
            fact_history.c.body,
        ).where(
            fact_history.c.source_id == source_id,
            fact_history.c.entity.in_({each.key[0] for each in news}),
            fact_history.c.segment.in_({each.state.at // SEGMENT for each in news}),
        )
        found = await connection.execute(wanted)
        bodies = {(row.entity, row.retriever, row.segment): row.body for row in found}
        rows = await asyncio.to_thread(_segments, source_id, news, bodies, self._interval)
        await put_rows(connection, fact_history, rows)


def _waves(readings: Sequence[Reading]) -> list[dict[Key, LoggedReading]]:
    """By entity and retriever, oldest first; of several readings of one, each in its own wave."""
    waves: list[dict[Key, LoggedReading]] = [{}]
    for reading in sorted(readings, key=lambda reading: reading.seen_at.timestamp()):
        key = (str(reading.entity), reading.retriever)
        try:
            state = fact_log.state_of(reading)
        except (TypeError, ValueError, RecursionError) as error:
            raise StoreError(
                f"facts of {reading.entity} by {reading.retriever!r} cannot be stored: {error}. "
                "Nothing was recorded; mend the collector that gave them"
            ) from error
        free = next((wave for wave in waves if key not in wave), None)
        if free is None:
            waves.append({key: state})
        else:
            free[key] = state
    return waves


def _latest_rows(source_id: int, changes: Sequence[_Change]) -> list[dict[str, Any]]:
    return [
        {
            "source_id": source_id,
            "entity": each.key[0],
            "retriever": each.key[1],
            "seen_at": each.state.at,
            "digest": each.digest,
            "body": pack(fact_log.line(each.state)),
        }
        for each in changes
    ]


def _segments(
    source_id: int,
    news: Sequence[_Change],
    bodies: Mapping[tuple[str, str, int], bytes],
    interval: int,
) -> list[dict[str, Any]]:
    rows = []
    for each in news:
        segment = each.state.at // SEGMENT
        body = bodies.get((*each.key, segment))
        try:
            text = _appended(each, unpack(body) if body is not None else "", interval)
        except Undecodable as error:
            raise _unreadable("fester_fact_history", *each.key, error) from error
        rows.append(
            {
                "source_id": source_id,
                "entity": each.key[0],
                "retriever": each.key[1],
                "segment": segment,
                "thinned": 0,
                "body": pack(text),
            }
        )
    return rows


def _appended(change: _Change, text: str, interval: int) -> str:
    """The segment's lines with this reading as the last of its interval."""
    if not text:
        return fact_log.line(change.state)
    slot, old = change.slot(interval), change.old
    if old is not None and change.same:
        return f"{text}\n{fact_log.line(change.state, change.state)}"
    if old is not None and slot != old.seen_at // interval:
        (before,) = fact_log.states(unpack(old.body))
        return f"{text}\n{fact_log.line(change.state, before)}"
    kept = [state for state in fact_log.states(text) if state.at // interval < slot]
    return fact_log.lines([*kept, change.state])


def _latest(rows: Sequence[Row[Any]]) -> list[Reading]:
    return [_latest_reading(row) for row in rows]


def _latest_reading(row: Row[Any]) -> Reading:
    """The reading, as of when it was last seen to be so."""
    try:
        (state,) = fact_log.states(unpack(row.body))
        again = LoggedReading(row.seen_at, state.version, state.source, state.facts)
        return fact_log.reading_of(Ref.parse(row.entity), row.retriever, again)
    except (Undecodable, ValueError) as error:
        raise _unreadable("fester_facts", row.entity, row.retriever, error) from error


def _range(kept: Sequence[Row[Any]], latest: Sequence[Row[Any]]) -> list[Reading]:
    """Every reading of these segments, and the latest where it is not among them."""
    found: dict[tuple[str, int], Reading] = {}
    for row in kept:
        try:
            entity = Ref.parse(row.entity)
            for state in fact_log.states(unpack(row.body)):
                found[row.retriever, state.at] = fact_log.reading_of(entity, row.retriever, state)
        except (Undecodable, ValueError) as error:
            raise _unreadable("fester_fact_history", row.entity, row.retriever, error) from error
    for row in latest:
        found.setdefault((row.retriever, row.seen_at), _latest_reading(row))
    return list(found.values())


def _thinned(rows: Sequence[Row[Any]], every: int) -> list[dict[str, Any]]:
    thinned = []
    for row in rows:
        try:
            last = {state.at // every: state for state in fact_log.states(unpack(row.body))}
        except Undecodable as error:
            raise _unreadable("fester_fact_history", row.entity, row.retriever, error) from error
        text = fact_log.lines(list(last.values()))
        thinned.append({**row._mapping, "thinned": 1, "body": pack(text)})
    return thinned


def _unreadable(table: str, entity: str, retriever: str, error: Exception) -> StoreError:
    return StoreError(
        f"the facts of {entity} by {retriever!r} (table {table}) cannot be understood: {error}. "
        "Restore the store from a backup, or remove this row: its facts are then collected anew"
    )
