"""`gitlab_rest`: how a project guards its default branch, and what rides along.

A page of GraphQL tells it of fifty projects where the token's user is a Maintainer; of the others
REST tells it, two requests a project. python-gitlab, in a few threads.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote

from bridge.language import links
from bridge.language.links import LinkKind
from bridge.model.facts import FactSchema, Reading, Subject
from bridge.model.scrape import Project
from bridge.ox.facts import guards
from bridge.ox.facts.dependency_updates import UPDATE_FACTS, read_updates
from bridge.ox.facts.gitlab_answers import Busy, UnreadAnswer
from bridge.ox.facts.licences import Licence, Licences
from bridge.ox.facts.page_asking import PageAsking
from bridge.ox.facts.project_page import PAGE, PATHS, PageAnswer
from bridge.ox.facts.project_page_fields import RIDER_FACTS, read_riders
from bridge.ox.facts.project_texts import TEXT_FACTS, read_texts
from bridge.ox.facts.readings import ReadingBuilder
from bridge.ox.facts.schemas import GITLAB_REST
from bridge.secret.live import Secret

if TYPE_CHECKING:
    from bridge.ox.facts.gitlab_client import Client

_TRIES: Final = 4  # times that a project is asked for while GitLab says "too many requests"
_LONGEST_WAIT: Final = 120.0
_RUNBOOKS: Final = ("runbook_present", "runbooks_missing")
_ENOUGH: Final = "one runbook is there, and by REST no other is asked for"
_LINKS: Final = 5  # runbooks of a service that are looked at
_NEEDS_ROLE: Final = "403 from GitLab: the token's role is too low here, it needs Reporter"
_ROLE_OR_LICENCE: Final = (
    "403 from GitLab: the token's role is too low here (it needs Reporter), or the licence lacks "
    "it (it needs GitLab Premium)"
)
_EMPTY: Final = "the repository is empty: there is no default branch"
_RIDING: Final = (*RIDER_FACTS, *UPDATE_FACTS, *TEXT_FACTS)
_NOT_TOLD: Final = "GitLab did not tell it on the project's page"

Sleep = Callable[[float], Awaitable[None]]
Given = TypeVar("Given")
Got = TypeVar("Got")


@dataclass(frozen=True, slots=True)
class KnownOfRound:
    """What is known of one round: what pages told, why there are none, and licences."""

    told: Mapping[int, PageAnswer]
    closed: str
    licences: Licences


class GitLabRestCollector:
    """Asks for pages, and for what they do not tell by REST, `concurrency` questions at a time.

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
        self._lacks: frozenset[str] = frozenset()  # fields that this GitLab does not know
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
        wanted = [subject for subject in subjects if subject.project is not None]
        asking = PageAsking(self._lacks)
        told: dict[int, PageAnswer] = {}
        if not wanted:
            return
        first, *others = pages_of(wanted)
        # Alone, so that what this GitLab does not know is found out once.
        told |= await self._page(asking, self._clients[0], first)
        async for found in self._spread(others, partial(self._page, asking)):
            told |= found
        self._lacks = asking.lacks
        known = KnownOfRound(told, asking.closed, Licences(self._base))
        async for reading in self._spread(wanted, partial(self._read, known)):
            yield reading

    async def _spread(
        self, items: Iterable[Given], work: Callable[[Client, Given], Awaitable[Got]]
    ) -> AsyncIterator[Got]:
        """What comes of all items, in the order in which it comes; each client takes the next."""
        waiting = iter(items)
        done: asyncio.Queue[tuple[Got] | None] = asyncio.Queue()

        async def take(client: Client) -> None:
            try:
                for item in waiting:
                    done.put_nowait((await work(client, item),))
            finally:
                done.put_nowait(None)

        workers = [asyncio.create_task(take(client)) for client in self._clients]
        try:
            for _ in workers:
                while (got := await done.get()) is not None:
                    yield got[0]
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

    async def _page(
        self, asking: PageAsking, client: Client, page: tuple[Sequence[int], Sequence[str]]
    ) -> Mapping[int, PageAnswer]:
        found = await self._patiently(asking.ask, client, *page, self._clock())
        return found or {}

    async def _read(self, known: KnownOfRound, client: Client, subject: Subject) -> Reading:
        reading = await self._patiently(read, client, subject, self._clock(), known)
        if reading is not None:
            return reading
        notes = _notes(subject, self._clock())
        reason = f"429 from GitLab, {_TRIES} times: too many requests"
        notes.unknown(reason, *guards.OF_BRANCH, *_RUNBOOKS, *_RIDING)
        return notes.reading()

    async def _patiently(self, ask: Callable[..., Got], *arguments: Any) -> Got | None:
        """What a blocking question gives; None when GitLab says to wait each time."""
        loop = asyncio.get_running_loop()
        for _ in range(_TRIES):
            await self._calm.wait()
            try:
                return await loop.run_in_executor(self._threads, partial(ask, *arguments))
            except Busy as busy:
                await self._wait(busy.seconds)
        return None

    async def _wait(self, seconds: float) -> None:
        """Nobody asks on until GitLab said that it is fine."""
        self._calm.clear()
        try:
            await self._sleep(min(max(seconds, 1.0), _LONGEST_WAIT))
        finally:
            self._calm.set()


