"""A hand outlives its faults, and whoever watches it sees them."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from aiohttp.test_utils import TestClient, TestServer

from bridge.api.worker_app import worker_app
from bridge.errors import StoreError
from bridge.model.work import Claim, Part, PartRead
from bridge.service.schedule import ended
from bridge.service.worker import Hand, PartReader
from tests.fakes import writes_nothing


async def _one() -> frozenset[str]:
    return frozenset({"q"})


async def _turns(_: float = 0.0) -> None:
    await asyncio.sleep(0)


async def _refused(queue: str) -> None:
    raise StoreError("connection refused")


async def _for_ever(queue: str) -> None:
    await asyncio.Event().wait()


async def test_a_queue_whose_store_refuses_is_not_taken_from() -> None:
    hand = Hand(_one, _refused, _turns)
    running = asyncio.create_task(hand.run())
    seen = set()
    for turn in range(100):
        await _turns()
        if turn > 10:
            seen.add(hand.taking)
    assert seen == {0}

    hand.work = _for_ever
    for _ in range(10):
        await _turns()
    assert hand.taking == 1
    await ended(running)


async def test_whatever_breaks_a_look_does_not_end_the_hand() -> None:
    looks = 0

    async def queues() -> frozenset[str]:
        nonlocal looks
        looks += 1
        if looks < 3:
            raise OSError(5, "Input/output error")
        return frozenset({"q"})

    hand = Hand(queues, _for_ever, _turns)
    running = asyncio.create_task(hand.run())
    for _ in range(20):
        await _turns()
    assert not running.done()
    assert hand.taking == 1
    await ended(running)


async def test_a_hand_ends_also_where_its_queue_ends_with_a_fault() -> None:
    """A store that does not answer may be told of in place of the cancellation."""
    begun = asyncio.Event()

    async def stubborn(queue: str) -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        finally:
            raise StoreError("connection refused")

    hand = Hand(_one, stubborn)
    running = asyncio.create_task(hand.run())
    await begun.wait()
    async with asyncio.timeout(20):
        await ended(running)
    assert running.cancelled()


async def test_a_store_that_is_away_costs_a_part_no_try() -> None:
    """Whoever has read it brings it again, and reads it again: five such hands made it a gap."""
    parts, away = Counter[str](), iter([True, False, True, True, False])
    claim = Claim(Part("s", "", 1, 0, (), ((1, "p"),)), 5)

    def answers(what: str) -> None:
        parts[what] += 1
        if next(away):
            raise StoreError("too many connections")

    class Store:
        async def claim(self, sweep: int, number: int, worker: str) -> Claim:
            return claim

        async def finish(self, claim: Claim, read: PartRead) -> bool:
            answers("finish")
            return True

        async def fail(self, claim: Claim, reason: str) -> bool:
            raise AssertionError(reason)

    async def read(part: Part) -> PartRead:
        answers("read")
        return PartRead()

    reader = PartReader(Store(), read, writes_nothing, "worker", sleep=_turns)
    assert not await reader.do(1, 0)
    assert (parts, reader.counts) == ({"read": 2, "finish": 3}, {"done": 1})


async def test_a_store_that_stays_away_is_told_as_the_reason() -> None:
    class Store:
        async def claim(self, sweep: int, number: int, worker: str) -> Claim:
            return Claim(Part("s", "", 1, 0, (), ((1, "p"),)), 5)

        async def finish(self, claim: Claim, read: PartRead) -> bool:
            raise AssertionError

        async def fail(self, claim: Claim, reason: str) -> bool:
            assert reason == "a row cannot be understood"
            return False

    async def read(part: Part) -> PartRead:
        raise StoreError("a row cannot be understood")

    reader = PartReader(Store(), read, writes_nothing, "worker", sleep=_turns)
    assert not await reader.do(1, 0)
    assert reader.counts == {"failed": 1}


@pytest.mark.real("it binds a socket")
async def test_a_hand_that_is_over_is_not_alive() -> None:
    lives = [True, False]
    app = worker_app(Counter(), lambda: 0, {}, lambda: lives.pop(0))
    async with TestClient(TestServer(app)) as client:
        assert (await client.get("/healthz")).status == 200
        assert (await client.get("/healthz")).status == 503
