"""Lists of projects that somebody pages through."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from cachetools import LRUCache

from bridge.sandbox.project import SandboxProject

LISTS = 8


class Listings:
    """The last lists that were asked for, by question, as long as nothing has changed."""

    def __init__(self) -> None:
        self._state: Hashable = None
        self._kept: LRUCache[Hashable, Sequence[SandboxProject]] = LRUCache(LISTS)

    def get(
        self, state: Hashable, asked: Hashable, make: Callable[[], Sequence[SandboxProject]]
    ) -> Sequence[SandboxProject]:
        """The list for a question; another `state` of the world makes all lists stale."""
        if state != self._state:
            self._kept.clear()
            self._state = state
        if asked not in self._kept:
            self._kept[asked] = make()
        return self._kept[asked]
