"""From entities to an index; what did not change is carried over.

Nothing is kept beside the index: what an entity said before is read from it, and so is who else
speaks of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from threading import Lock
from typing import Any, Final

from bridge.catalog.index import Index
from bridge.catalog.jsontext import dumped, loaded
from bridge.catalog.keys import Key, KeyDraft, slots_of
from bridge.catalog.locations import LocatedEntity, found_at, registered
from bridge.catalog.reading import entity_as_read, uid_of, with_relations
from bridge.catalog.relations import RULES, Relation, emitted
from bridge.catalog.rows import Row, rows
from bridge.model.entities import Catalog, Shard

# Beyond this share of changed entities a new index is made sooner than the old one is mended.
_MENDED: Final = 0.1
_OUTGOING: Final = sorted({rule.outgoing for rules in RULES.values() for rule in rules})


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
        self._shards = shards
        self._index = Index()

    @property
    def index(self) -> Index:
        """The index that was made last."""
        return self._index

    def read(self, catalog: Catalog) -> Index:
        """The index of a catalog that is at hand as a whole."""
        found: dict[str, LocatedEntity] = {}
        place = registered(self.public_url)
        for ref, each in found_at(place, self._shards(catalog), catalog.entities):
            found.setdefault(ref, each)
        return self.mend(found, [ref for ref in self._index.slots if ref not in found])

    def mend(self, put: Mapping[str, LocatedEntity], gone: Collection[str] = ()) -> Index:
        """The index with some entities added or replaced, by reference, and others taken out.

        Costs what these cost, with the entities that they refer to.
        """
        with self._reading:
            gone = [ref for ref in gone if ref in self._index.slots]
            whole = self._replaces(put, gone)
            before = Index() if whole else self._index
            self._index = self._mended(before, put, [] if whole else gone)
            return self._index

    def _replaces(self, put: Mapping[str, LocatedEntity], gone: Sequence[str]) -> bool:
        """Whether all that stays is put, and so little of it is old that a new index is sooner."""
        slots = self._index.slots
        kept = sum(ref in slots for ref in put)
        return kept == len(slots) - len(gone) and kept < (1 - _MENDED) * len(put)

    def _mended(
        self, before: Index, put: Mapping[str, LocatedEntity], gone: Sequence[str]
    ) -> Index:
        relating = _Relating(before, put, frozenset(gone))
        draft = _IndexDraft(before)
        for ref in gone:
            draft.remove(ref)
        for ref, found in put.items():
            entity = entity_as_read(ref, found, relating.of_put(ref))
            draft.put(ref, dumped(entity), rows(entity))
        for ref in relating.touched():
            entity = with_relations(loaded(before.raw(ref) or b"{}"), relating.of_other(ref))
            draft.put(ref, dumped(entity), rows(entity))
        slots = before.slots
        if slots.keys() != draft.slots.keys():
            slots = dict(sorted(draft.slots.items()))
        return Index(
            slots=slots,
            raws=draft.raws,
            uids=draft.uids,
            keys=draft.done(),
            parents=_parents(before.parents, put, gone),
            places=(registered(self.public_url),),
        )


def _parents(
    before: Mapping[str, tuple[str, ...]], put: Mapping[str, LocatedEntity], gone: Iterable[str]
) -> Mapping[str, tuple[str, ...]]:
    """Where each entity was read from: those of one shard share one tuple."""
    parents = dict(before)
    shared: dict[str, tuple[str, ...]] = {}
    for ref in gone:
        parents.pop(ref, None)
    for ref, found in put.items():
        parents.pop(ref, None)
        if found.parent:
            parents[ref] = shared.setdefault(found.parent, (found.parent,))
    return parents


class _Relating:
    """The relations of whoever is touched when some entities change.

    A relation of A to B is said by A or by B, and by nobody else.
    """

    def __init__(
        self, before: Index, put: Mapping[str, LocatedEntity], gone: frozenset[str]
    ) -> None:
        self._before, self._put, self._gone = before, put, gone
        self._incoming: dict[str, set[Relation]] = {}  # said by what was put, by whom it is of
        self._lost: set[str] = set()  # of whom something is said no longer
        for ref in (*put, *gone):
            self._lost.update(source for source, _ in _said(before, ref))
        for ref, found in put.items():
            for source, relation in emitted(ref, found.body):
                self._incoming.setdefault(source, set()).add(relation)

    def touched(self) -> Iterator[str]:
        """The other entities whose relations may differ."""
        for ref in sorted(self._lost | self._incoming.keys()):
            if ref in self._before.slots and ref not in self._put and ref not in self._gone:
                yield ref

    def of_put(self, ref: str) -> set[Relation]:
        """The relations of an entity that was put."""
        found = set(self._incoming.get(ref, ()))
        if ref in self._before.slots:
            own = {each for source, each in _said(self._before, ref) if source == ref}
            for each in _relations(self._before, ref):
                if not self._changes(each.target) and (each not in own or self._says(ref, each)):
                    found.add(each)
        else:
            found |= self._waiting_for(ref)
        return found

    def of_other(self, ref: str) -> set[Relation]:
        """The relations of an entity that was there before and did not change itself."""
        found = {each for each in _relations(self._before, ref) if not self._changes(each.target)}
        own = {each for source, each in _said(self._before, ref) if source == ref}
        return found | own | self._incoming.get(ref, set())

    def _changes(self, ref: str) -> bool:
        return ref in self._put or ref in self._gone

    def _says(self, ref: str, relation: Relation) -> bool:
        """Whether the other side says this of `ref`, too."""
        return (ref, relation) in set(_said(self._before, relation.target))

    def _waiting_for(self, ref: str) -> set[Relation]:
        """What others said of an entity before it was there."""
        found: set[Relation] = set()
        names = None
        for name in _OUTGOING:
            key = self._before.keys.get(f"relations.{name.lower()}")
            for posting in key.equal(ref) if key else ():
                for slot in slots_of(posting):
                    names = names or {at: each for each, at in self._before.slots.items()}
                    other = names[slot]
                    if not self._changes(other):
                        said = _said(self._before, other)
                        found |= {each for source, each in said if source == ref}
        return found


def _said(index: Index, ref: str) -> Iterator[tuple[str, Relation]]:
    """What an entity of an index says of itself and of others."""
    raw = index.raw(ref)
    return emitted(ref, loaded(raw)) if raw is not None else iter(())


def _relations(index: Index, ref: str) -> Iterator[Relation]:
    """The relations that an entity of an index has."""
    entity: dict[str, Any] = loaded(index.raw(ref) or b'{"relations":[]}')
    return (Relation(each["type"], each["targetRef"]) for each in entity["relations"])


class _IndexDraft:
    """An index that is being written over a copy of the one before."""

    def __init__(self, before: Index) -> None:
        self._before = before
        self.slots = dict(before.slots)
        self.raws = list(before.raws)
        self.uids = list(before.uids)
        taken = set(self.slots.values())
        self._free = [slot for slot in range(len(self.raws)) if slot not in taken]
        self._keys: dict[str, KeyDraft] = {}
        self._texts: dict[str | None, str | None] = {}  # values that many keys share, once each

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
        # What orjson gives may lie in a buffer thrice as large, for as long as it is kept.
        self.raws[slot] = bytes(memoryview(raw))
        for key, value in set(old).difference(new):
            self._key(key).remove(value, slot)
        known = set(old)
        for row in new:
            if row not in known:
                self._key(row[0]).add(self._texts.setdefault(row[1], row[1]), slot)

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
        self._texts |= {each: each for each in (ref, self.uids[slot])}
        return slot

    def _key(self, name: str) -> KeyDraft:
        draft = self._keys.get(name)
        if draft is None:
            draft = self._keys[name] = KeyDraft(self._before.keys.get(name))
        return draft
