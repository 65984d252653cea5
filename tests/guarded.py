"""What is shared by threads, and whether each of them holds its lock.

To let threads meet by chance takes long and may miss; a lock that is not held is seen each time.
"""

from __future__ import annotations

from collections.abc import Hashable
from threading import Lock
from typing import Any

from cachetools import LRUCache


class Guarded(LRUCache[Any, Any]):
    """Counts how often it is touched, and how often without its lock; for tests in one thread."""

    def __init__(self, lock: Lock, maxsize: int) -> None:
        super().__init__(maxsize)
        self._lock = lock
        self.touched = 0
        self.unguarded = 0

    def _touch(self) -> None:
        self.touched += 1
        self.unguarded += not self._lock.locked()

    def get(self, key: Hashable, default: Any = None) -> Any:
        self._touch()
        return super().get(key, default)

    def __getitem__(self, key: Hashable) -> Any:
        self._touch()
        return super().__getitem__(key)

    def __setitem__(self, key: Hashable, value: Any) -> None:
        self._touch()
        super().__setitem__(key, value)
