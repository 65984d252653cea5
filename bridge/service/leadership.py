"""Of several replicas on one store one leads: it crawls and publishes, the others serve."""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog

from bridge.errors import LeadLost, StoreError
from bridge.ports import Lease
from bridge.service.in_time import in_time

log = structlog.get_logger()


def this_process() -> str:
    """A name that no other process has, and that tells people where to look."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def lease_name(source: str) -> str:
    """The lease for crawling a source; sources may be longer than a lease's name."""
    return f"lead:{hashlib.blake2b(source.encode('utf-8', 'replace'), digest_size=16).hexdigest()}"


@dataclass(slots=True)
class Leadership:
    """This process's part in who leads. A lease that is not renewed for `ttl` seconds is free.

    Whether it is free the store judges by its own clock. Here only how much time went by counts:
    `clock` gives seconds that nobody sets back.
    """

    lease: Lease
    name: str
    ttl: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    holder: str = field(default_factory=this_process)
    leads: bool = False
    _until: float = 0.0
    _lost: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self) -> bool:
        """Lead from now on, if nobody else does. Raises `StoreError`."""
        await self._ask(self.lease.acquire)
        return self.leads

    async def keep(self) -> None:
        """Renew the lease until it is lost; returns then.

        It is lost, too, when the store did not answer for as long as it lasts: another may lead.
        """
        while self.leads:
            await self._pause(min(self.ttl / 3, max(0.0, self._until - self.clock())))
            if not self.leads:
                break
            try:
                await self._ask(self.lease.renew)
            except StoreError as error:
                # The store is slow or away. The lease holds until it expires, and no longer.
                self.leads = self.clock() < self._until
                log.warning("The lease was not renewed", action="lease_slow", error=str(error))
        log.warning("Another replica may lead now", action="lead_lost", holder=self.holder)

    async def fence(self) -> None:
        """Raise `LeadLost` unless this process leads, as the store has it at this moment."""
        if self.leads:
            await self._ask(self.lease.renew)
        if not self.leads:
            raise LeadLost(
                "another replica leads now, so this pass publishes nothing; the other one finds "
                "what this one found"
            )

    async def give_back(self) -> None:
        """Let another replica lead at once, instead of when the lease expires."""
        if self.leads:
            self.leads = False
            async with asyncio.timeout(self.ttl):
                await self.lease.release(self.name, self.holder)

    async def _pause(self, seconds: float) -> None:
        """Wait so long, or until the lease is lost, as the fence may find before."""
        waits = [asyncio.ensure_future(each) for each in (self.sleep(seconds), self._lost.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def _ask(self, question: Callable[[str, str, float], Coroutine[Any, Any, bool]]) -> None:
        """Ask the store, for no longer than a third of the lease. Raises `StoreError`."""
        begun = self.clock()  # the lease lasts from some moment after this
        asked = question(self.name, self.holder, self.ttl)
        held = await in_time(asked, self.ttl / 3, "the store did not answer about the lease")
        if held and not self.leads:
            log.info("This replica leads", action="lead_taken", holder=self.holder)
        self.leads = held
        if held:
            self._lost.clear()
            self._until = begun + self.ttl
        else:
            self._lost.set()
