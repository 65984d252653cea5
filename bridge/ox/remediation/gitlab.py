"""Issues and merge requests in GitLab through python-gitlab, in a bounded number of worker threads.

python-gitlab is synchronous. A client of its own for each thread, because a `requests.Session` is
not meant to be shared; no request that writes is ever repeated by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime
from typing import Any, TypeVar

import gitlab
import requests
from gitlab.exceptions import (
    GitlabAuthenticationError,
    GitlabError,
    GitlabGetError,
    GitlabHttpError,
    GitlabParsingError,
)

from bridge.errors import TrackerError, TrackerRefused, TrackerStopped, TrackerUnsure
from bridge.model.remediation import (
    IssueChange,
    Listing,
    NewIssue,
    Proposal,
    SeenIssue,
    SeenMergeRequest,
)
from bridge.ox.remediation.wording import obeyed_by_nobody, plain
from bridge.secret.masks import masked

THREADS = 4
TIMEOUT = 30.0
LOOKED_FOR = 500  # issues missing from a listing that are asked for one by one
AT_ONCE = 20  # of them; after the first that shows that the listing lies, no more are
PAGE = 100
# A listing that never ends must not fill the memory: 100,000 issues.
PAGES = 1000

Answer = TypeVar("Answer")


class _Client(gitlab.Gitlab):
    """A client for which a 429 is the run's end, not a thread's sleep of unknown length."""

    def http_request(self, *arguments: Any, **options: Any) -> requests.Response:
        """As the original, without waiting."""
        return super().http_request(*arguments, **{"obey_rate_limit": False, **options})


class GitLabIssues:
    """A `bridge.ports.IssueTracker`. `group` limits the listing to one group ("": everything)."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        label: str,
        group: str = "",
        threads: int = THREADS,
        timeout: float = TIMEOUT,
    ) -> None:
        self._label = label
        self._group = group
        self._bot = 0
        self._members: dict[tuple[int, str], int] = {}
        self._clients: asyncio.Queue[gitlab.Gitlab] = asyncio.Queue()
        for _ in range(threads):
            self._clients.put_nowait(
                _Client(
                    url,
                    private_token=token,
                    timeout=timeout,
                    per_page=PAGE,
                    retry_transient_errors=False,
                    user_agent="fester",
                )
            )

    async def close(self) -> None:
        """Close the connections; safe to call twice."""
        while not self._clients.empty():
            self._clients.get_nowait().session.close()

    async def merge_requests(self) -> list[SeenMergeRequest]:
        """All merge requests with our label, of whatever state. Raises `TrackerError`."""
        return await self._in_thread(self._list_requests)

    async def propose(self, proposal: Proposal, labels: Sequence[str]) -> SeenMergeRequest:
        """The branch with its file, and the merge request, as far as they are not there yet."""

        def make(client: gitlab.Gitlab) -> SeenMergeRequest:
            project = client.projects.get(proposal.key.project_id, lazy=True)
            found = project.mergerequests.list(
                source_branch=proposal.branch, state="all", per_page=1, page=1
            )
            if found:
                return _seen_request(found[0].attributes)
            if not _has_branch(project, proposal.branch):
                project.commits.create(_commit(proposal))
            body = {
                "source_branch": proposal.branch,
                "target_branch": proposal.target,
                "title": proposal.title,
                "description": obeyed_by_nobody(proposal.text),
                "labels": list(labels),
                "remove_source_branch": True,
            }
            return _seen_request(project.mergerequests.create(body).attributes)

        return await self._in_thread(make)

    def _list_requests(self, client: gitlab.Gitlab) -> list[SeenMergeRequest]:
        group = self._group
        source = (
            client.groups.get(group, lazy=True).mergerequests if group else client.mergerequests
        )
        asked = {**self._asked(client), "scope": "all"}
        return [_seen_request(row.attributes) for row in _every(source, asked)]

    async def listing(self, known: Collection[tuple[int, int]]) -> Listing:
        """All issues with our label; what is missing of `known` is asked for one by one."""
        try:
            issues = await self._in_thread(self._list)
        except TrackerError as error:
            return Listing(failure=str(error))
        listed = {(seen.project_id, seen.iid) for seen in issues}
        missing = sorted(set(known) - listed)
        if len(missing) > LOOKED_FOR:
            said = f"{len(missing)} of {len(set(known))} issues that are known are not in it"
            return Listing(tuple(issues), failure=said)
        return await self._completed(issues, missing)

    async def open(self, issue: NewIssue) -> SeenIssue:
        """Make an issue. Raises `TrackerError`."""
        assignee = await self._assignee(issue)

        def create(client: gitlab.Gitlab) -> SeenIssue:
            body: dict[str, Any] = {
                "title": issue.title,
                "description": issue.text,
                "labels": list(issue.labels),
            }
            if assignee:
                body["assignee_ids"] = [assignee]
            if issue.confidential:
                body["confidential"] = True
            made = client.projects.get(issue.project_id, lazy=True).issues.create(body)
            return self._seen(made.attributes)

        return await self._in_thread(create)

    async def change(self, change: IssueChange) -> SeenIssue:
        """Change texts, state or both, in one request. Raises `TrackerError`."""

        def update(client: gitlab.Gitlab) -> SeenIssue:
            body: dict[str, Any] = {}
            if change.title is not None:
                body["title"] = change.title
            if change.text is not None:
                body["description"] = change.text
            if change.state:
                body["state_event"] = change.state
            project = client.projects.get(change.project_id, lazy=True)
            return self._seen(dict(project.issues.update(change.iid, body)))

        return await self._in_thread(update)

    def _list(self, client: gitlab.Gitlab) -> list[SeenIssue]:
        issues = client.groups.get(self._group, lazy=True).issues if self._group else client.issues
        asked = {**self._asked(client), "scope": "all"}
        return [self._seen(row.attributes) for row in _every(issues, asked)]

    def _asked(self, client: gitlab.Gitlab) -> dict[str, Any]:
        return {
            "labels": [self._label],
            "author_id": self._own_id(client),
            "state": "all",
            "order_by": "created_at",
            "sort": "asc",
        }

    async def _completed(self, issues: list[SeenIssue], missing: list[tuple[int, int]]) -> Listing:
        """What the listing left out: gone, without our label, unreadable; or the listing lies."""
        absent: set[tuple[int, int]] = set()
        doubtful: dict[int, str] = {}
        for start in range(0, len(missing), AT_ONCE):
            part = missing[start : start + AT_ONCE]
            answers = await asyncio.gather(*(self._issue(*one) for one in part))
            for (project_id, iid), answer in zip(part, answers, strict=True):
                if isinstance(answer, SeenIssue):
                    issues.append(answer)
                elif _status(answer) == 404:
                    absent.add((project_id, iid))
                else:
                    doubtful[project_id] = f"issue {iid} could not be read: {answer}"
            found = [answer for answer in answers if isinstance(answer, SeenIssue)]
            left_out = sum(self._label in seen.labels for seen in found)
            if left_out:
                return Listing(tuple(issues), f"it left out {left_out} issues that are there")
        unseen = await self._explain(sorted({number for number, _ in absent}), doubtful)
        deleted = frozenset(one for one in absent if one[0] not in doubtful)
        return Listing(tuple(issues), "", deleted, doubtful, unseen)

    async def _issue(self, project_id: int, iid: int) -> SeenIssue | TrackerError:
        def get(client: gitlab.Gitlab) -> SeenIssue:
            found = client.projects.get(project_id, lazy=True).issues.get(iid)
            return self._seen(found.attributes)

        try:
            return await self._in_thread(get)
        except TrackerError as error:
            return error

    async def _explain(self, projects: list[int], doubtful: dict[int, str]) -> frozenset[int]:
        """Why issues of these projects are not found, other than that somebody deleted them.

        GitLab answers 404 also for a project that the token may not see, and where issues are
        switched off. Gives the projects that are not shown at all.
        """
        answers = await asyncio.gather(
            *(self._in_thread(_access(number)) for number in projects), return_exceptions=True
        )
        unseen: set[int] = set()
        for number, answer in zip(projects, answers, strict=True):
            if isinstance(answer, TrackerError):
                doubtful[number] = f"the project could not be read: {answer}"
                if _status(answer) == 404:
                    doubtful[number] = "GitLab does not show the project (any more)"
                    unseen.add(number)
            elif isinstance(answer, BaseException):
                raise answer
            elif answer:
                doubtful[number] = answer
        return frozenset(unseen)

    async def _assignee(self, issue: NewIssue) -> int:
        """The member's id; 0 when nobody is to be assigned or the name is no member's."""
        if not issue.assignee:
            return 0
        place = (issue.project_id, issue.assignee)
        if place not in self._members:

            def look(client: gitlab.Gitlab) -> int:
                members = client.projects.get(issue.project_id, lazy=True).members_all
                found = members.list(query=issue.assignee, per_page=PAGE, page=1)
                ids = [one.id for one in found if one.username == issue.assignee]
                return int(ids[0]) if ids else 0

            self._members[place] = await self._in_thread(look)
        return self._members[place]

    def _own_id(self, client: gitlab.Gitlab) -> int:
        if not self._bot:
            client.auth()
            self._bot = int(client.user.id) if client.user is not None else 0
        return self._bot

    def _seen(self, row: dict[str, Any]) -> SeenIssue:
        closer = row.get("closed_by") or {}
        author = row.get("author") or {}
        return SeenIssue(
            project_id=int(row["project_id"]),
            iid=int(row["iid"]),
            opened=row.get("state") == "opened",
            ours=bool(self._bot) and author.get("id") == self._bot,
            url=str(row.get("web_url") or ""),
            description=str(row.get("description") or ""),
            labels=tuple(str(label) for label in row.get("labels") or ()),
            closed_at=_moment(row.get("closed_at")),
            closed_by_us=closer.get("id") == self._bot if self._bot and closer else None,
            due=date.fromisoformat(row["due_date"]) if row.get("due_date") else None,
        )

    async def _in_thread(self, work: Callable[[gitlab.Gitlab], Answer]) -> Answer:
        async with self._client() as client:
            return await asyncio.to_thread(_explained, client, work)

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[gitlab.Gitlab]:
        client = await self._clients.get()
        try:
            yield client
        finally:
            self._clients.put_nowait(client)


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


