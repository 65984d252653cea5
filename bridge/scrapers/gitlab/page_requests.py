"""Asks for pages of projects, and for less where one cannot be had: manifests come first.

What Ox wants to know rides along while it fits, and is left out of a page that fails with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from bridge.model.scrape import ProjectRead, ScrapeRequest
from bridge.scrapers.bounds import USUAL_LIMIT
from bridge.scrapers.gitlab import queries
from bridge.scrapers.gitlab.client import GitLabClient
from bridge.scrapers.gitlab.dialect import Dialect
from bridge.scrapers.gitlab.observing import looked_up, not_observed
from bridge.scrapers.gitlab.options import GitLabOptions
from bridge.scrapers.gitlab.pages import ProjectsPage, SeenProject, files_there, read_page
from bridge.scrapers.gitlab.trouble import Cause, Trouble

_FURTHER = 20  # projects that one further question is about; each may name a path of its own
_OF_ONE_PROJECT = (Cause.TOO_LARGE, Cause.SLOW, Cause.HEAVY, Cause.BROKEN)


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What a page may hold: the `complexity` of a query, and the `largest` page within it.

    `usual` paths are looked for beside. `facts_left_out` says why Ox's facts do not ride along; ""
    while they do.
    """

    complexity: int
    largest: int
    usual: Sequence[str]
    facts_left_out: str


