"""What was worked out last time, used again while it would come out the same.

A pass over one changed manifest must not cost what a pass over ten thousand does. Nouns are frozen,
and what did not change is the same object from pass to pass: so a result stands for as long as all
that it was made from are the same objects. Texts are compared by their value. Nothing else is: to
Python `1` and `True` are equal, and they render differently.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class PassMemo(Generic[Key, Value]):
    """The results of the last round, by key. Rounds may overlap: the last to end is kept."""

    def __init__(self) -> None:
        self._last: dict[Key, tuple[Sequence[object], Value]] = {}

    def round(self) -> MemoPass[Key, Value]:
        """Begin a round; what it does not ask for is forgotten when it ends."""
        return MemoPass(self, self._last)


class MemoPass(Generic[Key, Value]):
    """One use of `PassMemo` as a context; what it gathered is kept unless an error ends it."""

    def __init__(
        self, recent: PassMemo[Key, Value], last: dict[Key, tuple[Sequence[object], Value]]
    ) -> None:
        self._recent = recent
        self._last = last
        self._next: dict[Key, tuple[Sequence[object], Value]] = {}

    def __enter__(self) -> MemoPass[Key, Value]:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            self._recent._last = self._next

    def get(self, key: Key, basis: Sequence[object], make: Callable[[], Value]) -> Value:
        """The result for `key`: the last one if it was made from the same `basis`, else made anew.

        `basis` is all that the result depends on.
        """
        last = self._last.get(key)
        if last is None or not _same(last[0], basis):
            last = (basis, make())
        self._next[key] = last
        return last[1]


def _same(before: Sequence[object], now: Sequence[object]) -> bool:
    if len(before) != len(now):
        return False
    for old, new in zip(before, now, strict=True):
        if old is not new and not (type(old) is str and type(new) is str and old == new):
            return False
    return True
