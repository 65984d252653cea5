"""Passes on a schedule: one at a time, soon after each other when asked, never overlapping."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from bridge.errors import FesterError

log = structlog.get_logger()


@dataclass(slots=True)
class Schedule:
    """Makes a pass, waits `every` seconds or until `poke`, and again until cancelled.

    An error that Fester raises on purpose is logged and the next pass is tried as usual. When it
    is cancelled in mid-pass, the pass has `grace` seconds to end its publish cleanly.
    """

    make_pass: Callable[[], Awaitable[None]]
    every: float
    grace: float = 30.0
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def poke(self) -> None:
        """Start the next pass now (or right after the one that runs)."""
        self._wake.set()

    async def run(self) -> None:
        """Run until cancelled."""
        while True:
            self._wake.clear()
            try:
                await self._one_pass()
            except FesterError as error:
                log.error("A pass could not be made", action="pass_failed", error=str(error))
            try:
                async with asyncio.timeout(self.every):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _one_pass(self) -> None:
        task = asyncio.ensure_future(self.make_pass())
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task], timeout=self.grace)
            task.cancel()
            raise
