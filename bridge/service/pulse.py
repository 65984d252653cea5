"""Whether every part of a replica still moves: what hangs is told by `/healthz` and `/readyz`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Pulse:
    """Parts say by when they will be heard of again; one that is overdue hangs."""

    clock: Callable[[], float] = time.monotonic
    _due: dict[str, float] = field(default_factory=dict)

    def beat(self, part: str, within: float) -> None:
        """The part lives, and is heard of again within so many seconds."""
        self._due[part] = self.clock() + within

    def rest(self, part: str) -> None:
        """The part has nothing to do: nothing is expected of it."""
        self._due.pop(part, None)

    def hanging(self) -> dict[str, float]:
        """The parts that are overdue, and for how many seconds."""
        now = self.clock()
        return {part: now - due for part, due in sorted(self._due.items()) if due < now}
