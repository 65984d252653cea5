"""How many projects to ask for at once. A pure state machine: no clock, no sockets."""

from __future__ import annotations

import math
from collections.abc import Sequence

# A failed page is halved at most seven times (100 → 1), and eight pages may do so side by side
# with never a success between: more failures in a row than that is no longer about projects.
PATIENCE = 64
_LAST_ROUNDS = 2
_FIRST_SHARES = (4, 4, 2, 2)  # of a page


class Pacing:
    """The page size, and whether there is any use in asking on.

    Starts at `start`, halves when a page fails, grows by a quarter when one succeeds, stays
    within 1 … `largest`. With `soon` the first pages are smaller, so that who takes in what was
    read need not wait for a whole page.
    """

    def __init__(
        self, start: int, largest: int, *, soon: bool = False, patience: int = PATIENCE
    ) -> None:
        self._largest = largest
        self._patience = patience
        self._failures = 0
        self._share = 0
        self.size = max(1, min(start, largest))
        self._first = [self.size // share for share in _FIRST_SHARES if soon and self.size >= share]

    def page(self, waiting: int, readers: int, *, ending: bool = False) -> int:
        """How many projects the next page holds; `ending` when no more than the waiting come.

        In the last two rounds all readers get the same, so that none has to read on alone: up to a
        quarter more than `size`, as the next success would allow anyway, and not less than half
        of it, for every page costs a request.
        """
        if self._first and waiting > self.size:
            return self._first.pop(0)
        if not ending:
            return self.size
        stretched = min(self._largest, self.size + max(1, self.size // 4))
        if not self._share:
            rounds = max(1, math.ceil(waiting / (readers * stretched)))
            if rounds > _LAST_ROUNDS:
                return self.size
            self._share = max(1, self.size // 2, math.ceil(waiting / (rounds * readers)))
        return min(self._share, stretched)

    def succeeded(self, asked: int) -> None:
        """A page of `asked` projects came whole; only a full page shows that more may be asked."""
        self._failures = 0
        if asked >= self.size:
            self.size = min(self._largest, self.size + max(1, self.size // 4))

    def failed(self, asked: int) -> None:
        """A page of `asked` projects failed. A smaller page than is usual now teaches nothing:
        it is a part of one that failed before."""
        self._failures += 1
        if asked >= self.size:
            self.size = max(1, asked // 2)

    @property
    def hopeless(self) -> bool:
        """So many requests failed in a row that the rest need not be tried in this pass."""
        return self._failures >= self._patience


def halves(ids: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
    """A failed page as two smaller ones."""
    middle = (len(ids) + 1) // 2
    return ids[:middle], ids[middle:]
