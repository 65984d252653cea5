"""The weekly digests, and to whom they were sent."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import select, update

from bridge.model.entities import Json
from bridge.store.codec import Undecodable, pack, unpack
from bridge.store.lease import Open
from bridge.store.ox_tables import digests
from bridge.store.sources import claim_source, source_id_of
from bridge.store.upsert import put_rows


class SqlDigests:
    """A `bridge.ox.interfaces.DigestStore`; get one from `SqlStore.digests`."""

    def __init__(self, writing: Open, reading: Open) -> None:
        self._writing = writing
        self._reading = reading

    async def sent(self, source: str, week: str) -> list[str] | None:
        """To which teams a week's digest was sent. Raises `StoreError`."""
        async with self._reading(f"look up the digests of {source}") as connection:
            number = await source_id_of(connection, source)
            mine = (digests.c.source_id == number, digests.c.week == week)
            found = await connection.execute(select(digests.c.sent).where(*mine))
            text = found.scalar_one_or_none()
        return None if text is None else [str(team) for team in json.loads(text)]

    async def keep(self, source: str, week: str, trees: Sequence[Json]) -> None:
        """Keep a week's digests as they were made. Raises `StoreError`."""
        body = pack(json.dumps(list(trees)))
        async with self._writing(f"keep the digests of {source}") as connection:
            number = await claim_source(connection, source)
            row = {"source_id": number, "week": week, "body": body, "sent": "[]"}
            await put_rows(connection, digests, [row])

    async def mark_sent(self, source: str, week: str, teams: Sequence[str]) -> None:
        """These teams have theirs. Raises `StoreError`."""
        async with self._writing(f"note the digests of {source}") as connection:
            number = await claim_source(connection, source)
            mine = (digests.c.source_id == number, digests.c.week == week)
            values = {"sent": json.dumps(sorted(set(teams)))}
            await connection.execute(update(digests).where(*mine).values(values))

    async def latest(self, source: str) -> list[Json]:
        """The digests of the latest week that has some. Raises `StoreError`."""
        async with self._reading(f"load the digests of {source}") as connection:
            number = await source_id_of(connection, source)
            wanted = (
                select(digests.c.body)
                .where(digests.c.source_id == number)
                .order_by(digests.c.week.desc())
                .limit(1)
            )
            body = (await connection.execute(wanted)).scalar_one_or_none()
        if body is None:
            return []
        try:
            found = json.loads(unpack(body))
        except (Undecodable, ValueError):
            return []  # a digest is made anew each week: not worth a stop
        return found if isinstance(found, list) else []
