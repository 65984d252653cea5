"""Waiting: before GitLab has to say 429, when it has said so, and between retries.

Headers: https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/#response-headers
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from bridge.model.rates import LimitAnswer, Rate, Rates
from bridge.neighbours.waiting import LONGEST_PAUSE, asked_pause, whole_number

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]
Given = TypeVar("Given")

_LONGEST_WINDOW = 600.0  # seconds that GitLab counts the requests of an application limit in
_STALE = 10.0  # seconds after which a leave to ask is asked for anew: this process was paused


class OwnRates:
    """The counters of one process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rates: dict[str, Rate] = {}

    async def change(self, name: str, act: Callable[[Rate, float], tuple[Rate, Given]]) -> Given:
        """Put what `act` makes of a counter in its place; gives what it gives."""
        self._rates[name], given = act(self._rates.get(name, Rate()), self._clock())
        return given


class Throttle:
    """Holds requests back. `clock` gives seconds since the epoch, as `RateLimit-Reset` does.

    A lane is one of GitLab's counters: REST and GraphQL are counted apart on some installations.
    """

    def __init__(
        self,
        clock: Clock,
        sleep: Sleep,
        *,
        rand: Callable[[], float] = random.random,
        rates: Rates | None = None,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._rand = rand
        self._rates: Rates = rates or OwnRates(clock)
        self.waited = 0.0  # seconds, in all

    def share(self, rates: Rates) -> None:
        """Count from now on where others count, too."""
        self._rates = rates

    async def enter(self, lane: str, *, longest: float, ahead: bool = False) -> float | None:
        """Wait until a request may go out, and count it as in flight.

        Gives the seconds waited, or None when it would take longer than `longest`: then
        nothing is counted, and the request must not be sent. Who is in a hurry goes `ahead`.
        Raises `StoreError` where the counters are kept in a store.
        """
        waited = 0.0
        while (pause := await self._pause(lane, ahead=ahead)) > 0:
            if waited + pause > longest:
                return None
            waited += pause
            self.waited += pause
            await self._sleep(pause)
        return waited

    async def _pause(self, lane: str, *, ahead: bool) -> float:
        while True:
            asked = self._clock()
            pause = await self._rates.change(
                lane, lambda rate, now: rate.entering(now, ahead=ahead, most=LONGEST_PAUSE)
            )
            if pause > 0 or self._clock() - asked < _STALE:
                return pause

    async def leave(self, lane: str, status: int, headers: Mapping[str, str]) -> None:
        """Learn from an answer (status 0: there was none). Every `enter` needs one `leave`."""
        remaining = whole_number(headers.get("RateLimit-Remaining"))

        def learned(rate: Rate, now: float) -> tuple[Rate, None]:
            told = LimitAnswer(
                status,
                int(remaining) if remaining is not None else None,
                whole_number(headers.get("RateLimit-Reset")),
                int(whole_number(headers.get("RateLimit-Limit")) or 0),
                asked_pause(headers, now, counted=_LONGEST_WINDOW),
            )
            return rate.left(now, told), None

        await self._rates.change(lane, learned)

    async def back_off(self, attempt: int) -> None:
        """Wait before retry number `attempt` (from 0): half a second doubling to 30, jittered."""
        pause = min(30.0, 0.5 * 2.0 ** min(attempt, 10)) * (0.5 + self._rand() / 2)
        self.waited += pause
        await self._sleep(pause)
