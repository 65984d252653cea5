"""All issues of ours in one GitLab, whoever of our bot users wrote them, and what is missing.

What is odd about one project puts that project in doubt and no other. The list as a whole is in
doubt only when it is shown to be cut: it fails, gives fewer rows than it names, or none at all
although some are there.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Final

import gitlab

from bridge.errors import TrackerError
from bridge.model.moments import zoned_moment
from bridge.model.tracker import Listing, SeenIssue
from bridge.ox.remediation.closed_projects import why_closed
from bridge.ox.remediation.gitlab_clients import Clients, every, status_of
from bridge.ox.remediation.reconcile_issues import CLOCKS_APART

LOOKED_FOR: Final = 500  # issues missing from a list that are asked for one by one
AT_ONCE: Final = 20
MADE_SINCE: Final = 2_000  # issues of a project in which one that was made unheard is looked for
_PUT_OFF: Final = (
    f"its issues are not in GitLab's list, and only {LOOKED_FOR} are looked for in a run"
)
NOT_SHOWN: Final = "GitLab does not show the project (any more)"
# To whom GitLab gives the work of users that were deleted, ours and anybody's.
_GHOST: Final = re.compile(r"ghost\d*")

Row = dict[str, Any]
Place = tuple[int, int]  # a project's id and an issue's number in it


class IssueListing:
    """Reads the issues with our label. `bots` are names of users that are ours besides its own.

    An access token has a bot user of its own, so after its rotation the author is another one.
    Ours are the token's user, those named, and whoever wrote an issue that the store knows as
    ours; a marker alone proves nothing, since anybody can copy one.
    """

    def __init__(
        self, clients: Clients, label: str, group: str = "", bots: Collection[str] = ()
    ) -> None:
        self._clients = clients
        self._label = label
        self._group = group
        self._named = frozenset(name.lower().removeprefix("@") for name in bots)
        self._ids: set[int] = set()

    async def read(self, known: Collection[Place], unsure: Mapping[int, datetime]) -> Listing:
        """As `bridge.ox.interfaces.IssueTracker.listing`."""
        try:
            rows = await self._clients.run(self._listed)
        except TrackerError as error:
            return Listing(failure=str(error))
        found = {_place(row): row for row in rows}
        missing = sorted(set(known) - found.keys())
        if not found and len(missing) > LOOKED_FOR:
            return Listing(failure=f"{len(missing)} of {len(missing)} that are known are not in it")
        doubtful = {number: _PUT_OFF for number, _ in missing[LOOKED_FOR:]}
        listing = await self._completed(found, missing[:LOOKED_FOR], doubtful)
        self._learn(row for place, row in found.items() if place in set(known))
        await self._looked_up(unsure, found, doubtful)
        return replace(listing, issues=tuple(self.seen(row) for row in found.values()))

    def seen(self, row: Row) -> SeenIssue:
        """An issue as GitLab tells of it, judged by who is known to be ours now."""
        author, closer = row.get("author") or {}, row.get("closed_by") or {}
        return SeenIssue(
            project_id=int(row["project_id"]),
            iid=int(row["iid"]),
            opened=row.get("state") == "opened",
            ours=self._is_ours(author),
            url=str(row.get("web_url") or ""),
            description=str(row.get("description") or ""),
            labels=tuple(str(label) for label in row.get("labels") or ()),
            closed_at=zoned_moment(row.get("closed_at")),
            closed_by_us=None if not closer or _is_ghost(closer) else self._is_ours(closer),
            due=date.fromisoformat(row["due_date"]) if row.get("due_date") else None,
            title=str(row.get("title") or ""),
            author=str(author.get("username") or ""),
            orphan=_is_ghost(author),
            created_at=zoned_moment(row.get("created_at")),
        )

    def _listed(self, client: gitlab.Gitlab) -> list[Row]:
        self._know_itself(client)
        group = self._group
        source: Any = client.groups.get(group, lazy=True).issues if group else client.issues
        return every(source, {**asked(self._label), "scope": "all"})

    def _know_itself(self, client: gitlab.Gitlab) -> None:
        """Asked each time: a token may have been changed while Fester runs."""
        client.auth()
        if client.user is not None:
            self._ids.add(int(client.user.id))

    def _learn(self, rows: Iterable[Row]) -> None:
        """Who wrote an issue that we are known to have made is a bot user of ours, or was."""
        authors = (row.get("author") or {} for row in rows)
        self._ids |= {int(one["id"]) for one in authors if one.get("id") and not _is_ghost(one)}

    def _is_ours(self, user: Mapping[str, Any]) -> bool:
        named = str(user.get("username") or "").lower() in self._named
        return named or user.get("id") in self._ids

    async def _completed(
        self, found: dict[Place, Row], missing: Sequence[Place], doubtful: dict[int, str]
    ) -> Listing:
        """What the list left out: gone, without our label, unreadable; or the list lies."""
        listed, absent = bool(found), set()
        left_out: dict[int, list[int]] = defaultdict(list)
        for start in range(0, len(missing), AT_ONCE):
            part = missing[start : start + AT_ONCE]
            answers = await asyncio.gather(*(self._issue(*one) for one in part))
            for (project_id, iid), answer in zip(part, answers, strict=True):
                if not isinstance(answer, TrackerError):
                    found[project_id, iid] = answer
                    if self._label in answer.get("labels", ()):
                        left_out[project_id].append(iid)
                elif status_of(answer) == 404:
                    absent.add((project_id, iid))
                else:
                    doubtful[project_id] = f"issue {iid} could not be read: {answer}"
            if left_out and not listed:
                count = sum(map(len, left_out.values()))
                return Listing(failure=f"it left out {count} issues that are there")
        for project_id, iids in left_out.items():
            said = ", ".join(str(iid) for iid in iids[:5])
            doubtful[project_id] = f"GitLab's list leaves out issue {said}, which is there"
        unseen = await self._explain(sorted({number for number, _ in absent}), doubtful)
        deleted = frozenset(one for one in absent if one[0] not in doubtful)
        return Listing(deleted=deleted, doubtful=doubtful, unseen=unseen)

    async def _issue(self, project_id: int, iid: int) -> Row | TrackerError:
        def get(client: gitlab.Gitlab) -> Row:
            return dict(client.projects.get(project_id, lazy=True).issues.get(iid).attributes)

        try:
            return await self._clients.run(get)
        except TrackerError as error:
            return error

    async def _looked_up(
        self, unsure: Mapping[int, datetime], found: dict[Place, Row], doubtful: dict[int, str]
    ) -> None:
        """What may have been made unheard: by whom it is made counts, whatever it looks like."""
        for number, since in sorted(unsure.items()):
            try:
                rows = await self._clients.run(_made_in(number, since))
            except TrackerError as error:
                doubtful.setdefault(number, f"its issues could not be listed: {error}")
                continue
            for row in rows:
                author = row.get("author") or {}
                if self._is_ours(author) or _is_ghost(author):
                    found[_place(row)] = row

    async def _explain(self, projects: Sequence[int], doubtful: dict[int, str]) -> frozenset[int]:
        """Why issues of these projects are not found, other than that somebody deleted them.

        GitLab answers 404 also for a project that the token may not see, and where issues are
        switched off. Gives the projects that are not shown at all.
        """
        answers = await asyncio.gather(
            *(self._clients.run(_access(number)) for number in projects), return_exceptions=True
        )
        unseen: set[int] = set()
        for number, answer in zip(projects, answers, strict=True):
            if isinstance(answer, TrackerError):
                doubtful[number] = f"the project could not be read: {answer}"
                if status_of(answer) == 404:
                    doubtful[number] = NOT_SHOWN
                    unseen.add(number)
            elif isinstance(answer, BaseException):
                raise answer
            elif answer:
                doubtful[number] = answer
        return frozenset(unseen)


def asked(label: str) -> dict[str, Any]:
    """How issues and merge requests of ours are asked for.

    Lists over several projects hide those of archived projects by default, and a list by author
    hides what an earlier bot user of ours wrote.
    """
    return {
        "labels": [label],
        "state": "all",
        "order_by": "created_at",
        "sort": "asc",
        "non_archived": "false",
    }


def _made_in(project_id: int, since: datetime) -> Callable[[gitlab.Gitlab], list[Row]]:
    """Asks for all issues of a project that were made since then, with some patience for clocks."""
    window = {"created_after": (since - CLOCKS_APART).isoformat(), "state": "all", "scope": "all"}

    def look(client: gitlab.Gitlab) -> list[Row]:
        return every(client.projects.get(project_id, lazy=True).issues, window, most=MADE_SINCE)

    return look


def closed_of(project_id: int) -> Callable[[gitlab.Gitlab], str]:
    """Asks why nothing may be written in a project; "" when it may."""

    def look(client: gitlab.Gitlab) -> str:
        project = client.projects.get(project_id).attributes
        return why_closed(
            str(project.get("path_with_namespace") or ""),
            archived=project.get("archived") is True,
            marked=bool(project.get("marked_for_deletion_on")),
        )

    return look


def _access(project_id: int) -> Callable[[gitlab.Gitlab], str]:
    """Asks why the token might not see a project's issues; "" when it should."""

    def look(client: gitlab.Gitlab) -> str:
        project = client.projects.get(project_id).attributes
        level = project.get("issues_access_level", "enabled")
        if level == "disabled" or project.get("issues_enabled") is False:
            return "issues are switched off"
        mine = project.get("permissions") or {}
        if level == "private" and not (mine.get("project_access") or mine.get("group_access")):
            return "only members see its issues, and the token's user is none"
        return ""

    return look


def _place(row: Row) -> Place:
    return int(row["project_id"]), int(row["iid"])


def _is_ghost(user: Mapping[str, Any]) -> bool:
    return _GHOST.fullmatch(str(user.get("username") or "")) is not None