def _every(source: Any, asked: dict[str, Any]) -> Iterator[Any]:
    """All rows of a list, page by page; bounded."""
    for page in range(1, PAGES + 1):
        rows = source.list(page=page, per_page=PAGE, **asked)
        yield from rows
        if len(rows) < PAGE:
            return
    raise TrackerRefused(f"more than {PAGE * PAGES} things carry our label")


def _has_branch(project: Any, name: str) -> bool:
    try:
        project.branches.get(name)
    except GitlabGetError as error:
        if error.response_code == 404:
            return False
        raise
    return True


def _commit(proposal: Proposal) -> dict[str, Any]:
    """One commit on a new branch; without `force`, so that nothing is ever overwritten."""
    create = {"action": "create", "file_path": proposal.file, "content": proposal.content}
    return {
        "branch": proposal.branch,
        "start_branch": proposal.target,
        "commit_message": proposal.title.removeprefix("Draft: "),
        "actions": [create],
    }


def _seen_request(row: dict[str, Any]) -> SeenMergeRequest:
    return SeenMergeRequest(
        int(row["project_id"]),
        int(row["iid"]),
        str(row.get("source_branch") or ""),
        str(row.get("state") or ""),
        str(row.get("web_url") or ""),
    )


class _Answered(TrackerRefused):
    """A refusal with its HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        self.status = status
        super().__init__(message)


def _status(error: TrackerError) -> int:
    return error.status if isinstance(error, _Answered) else 0


def _explained(client: gitlab.Gitlab, work: Callable[[gitlab.Gitlab], Answer]) -> Answer:
    """Do it; raise `TrackerError` with what happens next for whatever goes wrong."""
    try:
        return work(client)
    except (GitlabAuthenticationError, GitlabHttpError) as error:
        raise _by_status(error) from error
    except GitlabParsingError as error:
        raise TrackerUnsure(f"GitLab's answer was no JSON: {plain(masked(str(error)))}") from error
    except GitlabError as error:
        raise _by_status(error) from error
    except requests.RequestException as error:
        raise TrackerUnsure(f"GitLab did not answer: {type(error).__name__}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise TrackerUnsure(
            f"GitLab's answer was not understood: {plain(masked(str(error)))}"
        ) from error


def _by_status(error: GitlabError) -> TrackerError:
    status, said = int(error.response_code or 0), plain(masked(str(error.error_message or error)))
    if status == 429:
        return TrackerStopped("GitLab asks to wait (429); what is left is done in the next run")
    if status in (401, 403) and "insufficient_scope" in str(error.response_body):
        advice = "give GITLAB_TOKEN the scope `api`, or leave remediation plan-only"
        return TrackerStopped(f"the token may not write ({status}): {advice}")
    if status == 401:
        return TrackerStopped("GitLab refuses the token (401): check GITLAB_TOKEN")
    if 400 <= status < 500:
        return _Answered(f"GitLab refused ({status}): {said}", status)
    return TrackerUnsure(f"GitLab failed ({status or 'no status'}): {said}")


def _moment(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if isinstance(text, str) and text else None
