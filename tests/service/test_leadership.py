"""Who leads, by a lease that is not always renewed in time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from bridge.errors import LeadLost, StoreError
from bridge.service.leadership import Leadership, lease_name
from tests.fakes import NOON


@dataclass
class OneLease:
    """The contract of a lease, in memory; `broken` is a store that does not answer."""

    holder: str = ""
    expires: datetime = NOON
    broken: bool = False
    renewals: list[datetime] = field(default_factory=list)

    async def acquire(self, name: str, holder: str, ttl_seconds: float, now: datetime) -> bool:
        if self.holder not in ("", holder) and self.expires > now:
            return False
        self.holder, self.expires = holder, now + timedelta(seconds=ttl_seconds)
        return True

    async def renew(self, name: str, holder: str, ttl_seconds: float, now: datetime) -> bool:
        if self.broken:
            raise StoreError("the store is away")
        self.renewals.append(now)
        if self.holder != holder or self.expires <= now:
            return False
        self.expires = now + timedelta(seconds=ttl_seconds)
        return True

    async def release(self, name: str, holder: str) -> bool:
        held, self.holder = self.holder == holder, "" if self.holder == holder else self.holder
        return held


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


def two(lease: OneLease, clock: Clock, ttl: float = 15) -> tuple[Leadership, Leadership]:
    return (
        Leadership(lease, "lead", ttl, clock, "first"),
        Leadership(lease, "lead", ttl, clock, "second"),
    )


async def test_one_leads_until_its_lease_expires() -> None:
    clock, lease = Clock(), OneLease()
    first, second = two(lease, clock)
    assert await first.take()
    assert not await second.take()
    clock.now += timedelta(seconds=16)
    assert await second.take()
    with pytest.raises(LeadLost, match="publishes nothing"):
        await first.fence()
    assert not first.leads


async def test_the_fence_renews_so_that_a_publish_has_the_whole_time() -> None:
    clock, lease = Clock(), OneLease()
    first, second = two(lease, clock)
    await first.take()
    clock.now += timedelta(seconds=14)
    await first.fence()
    clock.now += timedelta(seconds=14)
    assert not await second.take()


async def test_who_hands_over_is_followed_at_once() -> None:
    lease = OneLease()
    first, second = two(lease, Clock())
    await first.take()
    await first.give_back()
    assert await second.take()
    await first.give_back()  # it has nothing to give
    assert lease.holder == "second"


async def test_a_store_that_is_away_ends_the_lead_when_the_lease_does() -> None:
    """Not before, for the lease still holds; and not later, for another may lead then."""
    clock, lease = Clock(), OneLease(broken=True)
    first, _ = two(lease, clock, ttl=0.03)
    await first.take()
    clock.now += timedelta(seconds=1)
    await first.keep()
    assert not first.leads


async def test_keeping_ends_when_the_fence_finds_the_lease_lost() -> None:
    lease = OneLease()
    first, _ = two(lease, Clock(), ttl=3600)
    await first.take()
    lease.holder = "second"
    with pytest.raises(LeadLost):
        await first.fence()
    await first.keep()  # at once, not after a third of an hour


def test_a_lease_has_a_name_for_any_source() -> None:
    names = {lease_name(source) for source in ("a", "b", "x" * 5000, "\udc80")}
    assert len(names) == 4
    assert all(len(name) < 200 for name in names)
