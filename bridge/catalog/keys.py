"""One searchable key: which entities have which value.

Entities are numbered by slots. A key never changes once it is part of an index: a `KeyDraft` copies
what it touches, so that a pass that changes one entity copies a few keys and shares all others,
with the orders and texts that were made for them.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

# The slots of the entities that have a value: most values belong to one entity alone.
Posting: TypeAlias = "int | array[int]"


def slots_of(posting: Posting) -> Sequence[int]:
    """A posting's slots."""
    return (posting,) if isinstance(posting, int) else posting


@dataclass(frozen=True, slots=True)
class Ordered:
    """The rows that have a value, sorted by (value in lower case, uid): parallel sequences."""

    values: list[str]
    slots: array[int]


class Key:
    """The values of one key, by their original spelling; None stands for "there, without value"."""

    __slots__ = ("_ordered", "_text", "folded", "values")

    def __init__(
        self, values: dict[str | None, Posting], folded: dict[str, tuple[str, ...]]
    ) -> None:
        self.values = values
        self.folded = folded  # lower case → spellings, only where these differ
        self._ordered: Ordered | None = None
        self._text: tuple[str, list[int], list[Posting]] | None = None

    def equal(self, value: str) -> list[Posting]:
        """The postings of a value in lower case, in whatever spelling."""
        return [
            self.values[spelling]
            for spelling in self.folded.get(value, (value,))
            if spelling in self.values
        ]

    def present(self) -> Iterable[Posting]:
        """The postings of all that have the key, with a value or without."""
        return self.values.values()

    def ordered(self, uids: Sequence[str]) -> Ordered:
        """The rows in order; made once."""
        if self._ordered is None:
            pairs = [
                (value.lower(), uids[slot], slot)
                for value, posting in self.values.items()
                if value is not None
                for slot in slots_of(posting)
            ]
            pairs.sort()
            self._ordered = Ordered(
                [value for value, _, _ in pairs], array("I", [slot for _, _, slot in pairs])
            )
        return self._ordered

    def prefixed(self, prefix: str, uids: Sequence[str]) -> Sequence[int]:
        """The slots whose value begins with a prefix in lower case."""
        rows = self.ordered(uids)
        start = bisect_left(rows.values, prefix)
        end = bisect_left(rows.values, True, start, key=lambda value: not value.startswith(prefix))
        return rows.slots[start:end]

    def containing(self, term: str) -> Iterator[Posting]:
        """The postings whose value holds a term in lower case.

        All values lie in one text, so that the search runs at the speed of `str.find`.
        """
        if "\0" in term:
            return
        text, starts, postings = self._searchable()
        at = text.find(term)
        while at >= 0:
            which = bisect_right(starts, at) - 1
            yield postings[which]
            at = text.find(term, starts[which + 1])

    def warm_as(self, other: Key, uids: Sequence[str]) -> None:
        """Make beforehand what was made for the key that this one replaces."""
        if other._ordered is not None:
            self.ordered(uids)
        if other._text is not None:
            self._searchable()

    def _searchable(self) -> tuple[str, list[int], list[Posting]]:
        if self._text is None:
            starts, postings, parts, at = [0], [], [], 0
            for value, posting in self.values.items():
                if value is not None:
                    folded = value.lower()
                    parts.append(folded)
                    postings.append(posting)
                    at += len(folded) + 1
                    starts.append(at)
            self._text = "\0".join(parts), starts, postings
        return self._text


_NOTHING: Final[dict[str, tuple[str, ...]]] = {}  # most keys' values are in lower case


class KeyDraft:
    """A key that is being written: a copy of `before`, or a new one."""

    __slots__ = ("_folded", "_own", "_values", "before")

    def __init__(self, before: Key | None) -> None:
        self.before = before
        self._values: dict[str | None, Posting] = dict(before.values) if before else {}
        self._folded: dict[str, tuple[str, ...]] = dict(before.folded) if before else {}
        # Arrays that are ours to change; None when all are, because the key is new.
        self._own: set[str | None] | None = set() if before else None

    def add(self, value: str | None, slot: int) -> None:
        """The entity in `slot` has this value now."""
        posting = self._values.get(value)
        if posting is None:
            self._values[value] = slot
            self._fold(value)
        elif isinstance(posting, int):
            self._values[value] = array("I", (posting, slot))
            self._owned(value)
        else:
            self._writable(value, posting).append(slot)

    def remove(self, value: str | None, slot: int) -> None:
        """The entity in `slot` has this value no longer."""
        posting = self._values[value]
        if isinstance(posting, int):
            del self._values[value]
            self._unfold(value)
            return
        slots = self._writable(value, posting)
        slots.remove(slot)
        if len(slots) == 1:
            self._values[value] = slots[0]

    def done(self) -> Key | None:
        """The key as it is now; None when nothing has it any more."""
        return Key(self._values, self._folded or _NOTHING) if self._values else None

    def _owned(self, value: str | None) -> None:
        if self._own is not None:
            self._own.add(value)

    def _writable(self, value: str | None, posting: array[int]) -> array[int]:
        if self._own is None or value in self._own:
            return posting
        copy = self._values[value] = array("I", posting)
        self._own.add(value)
        return copy

    def _fold(self, value: str | None) -> None:
        if value is None:
            return
        folded = value.lower()
        others = self._folded.get(folded)
        if others is None:
            if folded == value:
                return
            others = (folded,) if folded in self._values else ()
        self._folded[folded] = (*others, value)

    def _unfold(self, value: str | None) -> None:
        if value is None:
            return
        folded = value.lower()
        left = tuple(each for each in self._folded.pop(folded, ()) if each != value)
        if left and left != (folded,):
            self._folded[folded] = left
