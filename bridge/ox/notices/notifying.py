"""Notices on their way: found, stored, claimed, sent, settled; each once.

The intent to send is in the store before anything is sent. A webhook gets what is noted at most
once: when nobody knows whether it arrived, because a process died or the answer was lost, it is not
sent again. Backstage gets it at least once, and shows it once: the second takes the first's place.
What a receiver surely did not take is sent again, for a week.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog

from bridge.model.notices import Delivery, DeliveryState, NoticeMemory
from bridge.ox.interfaces import NoticeChannel, NoticeStore
from bridge.ox.notices.occasions import Sightings, mended, occasions
from bridge.ox.notices.quiet_hours import QuietHours
from bridge.ox.remediation.marker import digest_of
from bridge.ox.remediation.streaks import Breaker

log = structlog.get_logger()

DEAD: Final = timedelta(minutes=10)  # who has not said by then how it went has died
STALE: Final = timedelta(days=7)  # older news are none
KEPT: Final = timedelta(days=90)
# After so many refusals in a row a channel is left alone until the next run.
PATIENCE: Final = 3


@dataclass(frozen=True, slots=True)
class _Message:
    """What goes to a team at once; `batch` is known when it was sent before."""

    team: str
    deliveries: tuple[Delivery, ...]
    batch: str


@dataclass(frozen=True, slots=True)
class Notifier:
    """Tells teams what is news, by each channel that leads to them.

    In `quiet` hours nothing is sent. Between two messages to a team lies at least `apart`: what
    comes meanwhile goes with the next.
    """

    source: str
    store: NoticeStore
    channels: Sequence[NoticeChannel]
    clock: Callable[[], datetime]
    quiet: QuietHours | None = None
    apart: timedelta = timedelta(hours=1)
    breaker: Breaker = field(default_factory=Breaker)

    async def run(self, sightings: Sightings) -> None:
        """Note what is new, and send what may be sent. Raises `StoreError`."""
        now = self.clock()
        before = await self.store.memory(self.source)
        found = await asyncio.to_thread(occasions, before, sightings, now, self.breaker)
        if found.doubtful:
            log.warning(
                "So many services fail a gate at once that it is not told: the check may be wrong",
                action="notices_held",
                checks=list(found.doubtful),
            )
        fresh = [
            Delivery(notice, channel.name, now, now)
            for notice in found.notices
            for channel in self.channels
            if channel.reaches(notice.team)
        ]
        if fresh or found.memory != before:
            await self.store.note(self.source, found.memory, fresh)
        if fresh:
            await self.store.prune(self.source, now - KEPT)
        await self._send(found.memory, now)

    async def close(self) -> None:
        """Close the channels; safe to call twice."""
        for channel in self.channels:
            await channel.close()

    async def _send(self, memory: NoticeMemory, now: datetime) -> None:
        found = await self.store.open(self.source)
        waiting = [each for each in found if each.state is DeliveryState.WAITING]
        over = [d for d in waiting if mended(memory, d.notice) or now - d.made > STALE]
        if over:
            await self.store.drop(self.source, over, now)
        left = {(d.channel, d.notice.key) for d in over}
        waiting = [d for d in waiting if (d.channel, d.notice.key) not in left]
        dead = [d for d in found if d.state is DeliveryState.SENDING and now - d.at >= DEAD]
        again = await self._begun(dead, now)
        if self.quiet is not None and self.quiet.hold(now):
            return
        last = await self.store.last_sent(self.source)
        for channel in self.channels:
            due = [m for m in again if m.deliveries[0].channel == channel.name]
            await self._by(channel, [*due, *self._due(channel, waiting, last, now)])

    async def _begun(self, dead: Sequence[Delivery], now: datetime) -> list[_Message]:
        """Messages of which nobody knows how they went: those that may be sent once more."""
        repeatable = {channel.name for channel in self.channels if channel.repeatable}
        batches: dict[str, list[Delivery]] = {}
        for delivery in dead:
            batches.setdefault(delivery.batch, []).append(delivery)
        again = []
        for batch, theirs in batches.items():
            first = theirs[0]
            if first.channel in repeatable and now - first.made <= STALE:
                again.append(_Message(first.notice.team, tuple(theirs), batch))
            else:
                await self.store.settle(self.source, batch, DeliveryState.UNSURE, now)
        return again

    def _due(
        self,
        channel: NoticeChannel,
        waiting: Sequence[Delivery],
        last: Mapping[tuple[str, str], datetime],
        now: datetime,
    ) -> Iterator[_Message]:
        """What waits, a message a team; for whom the last one is too near, nothing yet."""
        teams: dict[str, list[Delivery]] = {}
        for delivery in waiting:
            if delivery.channel == channel.name:
                teams.setdefault(delivery.notice.team, []).append(delivery)
        for team, theirs in teams.items():
            before = last.get((channel.name, team))
            if before is None or now - before >= self.apart:
                keys = [each.notice.key for each in theirs]
                batch = digest_of(self.source, channel.name, now.isoformat(), *keys)
                yield _Message(team, tuple(theirs), batch)

    async def _by(self, channel: NoticeChannel, messages: Sequence[_Message]) -> None:
        refusals = 0
        for message in messages:
            if refusals >= PATIENCE:
                break
            refused = await self._one(channel, message)
            refusals = refusals + 1 if refused else 0

    async def _one(self, channel: NoticeChannel, message: _Message) -> bool:
        """Claim, send, settle; whether it was not taken."""
        store, source, batch = self.store, self.source, message.batch
        if not await store.claim(source, message.deliveries, batch, self.clock()):
            return False  # another replica has them
        notices = [each.notice for each in message.deliveries]
        state = await channel.send(message.team, notices, batch)
        if state is DeliveryState.UNSURE and channel.repeatable:
            return True  # it stays as it is, and is sent once more later
        refused = state is DeliveryState.WAITING
        await store.settle(source, batch, state, self.clock(), refused=refused)
        if state is DeliveryState.SENT:
            log.info(
                "A team was told",
                action="notices_sent",
                channel=channel.name,
                team=message.team,
                notices=len(notices),
            )
        return state in (DeliveryState.WAITING, DeliveryState.UNSURE)
