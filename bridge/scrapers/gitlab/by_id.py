"""What REST tells of one project by its id, where a page of many does not tell enough."""

from __future__ import annotations

from bridge.errors import SourceRefused
from bridge.model.scrape import Gap, Project, ProjectGone, ProjectRead, ProjectSkipped, Record
from bridge.scrapers.gitlab.client import GitLabClient
from bridge.scrapers.gitlab.options import GitLabOptions
from bridge.scrapers.gitlab.pages import NO_CODE, listed
from bridge.scrapers.gitlab.trouble import Cause, Trouble

MOST = 100  # questions of one kind that one crawl asks: more in one crawl are no single cases
NO_MEMBER = "the token's user is no member of it (`gitlab.membership` is on)"
NO_REPOSITORY = "its repository is switched off in GitLab"
# Nothing tells one from the other: GitLab hides what it does not show.
GONE = "GitLab answers 404 by its id: it was deleted, or this token is no longer shown it"


class ById:
    """Asks for single projects, at most `most` times for each kind of question."""

    def __init__(self, client: GitLabClient, options: GitLabOptions, most: int) -> None:
        self._client = client
        self._options = options
        self._vanished = self._hidden = most

    async def left_out(self, project_id: int, path: str) -> Record:
        """A project that was asked for and left out of the answer: is it gone, or unreadable?"""
        if self._vanished <= 0:
            reason = "listed, but left out of GitLab's answer like many others"
            return Gap(reason, project_id, path)
        self._vanished -= 1
        try:
            answer = await self._client.get(f"/projects/{project_id}", {})
            if self._options.membership and not await self._is_member(project_id):
                return ProjectSkipped(listed(answer.body).project, NO_MEMBER)
        except Trouble as trouble:
            if trouble.cause is Cause.NOT_THERE:
                return ProjectGone(project_id, GONE)
            return Gap(f"left out of GitLab's answer; by id: {trouble.reason}", project_id, path)
        except SourceRefused:
            return Gap("GitLab refuses it to this token by id", project_id, path)
        return Gap("GitLab has it, but leaves it out of its answer", project_id, path)

    async def without_code(self, project: Project, gap: Gap) -> Record:
        """A project whose code is not shown: to nobody, or only not to this token?"""
        if gap.reason != NO_CODE or self._hidden <= 0:
            return gap
        self._hidden -= 1
        try:
            answer = await self._client.get(f"/projects/{project.id}", {})
        except (Trouble, SourceRefused):
            return gap
        row = answer.body
        off = isinstance(row, dict) and row.get("repository_access_level") == "disabled"
        return ProjectSkipped(project, NO_REPOSITORY) if off else gap

    async def unless_forked(self, read: ProjectRead) -> Record:
        """A project that was read, unless it is a fork: before GitLab 16.9 only REST tells it."""
        if not read.files:
            return read
        try:
            answer = await self._client.get(f"/projects/{read.project.id}", {})
            forked = bool(listed(answer.body).forked)
        except Trouble as trouble:
            reason = f"this GitLab does not tell whether it is a fork; by id: {trouble.reason}"
            return Gap(reason, read.project.id, read.project.path)
        except SourceRefused:
            reason = "this GitLab does not tell whether it is a fork, and refuses it by id"
            return Gap(reason, read.project.id, read.project.path)
        reason = self._options.reason_to_skip(read.project, forked=forked)
        return ProjectSkipped(read.project, reason) if reason else read

    async def _is_member(self, project_id: int) -> bool:
        """Whether GitLab lists the project among those that the token's user is a member of."""
        around = {"id_after": str(project_id - 1), "id_before": str(project_id + 1)}
        answer = await self._client.get("/projects", {"membership": "true", **around})
        return bool(answer.body != [])
