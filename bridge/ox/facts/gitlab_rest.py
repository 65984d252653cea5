"""`gitlab_rest`: how a project guards its default branch. python-gitlab, in a few threads."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from bridge.language import links
from bridge.model.facts import FactSchema, Reading, Subject
from bridge.model.scrape import Project
from bridge.ox.facts.gitlab_answers import Busy, Unread
from bridge.ox.facts.readings import ReadingBuilder
from bridge.ox.facts.schemas import GITLAB_REST
from bridge.secret.live import Secret

if TYPE_CHECKING:
    from bridge.ox.facts.gitlab_client import Client

_TRIES: Final = 4  # times that a project is asked for while GitLab says "too many requests"
_LONGEST_WAIT: Final = 120.0
_NEEDS_ROLE: Final = "403 from GitLab: the token's role is too low to see the project's settings"
_UNLICENSED: Final = "this GitLab has no approval rules: they need GitLab Premium"
_EMPTY: Final = "the repository is empty: there is no default branch"
_OF_BRANCH: Final = (
    "default_branch_protected",
    "force_push_allowed",
    "code_owner_approval_required",
    "approvals_required",
)

Sleep = Callable[[float], Awaitable[None]]


class GitLabRestCollector:
    """Asks two or three questions a project, `concurrency` projects at a time.

    The token is sent to `base` only. `requests` counts what was sent.
    """

    def __init__(
        self,
        base: str,
        token: str | Secret | None,
        *,
        clock: Callable[[], datetime],
        concurrency: int = 4,
        timeout: float = 20.0,
        trust: ssl.SSLContext | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._base = base
        self._token = token
        self._timeout = timeout
        self._trust = trust
        self._concurrency = concurrency
        self._clients: list[Client] = []
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="gitlab-facts")
        self._calm = asyncio.Event()
        self._calm.set()

    def __repr__(self) -> str:
        return f"GitLabRestCollector({self._base!r})"

    @property
    def schema(self) -> FactSchema:
        """What it gives."""
        return GITLAB_REST

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return sum(client.requests for client in self._clients)

    async def collect(self, subjects: Sequence[Subject]) -> AsyncIterator[Reading]:
        """A reading for every subject with a project. Raises `SourceRefused` for a bad token."""
        await asyncio.to_thread(self._connect)
        waiting = iter([subject for subject in subjects if subject.project is not None])
        done: asyncio.Queue[Reading | None] = asyncio.Queue()

        async def work(client: Client) -> None:
            try:
                for subject in waiting:
                    done.put_nowait(await self._read(client, subject))
            finally:
                done.put_nowait(None)

        workers = [asyncio.create_task(work(client)) for client in self._clients]
        try:
            for _ in workers:
                while (reading := await done.get()) is not None:
                    yield reading
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    def _connect(self) -> None:
        """Make the connections, once."""
        # python-gitlab takes a quarter of a second and 17 MB: for those who ask for these facts.
        from bridge.ox.facts.gitlab_client import Client  # noqa: PLC0415

        while len(self._clients) < self._concurrency:
            self._clients.append(
                Client(self._base, self._token, self._timeout, self._clock, trust=self._trust)
            )

    async def close(self) -> None:
        """Close the connections; safe to call twice."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for client in self._clients:
            client.close()

    async def _read(self, client: Client, subject: Subject) -> Reading:
        loop = asyncio.get_running_loop()
        for _ in range(_TRIES):
            await self._calm.wait()
            try:
                return await loop.run_in_executor(
                    self._threads, read, client, subject, self._clock()
                )
            except Busy as busy:
                await self._wait(busy.seconds)
        notes = _notes(subject, self._clock())
        reason = f"429 from GitLab, {_TRIES} times: too many requests"
        notes.unknown(reason, *_OF_BRANCH, "runbook_present")
        return notes.reading()

    async def _wait(self, seconds: float) -> None:
        """Nobody asks on until GitLab said that it is fine."""
        self._calm.clear()
        try:
            await self._sleep(min(max(seconds, 1.0), _LONGEST_WAIT))
        finally:
            self._calm.set()


