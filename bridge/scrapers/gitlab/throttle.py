"""Waiting: before GitLab has to say 429, when it has said so, and between retries.

Headers: https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/#response-headers
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from bridge.neighbours.waiting import LONGEST_PAUSE, asked_pause, whole_number

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]

_LONGEST_WINDOW = 600.0  # seconds that GitLab counts the requests of an application limit in


@dataclass(slots=True)
class _Lane:
    """One of GitLab's counters: REST and GraphQL are counted apart on some installations."""

    remaining: int | None = None
    reset: float = 0.0
    paused_until: float = 0.0
    in_flight: int = 0


class Throttle:
    """Holds requests back. `clock` gives seconds since the epoch, as `RateLimit-Reset` does."""

    def __init__(
        self, clock: Clock, sleep: Sleep, *, rand: Callable[[], float] = random.random
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._rand = rand
        self._lanes: dict[str, _Lane] = {}
        self.waited = 0.0  # seconds, in all

    async def enter(self, lane: str, *, longest: float) -> float | None:
        """Wait until a request may go out, and count it as in flight.

        Gives the seconds waited, or None when it would take longer than `longest`: then
        nothing is counted, and the request must not be sent.
        """
        state = self._lane(lane)
        waited = 0.0
        while (pause := self._pause(state)) > 0:
            if waited + pause > longest:
                return None
            waited += pause
            self.waited += pause
            await self._sleep(pause)
        if state.remaining is not None:
            state.remaining -= 1
        state.in_flight += 1
        return waited

    def leave(self, lane: str, status: int, headers: Mapping[str, str]) -> None:
        """Learn from an answer (status 0: there was none). Every `enter` needs one `leave`."""
        state = self._lane(lane)
        state.in_flight -= 1
        remaining = whole_number(headers.get("RateLimit-Remaining"))
        reset = whole_number(headers.get("RateLimit-Reset"))
        if remaining is not None and reset is not None:
            # Requests still in flight will be counted too; the header does not know of them.
            state.remaining = int(remaining) - state.in_flight
            state.reset = reset
        if status in (429, 503):
            asked = asked_pause(headers, self._clock(), counted=_LONGEST_WINDOW)
            if asked is not None:
                state.paused_until = max(state.paused_until, self._clock() + asked)

    async def back_off(self, attempt: int) -> None:
        """Wait before retry number `attempt` (from 0): half a second doubling to 30, jittered."""
        pause = min(30.0, 0.5 * 2.0 ** min(attempt, 10)) * (0.5 + self._rand() / 2)
        self.waited += pause
        await self._sleep(pause)

    def _lane(self, name: str) -> _Lane:
        return self._lanes.setdefault(name, _Lane())

    def _pause(self, state: _Lane) -> float:
        now = self._clock()
        pause = state.paused_until - now
        if state.remaining is not None and state.remaining <= 0:
            if state.reset <= now:
                state.remaining = None  # a new window: the next answer will tell
            else:
                pause = max(pause, min(LONGEST_PAUSE, state.reset - now))
        return pause