def pages_of(subjects: Sequence[Subject], size: int = PAGE) -> list[tuple[list[int], list[str]]]:
    """The projects of each page, and the files to look for in them: runbooks that are linked."""
    projects: dict[int, list[str]] = {}
    for subject in subjects:
        if subject.project is not None:
            projects.setdefault(subject.project.id, []).extend(_runbook_files(subject))
    numbers = list(projects)
    pages = []
    for start in range(0, len(numbers), size):
        ids = numbers[start : start + size]
        files = dict.fromkeys(path for number in ids for path in projects[number])
        pages.append((ids, list(files)[:PATHS]))
    return pages


def read(client: Client, subject: Subject, now: datetime, known: KnownOfRound) -> Reading:
    """The facts of one entity; blocking. Raises `Busy` or `SourceRefused` and nothing else."""
    project = subject.project
    assert project is not None
    notes = _notes(subject, now)
    told = known.told.get(project.id)
    branch = _branch_of(project, told)
    if branch:
        licence = known.licences.of(client, project, told)
        rules = _rules_of(told)
        if rules is not None:
            guards.by_branch_rules(notes, rules, branch, licence)
        else:
            _ask_rest(notes, client, project, branch, licence)
    else:
        notes.not_applicable(_EMPTY, *guards.OF_BRANCH)
    _runbook(notes, client, subject, project, told)
    if told is not None:
        read_riders(notes, told.node, told.failed, told.lacks)
        read_updates(notes, told.node, told.failed)
        read_texts(notes, subject, told.node, told.failed, asked=told.texts)
    elif known.closed:
        notes.not_applicable(known.closed, *_RIDING)
    else:
        notes.unknown(_NOT_TOLD, *_RIDING)
    return notes.reading()


def _branch_of(project: Project, told: PageAnswer | None) -> str:
    repository = told.node.get("repository") if told is not None else None
    return str((repository or {}).get("rootRef") or project.default_branch)


def _rules_of(told: PageAnswer | None) -> list[Any] | None:
    """A project's branch rules; None where an empty list may mean that they are not shown."""
    if told is None:
        return None
    rules = (told.node.get("branchRules") or {}).get("nodes")
    whole = (told.node.get("userPermissions") or {}).get("adminProject") is True
    return rules if rules or (whole and rules is not None) else None


def _notes(subject: Subject, now: datetime) -> ReadingBuilder:
    project = subject.project
    where = (project.web_url or project.path) if project is not None else ""
    return ReadingBuilder(GITLAB_REST, subject.ref, now, where)


