"""A queue of jobs that cannot be had at first is there as soon as it can be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from bridge.errors import StoreError
from bridge.store.late_queue import Do, sooner_or_later


class Place:
    """Where a queue is had after so many tries; tells what was done with it."""

    def __init__(self, refusals: int) -> None:
        self.refusals = refusals
        self.tries = 0
        self.did: list[str] = []
        self.slept: list[float] = []

    @asynccontextmanager
    async def opening(self) -> AsyncIterator[Place]:
        self.tries += 1
        if self.tries <= self.refusals:
            raise StoreError("permission denied")
        self.did.append("open")
        yield self
        self.did.append("close")

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)

    async def work(self, queue: str, do: Do) -> None:
        self.did.append(f"work {queue}")

    async def put(self, queue: str, sweep: int, numbers: Iterable[int]) -> None:
        self.did.append(f"put {queue}")

    async def hands(self, queue: str) -> int:
        return 3

    async def others(self, queue: str) -> int:
        return 2

    async def take_over(self, queue: str) -> int:
        return 1

    async def known(self, sweep: int) -> dict[int, bool]:
        return {sweep: True}


async def never(sweep: int, number: int) -> bool:
    raise AssertionError


async def test_it_is_tried_again_until_it_is_there() -> None:
    """Whoever waits for jobs takes them then; one line says that it is away, one that it is not."""
    place = Place(refusals=3)
    with capture_logs() as logs:
        async with sooner_or_later(place.opening, place.sleep) as queue:
            assert await queue.others("q") == 0
            with pytest.raises(StoreError, match="tried again"):
                await queue.put("q", 1, [1])
            await queue.work("q", never)
            assert (await queue.others("q"), await queue.hands("q")) == (2, 3)
            await queue.put("q", 1, [1])
            assert (await queue.take_over("q"), await queue.known(7)) == (1, {7: True})
    assert place.did == ["open", "work q", "put q", "close"]
    assert (place.tries, place.slept) == (4, [60.0] * 3)
    assert [each["action"] for each in logs] == ["work_alone", "work_shared"]
    assert logs[0]["error"] == "permission denied"


async def test_one_that_is_there_is_had_at_once() -> None:
    place = Place(refusals=0)
    with capture_logs() as logs:
        async with sooner_or_later(place.opening, place.sleep) as queue:
            assert await queue.others("q") == 2
    assert (place.did, place.slept, logs) == (["open", "close"], [], [])


async def test_who_ends_before_it_is_there_waits_for_nothing() -> None:
    place, asleep = Place(refusals=99), asyncio.Event()

    async def sleeps(seconds: float) -> None:
        asleep.set()
        await asyncio.Event().wait()

    async with sooner_or_later(place.opening, sleeps):
        await asleep.wait()
    assert (place.tries, place.did) == (1, [])
