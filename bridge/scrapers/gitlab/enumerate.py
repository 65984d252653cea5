"""Which projects there are: id ranges side by side, a group page by page, or what changed."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from bridge.errors import SourceError
from bridge.model.scrape import Gap, Project
from bridge.scrapers.gitlab.client import GitLabClient
from bridge.scrapers.gitlab.dialect import Dialect
from bridge.scrapers.gitlab.options import GitLabOptions
from bridge.scrapers.gitlab.pages import ListedProject, group_page, listed
from bridge.scrapers.gitlab.queries import list_group
from bridge.scrapers.gitlab.trouble import Cause, Trouble

Emit = Callable[[ListedProject | Gap], Awaitable[None]]

PER_PAGE = 100
_LANES = 6  # id ranges read side by side; each one's last page brings little
_SKEW = timedelta(minutes=5)  # between our clock and GitLab's
# GitLab moves `last_activity_at` at most hourly and `updated_at` at most every five minutes.
_ACTIVITY_OVERLAP = timedelta(hours=1) + _SKEW
_UPDATE_OVERLAP = timedelta(minutes=5) + _SKEW
_MOVED: Mapping[str, Callable[[Project], datetime | None]] = {
    "last_activity_at": lambda project: project.last_activity_at,
    "updated_at": lambda project: project.updated_at,
}
_OFFSET_PAGES = 500  # offset paging ends at 50,000 rows
_CURSOR_PAGES = 100_000
_NEXT = re.compile(r'<([^<>]{1,4000})>\s*;\s*rel="?next"?')


class Enumeration:
    """Lists projects and hands each to `emit`; a lost page becomes a `Gap` without project id,
    so that nothing that was not seen is taken for deleted. `group` is a full path or "".
    """

    def __init__(
        self,
        client: GitLabClient,
        options: GitLabOptions,
        group: str,
        emit: Emit,
        dialect: Dialect,
    ) -> None:
        self._client = client
        self._options = options
        self._group = group
        self._emit = emit
        self._dialect = dialect
        self._size = PER_PAGE  # of a group's page: halved when GitLab cannot make one in time

    async def everything(self) -> None:
        """List all. Raises `SourceError` when not even the first page comes."""
        if self._group:
            await self._whole_group()
        else:
            await self._whole_instance()

    async def changes(self, since: datetime) -> None:
        """List what changed since, archived projects too: archiving is a change.

        Raises `SourceError` when not even the first page comes.
        """
        active = since.astimezone(UTC) - _ACTIVITY_OVERLAP
        updated = since.astimezone(UTC) - _UPDATE_OVERLAP
        if self._group:
            await self._by_offset("last_activity_at", active, first=True)
        else:
            await self._active_since(active)
        await self._by_offset("updated_at", updated)

    async def _whole_instance(self) -> None:
        """Every lane reads on until it sees a row at or above where the next one began.

        So each end is proved by a row that is there; an empty page proves nothing, for a proxy
        or a time-out may have emptied it.
        """
        params = self._params()
        if not self._options.archived:
            params["archived"] = "false"
        try:
            newest, _ = await self._rows(params | _keyset("desc"))
        except Trouble as trouble:
            raise self._unreadable(trouble) from None
        if not newest:
            # More often a token without any membership than a GitLab that lost everything.
            await self._lost("any projects", _NO_PROJECTS)
            return
        for found in newest:
            await self._emit(found)
        # What is created meanwhile lies above all lanes: it was not known, so it is not missed.
        top = min(found.project.id for found in newest)
        lanes = max(1, min(_LANES, self._options.concurrency, top // PER_PAGE))
        bounds = [top * lane // lanes for lane in range(lanes + 1)]
        async with asyncio.TaskGroup() as tasks:
            for low, high in itertools.pairwise(bounds):
                tasks.create_task(self._lane(params, max(0, low - 1), high))

    async def _lane(self, params: Mapping[str, str], after: int, until: int) -> None:
        """The projects with after < id < until, and some beyond."""
        while after < until:
            query = {**params, **_keyset("asc"), "id_after": str(after)}
            try:
                rows, link = await self._rows(query)
            except Trouble as trouble:
                await self._lost(f"projects with ids from {after + 1} to {until}", trouble)
                return
            follow = _furthest(rows, link)
            if not rows:
                last = follow if link else until
                what = f"projects with ids from {after + 1} to {last}"
                await self._lost(what, _EMPTIED)
            if follow <= after:
                return
            for found in rows:
                await self._emit(found)
            after = follow

    async def _active_since(self, active: datetime) -> None:
        """What was active since. Here an empty page is an end: unseen means unchanged."""
        params = {**self._params(), **_keyset("asc"), "last_activity_after": _iso(active)}
        after: int | None = None
        while True:
            try:
                query = params | {"id_after": str(after or 0)}
                rows, link = await self._page("/projects", query)
            except Trouble as trouble:
                if after is None:
                    raise self._unreadable(trouble) from None
                await self._lost(f"changed projects with ids above {after}", trouble)
                return
            if not rows and not link:
                return
            for found in rows:
                await self._emit(found)
            follow = _furthest(rows, link)
            if not rows or follow <= (after or 0):
                await self._lost(f"changed projects with ids above {after or 0}", _EMPTIED)
            if follow <= (after or 0):
                return
            after = follow

    async def _rows(self, query: Mapping[str, str]) -> tuple[list[ListedProject], str | None]:
        """A page that ought to have rows: an empty one is asked for again."""
        for _ in range(self._options.max_retries):
            rows, link = await self._page("/projects", query)
            if rows:
                return rows, link
        return await self._page("/projects", query)

    async def _whole_group(self) -> None:
        cursor: str | None = None
        found_any = False
        for number in range(_CURSOR_PAGES):
            try:
                page = await self._group_page(cursor)
            except Trouble as trouble:
                # REST may still list what GraphQL stumbles over. It pages by offset, so a project
                # deleted meanwhile hides another: the gap stays, and nothing unseen is deleted.
                await self._lost(f"projects of {self._group} after page {number}", trouble)
                await self._by_offset("id", None, first=number == 0)
                return
            if page is None:
                if number:
                    await self._lost(f"projects of {self._group}", _GROUP_VANISHED)
                    return
                raise SourceError(
                    f"{self._client.base} has no group {self._group!r} that this token may see; "
                    "check the path (a group's, not a project's or a user's) and "
                    f"{self._client.variable}"
                )
            for project in page.projects:
                await self._emit(ListedProject(project))
            found_any = found_any or bool(page.projects)
            if page.cursor is None:
                if not found_any:  # as for a whole instance: that proves no deletion
                    await self._lost(f"any projects of {self._group}", _NO_PROJECTS)
                return
            if page.cursor == cursor:
                await self._lost(f"projects of {self._group} after page {number}", _NO_PROGRESS)
                return
            cursor = page.cursor

    async def _group_page(self, cursor: str | None) -> Any:
        """One page; a partial answer is asked again, for it comes with status 200."""
        for _ in range(self._options.max_retries):
            try:
                return group_page(await self._asked_group(cursor))
            except Trouble as trouble:
                if trouble.cause in (Cause.NOT_UNDERSTOOD, Cause.NOT_THERE):
                    raise
                if trouble.cause in (Cause.HEAVY, Cause.SLOW, Cause.TOO_LARGE):
                    self._size = max(1, self._size // 2)
        return group_page(await self._asked_group(cursor))

    async def _asked_group(self, cursor: str | None) -> Any:
        variables = {"group": self._group, "first": self._size, "after": cursor}
        return await self._dialect.spoken(
            lambda lacks: self._client.graphql(list_group(lacks), variables, patient=True)
        )

    async def _by_offset(self, order: str, since: datetime | None, *, first: bool = False) -> None:
        """The highest first by `order`, until older than `since` if that is given.

        Offset paging: what moves up meanwhile is seen twice, never missed.
        """
        path = f"/groups/{quote(self._group, safe='')}/projects" if self._group else "/projects"
        params = self._params() | {"order_by": order, "sort": "desc", "per_page": str(PER_PAGE)}
        if since and not self._group:
            params["updated_after"] = _iso(since)  # works only with order_by=updated_at
        for number in range(1, _OFFSET_PAGES + 1):
            try:
                projects, link = await self._page(path, params | {"page": str(number)})
            except Trouble as trouble:
                if first and number == 1:
                    raise self._unreadable(trouble) from None
                await self._lost(f"projects by {order}, from page {number}", trouble)
                return
            for found in projects:
                if since and self._group and _older(_MOVED[order](found.project), since):
                    return
                await self._emit(found)
            if link is None or not projects:
                return
        await self._lost("projects beyond 50,000", _NO_PROGRESS)

    def _params(self) -> dict[str, str]:
        if self._group:
            return {"include_subgroups": "true", "with_shared": "false"}
        # The short form does not tell forks.
        params = {"simple": "true"} if self._options.forks else {}
        if self._options.membership:
            params["membership"] = "true"
        return params

    async def _page(
        self, path: str, params: Mapping[str, str]
    ) -> tuple[list[ListedProject], str | None]:
        """A page's projects and the address of the next one, if there is one."""
        answer = await self._client.get(path, params)
        if not isinstance(answer.body, list):
            raise Trouble(Cause.NOT_UNDERSTOOD, "the answer is no list; is this a GitLab?")
        found = _NEXT.search(answer.headers.get("Link") or "")
        return [listed(row) for row in answer.body], found[1] if found else None

    async def _lost(self, what: str, trouble: Trouble) -> None:
        await self._emit(Gap(f"{what} could not be listed: {trouble.reason}"))

    def _unreadable(self, trouble: Trouble) -> SourceError:
        return SourceError(
            f"GitLab at {self._client.base} could not be read: {trouble.reason}. Check the "
            "address, the network and GitLab's own state; nothing was changed"
        )


