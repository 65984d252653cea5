"""What the store holds of a source, as the passes of one process last saw it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from bridge.errors import StoreConflict
from bridge.model.memory import SourceState
from bridge.model.statements import StoredFile
from bridge.passes.interfaces import ModelStore, Store
from bridge.passes.makers import EntityMaker


@dataclass(slots=True, eq=False)
class Ledger:
    """The state of a source, shared by passes that overlap. Who writes holds `lock`.

    `epoch` counts how often another process was found to have written: a pass that began before
    builds on what is no more, and may not write on.
    """

    store: Store
    source: str
    state: SourceState = field(default_factory=SourceState)
    epoch: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    published: Mapping[str, StoredFile] | None = None  # None: to be loaded
    listed: int = -1  # the edition that the lists of entities were made of
    indexed: object = None  # the renderer whose index of all shards is known to be published
    # What the manifests of each project describe that others depend on; None: to be looked at.
    described: dict[int, list[Any]] | None = None
    undescribed: set[int] = field(default_factory=set)  # projects that were written since
    maker: EntityMaker | None = None  # by whose rules the store has what manifests say
    _met: bool = False

    @property
    def model(self) -> ModelStore:
        """Where it is kept."""
        return self.store.model

    async def refresh(self) -> None:
        """Look at the store again. Raises `StoreError`."""
        state = await self.model.state(self.source)
        if not self._met or state.edition != self.state.edition:
            self.epoch += 1
            self.published = self.indexed = self.described = None
        self._met, self.state = True, state

    async def write(self, epoch: int, act: Callable[[int], Awaitable[int]]) -> None:
        """Let `act` make the next edition, for a pass that began in `epoch`.

        Raises `StoreConflict` when another process has written meanwhile, else `StoreError`.
        """
        if epoch != self.epoch:
            raise overtaken_by_another(self.source)
        edition = await act(self.state.edition)
        self.state = replace(self.state, edition=edition)

    async def files(self) -> Mapping[str, StoredFile]:
        """The published files, by path."""
        if self.published is None:
            self.published = await self.model.files(self.source)
        return self.published


def overtaken_by_another(source: str) -> StoreConflict:
    """The error of a pass that another process saved one before."""
    return StoreConflict(
        f"another Fester saved a pass of {source} meanwhile; this one publishes nothing, and the "
        "next one goes on from there"
    )
