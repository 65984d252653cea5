"""Several processes that share passes: who may do what, and how."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Final

import structlog

from bridge.model.work import Claim, Part, PartRead, Task
from bridge.passes.further import further
from bridge.passes.inheritance import with_kept
from bridge.passes.sharing import read_part
from bridge.passes.stages import Stages
from bridge.passes.task_sharing import CatalogHand
from bridge.secret.live import Secret
from bridge.service.leadership import this_process
from bridge.service.worker import Hand, PartReader
from bridge.settings import Settings
from bridge.store.late_queue import WorkingQueue, sooner_or_later
from bridge.store.work import SharedWork
from bridge.wiring import Wired
from bridge.wiring.mappings import remapped
from bridge.wiring.neighbours import secret

log = structlog.get_logger()

_FORM: Final = "4"  # of what is read of a part: raise it when another release cannot read it


def queue_of(token: Secret | None, stages: Stages, reading: str) -> str:
    """The queue of those who read a source just as this process would.

    They are of its version, and have its settings, its mapping files and rules of merging, and the
    same token: another one may be shown less, and what it is not shown would be taken for gone.
    """
    scope = stages.reading(reading).scope
    told = (
        _FORM,
        version("fester"),
        stages.scraper.name,
        reading,
        scope,
        stages.maker.merges_by,
        token() if token is not None else "",
    )
    text = "\0".join(told).encode("utf-8", "surrogatepass")
    return blake2b(text, digest_size=12).hexdigest()


def tokens_of(parts: Wired) -> dict[str, Secret | None]:
    """The token of each source, for as long as this process runs: a file of it may change."""
    return {name: secret(own, "token") for name, (own, _) in parts.sources.items()}


@dataclass(slots=True)
class Eyes:
    """How this process reads: `settings` are those of the catalog, `stages` what follows of them.

    `tokens` are those of each source. Mapping files, and files of tokens, that changed are read
    anew.
    """

    settings: Settings
    parts: Wired
    stages: Stages
    tokens: Mapping[str, Secret | None]
    _hand: CatalogHand = field(init=False)
    _stamp: tuple[object, ...] | None = None

    def __post_init__(self) -> None:
        self._hand = CatalogHand(self.parts.store.model, self.parts.store.parts)

    async def queues(self) -> frozenset[str]:
        """The queues of what this process reads as others would."""
        stamp = _stamp(self.settings.mappings)
        if self._stamp is not None and stamp != self._stamp:
            teams = self.parts.elsewhere.teams
            self.stages = await asyncio.to_thread(remapped, self.settings, self.stages, teams)
        self._stamp = stamp
        return frozenset(queue_of(each, self.stages, name) for name, each in self.tokens.items())

    async def read(self, part: Part) -> PartRead:
        """Read a part, with the defaults for groups that whoever leads has now.

        Raises `SourceError`, `StoreError`.
        """
        stages, store = self.stages.reading(part.reading), self.parts.store
        translator = await with_kept(stages, store, part.source)
        if stages.translator is self.stages.translator:  # else the files changed meanwhile
            self.stages = replace(self.stages, translator=translator)
        more = further(part.source, store.model.reads, translator, stages.nested)
        return await read_part(part, stages.scraper, translator, store.model, more)

    async def write(self, claim: Claim) -> bool:
        """Do a part that is on the catalog, and write it; whether it counts.

        Raises `OtherRules`, `StoreError`.
        """
        what = claim.part.on_catalog
        if what is not None and what.task is Task.CHECK and self.settings.owners.backstage:
            await self._with_teams(what.rules)
        return await self._hand.do(claim, self.stages.maker, self.stages.renderer)

    async def _with_teams(self, rules: str) -> None:
        """Check by the teams that whoever leads was told last, if by these it goes."""
        parts = self.parts
        if self.stages.maker.checks_by != rules:
            await parts.elsewhere.recall(parts.store, parts.source)
            teams = parts.elsewhere.teams
            self.stages = await asyncio.to_thread(remapped, self.settings, self.stages, teams)


@dataclass(frozen=True, slots=True)
class Crew:
    """What a process needs to read with others: `work` to have parts read, `hand` to read them."""

    work: SharedWork
    hand: Hand
    reader: PartReader


@asynccontextmanager
async def crew(
    settings: Settings, parts: Wired, current: Callable[[], Stages], *, needed: bool = False
) -> AsyncIterator[Crew | None]:
    """The crew of the processes on a store while it is open.

    `current` gives the stages of the passes that this process makes.

    None where sweeps are not shared (`share_sweeps`), and where a store has only one process.

    Where the queue cannot be had each reads alone until it can, unless it is `needed`: then
    `StoreError`.
    """
    if not (settings.share_sweeps and parts.store.shared):
        yield None
        return
    tokens = tokens_of(parts)
    eyes = Eyes(settings, parts, parts.stages, tokens)
    reader = PartReader(parts.store.parts, eyes.read, eyes.write, this_process())
    async with _queue(settings, reader.name, needed=needed) as queue:
        if queue is None:
            yield None
            return

        def named(reading: str) -> str:
            return queue_of(tokens[reading], current(), reading)

        work = SharedWork(
            parts.store.parts, queue, named, reader.name, settings.lease, clock=time.monotonic
        )
        hand = Hand(eyes.queues, lambda name: queue.work(name, reader.do))
        yield Crew(work, hand, reader)


@asynccontextmanager
async def _queue(
    settings: Settings, name: str, *, needed: bool
) -> AsyncIterator[WorkingQueue | None]:
    """The queue of jobs while it is open; None where its library is not there, which is logged."""
    try:
        from bridge.store.job_queue import open_queue  # noqa: PLC0415 — its library is an extra
    except ImportError:
        log.warning(
            "Processes on one store do not share their sweeps: type pip install "
            "'fester[postgresql]'",
            action="work_alone",
        )
        yield None
        return

    def opening() -> AbstractAsyncContextManager[WorkingQueue]:
        return open_queue(settings.store, name, settings.lease)

    async with opening() if needed else sooner_or_later(opening) as queue:
        yield queue


def _stamp(folder: Path | None) -> tuple[object, ...]:
    """Something that changes when a file in a folder does."""
    if folder is None or not folder.is_dir():
        return ()
    found = []
    for each in sorted(folder.rglob("*")):
        with suppress(OSError):  # it was removed in this moment
            stat = each.stat()
            found.append((each, stat.st_mtime_ns, stat.st_size))
    return tuple(found)
