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

from bridge.errors import SourceError, StoreError
from bridge.model.manifests import Translation
from bridge.model.scrape import (
    FurtherReads,
    Gap,
    ManifestFile,
    Project,
    ProjectRead,
    Record,
    ScrapeEnd,
    ScrapeRequest,
    Unread,
    bytes_of,
    number_of,
)
from bridge.model.work import Claim, Part, PartRead, Settled, SweepPlan
from bridge.passes.further import texts_left, with_texts
from bridge.passes.interfaces import ModelStore, WorkSharing
from bridge.passes.ledger import Ledger
from bridge.ports import Scraper, Translator

PART: Final = 200  # projects: a few seconds of work, and whole pages of GitLab's
BYTES: Final = 16 << 20  # of text that a process holds of a part: what is beyond is a part more
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
        if made:  # what comes of the list itself translates nothing, and may be much
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
    """One shared sweep over the source `reading` of a catalog.

    `more` tells what is to be read besides the root's manifests, as this process would have it.
    """

    scraper: Scraper
    work: WorkSharing
    ledger: Ledger
    epoch: int
    reading: str
    prepared: Prepared
    more: FurtherReads | None = None
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
        plan = SweepPlan(self.reading, told=request.files)
        self._sweep, edition = await self.work.begin(self.ledger.source, edition, plan)
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
        await self._add(request.files, tuple((each.project_id, each.path) for each in projects))

    async def _add(self, files: tuple[str, ...], projects: tuple[tuple[int, str], ...]) -> None:
        part = Part(self.ledger.source, self.reading, self._sweep, self._parts, files, projects)
        self._parts += 1
        self._open[part.number] = part
        await self.work.put(part)

    async def _collect(self) -> None:
        """Take in what was read, until all is."""
        while not self._over and (self._open or not self._listed):
            for each in await self.work.settled(self._sweep):
                part = self._open[each.number]
                if rest := rest_of(part, each):
                    await self._add(part.files, rest)
                    part = replace(part, projects=_without(part, rest))
                found = await asyncio.to_thread(taken_of, part, each, self.more)
                self._requests += found.requests
                await self._queue.put(found)
                del self._open[each.number]
                self._news.set()
            if claim := await self.work.abandoned(self._sweep):
                await self._read(claim)

    async def _read(self, claim: Claim) -> None:
        """Read a part by this process, as it would have without others."""
        model = self.ledger.model
        try:
            read = await read_part(claim.part, self.scraper, self.prepared, model, self.more)
        except SourceError as error:
            await self.work.fail(claim, str(error))
        else:
            await self.work.finish(claim, read)


def rest_of(part: Part, settled: Settled) -> tuple[tuple[int, str], ...]:
    """The projects that were left for another part. None where it has nothing: else for ever."""
    if settled.read is None or not settled.read.cut:
        return ()
    told = {number_of(each) for each in settled.read.records}
    rest = tuple(each for each in part.projects if each[0] not in told)
    return rest if len(rest) < len(part.projects) else ()


def _without(part: Part, rest: tuple[tuple[int, str], ...]) -> tuple[tuple[int, str], ...]:
    left = set(rest)
    return tuple(each for each in part.projects if each not in left)


def taken_of(part: Part, settled: Settled, more: FurtherReads | None = None) -> PartRead:
    """What is to be taken in of a part: a record of each of its projects, at the least a gap."""
    read = settled.read or PartRead()
    why = "the process that was to read it told nothing of it"
    if settled.read is None:
        why = f"it could not be read by any of the processes that tried: {settled.reason}"
    asked = dict(part.projects)
    # A gap without a project stays: something was lost, and nobody knows what.
    records = [
        read_alike(each, more) for each in read.records if (number_of(each) or 0) in {0, *asked}
    ]
    missing = asked.keys() - {number_of(each) for each in records}
    gaps = [Gap(why, number, asked[number]) for number in sorted(missing)]
    return replace(read, records=(*records, *gaps))


def read_alike(record: Record, more: FurtherReads | None) -> Record:
    """The record; a gap where whoever read it looked for other files than we would have.

    Its mapping files or its defaults for groups were others. The next pass reads it again.
    """
    if not isinstance(record, ProjectRead) or more is None or record.reads is None:
        return record
    roots = [file for file in record.files if not file.folder]
    if more.key(record.project, roots) == record.reads_key:
        return record
    why = (
        "it was read by a process with other mapping files, or other defaults for groups, than "
        "the one that leads; give all of them the same"
    )
    return Gap(why, record.project.id, record.project.path)


async def read_part(
    part: Part,
    scraper: Scraper,
    translator: Translator,
    model: ModelStore,
    more: FurtherReads | None,
) -> PartRead:
    """Read a part, and translate what is new of it; no more than `BYTES` allow, but some of it.

    Raises `SourceError`, `StoreError`.
    """
    only = tuple(number for number, _ in part.projects)
    records, requests, cut = await _read_some(part, scraper, only, more)
    marks = await model.marks(part.source, only)
    known = {number: set(files.values()) for number, (_, files) in marks.items()}
    records, new = await asyncio.to_thread(_new_last, records, known, translator)
    fitting = _fitting(new, first=not records)
    cut = cut or len(fitting) < len(new)
    texts = await texts_left(fitting, part.source, model)
    new = [with_texts(each, texts) for each in fitting]

    def made() -> dict[str, Translation]:
        made: dict[str, Translation] = {}
        for record in new:
            for file in record.files:
                mark = translator.fingerprint(record.project, file)
                if mark not in known.get(record.project.id, ()) and mark not in made:
                    made[mark] = translator.translate(record.project, file)
        return made

    return PartRead((*records, *new), await asyncio.to_thread(made), requests, cut)


async def _read_some(
    part: Part, scraper: Scraper, only: tuple[int, ...], more: FurtherReads | None
) -> tuple[list[Record], int, bool]:
    """The records of a part, what they cost, and whether that is not all."""
    request = ScrapeRequest(part.files, only=only, further=more, part=True, most=BYTES)
    records: list[Record] = []
    async with aclosing(cast(Any, scraper.scrape(request))) as found:
        async for record in found:
            if isinstance(record, ScrapeEnd):
                return records, record.requests, record.cut
            records.append(record)
    return records, 0, False


def _fitting(new: Sequence[ProjectRead], *, first: bool) -> list[ProjectRead]:
    """As many records as may be held with their texts; at least one where it is the `first`."""
    fitting: list[ProjectRead] = []
    size = 0
    for record in new:
        size += bytes_of(record, kept=True)
        if size > BYTES and (fitting or not first):
            break
        fitting.append(record)
    return fitting


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


async def _ended(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