def read(client: Client, subject: Subject, now: datetime) -> Reading:
    """The facts of one entity; blocking. Raises `Busy` or `SourceRefused` and nothing else."""
    project = subject.project
    assert project is not None
    notes = _notes(subject, now)
    if project.default_branch:
        _branch(notes, client, project)
    else:
        notes.not_applicable(_EMPTY, *_OF_BRANCH)
    _runbook(notes, client, subject, project)
    return notes.reading()


def _notes(subject: Subject, now: datetime) -> ReadingBuilder:
    project = subject.project
    where = (project.web_url or project.path) if project is not None else ""
    return ReadingBuilder(GITLAB_REST, subject.ref, now, where)


def _branch(notes: ReadingBuilder, client: Client, project: Project) -> None:
    try:
        rows = client.rows(f"/projects/{project.id}/protected_branches")
    except Unread as unread:
        notes.unknown(_NEEDS_ROLE if unread.status == 403 else str(unread), *_OF_BRANCH)
        return
    covering = [row for row in rows if covers(str(row.get("name", "")), project.default_branch)]
    notes.known("default_branch_protected", bool(covering))
    # Of several rules that match, one that allows it is enough; for code owners, one that asks.
    forced = any(row.get("allow_force_push") is True for row in covering)
    notes.known("force_push_allowed", forced or not covering)
    if all("code_owner_approval_required" in row for row in rows):
        asked = any(row["code_owner_approval_required"] is True for row in covering)
        notes.known("code_owner_approval_required", asked)
    else:
        reason = "this GitLab has no code owner approval: it needs GitLab Premium"
        notes.not_applicable(reason, "code_owner_approval_required")
    _approvals(notes, client, project, protected=bool(covering))


def _approvals(notes: ReadingBuilder, client: Client, project: Project, *, protected: bool) -> None:
    name = "approvals_required"
    try:
        rows = client.rows(f"/projects/{project.id}/approval_rules")
    except Unread as unread:
        if unread.status == 404:  # the project itself was just there
            notes.not_applicable(_UNLICENSED, name)
        else:
            notes.unknown(_NEEDS_ROLE if unread.status == 403 else str(unread), name)
        return
    # One approval may count for several rules: the strictest rule is what is needed.
    needed = [
        int(row.get("approvals_required") or 0)
        for row in rows
        if _concerns(row, project.default_branch, protected=protected)
    ]
    notes.known(name, max(needed, default=0))


def _concerns(rule: Any, branch: str, *, protected: bool) -> bool:
    """Whether an approval rule holds for merge requests to a branch."""
    if rule.get("rule_type") == "report_approver":
        return False  # asks only when a scan finds something
    if rule.get("applies_to_all_protected_branches"):
        return protected
    named = [str(each.get("name", "")) for each in rule.get("protected_branches") or ()]
    return not named or any(covers(name, branch) for name in named)


def covers(pattern: str, branch: str) -> bool:
    """Whether a protected branch, or a pattern with `*`, covers a branch."""
    return fnmatchcase(branch, re.sub(r"([?\[])", r"[\1]", pattern))


def _runbook(notes: ReadingBuilder, client: Client, subject: Subject, project: Project) -> None:
    """A file of the project is looked at; another site's page is taken as it is linked."""
    name = "runbook_present"
    urls = [url for kind, url in links.links_of(subject.body) if kind == links.RUNBOOK]
    begin = f"{project.web_url}/-/blob/{quote(project.default_branch, safe='/')}/"
    reason = ""
    for url in urls[:5]:
        if not project.web_url or not url.startswith(begin):
            notes.known(name, True, source=url)
            return
        path = unquote(url.removeprefix(begin).partition("#")[0].partition("?")[0])
        at = f"/projects/{project.id}/repository/files/{quote(path, safe='')}"
        try:
            if client.size(at, project.default_branch) > 0:
                notes.known(name, True, source=url)
                return
        except Unread as unread:
            if unread.status != 404:
                reason = str(unread)
    if reason:
        notes.unknown(reason, name)
    else:
        notes.known(name, False)
