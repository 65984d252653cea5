"""One crawl: an enumeration fills a queue, readers empty it page by page, records come out.

Every failure turns into a gap inside its own task: a `TaskGroup` wraps what leaves one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from bridge.errors import SourceError, SourceRefused
from bridge.model.scrape import (
    Gap,
    ProjectGone,
    ProjectRead,
    ProjectSkipped,
    Record,
    ScrapeRequest,
)
from bridge.scrapers.gitlab import queries
from bridge.scrapers.gitlab.client import GitLabClient
from bridge.scrapers.gitlab.enumerate import Enumeration
from bridge.scrapers.gitlab.observing import not_observed
from bridge.scrapers.gitlab.options import GitLabOptions
from bridge.scrapers.gitlab.pacing import Pacing, halves
from bridge.scrapers.gitlab.pages import Listed, Page, Seen, listed, read_page
from bridge.scrapers.gitlab.trouble import Cause, Trouble

_WAITING = 2000  # projects listed and not yet read: more is back pressure on the listing
_RECORDS = 500  # records not yet taken: more is back pressure on the reading
_CONFIRMATIONS = 100  # projects that vanish during one crawl and are asked for by id
NO_MEMBER = "the token's user is no member of it (`gitlab.membership` is on)"
_ALONE = 3  # times that a lone project is asked when its answer is not whole


class Crawl:
    """Carries out one `ScrapeRequest`; `records` gives what comes, then None."""

    def __init__(
        self,
        client: GitLabClient,
        options: GitLabOptions,
        request: ScrapeRequest,
        *,
        anonymous: bool,
        on_progress: Callable[[int, int], None],
        now: Callable[[], datetime],
    ) -> None:
        limit = queries.ANONYMOUS_COMPLEXITY_LIMIT if anonymous else queries.COMPLEXITY_LIMIT
        # Why Ox's facts do not ride along; "" while they do. Manifests come first.
        self._facts_left_out = ""
        branch, page = bool(options.branches), options.page_size
        if not queries.facts_fit(request.files, limit=limit, page=page, branch=branch):
            self._facts_left_out = (
                "with so many manifest names it would make GitLab's pages smaller"
            )
        riding = not self._facts_left_out
        largest = queries.largest_page(
            request.files, limit=limit, branch=branch, forks=True, riding=riding
        )
        self.records: asyncio.Queue[Record | None] = asyncio.Queue(_RECORDS)
        self._client = client
        self._options = options
        self._request = request
        self._on_progress = on_progress
        self._now = now
        # An instance's own list tells forks, whatever GitLab's version; a group's does not.
        self._ask_forks = not options.forks and bool(options.groups or request.only or request.also)
        self._pacing = Pacing(options.page_size, largest)
        self._waiting: asyncio.Queue[int | None] = asyncio.Queue(_WAITING)
        self._listed: dict[int, str] = {}  # id → path, for a gap's words
        # A page is read from one branch: "" stands for each project's default one.
        self._by_branch: dict[str, list[int]] = {}
        self._branch: dict[int, str] = {}
        self._taking = asyncio.Lock()
        self._all_listed = False
        self._exhausted = False
        self._done = 0
        self._read_any = False
        self._confirmations = len(request.only) or _CONFIRMATIONS + len(request.also)
        self._last_reason = ""

    async def run(self) -> None:
        """Do it all. Raises `SourceError` when the source refuses or gives nothing at all."""
        failure: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._enumerate())
                for _ in range(self._options.concurrency):
                    tasks.create_task(self._reader())
        except* SourceError as group:
            failure = _first(group)
        except* Exception as group:
            failure = group
        await self.records.put(None)
        if failure is not None:
            raise failure

    async def _enumerate(self) -> None:
        if self._request.only:
            for project_id in dict.fromkeys(self._request.only):
                self._listed[project_id] = ""
                await self._waiting.put(project_id)
        else:
            for group in self._places():
                enumeration = Enumeration(self._client, self._options, group, self._take)
                if self._request.since is None:
                    await enumeration.everything()
                else:
                    await enumeration.changes(self._request.since)
            for project_id in dict.fromkeys(self._request.also):
                if project_id not in self._listed:
                    self._listed[project_id] = ""
                    await self._waiting.put(project_id)
        self._all_listed = True
        await self._waiting.put(None)

    def _places(self) -> tuple[str, ...]:
        """The groups to list, "" for the instance: only its list tells whose member one is."""
        return ("",) if self._options.membership else self._options.groups or ("",)

    async def _take(self, found: Listed | Gap) -> None:
        """Something that the enumeration gave: each project counts once."""
        if isinstance(found, Gap):
            await self.records.put(found)
            return
        project = found.project
        if project.id in self._listed:
            return
        self._listed[project.id] = project.path
        reason = self._options.reason_to_skip(project, forked=found.forked)
        branch = self._options.branch_of(project.path)
        if reason:
            await self._give(ProjectSkipped(project, reason))
        elif branch:
            self._put_off(project.id, branch)
        else:
            await self._waiting.put(project.id)

    def _put_off(self, project_id: int, branch: str) -> None:
        """Read it from this branch, when the projects that need no branch are read."""
        self._branch[project_id] = branch
        self._by_branch.setdefault(branch, []).append(project_id)

    async def _reader(self) -> None:
        while ids := await self._next_page():
            await self._read(ids)

    async def _next_page(self) -> list[int]:
        """As many projects as one request may ask for now; empty when there are no more."""
        ids: list[int] = []
        async with self._taking:
            left = self._waiting.qsize() if self._all_listed else None
            size = self._pacing.page(left, self._options.concurrency)
            while not self._exhausted and len(ids) < size:
                project_id = await self._waiting.get()
                if project_id is None:
                    self._exhausted = True
                else:
                    ids.append(project_id)
        return ids or self._put_off_page()

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

    async def _ask(self, ids: Sequence[int]) -> Page:
        without = self._facts_left_out
        try:
            return await self._ask_once(ids, without=without)
        except Trouble as trouble:
            if trouble.cause is Cause.NOT_UNDERSTOOD and not without:
                # An older GitLab may lack a field that only Ox wants.
                self._facts_left_out = f"this GitLab does not understand it ({trouble.reason})"
            elif len(ids) > 1 or trouble.cause not in (Cause.TOO_LARGE, Cause.SLOW, Cause.BROKEN):
                raise
            elif trouble.cause is Cause.TOO_LARGE:
                # One project whose files are too large to be sent: their sizes alone will say so.
                return await self._ask_once(ids, text=False, without=trouble.reason)
            elif without:
                raise
            # What Ox wants to know of one project must not cost its manifest.
            return await self._ask_once(ids, without=self._facts_left_out or trouble.reason)

    async def _ask_once(self, ids: Sequence[int], *, text: bool = True, without: str = "") -> Page:
        """Ask for these projects; `without` says why Ox's facts are left out, "" asks for them."""
        branch = self._branch.get(ids[0], "")
        query = queries.read_projects(
            self._request.files,
            branch=bool(branch),
            text=text,
            forks=self._ask_forks,
            riding=not without,
            membership=self._options.membership,
        )
        variables = {"ids": [queries.project_gid(n) for n in ids], "first": len(ids)}
        if branch:
            variables["branch"] = branch
        answer = await self._client.graphql(query, variables, patient=len(ids) == 1)
        if not without:
            return read_page(answer, ids, self._request.files, self._now(), branch=branch)
        page = read_page(answer, ids, self._request.files, branch=branch)
        return replace(page, seen=tuple(self._unobserved(seen, without) for seen in page.seen))

    def _unobserved(self, seen: Seen, why: str) -> Seen:
        if not isinstance(seen.record, ProjectRead):
            return seen
        told = not_observed(seen.project.id, self._now(), why)
        return replace(seen, record=replace(seen.record, observation=told))

    async def _give_page(self, page: Page) -> None:
        for seen in page.seen:
            record = self._record(seen)
            if record is not None:
                await self._give(record)
        for project_id in page.missing:
            await self._give(await self._confirm(project_id))

    def _record(self, seen: Seen) -> Record | None:
        """What is told of a project; None when it must be read again, from another branch."""
        self._read_any = True
        project = seen.project
        reason = self._options.reason_to_skip(project, forked=seen.forked)
        if reason:
            return ProjectSkipped(project, reason)
        wanted, read = self._options.branch_of(project.path), self._branch.get(project.id)
        if wanted == (read or "") or not isinstance(seen.record, ProjectRead):
            return seen.record
        if read is not None:  # what its path asked for is no longer what it asks for
            return Gap("it was moved while it was read", project.id, project.path)
        self._put_off(project.id, wanted)
        return None

    async def _confirm(self, project_id: int) -> Record:
        """A project that was asked for and left out of the answer: is it gone, or unreadable?"""
        path = self._listed.get(project_id, "")
        if self._confirmations <= 0:
            reason = "listed, but left out of GitLab's answer like many others"
            return Gap(reason, project_id, path)
        self._confirmations -= 1
        try:
            answer = await self._client.get(f"/projects/{project_id}", {})
            if self._options.membership and not await self._is_member(project_id):
                return ProjectSkipped(listed(answer.body).project, NO_MEMBER)
        except Trouble as trouble:
            if trouble.cause is Cause.NOT_THERE:
                return ProjectGone(project_id, "GitLab answers 404 by its id")
            return Gap(f"left out of GitLab's answer; by id: {trouble.reason}", project_id, path)
        except SourceRefused:
            return Gap("GitLab refuses it to this token by id", project_id, path)
        return Gap("GitLab has it, but leaves it out of its answer", project_id, path)

    async def _is_member(self, project_id: int) -> bool:
        """Whether GitLab lists the project among those that the token's user is a member of."""
        around = {"id_after": str(project_id - 1), "id_before": str(project_id + 1)}
        answer = await self._client.get("/projects", {"membership": "true", **around})
        return bool(answer.body != [])

    async def _give_up(self, ids: Sequence[int], reason: str) -> None:
        for project_id in ids:
            await self._give(Gap(reason, project_id, self._listed.get(project_id, "")))

    async def _give(self, record: Record) -> None:
        self._done += 1
        self._on_progress(len(self._listed), self._done)
        await self.records.put(record)

    def _failed(self, asked: int, reason: str) -> None:
        self._last_reason = reason
        self._pacing.failed(asked)


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
