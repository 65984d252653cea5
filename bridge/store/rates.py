"""What is left of what each token may ask of a GitLab, kept where all processes see it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from typing import TypeVar

from sqlalchemy import extract, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.model.rates import Rate
from bridge.store.tables import rates
from bridge.store.upsert import insert_into

Given = TypeVar("Given")
Open = Callable[[str], AbstractAsyncContextManager[AsyncConnection]]


class SqlRates:
    """A `bridge.model.rates.Rates` in a store; get one from `SqlStore.rates`.

    The database's clock counts, on PostgreSQL: hosts may think of the time what they like. A row
    is locked for as long as it is changed.
    """

    def __init__(self, writing: Open, clock: Callable[[], float]) -> None:
        self._writing = writing
        self._clock = clock

    async def change(self, name: str, act: Callable[[Rate, float], tuple[Rate, Given]]) -> Given:
        """Put what `act` makes of a counter in its place. Raises `StoreError`."""
        async with self._writing("count requests to GitLab") as connection:
            known = await self._locked(connection, name)
            rate, given = act(known, await self._now(connection))
            if rate != known:
                body = json.dumps(asdict(rate))
                await connection.execute(
                    update(rates).where(rates.c.name == name).values(body=body)
                )
        return given

    async def _locked(self, connection: AsyncConnection, name: str) -> Rate:
        wanted = select(rates.c.body).where(rates.c.name == name).with_for_update()
        body = (await connection.execute(wanted)).scalar_one_or_none()
        if body is None:
            made = insert_into(connection, rates).values(name=name, body="{}")
            await connection.execute(made.on_conflict_do_nothing(index_elements=["name"]))
            body = (await connection.execute(wanted)).scalar_one()
        return _rate(body)

    async def _now(self, connection: AsyncConnection) -> float:
        if connection.dialect.name != "postgresql":
            return self._clock()
        # Not now(), which is when the transaction began: it may have waited for a lock since.
        wanted = select(extract("epoch", func.clock_timestamp()))
        return float((await connection.execute(wanted)).scalar_one())


def _rate(body: str) -> Rate:
    """What was kept; a counter that cannot be read is begun anew: answers will tell."""
    try:
        tree = json.loads(body)
        return Rate(**{**tree, "in_flight": tuple(map(float, tree.get("in_flight", ())))})
    except (ValueError, TypeError, AttributeError):
        return Rate()