def _ask_rest(
    notes: ReadingBuilder, client: Client, project: Project, branch: str, licence: Licence
) -> None:
    try:
        rows = client.rows(f"/projects/{project.id}/protected_branches")
    except UnreadAnswer as unread:
        reason = _NEEDS_ROLE if unread.status == 403 else str(unread)
        notes.unknown(reason, *guards.OF_BRANCH)
        if licence.lacks_approvals:
            guards.unlicensed(notes, licence)
        return
    protected = guards.by_protected_branches(notes, rows, branch, licence)
    if licence.lacks_approvals:
        guards.unlicensed(notes, licence)
        return
    try:
        rules = client.rows(f"/projects/{project.id}/approval_rules")
    except UnreadAnswer as unread:
        _no_approvals(notes, unread, licence)
    else:
        guards.by_approval_rules(notes, rules, branch, protected=protected)


def _no_approvals(notes: ReadingBuilder, unread: UnreadAnswer, licence: Licence) -> None:
    """Why approval rules were not given, although protected branches just were."""
    if unread.status == 404:  # the project itself was just there
        guards.unlicensed(notes, Licence.CE)
    elif unread.status == 403:
        reason = _NEEDS_ROLE if licence is Licence.PAID else _ROLE_OR_LICENCE
        notes.unknown(reason, guards.APPROVALS)
    else:
        notes.unknown(str(unread), guards.APPROVALS)


def _runbook_urls(subject: Subject) -> list[str]:
    found = links.links_of(subject.body)
    return [url for kind, url in found if kind == LinkKind.RUNBOOK][:_LINKS]


def _runbook_files(subject: Subject) -> list[str]:
    """The paths of linked runbooks that are files of the project itself."""
    project = subject.project
    assert project is not None
    paths = (_own_file(url, project) for url in _runbook_urls(subject))
    return [path for path in paths if path is not None]


def _own_file(url: str, project: Project) -> str | None:
    return links.own_file(url, project.web_url, project.default_branch)


def _runbook(
    notes: ReadingBuilder,
    client: Client,
    subject: Subject,
    project: Project,
    told: PageAnswer | None,
) -> None:
    """A file of the project is looked at; another site's page is taken as it is linked."""
    there, missing, reason, asked = "", [], "", True
    for url in _runbook_urls(subject):
        path = _own_file(url, project)
        if path is None:
            there = there or url
        elif there and not _told_of(path, told):
            asked = False  # a request for each would be too much
        else:
            try:
                size = _size(client, project, path, told)
            except UnreadAnswer as unread:
                if unread.status != 404:
                    reason = str(unread)
                    continue
                size = 0
            if size > 0:
                there = there or url
            else:
                missing.append(path)
    if there or not reason:
        notes.known("runbook_present", bool(there), source=there)
    else:
        notes.unknown(reason, "runbook_present")
    _missing(notes, missing if asked else None, reason)


def _missing(notes: ReadingBuilder, missing: list[str] | None, reason: str) -> None:
    """Note the runbooks that are missing; `reason` says why one could not be read."""
    if reason:
        notes.unknown(reason, "runbooks_missing")
    elif missing is None:
        notes.not_applicable(_ENOUGH, "runbooks_missing")
    else:
        notes.known("runbooks_missing", sorted(missing))


def _told_of(path: str, told: PageAnswer | None) -> bool:
    """Whether a page of GraphQL told of a file: it gives null for what is hidden, or failed."""
    repository = told.node.get("repository") if told is not None else None
    blobs = repository.get("blobs") if repository is not None else None
    return told is not None and blobs is not None and path in told.paths


def _size(client: Client, project: Project, path: str, told: PageAnswer | None) -> int:
    """A file's bytes, 0 without it.

    Raises `UnreadAnswer` as `Client.size`, `Busy` or `SourceRefused`.
    """
    if told is None or not _told_of(path, told):
        at = f"/projects/{project.id}/repository/files/{quote(path, safe='')}"
        return client.size(at, project.default_branch)
    sizes = [
        int(blob.get("size") or 0)
        for blob in told.node["repository"]["blobs"].get("nodes") or ()
        # A folder and a submodule are no files.
        if blob and blob.get("path") == path and str(blob.get("mode") or "").startswith("100")
    ]
    return max(sizes, default=0)