def _bounds(request: ScrapeRequest, options: GitLabOptions, *, anonymous: bool) -> _Bounds:
    """The bounds of pages that ask for a request's files: manifests come first, then facts."""
    files = request.files
    limit = queries.ANONYMOUS_COMPLEXITY_LIMIT if anonymous else queries.COMPLEXITY_LIMIT
    branch, page = bool(options.branches), max(1, options.page_size // 2)
    fit = queries.facts_fit(files, limit=limit, page=page, branch=branch)
    largest = queries.largest_page(files, limit=limit, branch=branch, forks=True, with_facts=fit)
    usual = request.further.usual[:USUAL_LIMIT] if request.further is not None else ()
    if fit and request.further is not None:
        # What larger pages have no room for would be asked apart, of each project once more.
        whole = partial(queries.facts_fit, files, limit=limit, branch=branch, tip=True, usual=usual)
        sizes = range(largest, options.page_size - 1, -1)
        largest = next((size for size in sizes if whole(page=size)), largest)
    why = "with so many manifest names it would make GitLab's pages less than half as large"
    return _Bounds(limit, largest, usual, "" if fit else why)


class PageRequests:
    """Asks for one crawl, for the files and on the terms of its `request`.

    `complexity` is what a query may cost, and `largest` the largest page within it. `forks` says
    whether it is asked which projects are forks.
    """

    def __init__(
        self,
        client: GitLabClient,
        options: GitLabOptions,
        request: ScrapeRequest,
        *,
        dialect: Dialect,
        anonymous: bool,
        now: Callable[[], datetime],
    ) -> None:
        self._client = client
        self._options = options
        self._request = request
        self._dialect = dialect
        self._now = now
        # Where a project was forked from is told only to who may read that one, too.
        self.forks = not options.forks
        bounds = _bounds(request, options, anonymous=anonymous)
        self.complexity, self.largest = bounds.complexity, bounds.largest
        self._facts_left_out = bounds.facts_left_out
        self._usual = bounds.usual

    async def ask(self, ids: Sequence[int], branch: str) -> ProjectsPage:
        """What these projects' `branch` tells ("" is each one's default one). Raises `Trouble`."""
        without = self._facts_left_out
        try:
            return await self._ask_once(ids, branch, without=without)
        except Trouble as trouble:
            if trouble.cause is Cause.NOT_UNDERSTOOD and not without:
                # An older GitLab may lack a field that only Ox wants.
                self._facts_left_out = f"this GitLab does not understand it ({trouble.reason})"
            elif len(ids) > 1 or trouble.cause not in _OF_ONE_PROJECT:
                raise
            elif trouble.cause is Cause.TOO_LARGE:
                # One project whose files are too large to be sent: their sizes alone will say so.
                return await self._ask_once(ids, branch, text=False, without=trouble.reason)
            elif without:
                raise
            # What Ox wants to know of one project must not cost its manifest.
            return await self._ask_once(ids, branch, without=self._facts_left_out or trouble.reason)

    async def _ask_once(
        self, ids: Sequence[int], branch: str, *, text: bool = True, without: str = ""
    ) -> ProjectsPage:
        """Ask for these projects; `without` says why Ox's facts are left out, "" asks for them."""
        tip = not without and self._tip_fits(len(ids), bool(branch))
        # Not without the last commit: it must be no later than what is told of the paths.
        usual = self._usual_of(len(ids)) if tip and not branch else ()

        def query(lacks: Collection[str]) -> str:
            return queries.read_projects(
                self._request.files,
                branch=bool(branch),
                text=text,
                forks=self.forks,
                with_facts=not without,
                tip=tip,
                usual=usual,
                membership=self._options.membership,
                lacks=lacks,
            )

        variables = {"ids": [queries.project_gid(n) for n in ids], "first": len(ids)}
        if branch:
            variables["branch"] = branch
        answer = await self._dialect.spoken(
            lambda lacks: self._client.graphql(query(lacks), variables, patient=len(ids) == 1)
        )
        if not without:
            lacks = self._dialect.lacks
            page = read_page(
                answer,
                ids,
                self._request.files,
                self._now(),
                branch=branch,
                lacks=lacks,
                usual=usual,
            )
            return await self._looked_further(page)
        page = read_page(answer, ids, self._request.files, branch=branch)
        return replace(page, seen=tuple(self._unobserved(seen, without) for seen in page.seen))

    def _tip_fits(self, page: int, branch: bool) -> bool:
        """Whether a page has room for the last commits, which spares the further reading a
        question. Pages are made smaller for them only as far as `_bounds` does."""
        files, limit = self._request.files, self.complexity
        return self._request.further is not None and queries.facts_fit(
            files, limit=limit, page=page, branch=branch, tip=True
        )

    def _usual_of(self, page: int) -> Sequence[str]:
        """The usual paths, where a page has room for them: they spare another question."""
        fit = queries.facts_fit(
            self._request.files, limit=self.complexity, page=page, tip=True, usual=self._usual
        )
        return self._usual if fit else ()

    async def _looked_further(self, page: ProjectsPage) -> ProjectsPage:
        """The page, with the files looked for that it could not tell of; mostly there are none."""
        there: dict[int, Collection[str]] = {}
        wanted = [seen for seen in page.seen if seen.look_for]
        for start in range(0, len(wanted), _FURTHER):
            there |= await self._files_there(wanted[start : start + _FURTHER])
        return replace(page, seen=tuple(_looked_up(seen, there) for seen in page.seen))

    async def _files_there(self, wanted: Sequence[SeenProject]) -> Mapping[int, Collection[str]]:
        """Which of the paths they look for these projects have; none is told of a failure."""
        paths = sorted({p for seen in wanted for ps in seen.look_for.values() for p in ps})
        variables = {
            "ids": [queries.project_gid(seen.project.id) for seen in wanted],
            "first": len(wanted),
            "paths": paths,
            "files": len(paths),
        }
        try:
            return files_there(await self._client.graphql(queries.FILES_THERE, variables))
        except Trouble:
            return {}  # the facts stay unknown

    def _unobserved(self, seen: SeenProject, why: str) -> SeenProject:
        if not isinstance(seen.record, ProjectRead):
            return seen
        told = not_observed(seen.project.id, self._now(), why)
        return replace(seen, record=replace(seen.record, observation=told))


def _looked_up(seen: SeenProject, there: Mapping[int, Collection[str]]) -> SeenProject:
    """A project with its observation completed by what it has of the paths asked for."""
    record, found = seen.record, there.get(seen.project.id)
    told = record.observation if isinstance(record, ProjectRead) else None
    if found is None or told is None or not isinstance(record, ProjectRead):
        return seen
    return replace(seen, record=replace(record, observation=looked_up(told, seen.look_for, found)))
