"""What answers draw on, from a store: for the commands that ask nobody."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Self

from bridge.answers.incident import IncidentAnswer, answer
from bridge.answers.knowledge import Knowledge
from bridge.answers.lately import lately
from bridge.answers.library import Opened
from bridge.catalog.reader import Reader
from bridge.errors import ConfigurationError
from bridge.model.entities import Ref
from bridge.model.memory import Memory, PassRecord
from bridge.model.problems import Problem
from bridge.passes.explain import explain
from bridge.store import SqlStore
from bridge.wiring.clock import utc_now
from bridge.wiring.stored_part import part_known


async def stored_incident(
    store: SqlStore, source: str, asked: str, now: datetime
) -> IncidentAnswer | None:
    """What a store knows of what was asked for; None before a first pass. Raises `StoreError`.

    No more of the catalog is loaded than who may be meant and who is near, but where too much may
    be meant, or nothing of the text can be looked for.
    """
    reports = await store.passes(source, 1)
    if not reports:
        return None
    found = await part_known(store, source, asked)
    if found is None:
        known = await stored_knowledge(store, source, now)
        return answer(asked, known, now) if known is not None else None
    index, ref = found
    meant = Ref.parse(ref) if ref else None
    score = await store.scores().score_of(source, meant) if meant else None
    known = Knowledge(
        index,
        {meant: await store.facts().facts_of(source, meant)} if meant else {},
        {meant: score} if meant and score else {},
        read_at=reports[0].started_at,
        complete_at=(await store.model.state(source)).horizon.whole_at,
        lately=await lately(partial(store.entity_changes.find, source), now),
    )
    return answer(asked, known, now)


async def stored_knowledge(store: SqlStore, source: str, now: datetime) -> Knowledge | None:
    """All that a store knows of a source; None before its first pass. Raises `StoreError`."""
    record = await store.latest(source)
    return None if record is None else await _knowledge(store, source, record, now)


async def _knowledge(
    store: SqlStore,
    source: str,
    record: PassRecord,
    now: datetime,
    memory: Memory | None = None,
) -> Knowledge:
    memory = memory or await store.load(source)
    board = await store.scores().latest_scores(source)
    return Knowledge(
        Reader().read(record.catalog),
        await store.facts().latest_facts(source),
        board.scores if board is not None else {},
        read_at=record.report.started_at,
        complete_at=memory.horizon.whole_at,
        lately=await lately(partial(store.entity_changes.find, source), now),
    )


def no_pass(store: str) -> ConfigurationError:
    """The error of who asks a store that has nothing to tell."""
    message = f"{store} knows of no pass yet; `fester run` makes one"
    return ConfigurationError([Problem(message, "no-pass")])


async def one_source(store: SqlStore, source: str, name: str) -> str:
    """The source that is named, or the only one that the store called `name` knows.

    Raises `ConfigurationError` when there is no pass yet, or several sources to choose from.
    """
    sources = [source] if source else list(await store.sources())
    if len(sources) > 1:
        known = ", ".join(sources)
        message = f"{name} knows several sources ({known}); choose one with --from"
        raise ConfigurationError([Problem(message, "several-sources")])
    if not sources:
        raise no_pass(name)
    return sources[0]


class StoredLibrary:
    """What a store knows of one source, read again when another pass was saved."""

    def __init__(self, store: SqlStore, source: str, name: str) -> None:
        self._store, self._source, self._name = store, source, name
        self._seen: tuple[int, datetime | None] | None = None
        self._opened: Opened | None = None

    @classmethod
    async def of(cls, store: SqlStore, source: str, name: str) -> Self:
        """The one for a source; for the store's only one when none is named.

        Raises `ConfigurationError` as `one_source`.
        """
        return cls(store, await one_source(store, source, name), name)

    async def open(self) -> Opened:
        """What is known now. Raises `StoreError`, or `ConfigurationError` before the first pass."""
        seen = (
            await self._store.passes_saved(self._source),
            await self._store.scores().scored_at(self._source),
        )
        if self._opened is None or seen != self._seen:
            self._opened, self._seen = await self._read(), seen
        return self._opened

    async def _read(self) -> Opened:
        record = await self._store.latest(self._source)
        if record is None:
            raise no_pass(self._name)
        memory = await self._store.load(self._source)
        known = await _knowledge(self._store, self._source, record, utc_now(), memory)
        return Opened(
            known,
            record.report.problems,
            lambda asked: explain(asked, memory, record, self._source),
            partial(self._store.entity_changes.find, self._source),
        )
