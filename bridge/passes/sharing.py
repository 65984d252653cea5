"""A sweep that several processes read: one lists the projects and takes in what all of them read.

Merging, the guard, settling what was not seen and publishing are as in any other pass: only who
reads and translates is another one. A part that nobody could read is a gap, project by project.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from bridge.errors import StoreError
from bridge.model.manifests import Translation
from bridge.model.scrape import (
    Gap,
    ManifestFile,
    Project,
    ProjectRead,
    Record,
    ScrapeEnd,
    ScrapeRequest,
    Unread,
    number_of,
)
from bridge.model.work import Part, PartRead, Settled
from bridge.passes.further import Further, lacks_texts, with_texts
from bridge.passes.interfaces import ModelStore, Work
from bridge.passes.ledger import Ledger
from bridge.ports import Scraper, Translator

PART: Final = 200  # projects: a few seconds of work, and whole pages of GitLab's
_AHEAD = 64  # parts that are listed and not settled: more is back pressure on the listing
_WAITING = 2  # parts that are read and not taken: more is back pressure on taking them in
_KEPT = 4  # parts whose translations are kept: records wait until there are some


class Prepared:
    """A `bridge.ports.Translator` that knows what other processes have translated.

    What they made counts by its fingerprint alone, which names all that it depends on: whose
    mapping files are not ours made nothing that is used here.
    """

    def __init__(self, inner: Translator) -> None:
        self._inner = inner
        self._made: tuple[Mapping[str, Translation], ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """The file names that the mappings want."""
        return self._inner.files

    def prepare(self, made: Mapping[str, Translation]) -> None:
        """Know these, too; what was prepared long before is forgotten."""
        self._made = (*self._made, made)[-_KEPT:]  # another one: threads look at the one before

    def fingerprint(self, project: Project, file: ManifestFile) -> str:
        """Names everything that the translation depends on; cheap."""
        return self._inner.fingerprint(project, file)

    def translate(self, project: Project, file: ManifestFile) -> Translation:
        """What another process made of the same, or what is made of it now."""
        mark = self._inner.fingerprint(project, file)
        made = next((each[mark] for each in self._made if mark in each), None)
        return made if made is not None else self._inner.translate(project, file)


@dataclass(slots=True, eq=False)
class Sharing:
    """One shared sweep over the source `reading` of a catalog."""

    scraper: Scraper
    work: Work
    ledger: Ledger
    epoch: int
    reading: str
    prepared: Prepared
    _sweep: int = 0
    _parts: int = 0
    _open: dict[int, Part] = field(default_factory=dict)  # not taken in yet
    _listed: bool = False
    _over: bool = False  # the list broke off
    _end: ScrapeEnd | None = None
    _requests: int = 0
    _queue: asyncio.Queue[PartRead | None] = field(default_factory=lambda: asyncio.Queue(_WAITING))
    _news: asyncio.Event = field(default_factory=asyncio.Event)  # a part more is settled

    async def records(self, request: ScrapeRequest) -> AsyncIterator[Record]:
        """The records of a full sweep, and `ScrapeEnd` as the last one.

        Raises as a scraper does, and `StoreError`; `StoreConflict` when another one leads by now.
        """
        async with self.ledger.lock:
            await self.ledger.write(self.epoch, lambda edition: self._begin(request, edition))
        working = asyncio.create_task(self._run(request))
        try:
            while (read := await self._queue.get()) is not None:
                self.prepared.prepare(read.translations)
                for record in read.records:
                    yield record
            await working
        finally:
            await _ended(working)
            if self._open or not self._listed:
                with suppress(StoreError):
                    await self.work.drop(self._sweep)
        if self._end is not None:
            yield replace(self._end, requests=self._end.requests + self._requests)

    async def _begin(self, request: ScrapeRequest, edition: int) -> int:
        source = self.ledger.source
        self._sweep, edition = await self.work.begin(source, edition, self.reading, request.files)
        return edition

    async def _run(self, request: ScrapeRequest) -> None:
        listing = asyncio.create_task(self._list(request))
        collecting = asyncio.create_task(self._collect())
        try:
            await asyncio.gather(listing, collecting)
        except asyncio.CancelledError:
            raise  # nobody takes anything any more
        except BaseException:
            self._over = True
            await _ended(listing)
            await asyncio.wait([collecting])  # it ends between two questions to the store
            await self._queue.put(None)
            raise
        else:
            await self._queue.put(None)
        finally:
            await _ended(listing, collecting)

    async def _list(self, request: ScrapeRequest) -> None:
        """List the projects, and have them read part by part."""
        waiting: list[Unread] = []
        listing = cast(Any, self.scraper.scrape(replace(request, listing=True)))
        async with aclosing(listing) as records:
            async for record in records:
                if isinstance(record, Unread):
                    waiting.append(record)
                    if len(waiting) == PART:
                        await self._put(request, waiting)
                        waiting = []
                elif isinstance(record, ScrapeEnd):
                    self._end = record
                else:
                    await self._queue.put(PartRead((record,)))
        if waiting:
            await self._put(request, waiting)
        await self.work.listed(self._sweep)
        self._listed = True

    async def _put(self, request: ScrapeRequest, projects: Sequence[Unread]) -> None:
        while len(self._open) >= _AHEAD:
            self._news.clear()
            await self._news.wait()
        part = Part(
            self.ledger.source,
            self.reading,
            self._sweep,
            self._parts,
            request.files,
            tuple((each.project_id, each.path) for each in projects),
        )
        self._parts += 1
        self._open[part.number] = part
        await self.work.put(part)

    async def _collect(self) -> None:
        """Take in what was read, until all is."""
        while not self._over and (self._open or not self._listed):
            for each in await self.work.settled(self._sweep):
                part = self._open[each.number]
                found = taken_of(part, each)
                self._requests += found.requests
                await self._queue.put(found)
                del self._open[each.number]
                self._news.set()


def taken_of(part: Part, settled: Settled) -> PartRead:
    """What is to be taken in of a part: a record of each of its projects, at the least a gap."""
    read = settled.read or PartRead()
    why = "the process that was to read it told nothing of it"
    if settled.read is None:
        why = f"it could not be read by any of the processes that tried: {settled.reason}"
    asked = dict(part.projects)
    # A gap without a project stays: something was lost, and nobody knows what.
    records = [each for each in read.records if (number_of(each) or 0) in {0, *asked}]
    missing = asked.keys() - {number_of(each) for each in records}
    gaps = [Gap(why, number, asked[number]) for number in sorted(missing)]
    return replace(read, records=(*records, *gaps))


async def read_part(
    part: Part, scraper: Scraper, translator: Translator, model: ModelStore, more: Further | None
) -> PartRead:
    """Read a part, and translate what is new of it. Raises `SourceError`, `StoreError`."""
    only = tuple(number for number, _ in part.projects)
    request = ScrapeRequest(part.files, only=only, further=more, part=True)
    records: list[Record] = []
    requests = 0
    async with aclosing(cast(Any, scraper.scrape(request))) as found:
        async for record in found:
            if isinstance(record, ScrapeEnd):
                requests = record.requests
            else:
                records.append(record)
    marks = await model.marks(part.source, only)
    known = {number: set(files.values()) for number, (_, files) in marks.items()}
    records, new = await asyncio.to_thread(_new_last, records, known, translator)
    texts = await _texts_of(new, part.source, model)
    new = [with_texts(each, texts) for each in new]

    def made() -> dict[str, Translation]:
        made: dict[str, Translation] = {}
        for record in new:
            for file in record.files:
                mark = translator.fingerprint(record.project, file)
                if mark not in known.get(record.project.id, ()) and mark not in made:
                    made[mark] = translator.translate(record.project, file)
        return made

    return PartRead((*records, *new), await asyncio.to_thread(made), requests)


def _new_last(
    records: Sequence[Record], known: Mapping[int, set[str]], translator: Translator
) -> tuple[list[Record], list[ProjectRead]]:
    """Records with nothing to translate, and those with some: only these need kept texts."""
    quiet: list[Record] = []
    new: list[ProjectRead] = []
    for record in records:
        if isinstance(record, ProjectRead) and any(
            translator.fingerprint(record.project, file) not in known.get(record.project.id, ())
            for file in record.files
        ):
            new.append(record)
        else:
            quiet.append(record)
    return quiet, new


async def _texts_of(new: Sequence[ProjectRead], source: str, model: ModelStore) -> dict[str, str]:
    """The texts that records left in the store, by one question for all of them."""
    oids = {oid for each in new for oid in lacks_texts(each)}
    return dict(await model.reads.anybodys(source, sorted(oids))) if oids else {}


async def _ended(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
