"""What is left of what each token may ask of a GitLab, kept where all processes see it."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from typing import TypeVar

from sqlalchemy import extract, func, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bridge.model.rates import Rate
from bridge.store.tables import rates
from bridge.store.upsert import insert_into

Given = TypeVar("Given")
Open = Callable[[str], AbstractAsyncContextManager[AsyncConnection]]


class SqlRates:
    """A `bridge.model.rates.Rates` in a store; get one from `SqlStore.rates`.

    The database's clock counts, on PostgreSQL: hosts may think of the time what they like. `alone`
    gives a connection on which each statement is a transaction: nobody who is paused between two of
    them holds a lock that others wait for.
    """

    def __init__(self, alone: Open, clock: Callable[[], float]) -> None:
        self._alone = alone
        self._clock = clock

    async def change(self, name: str, act: Callable[[Rate, float], tuple[Rate, Given]]) -> Given:
        """Put what `act` makes of a counter in its place. Raises `StoreError`.

        `act` is asked again when another process was first: one of those who try always is.
        """
        async with self._alone("count requests to GitLab") as connection:
            while True:
                body, now = await self._seen(connection, name)
                known = _rate(body)
                rate, given = act(known, now)
                if rate == known:
                    return given
                mine = rates.c.name == name, rates.c.body == body
                made = update(rates).where(*mine).values(body=json.dumps(asdict(rate)))
                if (await connection.execute(made)).rowcount == 1:
                    return given

    async def _seen(self, connection: AsyncConnection, name: str) -> tuple[str, float]:
        """A counter as it is written, and the time."""
        server = connection.dialect.name == "postgresql"
        # Not now(): that is when the transaction began.
        time = extract("epoch", func.clock_timestamp()) if server else literal(self._clock())
        wanted = select(rates.c.body, time).where(rates.c.name == name)
        row = (await connection.execute(wanted)).one_or_none()
        if row is None:
            made = insert_into(connection, rates).values(name=name, body="{}")
            await connection.execute(made.on_conflict_do_nothing(index_elements=["name"]))
            row = (await connection.execute(wanted)).one()
        return row[0], float(row[1])


def _rate(body: str) -> Rate:
    """What was kept; a counter that cannot be read is begun anew: answers will tell."""
    try:
        tree = json.loads(body)
        return Rate(**{**tree, "in_flight": tuple(map(float, tree.get("in_flight", ())))})
    except (ValueError, TypeError, AttributeError):
        return Rate()
