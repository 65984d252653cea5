"""A hand outlives its faults, and whoever watches it sees them."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from aiohttp.test_utils import TestClient, TestServer

from bridge.api.worker_app import worker_app
from bridge.errors import StoreError
from bridge.service.schedule import ended
from bridge.service.worker import Hand


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


@pytest.mark.real("it binds a socket")
async def test_a_hand_that_is_over_is_not_alive() -> None:
    lives = [True, False]
    app = worker_app(Counter(), lambda: 0, {}, lambda: lives.pop(0))
    async with TestClient(TestServer(app)) as client:
        assert (await client.get("/healthz")).status == 200
        assert (await client.get("/healthz")).status == 503
