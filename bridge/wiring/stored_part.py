"""What a question about one thing needs of a store: those that may be meant, and who is near them.

What is loaded of an entity is what the whole catalog would tell of it, as far as it is looked at:
so an answer from the part is that from the whole.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from bridge.answers.around import HOPS as NEARBY_HOPS
from bridge.answers.asked_texts import asked_texts
from bridge.answers.dependencies import HOPS, MOST, NEEDED_BY, NEEDS, PART_HOPS, PARTS
from bridge.answers.identify import identify, near_names
from bridge.answers.knowledge import Knowledge
from bridge.catalog.index import Index
from bridge.catalog.reader import Reader
from bridge.catalog.relations import Relation, emitted
from bridge.model.entities import Catalog, CatalogEntity, Ref
from bridge.store import SqlStore

MOST_MEANT: Final = 2_000  # entities that may be meant; of more, all are loaded
_MOST_POINTING: Final = 5 * MOST  # at one entity, of which a walk looks at fewer


@dataclass(slots=True)
class StoredPart:
    """Some entities of a source, loaded as they are asked for. Methods raise `StoreError`."""

    store: SqlStore
    source: str
    entities: dict[str, CatalogEntity] = field(default_factory=dict)
    _relations: dict[str, set[Relation]] = field(default_factory=lambda: defaultdict(set))
    _pointed: set[str] = field(default_factory=set)  # of whom those that point there are loaded

    @property
    def index(self) -> Index:
        """The part as a catalog of its own."""
        found = sorted(self.entities.values(), key=lambda each: str(each.ref))
        return Reader().read(Catalog(tuple(found)))

    async def meant_by(self, asked: str) -> bool:
        """Load those that may be meant by a text; False where all are to be looked at."""
        text = asked.strip().strip("<>").strip().lower()
        await self.load(await self._called(text))
        if identify(asked, Knowledge(self.index)).total:
            return True
        for stage in asked_texts(text):
            if stage.texts is None:
                return False
            refs = await self.store.search.holding(self.source, stage.texts, MOST_MEANT)
            if len(refs) == MOST_MEANT:
                return False
            await self.load(refs)
            known = Knowledge(self.index)
            if stage.tells(identify(asked, known), known):
                return True
        await self._load_near(text)
        return True

    async def around(self, ref: str) -> None:
        """Load who is near an entity, as far as an incident looks: both ways, and its parts."""
        team = self._targets(ref, ("ownedBy",))
        await self.load(team)
        await self._walk([ref], NEEDS, HOPS)
        await self._walk([ref], NEEDED_BY, HOPS)
        parts = await self._walk([ref], PARTS, PART_HOPS)
        await self._walk([ref, *parts], NEEDS, NEARBY_HOPS)
        await self._walk([ref, *parts], NEEDED_BY, NEARBY_HOPS)

    async def load(self, refs: Collection[str]) -> None:
        """Load entities, with what they say of others."""
        new = [ref for ref in refs if ref not in self.entities]
        found = await self.store.model.entities(self.source, new) if new else {}
        for ref, stored in found.items():
            self.entities[ref] = stored.entity
            for source, relation in emitted(ref, stored.entity.body):
                self._relations[source].add(relation)

    async def _called(self, text: str) -> list[str]:
        """Those of this reference, or of this name whatever their kind and namespace are."""
        try:
            ref = [str(Ref.parse(text))]
        except ValueError:
            ref = []
        kinds = (await self.store.model.state(self.source)).counts("entities")
        named = (kind.lower() for kind in kinds)
        return [*ref, *await self.store.search.named(self.source, text, named, MOST_MEANT)]

    async def _load_near(self, text: str) -> None:
        """Load those whose names are like a text that means nothing."""
        named: dict[str, list[str]] = defaultdict(list)
        for ref in await self.store.search.refs(self.source):
            named[ref.rpartition("/")[2]].append(ref)
        near = await asyncio.to_thread(near_names, text, list(named))
        self.entities.clear()
        await self.load([ref for name in near for ref in named[name]])

    async def _walk(self, starts: Sequence[str], along: tuple[str, ...], hops: int) -> list[str]:
        """Load what is reached along relations; gives it, in no more steps and numbers than asked.

        More is loaded of one step than a walk looks at, so that it takes the same ones.
        """
        seen = dict.fromkeys(starts)
        border: Iterable[str] = starts
        for _ in range(hops):
            following: dict[str, None] = {}
            for ref in border:
                await self._load_pointing(ref)
                following |= dict.fromkeys(self._targets(ref, along))
                if len(following) + len(seen) > _MOST_POINTING:
                    break
            border = [ref for ref in following if ref not in seen]
            await self.load(border)
            seen |= dict.fromkeys(border)
        for ref in border:  # what lies beyond is told to be there
            await self._load_pointing(ref)
        return [ref for ref in seen if ref not in starts]

    async def _load_pointing(self, ref: str) -> None:
        if ref not in self._pointed:
            self._pointed.add(ref)
            found = await self.store.search.pointing_at(self.source, ref, _MOST_POINTING)
            await self.load(found)

    def _targets(self, ref: str, along: tuple[str, ...]) -> list[str]:
        found = self._relations.get(ref, ())
        return [each.target for each in sorted(found) if each.type in along]


async def part_known(store: SqlStore, source: str, asked: str) -> tuple[Index, str] | None:
    """The part of a catalog from which a question about one thing is answered, and whose it is.

    "" where nothing or several are meant; None where all of the catalog is needed.
    """
    part = StoredPart(store, source)
    if not await part.meant_by(asked):
        return None
    found = identify(asked, Knowledge(part.index))
    if found.total != 1:
        return part.index, ""
    ref = found.matches[0].ref
    await part.around(ref)
    return part.index, ref
