"""Where the references of entities lead, once all of them are merged. Nothing is written."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from bridge.model.entities import CatalogEntity, Ref, ref_of
from bridge.model.problems import Problem
from bridge.model.statements import Checked, Linked, about_links, entity_digest
from bridge.passes.interfaces import ModelStore
from bridge.passes.makers import EntityMaker

_NEIGHBOURS: Final = 20
_MOST_SEARCHES: Final = 1_000  # targets for which a process looks up a suggestion in a pass


@dataclass(slots=True, eq=False)
class Checking:
    """The checking of one pass over a `source`; it remembers what was searched for."""

    source: str
    model: ModelStore
    maker: EntityMaker
    _near: dict[Ref, tuple[str, ...]] = field(default_factory=dict)  # for what is missing

    async def checked(self, refs: Sequence[str]) -> Checked:
        """What putting right the references of some entities gives. Raises `StoreError`."""
        model, source = self.model, self.source
        missing = {
            ref: {ref_of(each) for each in found}
            for ref, found in (await model.missing(source, refs)).items()
        }
        # Where nothing is missing, nothing is to be put right: most are not looked at.
        broken = [ref for ref in refs if missing[ref]]
        there = await model.entities(source, sorted({*broken, *await model.relinked(source, refs)}))
        names = await self.names({each for found in missing.values() for each in found})
        links = {
            ref: self.maker.link(stored.merged, missing[ref], names)
            for ref, stored in there.items()
        }
        put = [
            replace(stored, entity=shown)
            for ref, stored in there.items()
            if _differs(shown := self.maker.published(links[ref]), stored.entity)
        ]
        problems = {about_links(ref): () for ref in refs} | await self._dangling(links)
        return Checked(refs, put, problems)

    async def _dangling(self, links: Mapping[str, Linked]) -> dict[str, Sequence[Problem]]:
        """What is wrong with entities that point at nothing, by what it is about."""
        lost = {ref: linked for ref, linked in links.items() if linked.missing}
        said = await self.model.speaking_of(self.source, list(lost))
        near = await self._likely(lost.values())
        return {
            about_links(ref): self.maker.dangling(linked, near, said.get(ref, ()))
            for ref, linked in lost.items()
        }

    async def names(self, missing: Collection[Ref]) -> dict[tuple[int, Ref], list[Ref]]:
        """Who goes by the names of what is missing, in whatever spelling."""
        wanted = {str(each) for each in missing} | {str(self.maker.spelt(e)) for e in missing}
        found = await self.model.named(self.source, wanted)
        return {
            (rank, ref_of(name)): [ref_of(each) for each in refs]
            for (rank, name), refs in found.items()
        }

    async def _likely(self, links: Iterable[Linked]) -> dict[Ref, tuple[str, ...]]:
        """What may be meant by what is missing, as far as searches are left."""
        wanted = dict.fromkeys(target for linked in links for target in linked.missing)
        new = [each for each in wanted if each not in self._near]
        new = new[: max(0, _MOST_SEARCHES - len(self._near))]
        found = await self.model.neighbours(self.source, [str(each) for each in new], _NEIGHBOURS)
        self._near |= await asyncio.to_thread(
            lambda: {each: self.maker.likely(each, found[str(each)]) for each in new}
        )
        return {each: self._near.get(each, ()) for each in wanted}


def _differs(now: CatalogEntity, before: CatalogEntity) -> bool:
    return now is not before and entity_digest(now) != entity_digest(before)
