"""What can go wrong with one request, named by what to do next."""

from __future__ import annotations

from enum import StrEnum


class Cause(StrEnum):
    """Why a request gave nothing."""

    BUSY = "busy"  # 429, 502-504, a reset, a truncated body: the same request may do later
    BROKEN = "broken"  # 500: something in the page may be poisoned
    SLOW = "slow"  # a timeout, here or there: ask for less
    HEAVY = "heavy"  # GitLab itself gave up on it: ask for less, the same would fail again
    TOO_LARGE = "too large"  # too complex, or the answer too long: ask for less
    NOT_THERE = "not there"  # 404
    NOT_UNDERSTOOD = "not understood"  # asking again gives the same


class Trouble(Exception):
    """A request that gave nothing; `reason` is a sentence part for people.

    Stays inside this room: it becomes a `Gap`, or a `SourceError` when nothing can be read.
    """

    def __init__(self, cause: Cause, reason: str) -> None:
        self.cause = cause
        self.reason = reason
        super().__init__(reason)
