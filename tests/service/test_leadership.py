"""Who leads, by a lease that is not always renewed in time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

import pytest

from bridge.errors import LeadLost, StoreError
from bridge.service.leadership import Leadership, lease_name


class Clock:
    """Seconds that pass only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asleep = 0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.asleep += 1
        await asyncio.sleep(0)


@dataclass
class OneLease:
    """The contract of a lease, in memory; `away` says when a store does not answer."""

    clock: Clock
    holder: str = ""
    expires: float = 0.0
    away: Callable[[], bool] = lambda: False
    hangs: bool = False
    renewals: list[float] = field(default_factory=list)

    async def acquire(
        self, name: str, holder: str, ttl_seconds: float, now: datetime | None = None
    ) -> bool:
        if self.holder not in ("", holder) and self.expires > self.clock():
            return False
        self.holder, self.expires = holder, self.clock() + ttl_seconds
        return True

    async def renew(
        self, name: str, holder: str, ttl_seconds: float, now: datetime | None = None
    ) -> bool:
        if self.hangs:
            await asyncio.Event().wait()
        if self.away():
            raise StoreError("the store is away")
        self.renewals.append(self.clock())
        if self.holder != holder or self.expires <= self.clock():
            return False
        self.expires = self.clock() + ttl_seconds
        return True

    async def release(self, name: str, holder: str) -> bool:
        held, self.holder = self.holder == holder, "" if self.holder == holder else self.holder
        return held


def two(lease: OneLease, ttl: float = 15) -> tuple[Leadership, Leadership]:
    clock = lease.clock
    return (
        Leadership(lease, "lead", ttl, clock, clock.sleep, "first"),
        Leadership(lease, "lead", ttl, clock, clock.sleep, "second"),
    )


async def test_one_leads_until_its_lease_expires() -> None:
    clock = Clock()
    first, second = two(OneLease(clock))
    assert await first.take()
    assert not await second.take()
    clock.now += 16
    assert await second.take()
    with pytest.raises(LeadLost, match="publishes nothing"):
        await first.fence()
    assert not first.leads


async def test_the_fence_renews_so_that_a_publish_has_the_whole_time() -> None:
    clock = Clock()
    first, second = two(OneLease(clock))
    await first.take()
    clock.now += 14
    await first.fence()
    clock.now += 14
    assert not await second.take()


async def test_who_hands_over_is_followed_at_once() -> None:
    lease = OneLease(Clock())
    first, second = two(lease)
    await first.take()
    await first.give_back()
    assert await second.take()
    await first.give_back()  # it has nothing to give
    assert lease.holder == "second"


async def test_a_lease_is_renewed_well_before_it_expires() -> None:
    """A try may fail in between, and it still is held."""
    clock = Clock()
    lease = OneLease(clock)
    first, _ = two(lease, ttl=15)
    await first.take()
    lease.away = lambda: clock.asleep % 2 == 1
    keeping = asyncio.create_task(first.keep())
    for _ in range(10_000):  # turns of the loop, of which each pause takes a few
        await asyncio.sleep(0)
        assert first.leads
        if clock.now >= 1000:
            break
    keeping.cancel()
    assert clock.now >= 1000, "it keeps nothing"
    assert lease.renewals
    assert all(later - before <= 15 for before, later in pairwise([0.0, *lease.renewals]))


async def test_a_store_that_is_away_ends_the_lead_when_the_lease_does() -> None:
    """Not before, for the lease still holds; and not later, for another may lead then."""
    clock = Clock()
    first, _ = two(OneLease(clock, away=lambda: True), ttl=15)
    await first.take()
    await first.keep()
    assert not first.leads
    assert clock.now == 15


async def test_a_store_that_never_answers_ends_the_lead_too() -> None:
    """Packets that are swallowed: no error comes, and no answer."""
    lease = OneLease(Clock())
    first, _ = two(lease, ttl=0.03)
    await first.take()
    lease.hangs = True
    with pytest.raises(StoreError, match="did not answer"):
        await first.fence()
    lease.clock.now += 1
    await first.keep()
    assert not first.leads


async def test_keeping_ends_when_the_fence_finds_the_lease_lost() -> None:
    clock = Clock()
    lease = OneLease(clock)
    first, _ = two(lease, ttl=3600)
    first.sleep = lambda seconds: asyncio.sleep(3600)
    await first.take()
    lease.holder = "second"
    with pytest.raises(LeadLost):
        await first.fence()
    await first.keep()  # at once, not after a third of an hour


def test_a_lease_has_a_name_for_any_source() -> None:
    names = {lease_name(source) for source in ("a", "b", "x" * 5000, "\udc80")}
    assert len(names) == 4
    assert all(len(name) < 200 for name in names)
