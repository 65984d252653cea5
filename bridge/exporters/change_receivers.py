"""Tells receivers what changed in the catalog, by signed webhooks that are sent until taken.

Each receiver has a place in the history up to which it was told, kept in the store; what is sent is
noted there before, so that no other process sends it meanwhile. So nothing is lost while a receiver
is away, as long as the history is kept, and what may have arrived already goes again with the same
id. A receiver holds up nobody but itself.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Final, Protocol

import structlog
from yarl import URL

from bridge.errors import StoreError
from bridge.model.entities import Json
from bridge.model.entity_changes import ChangeQuery, EntityChange
from bridge.model.moments import iso
from bridge.model.receivers import LONGEST_PAUSE, Backlog, ReceiverStanding, ReceiverState, Wants
from bridge.neighbours.http_client import HttpClient, NoAnswer
from bridge.neighbours.signed_webhook import ID, SIGNATURE, TIMESTAMP, signature
from bridge.neighbours.waiting import asked_pause

log = structlog.get_logger()

AT_ONCE: Final = 50  # changes that are looked at for one message: some ten KB
TIMEOUT: Final = 15.0
CLAIM: Final = timedelta(seconds=2 * TIMEOUT)  # in which who sends has heard, or has died
BYTES: Final = 100_000  # of an answer, of which nothing is read but that it came
STORE_AWAY: Final = timedelta(minutes=1)
_NOW: Final = timedelta(0)


class ReceiverStore(Protocol):
    """How far each receiver was told. Every method raises `StoreError`."""

    async def known(self, source: str, name: str) -> ReceiverState | None:
        """How far it has been told; None when nobody ever looked at it."""

    async def state(self, source: str, name: str) -> ReceiverState | None:
        """The same. A new one is told of what changes from now on; None before a first pass."""

    async def save(
        self, source: str, name: str, before: ReceiverState, after: ReceiverState
    ) -> bool:
        """Take one state for another; False when it is another one already."""

    async def backlog(self, source: str, cursor: int) -> Backlog:
        """What changed above a number."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who is told, where, and of what. `key` gives the bytes that sign, as they are now."""

    name: str
    url: str
    key: Callable[[], bytes] = field(repr=False)
    wants: Wants = field(default_factory=Wants)

    @property
    def host(self) -> str:
        """Its host, for people: a path may be a secret."""
        return str(URL(self.url).origin())


