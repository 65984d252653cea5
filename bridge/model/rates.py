"""What one of GitLab's counters of requests has left, as far as its answers told. Pure.

One budget is for all that ask with one token, whatever process they are in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

PROBES: Final = 10  # requests in flight while nobody knows what is left
_PROBE_AGAIN: Final = 0.1  # seconds
# Seconds after which a request counts no more although nobody told what came of it: its process
# died. An answer takes less, or counts as none.
_FORGOTTEN: Final = 150.0
_LONGEST_WINDOW: Final = 3600.0  # seconds; what ends later was told by a clock set wrong
_AHEAD: Final = 4  # requests that are left to whoever is in a hurry
_AHEAD_OF: Final = 20  # of so many one, where a counter allows only few

Given = TypeVar("Given")


@dataclass(frozen=True, slots=True)
class LimitAnswer:
    """What an answer told: its `status` (0: there was none), and its headers in seconds.

    `asked` is how long it asks to wait from now.
    """

    status: int
    remaining: int | None = None
    reset: float | None = None
    limit: int = 0
    asked: float | None = None


@dataclass(frozen=True, slots=True)
class Rate:
    """A counter; every moment is in seconds since the epoch.

    `remaining` is the least that answers told of the window that ends at `reset`, less the
    requests that ended untold. `in_flight` are requests without an answer yet, which GitLab may
    not have counted: until when each counts.
    """

    remaining: int | None = None
    reset: float = 0.0
    limit: int = 0
    paused_until: float = 0.0
    heard: bool = False  # whether any good answer came
    in_flight: tuple[float, ...] = ()

    def entering(self, now: float, *, ahead: bool, most: float) -> tuple[Rate, float]:
        """One more request in flight and 0, or the same counter and how many seconds to wait.

        Who is in a hurry goes `ahead`; `most` is how many seconds a reset is waited for at most.
        """
        known = self._at(now)
        pause = known._pause(now, ahead=ahead, most=most)
        if pause > 0:
            return known, pause
        return replace(known, in_flight=(*known.in_flight, now + _FORGOTTEN)), 0.0

    def left(self, now: float, told: LimitAnswer) -> Rate:
        """The counter after an answer. Those who died are forgotten first: they began first."""
        known = self._at(now)
        heard = known.heard or 200 <= told.status < 300
        known = replace(known._learned(now, told), in_flight=known.in_flight[:-1], heard=heard)
        if told.status in (429, 503) and told.asked is not None:
            until = max(known.paused_until, now + told.asked)
            known = replace(known, paused_until=until)
        return known

    def _learned(self, now: float, told: LimitAnswer) -> Rate:
        """What is left. Answers overtake each other: a window's least is its latest, and what was
        told of an earlier window of the same counter counts as little as nothing told."""
        reset = told.reset
        earlier = reset is not None and reset < self.reset < now + _LONGEST_WINDOW
        earlier = earlier and told.limit == self.limit
        if told.remaining is None or reset is None or earlier:
            return self if self.remaining is None else replace(self, remaining=self.remaining - 1)
        left = told.remaining
        if reset == self.reset and self.remaining is not None:
            left = min(left, self.remaining)
        return replace(self, remaining=left, reset=reset, limit=told.limit)

    def _at(self, now: float) -> Rate:
        flying = tuple(sorted(until for until in self.in_flight if until > now))
        over = self.remaining is not None and self.reset <= now
        # A new window: the next answer will tell.
        return replace(self, in_flight=flying, remaining=None if over else self.remaining)

    def _pause(self, now: float, *, ahead: bool, most: float) -> float:
        pause = self.paused_until - now
        kept = 0 if ahead else min(_AHEAD, self.limit // _AHEAD_OF)
        if self.remaining is not None and self.remaining - len(self.in_flight) <= kept:
            pause = max(pause, min(most, self.reset - now))
        unlimited = self.heard and not self.reset
        if self.remaining is None and not unlimited and len(self.in_flight) >= PROBES:
            pause = max(pause, _PROBE_AGAIN)
        return pause


class Rates(Protocol):
    """Where counters are kept, by name: in this process, or where others see them."""

    async def change(self, name: str, act: Callable[[Rate, float], tuple[Rate, Given]]) -> Given:
        """Put what `act` makes of a counter (at that moment) in its place; gives what it gives.

        Nobody else changes it meanwhile. Raises `StoreError`.
        """
