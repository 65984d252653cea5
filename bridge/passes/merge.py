"""From what is said of entities to entities: only those of which something else is said.

Removals wait until everything is merged, so that the guard counts them over the whole pass.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from bridge.model.entities import CatalogEntity, Ref, ref_of
from bridge.model.problems import Problem
from bridge.model.statements import (
    Merged,
    Statement,
    StoredEntity,
    about_entity,
    entity_digest,
)
from bridge.model.todo import Todo
from bridge.passes.checking import Checking
from bridge.passes.interfaces import ModelStore
from bridge.passes.ledger import Ledger
from bridge.passes.makers import EntityMaker, Renderer

AT_ONCE: Final = 500  # references that are merged at once
MOST_LISTED: Final = 5_000  # changed entities that are worth a list


@dataclass(frozen=True, slots=True)
class Guard:
    """When removals look like a failure rather than a change.

    A pass that would remove at least `at_least` entities and more than `share` of the catalog
    withholds the removals.
    """

    share: float = 0.2
    at_least: int = 10

    def holds(self, removed: int, total: int) -> bool:
        """Whether to withhold `removed` of `total` entities."""
        return removed >= self.at_least and removed > self.share * total


@dataclass(slots=True, eq=False)
class Merging:
    """One pass's merging, in the `epoch` in which the pass began. Whoever runs it holds the lock.

    `before` is how many entities there were, of which the guard counts removals. `put` and
    `removed` are the references that changed, None when they are too many to list.
    """

    ledger: Ledger
    maker: EntityMaker
    renderer: Renderer
    epoch: int
    before: int  # entities that there were
    put: set[Ref] | None = field(default_factory=set)
    removed: set[Ref] = field(default_factory=set)
    checking: Checking = field(init=False)

    def __post_init__(self) -> None:
        self.checking = Checking(self.ledger.source, self.ledger.model, self.maker)

    async def merge(self) -> None:
        """Merge every reference that is noted. Raises `StoreError`."""
        await self._each(Todo.MERGE, self._merge_some)

    async def _each(self, stage: Todo, act: Callable[[Sequence[str]], Awaitable[None]]) -> None:
        """Let `act` do what is noted in a stage, for which it notes nothing more in it."""
        while refs := await self.ledger.model.todo(self.ledger.source, stage, AT_ONCE):
            await act(refs)
            if len(refs) < AT_ONCE:
                return

    async def _merge_some(self, refs: Sequence[str]) -> None:
        """A part by itself: nothing of it is held while the next one is loaded."""
        model, source = self.ledger.model, self.ledger.source
        done = await merged_of(refs, source, model, self.maker, self.renderer)
        await self.ledger.write(self.epoch, lambda edition: model.merged(source, edition, done))
        self.list_changed(each.entity.ref for each in done.put)

    async def derive(self) -> None:
        """Make what others depend on and nobody describes. Raises `StoreError`."""
        model, source = self.ledger.model, self.ledger.source
        while refs := await model.todo(source, Todo.DERIVE, AT_ONCE):
            there = await model.entities(source, refs)
            said = await model.speaking_of(source, refs)
            gone = await model.noted(source, Todo.GONE, refs)
            made = {ref: await self._derived(ref_of(ref)) for ref in refs if ref not in said}
            done = self._as_derived(refs, made, there, gone)
            await self.ledger.write(
                self.epoch,
                lambda edition, done=done: model.merged(source, edition, done),  # type: ignore[misc]
            )
            self.list_changed(each.entity.ref for each in done.put)

    def _as_derived(
        self,
        refs: Sequence[str],
        made: Mapping[str, CatalogEntity | None],
        there: Mapping[str, StoredEntity],
        gone: Collection[str],
    ) -> Merged:
        """What is to be written so that of `made` those are there that are something. Pure."""
        put: list[StoredEntity] = []
        new: list[str] = []
        left: list[str] = []
        back: list[str] = []
        figures: Counter[str] = Counter()
        for ref, entity in made.items():
            old = there.get(ref)
            if entity is None:
                left += [ref] if old is not None and ref not in gone else []
                continue
            back += [ref] if ref in gone else []
            digest = entity_digest(entity)
            if old is not None and old.digest == digest:
                continue
            figures.update([f"entities.{entity.body['kind']}"] if old is None else [])
            new += [ref] if old is None else []
            targets = {e: self.maker.spelt(e) for e in self.maker.targets(entity.body)}
            place = self.renderer.place(entity.ref)
            # By none but its own name: it is made of what says just that.
            names = frozenset({(-1, self.maker.spelt(entity.ref))})
            put.append(StoredEntity(entity, digest, place, entity, targets, names))
        return Merged(refs, put, new, left, back, new, {}, dict(figures), stage=Todo.DERIVE)

    async def _derived(self, ref: Ref) -> CatalogEntity | None:
        """What is made because entities depend on it, if any."""
        model, source = self.ledger.model, self.ledger.source
        pointing = await model.pointing_at(source, str(self.maker.spelt(ref)))
        gone = await model.noted(source, Todo.GONE, pointing)
        there = await model.entities(source, [each for each in pointing if each not in gone])
        missing = await model.missing(source, list(there))
        lost = {ref, *map(ref_of, set().union(*missing.values()))}
        names = await self.checking.names(lost)
        needing = []
        for name, stored in sorted(there.items()):
            lost = {ref, *map(ref_of, missing[name])}
            linked = self.maker.link(stored.merged, lost, names)
            if self.maker.needs(linked, ref):
                needing.append(linked.entity)
        if not needing:
            return None
        said = await model.speaking_of(source, [str(each.ref) for each in needing])
        return self.maker.derive(ref, needing, said)

    async def remove(self, guard: Guard, *, accepted: bool) -> list[Problem]:
        """Remove what nobody speaks of any more, or keep it and say so. Raises `StoreError`."""
        model, source = self.ledger.model, self.ledger.source
        gone = await model.todo(source, Todo.GONE)
        if not gone:
            return []
        await self.ledger.refresh()
        emptied = len(gone) >= sum(self.ledger.state.counts("entities").values())
        if not accepted and (emptied or guard.holds(len(gone), self.before)):
            return [_withheld(gone, self.before, guard)]
        for start in range(0, len(gone), AT_ONCE):
            refs = gone[start : start + AT_ONCE]
            there = await model.entities(source, refs)
            kinds = Counter(f"entities.{each.entity.body['kind']}" for each in there.values())
            figures = {kind: -count for kind, count in kinds.items()}
            await self.ledger.write(
                self.epoch,
                lambda edition, r=refs, f=figures: model.remove(source, edition, r, f),  # type: ignore[misc]
            )
            self.removed |= {each.entity.ref for each in there.values()}
        if self.put is not None:
            self.put -= self.removed
        return []

    async def check(self) -> None:
        """Put references right, and find those to nothing, among what is noted.

        Raises `StoreError`.
        """
        await self._each(Todo.CHECK, self._check_some)

    async def _check_some(self, refs: Sequence[str]) -> None:
        """A part by itself: nothing of it is held while the next one is loaded."""
        model, source = self.ledger.model, self.ledger.source
        done = await self.checking.checked(refs)
        await self.ledger.write(self.epoch, lambda edition: model.checked(source, edition, done))
        self.list_changed(each.entity.ref for each in done.put)

    def list_changed(self, refs: Iterable[Ref]) -> None:
        """Take references for changed."""
        if self.put is not None:
            self.put.update(refs)
            if len(self.put) > MOST_LISTED:
                self.put = None


async def merged_of(
    refs: Sequence[str], source: str, model: ModelStore, maker: EntityMaker, renderer: Renderer
) -> Merged:
    """What comes out for some references as things stand: nothing is written.

    Raises `StoreError`.
    """
    said = await model.speaking_of(source, refs)
    there = await model.entities(source, refs)
    gone = await model.noted(source, Todo.GONE, refs)
    return await asyncio.to_thread(
        _merged, maker, renderer, refs, said=said, there=there, gone=gone
    )


def _merged(
    maker: EntityMaker,
    renderer: Renderer,
    refs: Sequence[str],
    *,
    said: Mapping[str, Sequence[Statement]],
    there: Mapping[str, StoredEntity],
    gone: Collection[str],
) -> Merged:
    """What comes out for some references. Pure."""
    put: list[StoredEntity] = []
    new: list[str] = []
    left: list[str] = []
    back: list[str] = []
    problems: dict[str, Sequence[Problem]] = {}
    figures: Counter[str] = Counter()
    for ref in refs:
        entity, found = maker.merge(said[ref]) if ref in said else (None, ())
        problems[about_entity(ref)] = found
        old = there.get(ref)
        if entity is None:
            if old is not None and ref not in gone:
                left.append(ref)
            continue
        if ref in gone:
            back.append(ref)
        digest = entity_digest(entity)
        if old is not None and old.digest == digest:
            continue
        if old is None:
            new.append(ref)
        else:
            figures[f"entities.{old.entity.body['kind']}"] -= 1
        figures[f"entities.{entity.body['kind']}"] += 1
        place = renderer.place(entity.ref)
        targets = {each: maker.spelt(each) for each in maker.targets(entity.body)}
        names = maker.names(entity)
        put.append(StoredEntity(entity, digest, place, entity, targets, names))
    # What is wrong with references is told at a place of a manifest, which may have moved.
    check = [ref for ref in refs if ref in said]
    counts = {name: count for name, count in figures.items() if count}
    return Merged(refs, put, new, left, back, check, problems, counts)


def _withheld(gone: Sequence[str], total: int, guard: Guard) -> Problem:
    return Problem(
        f"{len(gone)} of {total} entities would be removed (such as {', '.join(gone[:5])}); "
        f"that is more than {guard.share:.0%}, so they are kept. If they really are gone, "
        "run once with --accept-removals",
        "removals-withheld",
    )
