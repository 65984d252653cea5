"""The catalog, indexed: what every question is answered from.

A set of entities is a mask: an integer with one byte a slot, 1 for those that are in it. "And" and
"or" are one operation each, whatever the number of entities, and counting and picking out of an
order run at C's speed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from threading import Lock
from typing import Final

from cachetools import LRUCache

from bridge.catalog.keys import Key, Ordered, Posting, slots_of
from bridge.catalog.locations import Place

# Sets worth remembering: those that many entities are in take a while to make.
_REMEMBERED: Final = 256
# From this many entities on, a value's mask is worth remembering.
_LARGE: Final = 64
_UID: Final = "metadata.uid"


class Index:
    """One catalog that never changes. Keys and values of questions are in lower case."""

    def __init__(
        self,
        *,
        slots: Mapping[str, int] | None = None,
        raws: Sequence[bytes] = (),
        uids: Sequence[str] = (),
        keys: Mapping[str, Key] | None = None,
        parents: Mapping[str, tuple[str, ...]] | None = None,
        places: Sequence[Place] = (),
    ) -> None:
        self.slots: Mapping[str, int] = slots or {}  # reference → slot, sorted by reference
        self.raws = raws  # slot → the entity as JSON
        self.uids = uids  # slot → uid
        self.keys: Mapping[str, Key] = keys or {}
        self.parents = parents or {}  # reference → the references that it was read from
        self.places = places
        self._masks: LRUCache[tuple[str, ...], int] = LRUCache(_REMEMBERED)
        self._remembering = Lock()  # what pages work out of it is worked out in threads
        self.everything = self.mask(self.slots.values())

    def __len__(self) -> int:
        return len(self.slots)

    def raw(self, ref: str) -> bytes | None:
        """An entity by its reference in lower case."""
        slot = self.slots.get(ref)
        return None if slot is None else self.raws[slot]

    def by_uid(self, uid: str) -> bytes | None:
        """An entity by its uid."""
        key = self.keys.get(_UID)
        found = key.equal(uid.lower()) if key else []
        return self.raws[found[0]] if found and isinstance(found[0], int) else None

    def equal(self, key: str, values: Iterable[str]) -> int:
        """Those that have one of these values."""
        found = self.keys.get(key)
        if found is None:
            return 0
        mask = 0
        small: list[Posting] = []
        for value in dict.fromkeys(values):
            postings = found.equal(value)
            if sum(len(slots_of(posting)) for posting in postings) < _LARGE:
                small += postings
            else:
                mask |= self._remembered((key, "=", value), postings)
        return mask | self._mask_of(small) if small else mask

    def having(self, key: str) -> int:
        """Those that have the key at all."""
        found = self.keys.get(key)
        return self._remembered((key,), found.present()) if found else 0

    def valued(self, key: str) -> int:
        """Those that have the key with a value that can be matched and sorted by."""
        found = self.keys.get(key)
        if found is None:
            return 0
        postings = (posting for value, posting in found.values.items() if value is not None)
        return self._remembered((key, "?"), postings)

    def prefixed(self, key: str, prefix: str) -> int:
        """Those with a value that begins so."""
        found = self.keys.get(key)
        return self.mask(found.prefixed(prefix, self.uids)) if found else 0

    def containing(self, keys: Iterable[str], term: str) -> int:
        """Those with the term in a value of one of the keys."""
        mask = 0
        for key in dict.fromkeys(keys):
            found = self.keys.get(key)
            if found is not None:
                mask |= self._remembered((key, "~", term), found.containing(term))
        return mask

    def column(self, key: str) -> Iterator[tuple[int, str]]:
        """(slot, value) of all that have the key with a value, in no order; of a list each item."""
        found = self.keys.get(key)
        for value, posting in found.values.items() if found is not None else ():
            if value is None:
                continue
            if isinstance(posting, int):
                yield posting, value
            else:
                for slot in posting:
                    yield slot, value

    def ordered(self, key: str) -> Ordered | None:
        """All rows of a key in the order of its values; None when nothing has it."""
        found = self.keys.get(key)
        return found.ordered(self.uids) if found else None

    def by_default(self) -> Ordered | None:
        """All entities in the order that stands when none is asked for: by uid."""
        return self.ordered(_UID)

    def flags(self, mask: int) -> bytes:
        """A mask as bytes: 1 at the slots that are in it."""
        return mask.to_bytes(len(self.raws), "little")

    def facet(self, key: str, mask: int | None) -> list[tuple[str, int]]:
        """How many of those in the mask (None: of all) have which value, sorted by value."""
        found = self.keys.get(key)
        if found is None:
            return []
        flags = b"" if mask is None else self.flags(mask)
        counts = []
        for value, posting in found.values.items():
            if value is None:
                continue
            if mask is None:
                count = 1 if isinstance(posting, int) else len(posting)
            elif isinstance(posting, int):
                count = flags[posting]
            elif len(posting) < _LARGE:
                count = sum(map(flags.__getitem__, posting))
            else:
                count = (mask & self._remembered((key, "spelt", value), (posting,))).bit_count()
            if count:
                counts.append((value, count))
        counts.sort()
        return counts

    def _remembered(self, name: tuple[str, ...], postings: Iterable[Posting]) -> int:
        with self._remembering:
            mask = self._masks.get(name)
        if mask is None:
            mask = self._mask_of(postings)
            with self._remembering:
                self._masks[name] = mask
        return mask

    def _mask_of(self, postings: Iterable[Posting]) -> int:
        flags = bytearray(len(self.raws))
        for posting in postings:
            if isinstance(posting, int):
                flags[posting] = 1
            else:
                for slot in posting:
                    flags[slot] = 1
        return int.from_bytes(flags, "little")

    def mask(self, slots: Iterable[int]) -> int:
        """These slots as a mask."""
        flags = bytearray(len(self.raws))
        for slot in slots:
            flags[slot] = 1
        return int.from_bytes(flags, "little")
