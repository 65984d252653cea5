"""Knows when GitLab's token ends, and says so in the log from a month before on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import structlog

from bridge.errors import FesterError
from bridge.model.token_expiry import warning

log = structlog.get_logger()

ASK_EVERY: Final = 6 * 3600.0  # seconds
SAY_EVERY: Final = 24 * 3600.0


@dataclass(slots=True)
class TokenWatch:
    """Asks `end` (None: unknown, or never) and hands it to `told`; says once a day what is near."""

    end: Callable[[], Awaitable[datetime | None]]
    told: Callable[[datetime | None], None]
    clock: Callable[[], datetime]
    _said_at: datetime | None = None

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Ask, and ask again every few hours; a token that was rotated has another end."""
        while True:
            await self.look()
            await sleep(ASK_EVERY)

    async def look(self) -> None:
        """Ask once. A GitLab that gives no answer changes nothing of what is known."""
        try:
            end = await self.end()
        except FesterError:
            return
        self.told(end)
        now = self.clock()
        said = warning(end, now)
        spoken = self._said_at is not None and (now - self._said_at).total_seconds() < SAY_EVERY
        if said and not spoken:
            self._said_at = now
            log.warning(said, action="token_expires")
