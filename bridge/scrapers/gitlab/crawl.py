"""One crawl: an enumeration fills a queue, readers empty it page by page, records come out.

Every failure turns into a gap inside its own task: a `TaskGroup` wraps what leaves one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from bridge.errors import SourceError, SourceRefused, StoreError
from bridge.model.scrape import (
    Gap,
    ProjectRead,
    ProjectSkipped,
    Record,
    ScrapeRequest,
    Unread,
    in_repositories,
    number_of,
)
from bridge.scrapers.gitlab.by_id import MOST, ById
from bridge.scrapers.gitlab.client import GitLabClient
from bridge.scrapers.gitlab.dialect import Dialect
from bridge.scrapers.gitlab.enumerate import Enumeration
from bridge.scrapers.gitlab.further import BATCH, BATCH_BYTES, FIRST_BATCH, FurtherReading
from bridge.scrapers.gitlab.further_asking import SPARE
from bridge.scrapers.gitlab.further_jobs import Job
from bridge.scrapers.gitlab.options import GitLabOptions
from bridge.scrapers.gitlab.pacing import Pacing, halves
from bridge.scrapers.gitlab.page_requests import PageRequests
from bridge.scrapers.gitlab.pages import ListedProject, ProjectsPage, SeenProject
from bridge.scrapers.gitlab.people import People
from bridge.scrapers.gitlab.trouble import Cause, Trouble

_WAITING = 2000  # projects listed and not yet read: more is back pressure on the listing
_RECORDS = 200  # records not yet taken: more is back pressure on the reading
_BEGUN = 200  # projects of which the store is asked at once what it knows
_ALONE = 3  # times that a lone project is asked when its answer is not whole


def _of_projects(request: ScrapeRequest) -> ScrapeRequest:
    """What is asked of projects alone: groups are no repositories, they have ids below zero."""
    return replace(
        request,
        files=in_repositories(request.files),
        only=tuple(number for number in request.only if number > 0),
        also=tuple(number for number in request.also if number > 0),
    )


class Crawl:
    """Carries out one `ScrapeRequest`; `records` gives what comes, then None."""

    def __init__(
        self,
        client: GitLabClient,
        options: GitLabOptions,
        request: ScrapeRequest,
        *,
        dialect: Dialect,
        anonymous: bool,
        on_progress: Callable[[int, int], None],
        now: Callable[[], datetime],
    ) -> None:
        self._selected = bool(request.only)
        # Groups are no repositories: they have ids below zero.
        self._groups_again = [-number for number in (*request.only, *request.also) if number < 0]
        request = _of_projects(request)
        self._everybody = options.people and request.since is None and not self._selected
        self._pages = PageRequests(
            client, options, request, dialect=dialect, anonymous=anonymous, now=now
        )
        self.records: asyncio.Queue[Record | None] = asyncio.Queue(_RECORDS)
        self._client = client
        self._options = options
        self._request = request
        self._on_progress = on_progress
        self._dialect = dialect
        sweeps = request.since is None and not self._selected
        self._pacing = Pacing(options.page_size, self._pages.largest, soon=sweeps)
        self._waiting: asyncio.Queue[int | None] = asyncio.Queue(_WAITING)
        # id → path, for a gap's words: "" once a project is done, of a million it counts.
        self._listed: dict[int, str] = {}
        # Ids of projects of which no list told whether they are forks.
        self._fork_untold: set[int] = set()
        # A page is read from one branch: "" stands for each project's default one.
        self._by_branch: dict[str, list[int]] = {}
        self._branch: dict[int, str] = {}
        self._taking = asyncio.Lock()
        self._all_listed = False
        self._exhausted = False
        self._done = 0
        self._read_any = False
        self._further = (
            FurtherReading(
                client,
                request.further,
                options.branch_of,
                self._pages.complexity,
                0 if request.part else SPARE,
            )
            if request.further is not None
            else None
        )
        self._reads: list[ProjectRead] = []  # of which it is not known whether to ask more
        self._many = FIRST_BATCH
        self._beginning = asyncio.Lock()
        self._completing: list[Job] = []
        self._batch = FIRST_BATCH
        self._parts = asyncio.Semaphore(options.concurrency)  # that are completed at once
        self._by_id = ById(client, options, len(request.only) or MOST + len(request.also))
        self._last_reason = ""

    async def run(self) -> None:
        """Do it all. Raises `SourceError` when the source refuses or gives nothing at all, and
        `StoreError` where requests are counted in a store that fails.
        """
        failure: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._enumerate())
                tasks.create_task(self._people())
                readers = [
                    tasks.create_task(self._reader(tasks)) for _ in range(self._options.concurrency)
                ]
                await asyncio.wait(readers)
                await self._begin(all_of_them=True)
                await self._complete(tasks, all_of_them=True)
        except* (SourceError, StoreError) as group:
            failure = _first(group)
        except* Exception as group:
            failure = group
        await self.records.put(None)
        if failure is not None:
            raise failure

    async def _people(self) -> None:
        """Groups and their members: all of them in a full sweep, else those in a gap."""
        people = People(self._client, self._options, self.records.put)
        if self._everybody:
            await people.everything()
        elif self._options.people:
            await people.again(self._groups_again)

    async def _enumerate(self) -> None:
        if self._selected:
            for project_id in dict.fromkeys(self._request.only):
                await self._take_unlisted(project_id)
        else:
            for group in self._places():
                enumeration = Enumeration(
                    self._client, self._options, group, self._take, self._dialect
                )
                if self._request.since is None:
                    await enumeration.everything()
                else:
                    await enumeration.changes(self._request.since)
            for project_id in dict.fromkeys(self._request.also):
                if project_id not in self._listed:
                    await self._take_unlisted(project_id)
        self._all_listed = True
        await self._waiting.put(None)

    def _places(self) -> tuple[str, ...]:
        """The groups to list, "" for the instance: only its list tells whose member one is."""
        return ("",) if self._options.membership else self._options.groups or ("",)

    async def _take(self, found: ListedProject | Gap) -> None:
        """Something that the enumeration gave: each project counts once."""
        if isinstance(found, Gap):
            await self.records.put(found)
            return
        project = found.project
        if project.id in self._listed:
            return
        self._listed[project.id] = project.path
        reason = self._options.reason_to_skip(project, forked=bool(found.forked))
        branch = self._options.branch_of(project.path)
        if found.forked is None:
            self._fork_untold.add(project.id)
        if reason:
            await self._give(ProjectSkipped(project, reason))
        elif self._request.listing:
            await self._give(Unread(project.id, project.path))
        elif branch:
            self._put_off(project.id, branch)
        else:
            await self._waiting.put(project.id)

    async def _take_unlisted(self, project_id: int) -> None:
        """A project that was asked for by its number."""
        self._listed[project_id] = ""
        self._fork_untold.add(project_id)
        await self._waiting.put(project_id)

    def _put_off(self, project_id: int, branch: str) -> None:
        """Read it from this branch, when the projects that need no branch are read."""
        self._branch[project_id] = branch
        self._by_branch.setdefault(branch, []).append(project_id)

    async def _reader(self, tasks: asyncio.TaskGroup) -> None:
        while ids := await self._next_page():
            await self._read(ids)
            await self._begin()
            await self._complete(tasks)

    async def _next_page(self) -> list[int]:
        """As many projects as one request may ask for now; empty when there are no more."""
        ids: list[int] = []
        async with self._taking:
            size = 1
            while not self._exhausted and len(ids) < size:
                project_id = await self._waiting.get()
                if project_id is None:
                    self._exhausted = True
                    break
                if not ids:  # who waits shows now
                    size = self._size(1 + self._waiting.qsize())
                ids.append(project_id)
        return ids or self._put_off_page()

    def _size(self, waiting: int) -> int:
        """How many of the projects that wait are asked about in the next request."""
        # A part is whole pages: to share them out among all readers would cost requests.
        ending = self._all_listed and not self._request.part
        return self._pacing.page(waiting, self._options.concurrency, ending=ending)

    def _put_off_page(self) -> list[int]:
        for branch, waiting in self._by_branch.items():
            if waiting:
                size = self._pacing.size
                self._by_branch[branch] = waiting[size:]
                return waiting[:size]
        return []

    async def _read(self, ids: Sequence[int]) -> None:
        """Read these projects, in smaller and smaller pages if need be."""
        if self._pacing.hopeless:
            await self._give_up(ids, f"GitLab kept failing in this pass: {self._last_reason}")
            return
        try:
            page = await self._ask(ids)
        except Trouble as trouble:
            self._failed(len(ids), trouble.reason)
            if trouble.cause is Cause.NOT_UNDERSTOOD and not self._read_any:
                raise SourceError(
                    f"GitLab at {self._client.base} could not be read: {trouble.reason}"
                ) from None
            if len(ids) == 1 or trouble.cause is Cause.NOT_UNDERSTOOD:
                await self._give_up(ids, trouble.reason)
                return
            for half in halves(ids):
                await self._read(half)
            return
        await self._give_page(page)
        if not page.unsure:
            self._pacing.succeeded(len(ids))
            return
        self._failed(len(ids), next(iter(page.unsure.values())))
        await self._read_again(list(page.unsure), len(ids))

    async def _read_again(self, ids: Sequence[int], asked: int) -> None:
        if len(ids) == 1:
            await self._read_alone(ids[0])
        elif len(ids) < asked:  # the others came: these are fewer now anyway
            await self._read(ids)
        else:
            for half in halves(ids):
                await self._read(half)

    async def _read_alone(self, project_id: int) -> None:
        """The last tries for a project whose answer was not whole."""
        reason = self._last_reason
        for _ in range(_ALONE):
            if self._pacing.hopeless:
                break
            try:
                page = await self._ask([project_id])
            except Trouble as trouble:
                reason = trouble.reason
                self._failed(1, reason)
                break
            await self._give_page(page)
            if project_id not in page.unsure:
                self._pacing.succeeded(1)
                return
            reason = page.unsure[project_id]
            self._failed(1, reason)
        await self._give_up([project_id], reason)

    async def _ask(self, ids: Sequence[int]) -> ProjectsPage:
        return await self._pages.ask(ids, self._branch.get(ids[0], ""))

    async def _give_page(self, page: ProjectsPage) -> None:
        for seen in page.seen:
            record = await self._record(seen)
            if isinstance(record, ProjectRead) and self._further is not None:
                self._reads.append(record)
            elif record is not None:
                await self._give(record)
        for project_id in page.missing:
            path = self._listed.get(project_id, "")
            await self._give(await self._by_id.left_out(project_id, path))

    async def _begin(self, *, all_of_them: bool = False) -> None:
        """Give the projects of which nothing more need be asked; the others wait for each other."""
        async with self._beginning:  # one after the other: what is begun is held in memory
            enough = len(self._reads) >= self._many or _bytes_of(self._reads) > BATCH_BYTES
            if self._further is None or not self._reads or not (enough or all_of_them):
                return
            part, self._reads = self._reads, []
            self._many = min(_BEGUN, 2 * self._many)
            done, left = await self._further.begin(part)
            self._completing += left
            for record in done:
                await self._give(record)

    async def _complete(self, tasks: asyncio.TaskGroup, *, all_of_them: bool = False) -> None:
        """Have read what else is wanted of the projects that wait for it, many at a time.

        Readers go on meanwhile, as long as not too many parts are under way.
        """
        if self._further is None:
            return
        while self._completing:
            waiting = self._completing
            enough = len(waiting) >= self._batch or _bytes_of(e.read for e in waiting) > BATCH_BYTES
            if not (enough or all_of_them):
                return
            part, self._completing = waiting[:BATCH], waiting[BATCH:]
            self._batch = min(BATCH, 2 * self._batch)
            await self._parts.acquire()
            tasks.create_task(self._complete_part(self._further, part))

    async def _complete_part(self, further: FurtherReading, part: Sequence[Job]) -> None:
        try:
            async for record in further.complete(part):
                await self._give(record)
        finally:
            self._parts.release()

    async def _record(self, seen: SeenProject) -> Record | None:
        """What is told of a project; None when it must be read again, from another branch."""
        self._read_any = True
        project = seen.project
        reason = self._options.reason_to_skip(project, forked=bool(seen.forked))
        if reason:
            return ProjectSkipped(project, reason)
        if isinstance(seen.record, Gap):
            return await self._by_id.without_code(project, seen.record)
        if self._pages.forks and seen.forked is None and project.id in self._fork_untold:
            return await self._by_id.unless_forked(seen.record)
        return self._of_its_branch(seen)

    def _of_its_branch(self, seen: SeenProject) -> Record | None:
        project = seen.project
        wanted, read = self._options.branch_of(project.path), self._branch.get(project.id)
        if wanted == (read or "") or not isinstance(seen.record, ProjectRead):
            return seen.record
        if read is not None:  # what its path asked for is no longer what it asks for
            return Gap("it was moved while it was read", project.id, project.path)
        self._put_off(project.id, wanted)
        return None

    async def _give_up(self, ids: Sequence[int], reason: str) -> None:
        for project_id in ids:
            await self._give(Gap(reason, project_id, self._listed.get(project_id, "")))

    async def _give(self, record: Record) -> None:
        self._done += 1
        if (number := number_of(record)) in self._listed:
            self._listed[number] = ""
        self._on_progress(len(self._listed), self._done)
        await self.records.put(record)

    def _failed(self, asked: int, reason: str) -> None:
        self._last_reason = reason
        self._pacing.failed(asked)


def _bytes_of(records: Iterable[ProjectRead]) -> int:
    """How much text the manifests of some records hold at most."""
    return sum(file.size for each in records for file in each.files if file.text is not None)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first plain error in a group of groups, the most telling kind first."""
    found: list[BaseException] = []
    pending: list[BaseException] = [group]
    while pending:
        error = pending.pop(0)
        if isinstance(error, BaseExceptionGroup):
            pending.extend(error.exceptions)
        else:
            found.append(error)
    return next((error for error in found if isinstance(error, SourceRefused)), found[0])
