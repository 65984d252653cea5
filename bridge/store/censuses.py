"""The censuses of full passes: one a day, the last one of that day."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import delete, select

from bridge.model.census import Census
from bridge.model.runs import Outcome
from bridge.store.codec import Undecodable, pack, unpack
from bridge.store.lease import Open
from bridge.store.ox_tables import censuses
from bridge.store.rows import unreadable
from bridge.store.sources import claim_source, source_id_of
from bridge.store.upsert import put_rows


class SqlCensuses:
    """Keeps and finds them; get one from `SqlStore.censuses`."""

    def __init__(self, writing: Open, reading: Open) -> None:
        self._writing = writing
        self._reading = reading

    async def keep(self, source: str, census: Census, oldest: date) -> None:
        """Keep the census of its day, and those since `oldest`. Raises `StoreError`."""
        tree = {**asdict(census), "at": census.at.isoformat()}
        body = await asyncio.to_thread(lambda: pack(json.dumps(tree)))
        day = census.at.astimezone(UTC).date().toordinal()
        async with self._writing(f"keep the census of {source}") as connection:
            number = await claim_source(connection, source)
            row = {"source_id": number, "day": day, "body": body}
            await put_rows(connection, censuses, [row])
            old = censuses.c.source_id == number, censuses.c.day < oldest.toordinal()
            await connection.execute(delete(censuses).where(*old))

    async def since(self, source: str, first: date) -> list[Census]:
        """Those since a day, oldest first. Raises `StoreError`."""
        columns = censuses.c
        async with self._reading(f"load the censuses of {source}") as connection:
            number = await source_id_of(connection, source)
            wanted = select(columns.day, columns.body).where(
                columns.source_id == number, columns.day >= first.toordinal()
            )
            found = (await connection.execute(wanted.order_by(columns.day))).all()
        return await asyncio.to_thread(_decoded, found)

    async def last(self, source: str) -> Census | None:
        """The latest one; None before the first full pass. Raises `StoreError`."""
        columns = censuses.c
        async with self._reading(f"load the last census of {source}") as connection:
            number = await source_id_of(connection, source)
            wanted = select(columns.day, columns.body).where(columns.source_id == number)
            row = (await connection.execute(wanted.order_by(columns.day.desc()).limit(1))).first()
        return _census(row) if row is not None else None


def _decoded(rows: Sequence[Any]) -> list[Census]:
    return [_census(row) for row in rows]


def _census(row: Any) -> Census:
    try:
        tree = json.loads(unpack(row.body))
        at, outcome = datetime.fromisoformat(tree["at"]), Outcome(tree["outcome"])
        return Census(**{**tree, "at": at, "outcome": outcome})
    except (Undecodable, KeyError, TypeError, ValueError) as error:
        day = date.fromordinal(row.day)
        raise unreadable(f"the census of {day} (table fester_censuses)", error) from error