_NO_PROJECTS = Trouble(
    Cause.NOT_UNDERSTOOD,
    "GitLab lists none to this token. That is taken for a lack of permission, not for a "
    "deletion; check that the token's user is a member of the groups to read",
)
_EMPTIED = Trouble(Cause.NOT_UNDERSTOOD, "a page came empty although projects must follow")
_NO_PROGRESS = Trouble(Cause.NOT_UNDERSTOOD, "paging does not get any further")
_GROUP_VANISHED = Trouble(Cause.NOT_UNDERSTOOD, "the group vanished while it was read")


def _keyset(sort: str) -> dict[str, str]:
    return {"pagination": "keyset", "order_by": "id", "sort": sort, "per_page": str(PER_PAGE)}


def _furthest(rows: Sequence[ListedProject], link: str | None) -> int:
    """The last id of a page: of its rows, or as its link has it when there are none.

    The rest of the link is not followed: behind a proxy it may name an inner host.
    """
    if rows:
        return max(found.project.id for found in rows)
    return _id_after(link or "")


def _id_after(link: str) -> int:
    value = parse_qs(urlsplit(link).query).get("id_after", [""])[-1]
    return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else 0


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _older(moment: datetime | None, since: datetime) -> bool:
    """Whether GitLab's date-time lies before; one that is missing or odd does not."""
    return moment is not None and moment < since
