"""What the store is asked is waited for only so long."""

from __future__ import annotations

import asyncio

import pytest

from bridge.errors import StoreError
from bridge.service.in_time import in_time


async def test_what_is_there_in_time_is_given_with_its_error() -> None:
    async def gives(value: int) -> int:
        if not value:
            raise StoreError("it is gone")
        return value

    assert await in_time(gives(3), 5.0, "no answer") == 3
    with pytest.raises(StoreError, match="it is gone"):
        await in_time(gives(0), 5.0, "no answer")


async def test_who_asks_waits_no_longer_than_was_said_for_what_cannot_be_ended() -> None:
    """A thread that waits for a lock hears of no cancellation."""
    lock, ended = asyncio.Event(), asyncio.Event()

    async def stubborn() -> None:
        while not lock.is_set():
            try:
                await lock.wait()
            except asyncio.CancelledError:
                continue
        ended.set()
        raise StoreError("nobody hears this")

    with pytest.raises(StoreError, match=r"no answer within 0\.01 seconds"):
        await in_time(stubborn(), 0.01, "no answer")
    assert not ended.is_set()
    lock.set()
    await ended.wait()
