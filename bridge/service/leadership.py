"""Of several replicas on one store one leads: it crawls and publishes, the others serve."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from bridge.errors import LeadLost, StoreError

log = structlog.get_logger()


class Lease(Protocol):
    """What a store's lease can do; `bridge.store.lease` has it."""

    async def acquire(self, name: str, holder: str, ttl_seconds: float, now: datetime) -> bool:
        """Take it if it is free, expired or the holder's already."""

    async def renew(self, name: str, holder: str, ttl_seconds: float, now: datetime) -> bool:
        """Hold it longer; False when it is lost."""

    async def release(self, name: str, holder: str) -> bool:
        """Give it back."""


def this_process() -> str:
    """A name that no other process has, and that tells people where to look."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def lease_name(source: str) -> str:
    """The lease for crawling a source; sources may be longer than a lease's name."""
    return f"lead:{hashlib.blake2b(source.encode('utf-8', 'replace'), digest_size=16).hexdigest()}"


@dataclass(slots=True)
class Leadership:
    """This process's part in who leads. A lease that is not renewed for `ttl` seconds is free."""

    lease: Lease
    name: str
    ttl: float
    clock: Callable[[], datetime]
    holder: str = field(default_factory=this_process)
    leads: bool = False
    _until: datetime | None = None
    _lost: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self) -> bool:
        """Lead from now on, if nobody else does. Raises `StoreError`."""
        now = self.clock()
        self._held(await self.lease.acquire(self.name, self.holder, self.ttl, now), now)
        return self.leads

    async def keep(self) -> None:
        """Renew the lease until it is lost; returns then."""
        while self.leads:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.ttl / 3):
                    await self._lost.wait()  # as the fence may find before
            try:
                await self._renew()
            except StoreError as error:
                # The store is slow or away. The lease holds until it expires, and no longer.
                self.leads = self._until is not None and self.clock() < self._until
                log.warning("The lease was not renewed", action="lease_slow", error=str(error))
        log.warning("Another replica may lead now", action="lead_lost", holder=self.holder)

    async def fence(self) -> None:
        """Raise `LeadLost` unless this process leads, as the store has it at this moment."""
        await self._renew()
        if not self.leads:
            raise LeadLost(
                "another replica leads now, so this pass publishes nothing; the other one finds "
                "what this one found"
            )

    async def give_back(self) -> None:
        """Let another replica lead at once, instead of when the lease expires."""
        if self.leads:
            self.leads = False
            await self.lease.release(self.name, self.holder)

    async def _renew(self) -> None:
        now = self.clock()
        self._held(await self.lease.renew(self.name, self.holder, self.ttl, now), now)

    def _held(self, held: bool, now: datetime) -> None:
        if held and not self.leads:
            log.info("This replica leads", action="lead_taken", holder=self.holder)
        self.leads = held
        if not held:
            self._lost.set()
        else:
            self._lost.clear()
            self._until = now + timedelta(seconds=self.ttl)
