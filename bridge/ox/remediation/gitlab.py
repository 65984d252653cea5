"""Issues and merge requests in GitLab: they are read, made and changed. By python-gitlab."""

from __future__ import annotations

import ssl
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import gitlab
from gitlab.exceptions import GitlabGetError

from bridge.errors import TrackerError
from bridge.model.tracker import (
    IssueChange,
    Listing,
    MergeRequestState,
    NewIssue,
    Proposal,
    SeenIssue,
    SeenMergeRequest,
)
from bridge.neighbours.gitlab_rest import PAGE
from bridge.ox.interfaces import NOWHERE
from bridge.ox.remediation.code_owner import with_code_owner
from bridge.ox.remediation.gitlab_clients import (
    THREADS,
    TIMEOUT,
    Clients,
    every,
    status_of,
)
from bridge.ox.remediation.gitlab_listing import NOT_SHOWN, IssueListing, asked, closed_of
from bridge.ox.remediation.harmless import obeyed_by_nobody
from bridge.secret.live import Secret

_NAME = 255  # characters of a user name


class GitLabIssues:
    """A `bridge.ox.interfaces.IssueTracker`. `group` limits the listing to one group ("": all).

    `bots` are user names of ours besides the token's own, such as that of a token before it.
    """

    def __init__(
        self,
        url: str,
        token: str | Secret,
        *,
        label: str,
        group: str = "",
        bots: Collection[str] = (),
        threads: int = THREADS,
        timeout: float = TIMEOUT,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._label = label
        self._group = group
        self._members: dict[tuple[int, str], int] = {}
        self._clients = Clients(url, token, threads=threads, timeout=timeout, trust=trust)
        self._issues = IssueListing(self._clients, label, group, bots)

    async def close(self) -> None:
        """Close the connections; safe to call twice."""
        await self._clients.close()

    async def merge_requests(self) -> list[SeenMergeRequest]:
        """All merge requests with our label, of whatever state. Raises `TrackerError`."""
        return await self._clients.run(self._list_requests)

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
                project.commits.create(_commit(with_code_owner(proposal, project)))
            body = {
                "source_branch": proposal.branch,
                "target_branch": proposal.target,
                "title": proposal.title,
                "description": obeyed_by_nobody(proposal.text),
                "labels": list(labels),
                "remove_source_branch": True,
            }
            return _seen_request(project.mergerequests.create(body).attributes)

        return await self._clients.run(make)

    def _list_requests(self, client: gitlab.Gitlab) -> list[SeenMergeRequest]:
        group = self._group
        source: Any = (
            client.groups.get(group, lazy=True).mergerequests if group else client.mergerequests
        )
        rows = every(source, {**asked(self._label), "scope": "all"})
        return [_seen_request(row) for row in rows]

    async def listing(
        self, known: Collection[tuple[int, int]], unsure: Mapping[int, datetime] = NOWHERE
    ) -> Listing:
        """All issues with our label; what is missing of `known` is asked for one by one."""
        return await self._issues.read(known, unsure)

    async def closed(self, project_id: int) -> str:
        """Why nothing may be written in a project now. Raises `TrackerError`."""
        try:
            return await self._clients.run(closed_of(project_id))
        except TrackerError as error:
            if status_of(error) == 404:
                return NOT_SHOWN
            raise

    async def labelled_by(self, project_id: int, iid: int, label: str) -> str:
        """Who put a label on an issue last. Raises `TrackerError`."""

        def look(client: gitlab.Gitlab) -> str:
            project = client.projects.get(project_id, lazy=True)
            events = every(project.issues.get(iid, lazy=True).resourcelabelevents, {})
            named = [e for e in events if (e.get("label") or {}).get("name") == label]
            last = max(named, key=lambda each: int(each.get("id") or 0), default=None)
            if last is None or last.get("action") != "add":
                return ""
            return str((last.get("user") or {}).get("username") or "")[:_NAME]

        return await self._clients.run(look)

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
            return self._issues.seen(made.attributes)

        return await self._clients.run(create)

    async def change(self, change: IssueChange) -> SeenIssue:
        """Change texts, state or both, in one request. Raises `TrackerError`."""

        def update(client: gitlab.Gitlab) -> SeenIssue:
            body: dict[str, Any] = {}
            if change.title is not None:
                body["title"] = change.title
            if change.text is not None:
                body["description"] = change.text
            if change.event is not None:
                body["state_event"] = change.event.value
            project = client.projects.get(change.project_id, lazy=True)
            return self._issues.seen(dict(project.issues.update(change.iid, body)))

        return await self._clients.run(update)

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

            self._members[place] = await self._clients.run(look)
        return self._members[place]


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
        _state(row.get("state")),
        str(row.get("web_url") or ""),
    )


def _state(given: Any) -> MergeRequestState:
    """The state that GitLab names; one that it may have some day is neither closed nor merged."""
    try:
        return MergeRequestState(given)
    except ValueError:
        return MergeRequestState.OPENED
