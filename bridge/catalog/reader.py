"""From a pass's catalog to an index; what did not change is carried over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from threading import Lock
from typing import Final

from bridge.catalog.index import Index
from bridge.catalog.jsontext import dumped, loaded
from bridge.catalog.keys import Key, KeyDraft
from bridge.catalog.locations import Found, found_at, registered
from bridge.catalog.reading import entity_as_read, uid_of
from bridge.catalog.relations import Relation, emitted
from bridge.catalog.rows import Row, rows
from bridge.model.entities import Catalog, Shard

# Beyond this share of changed entities a new index is made sooner than the old one is mended.
_MENDED: Final = 0.1


def _no_shards(catalog: Catalog) -> Sequence[Shard]:
    return ()


class Reader:
    """Makes the index of every pass; what it gave is never changed.

    `shards` tells how a catalog is laid out in published files, `public_url` where these are.
    """

    def __init__(
        self,
        shards: Callable[[Catalog], Sequence[Shard]] = _no_shards,
        public_url: str = "http://127.0.0.1:8080",
    ) -> None:
        self.public_url = public_url
        # Whoever waits for an index may give up; the thread that makes it does not.
        self._reading = Lock()
        self._shelves = shards
        self._index = Index()
        self._found: Mapping[str, Found] = {}
        # How often each entity's relation is said, be it by itself or by others.
        self._relations: dict[str, Counter[Relation]] = {}

    def read(self, catalog: Catalog) -> Index:
        """The index of a catalog; cheap when little changed since the one before."""
        with self._reading:
            try:
                return self._read(catalog)
            except BaseException:
                self._forget()  # half of a mend is worse than none
                raise

    def _read(self, catalog: Catalog) -> Index:
        place = registered(self.public_url)
        found: dict[str, Found] = {}
        for ref, each in found_at(place, self._shelves(catalog), catalog.entities):
            found.setdefault(ref, each)
        changed = [ref for ref, each in found.items() if not _same(self._found.get(ref), each)]
        gone = [ref for ref in self._found if ref not in found]
        if len(changed) + len(gone) > _MENDED * len(found):
            self._forget()
            changed, gone = list(found), []
        touched = self._relate(changed, gone, found)
        index = self._write(found, touched, gone)
        self._found, self._index = found, index
        return index

    def _forget(self) -> None:
        self._index, self._found, self._relations = Index(), {}, {}

    def _relate(
        self, changed: Iterable[str], gone: Iterable[str], found: Mapping[str, Found]
    ) -> dict[str, None]:
        """Bring relations up to date; gives the entities that have to be read anew, in order."""
        touched = dict.fromkeys(changed)
        for ref in (*touched, *gone):
            before = self._found.get(ref)
            for source, relation in emitted(ref, before.body) if before else ():
                counts = self._relations[source]
                counts[relation] -= 1
                if not counts[relation]:
                    del counts[relation]
                touched[source] = None
        for ref in changed:
            for source, relation in emitted(ref, found[ref].body):
                self._relations.setdefault(source, Counter())[relation] += 1
                touched[source] = None
        return {ref: None for ref in touched if ref in found}

    def _write(
        self, found: Mapping[str, Found], touched: Iterable[str], gone: Sequence[str]
    ) -> Index:
        before = self._index
        draft = _Draft(before)
        for ref in gone:
            draft.remove(ref)
        for ref in touched:
            entity = entity_as_read(ref, found[ref], self._relations.get(ref, ()))
            draft.put(ref, dumped(entity), rows(entity))
        parents = {ref: (each.parent,) for ref, each in found.items() if each.parent}
        slots = before.slots
        if slots.keys() != draft.slots.keys():
            slots = dict(sorted(draft.slots.items()))
        return Index(
            slots=slots,
            raws=draft.raws,
            uids=draft.uids,
            keys=draft.done(),
            parents=parents,
            places=(registered(self.public_url),),
        )


def _same(before: Found | None, now: Found) -> bool:
    """Whether two are read alike. Not by `==`: to Python `1` and `True` are equal."""
    return (
        before is not None
        and (before.address, before.origin) == (now.address, now.origin)
        and (before.body is now.body or dumped(before.body) == dumped(now.body))
    )


class _Draft:
    """An index that is being written over a copy of the one before."""

    def __init__(self, before: Index) -> None:
        self._before = before
        self.slots = dict(before.slots)
        self.raws = list(before.raws)
        self.uids = list(before.uids)
        taken = set(self.slots.values())
        self._free = [slot for slot in range(len(self.raws)) if slot not in taken]
        self._keys: dict[str, KeyDraft] = {}

    def put(self, ref: str, raw: bytes, new: Sequence[Row]) -> None:
        """Add an entity, or replace it."""
        slot = self.slots.get(ref)
        old: list[Row] = []
        if slot is None:
            slot = self._slot(ref)
        elif self.raws[slot] == raw:
            return
        else:
            old = rows(loaded(self.raws[slot]))
        self.raws[slot] = raw
        for key, value in set(old).difference(new):
            self._key(key).remove(value, slot)
        known = set(old)
        for row in new:
            if row not in known:
                self._key(row[0]).add(row[1], slot)

    def remove(self, ref: str) -> None:
        """Take an entity out; its slot is used again later."""
        slot = self.slots.pop(ref)
        for key, value in rows(loaded(self.raws[slot])):
            self._key(key).remove(value, slot)
        self.raws[slot], self.uids[slot] = b"", ""
        self._free.append(slot)

    def done(self) -> dict[str, Key]:
        """All keys, those that were not touched as they were."""
        keys = dict(self._before.keys)
        for name, draft in self._keys.items():
            key = draft.done()
            if key is None:
                keys.pop(name, None)
                continue
            keys[name] = key
            if draft.before is not None:
                key.warm_as(draft.before, self.uids)
        return keys

    def _slot(self, ref: str) -> int:
        if self._free:
            slot = self._free.pop()
            self.uids[slot] = uid_of(ref)
        else:
            slot = len(self.raws)
            self.raws.append(b"")
            self.uids.append(uid_of(ref))
        self.slots[ref] = slot
        return slot

    def _key(self, name: str) -> KeyDraft:
        draft = self._keys.get(name)
        if draft is None:
            draft = self._keys[name] = KeyDraft(self._before.keys.get(name))
        return draft