@dataclass(slots=True)
class ChangeReceivers:
    """The receivers of one source. Only who `leads` tells them anything.

    `find` finds changes in the history, which is kept for `history`. Where nothing else is said, a
    method raises `StoreError`.
    """

    source: str
    receivers: Sequence[Receiver]
    store: ReceiverStore
    find: Callable[[ChangeQuery], Awaitable[list[EntityChange]]]
    clock: Callable[[], datetime]
    history: timedelta
    leads: Callable[[], bool] = lambda: True
    trust: ssl.SSLContext | None = field(default=None, repr=False)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    _news: dict[str, asyncio.Event] = field(default_factory=dict)

    def poke(self) -> None:
        """There may be something to tell, or this replica may lead now."""
        for each in self._news.values():
            each.set()

    async def run(self) -> None:
        """Tell each receiver what it does not know, until cancelled; raises nothing."""
        self._news = {each.name: asyncio.Event() for each in self.receivers}
        async with asyncio.TaskGroup() as tasks:
            for each in self.receivers:
                tasks.create_task(self._follow(each))

    async def once(self) -> None:
        """Tell each receiver what it does not know, once; raises nothing.

        What one does not take now is tried again by whoever tells next.
        """
        await asyncio.gather(*(self._told(each) for each in self.receivers))

    async def standings(self) -> list[ReceiverStanding]:
        """How each receiver stands, by whichever replica it is told."""
        found = []
        for each in self.receivers:
            state = await self.store.known(self.source, each.name)
            backlog = await self.store.backlog(self.source, state.cursor) if state else Backlog()
            counts = {what: self.counts[each.name, what] for what in ("delivered", "failed")}
            found.append(ReceiverStanding(each.name, each.host, state, backlog, counts))
        return found

    async def _follow(self, receiver: Receiver) -> None:
        news = self._news[receiver.name]
        while True:
            news.clear()
            pause = await self._told(receiver)
            try:
                async with asyncio.timeout(pause.total_seconds() if pause is not None else None):
                    await news.wait()
            except TimeoutError:
                continue

    async def _told(self, receiver: Receiver) -> timedelta | None:
        try:
            return await self.tell(receiver)
        except StoreError as error:
            log.warning("A receiver waits for the store", action="receiver_waits", error=str(error))
        except Exception:
            log.exception("A receiver was not told", action="receiver_broke", name=receiver.name)
        return STORE_AWAY

    async def tell(self, receiver: Receiver) -> timedelta | None:
        """Tell a receiver all that it does not know.

        Gives how long to wait until it is tried again; None when there is nothing more to tell.
        """
        http = HttpClient(receiver.url, timeout=TIMEOUT, limit=BYTES, trust=self.trust)
        try:
            while self.leads():
                state = await self.store.state(self.source, receiver.name)
                if state is None:
                    return None
                now = self.clock()
                if state.next_at is not None and now < state.next_at:
                    return state.next_at - now
                if not await self._one(receiver, http, state):
                    return None
        finally:
            await http.close()
        return None

    async def _one(self, receiver: Receiver, http: HttpClient, state: ReceiverState) -> bool:
        """Send what is next, or once more what was on its way; False when there is nothing.

        It is claimed first: who else looks meanwhile, a replica or a `fester run`, leaves it be.
        """
        below = state.sending + 1 if state.sending else None
        window = await self.find(
            ChangeQuery(above=state.cursor, below=below, oldest_first=True, limit=AT_ONCE)
        )
        if not window and not state.sending:
            current = state.up_to_date(self.clock(), self.history)
            if current != state:
                await self._save(receiver, state, current)
            return False
        claimed = state.claimed(state.sending or window[-1].number, self.clock() + CLAIM)
        if await self._save(receiver, state, claimed):
            wanted = [each for each in window if receiver.wants.fit(each)]
            sent = self._send(receiver, http, claimed, wanted) if wanted else None
            await self._save(receiver, claimed, await sent if sent else claimed.passed_over())
        return True  # whoever has it, what comes next is to be looked at

    async def _save(self, receiver: Receiver, before: ReceiverState, after: ReceiverState) -> bool:
        return await self.store.save(self.source, receiver.name, before, after)

    async def _send(
        self,
        receiver: Receiver,
        http: HttpClient,
        state: ReceiverState,
        changes: Sequence[EntityChange],
    ) -> ReceiverState:
        now = self.clock()
        body = self._body(state, changes, now)
        headers = _signed(receiver, self._id(receiver, state), body, now)
        asked = _NOW
        try:
            answer = await http.send("POST", http.base, body=body, headers=headers)
        except NoAnswer as error:
            reason = str(error)
        else:
            if 200 <= answer.status < 300:
                return self._delivered(receiver, state, changes)
            reason = _refusal(answer.status)
            longest = LONGEST_PAUSE.total_seconds()
            pause = asked_pause(answer.headers, now.timestamp(), counted=longest)
            asked = timedelta(seconds=pause or 0)
        return self._failed(receiver, state.failed(reason, self.clock(), asked))

    def _delivered(
        self, receiver: Receiver, state: ReceiverState, changes: Sequence[EntityChange]
    ) -> ReceiverState:
        self.counts[receiver.name, "delivered"] += 1
        log.info(
            "A receiver was told", action="changes_told", name=receiver.name, changes=len(changes)
        )
        return state.delivered(self.clock(), changes[-1].at)

    def _failed(self, receiver: Receiver, state: ReceiverState) -> ReceiverState:
        self.counts[receiver.name, "failed"] += 1
        log.warning(
            "A receiver of changes did not take them",
            action="changes_untold",
            name=receiver.name,
            reason=state.reason,
            again=iso(state.next_at),
        )
        return state

    def _id(self, receiver: Receiver, state: ReceiverState) -> str:
        """The same for the same changes, however often they are sent."""
        text = f"{self.source} {receiver.name} {state.cursor} {state.sending}"
        return f"fester_{blake2b(text.encode('utf-8', 'replace'), digest_size=16).hexdigest()}"

    def _body(self, state: ReceiverState, changes: Sequence[EntityChange], now: datetime) -> bytes:
        data: dict[str, Json] = {
            "source": self.source,
            "changes": [each.as_json() for each in changes],
            "missed": None,
        }
        oldest = now - self.history
        since = state.told_until or state.failing_since
        if since is not None and since < oldest:
            # What is older is kept no longer: who was away for so long is told so.
            data["missed"] = {"since": iso(since), "until": iso(oldest)}
        message = {
            "type": "catalog.changed",
            "timestamp": changes[-1].at.astimezone(UTC).isoformat(timespec="seconds"),
            "data": data,
        }
        return json.dumps(message, separators=(",", ":")).encode()


def _signed(receiver: Receiver, name: str, body: bytes, now: datetime) -> Mapping[str, str]:
    stamp = str(int(now.timestamp()))
    return {ID: name, TIMESTAMP: stamp, SIGNATURE: signature(receiver.key(), name, stamp, body)}


def _refusal(status: int) -> str:
    if 300 <= status < 400:
        return f"it answered {status}; redirects are not followed: name where it leads to"
    if status in (401, 403):
        return f"it answered {status}: does it know the secret that signs?"
    return f"it answered {status}"
