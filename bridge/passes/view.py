"""All that is known, at once, for who needs all of it: loaded when asked for, then kept up to date.

Passes do without. It takes what all manifests and entities take in memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bridge.model.entities import Catalog, CatalogEntity, Ref
from bridge.model.memory import Memory, PassRecord
from bridge.model.statements import Changes
from bridge.passes.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Known:
    """All that is known of a source, and the last saved pass."""

    memory: Memory = field(default_factory=Memory)
    record: PassRecord | None = None

    @property
    def catalog(self) -> Catalog:
        """The catalog as it is."""
        return self.record.catalog if self.record else Catalog()


@dataclass(slots=True, eq=False)
class View:
    """The whole of a source, as far as somebody asked for it."""

    ledger: Ledger
    _epoch: int = -1
    _edition: int = -1
    _known: Known | None = None
    _changes: Changes = field(default_factory=Changes)

    def changed(self, changes: Changes) -> None:
        """A pass of this process changed something: what is held is mended when asked for."""
        if self._known is not None:
            self._changes = changes.after(self._changes)

    async def known(self) -> Known:
        """All that is known now. Whoever asks holds the ledger's lock. Raises `StoreError`."""
        await self.ledger.refresh()
        state = self.ledger.state
        if self._known is not None and self._edition == state.edition:
            return self._known
        fresh = self._epoch != self.ledger.epoch or self._changes.everything
        known = None if fresh else self._known
        self._known = await self._loaded() if known is None else await self._mended(known)
        self._epoch, self._edition, self._changes = self.ledger.epoch, state.edition, Changes()
        return self._known

    async def _loaded(self) -> Known:
        store, source = self.ledger.store, self.ledger.source
        return Known(await store.load(source), await store.latest(source))

    async def _mended(self, known: Known) -> Known:
        model, source, changes = self.ledger.model, self.ledger.source, self._changes
        part = await model.known(source, changes.projects)
        projects = {k: v for k, v in known.memory.projects.items() if k not in changes.projects}
        manifests = {
            key: each
            for key, each in known.memory.manifests.items()
            if key[0] not in changes.projects
        }
        memory = Memory(
            projects | dict(part.projects),
            manifests | dict(part.manifests),
            self.ledger.state.horizon,
        )
        put = await model.entities(source, [str(ref) for ref in changes.put])
        entities: dict[Ref, CatalogEntity] = {
            each.ref: each for each in known.catalog.entities if each.ref not in changes.removed
        }
        entities |= {stored.entity.ref: stored.entity for stored in put.values()}
        ordered = sorted(entities.values(), key=lambda entity: str(entity.ref))
        report = await self.ledger.store.report(source)
        if report is None:
            return Known(memory, None)
        return Known(memory, PassRecord(report, Catalog(tuple(ordered))))
