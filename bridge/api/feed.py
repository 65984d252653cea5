"""Brings the read API's index up to date with the store: what passes changed, and no more.

The leader hears what changed. A replica that follows, and one that was just started, compares the
digests of all entities with those that it has.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bridge.catalog.index import Index
from bridge.catalog.locations import (
    LocatedEntity,
    entity_found,
    location_found,
    registered,
    root_found,
)
from bridge.catalog.reader import Reader
from bridge.model.entities import CatalogEntity, Ref, Shard
from bridge.model.statements import Changes, StoredFile
from bridge.passes.interfaces import ModelStore
from bridge.passes.makers import Renderer

_AT_ONCE = 500  # entities that are loaded at once


@dataclass(slots=True, eq=False)
class Feed:
    """Keeps one index; `shown` makes of an entity what is published of it."""

    model: ModelStore
    source: str
    renderer: Renderer
    reader: Reader
    shown: Callable[[CatalogEntity], CatalogEntity] = lambda entity: entity
    shown_varies: bool = False
    _digests: dict[str, bytes] = field(default_factory=dict)
    _shards: dict[str, Shard] = field(default_factory=dict)  # by their bits
    _public_url: str = ""

    async def index(self, files: Mapping[str, StoredFile], changes: Changes) -> Index:
        """The index of what is published now. Raises `StoreError`."""
        url = self.reader.public_url
        anew = url != self._public_url  # it stands in every entity
        if anew:
            self._digests, self._shards = {}, {}
        place = registered(url)
        shards = self._laid_out(files)
        put: dict[str, LocatedEntity] = {place.entity_ref: root_found(place)}
        moved = shards.keys() - self._shards.keys()
        for bits in moved:
            body = shards[bits].location
            put[str(Ref.of(body))] = location_found(place, body)
        gone = [str(Ref.of(self._shards[b].location)) for b in self._shards.keys() - shards.keys()]
        refs, removed, digests = await self._differing(changes)
        gone += removed
        for entity in await self._entities(refs, moved if self._shards else ()):
            home = self._shard_of(entity.ref, shards)
            if home is not None:
                found = entity_found(place, home, self.shown(entity).body)
                put[str(entity.ref)] = found
        if anew:
            gone = [ref for ref in self.reader.index.slots if ref not in put]
        made = await asyncio.to_thread(self.reader.mend, put, gone)
        self._public_url = url
        # Not before: what could not be loaded differs the next time, too.
        self._shards = shards
        if digests is not None:
            self._digests = digests
        else:
            self._follow(refs, removed)
        return made

    def _laid_out(self, files: Mapping[str, StoredFile]) -> dict[str, Shard]:
        bits = {found for path in files if (found := self.renderer.bits(path)) is not None}
        return {each: self._shards.get(each) or self.renderer.location(each) for each in bits}

    def _shard_of(self, ref: Ref, shards: Mapping[str, Shard]) -> Shard | None:
        place = self.renderer.place(ref)
        beginnings = (place[:length] for length in range(len(place) + 1))
        return next((shards[bits] for bits in beginnings if bits in shards), None)

    async def _differing(
        self, changes: Changes
    ) -> tuple[list[str], list[str], dict[str, bytes] | None]:
        """What is to be loaded, what is there no more, and all digests if they were compared."""
        if self._digests and not (changes.everything or self.shown_varies):
            return [str(ref) for ref in changes.put], [str(ref) for ref in changes.removed], None
        now = {
            ref: bytes.fromhex(digest)[:8]
            for ref, digest in (await self.model.digests(self.source)).items()
        }
        same = {} if self.shown_varies else self._digests
        differing = [ref for ref, digest in now.items() if same.get(ref) != digest]
        return differing, [ref for ref in self._digests if ref not in now], now

    def _follow(self, refs: Sequence[str], removed: Sequence[str]) -> None:
        """Keep step with a change: the digest of what is new is looked at by who compares."""
        for ref in removed:
            self._digests.pop(ref, None)
        for ref in refs:
            self._digests.setdefault(ref, b"")

    async def _entities(self, refs: Sequence[str], moved: Iterable[str]) -> list[CatalogEntity]:
        """These entities, and those of shards that were laid out anew."""
        found: dict[str, CatalogEntity] = {}
        for bits in moved:
            (shard,) = await self.model.under(self.source, [bits])
            found |= {str(entity.ref): entity for entity in shard}
        wanted = [ref for ref in refs if ref not in found]
        for start in range(0, len(wanted), _AT_ONCE):
            part = await self.model.entities(self.source, wanted[start : start + _AT_ONCE])
            found |= {ref: stored.entity for ref, stored in part.items()}
        return list(found.values())
