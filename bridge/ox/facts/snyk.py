"""`snyk`: whether Snyk watches a project, and its open issues by severity and age.

What hangs on the registration is not applicable where there is none: a missing scanner fails the
registration check only. https://docs.snyk.io/snyk-api
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from yarl import URL

from bridge.model.fact_values import SET_LIMIT
from bridge.model.facts import FactDefinition, FactSchema, FactType, Reading, Subject
from bridge.model.vulnerabilities import AGES, BY_AGE, RETRIEVER, SEVERITIES, age_of
from bridge.ox.facts.json_api import PAGES, JsonApi, Unanswered, at, rows
from bridge.ox.facts.namesakes import elsewhere, same_place
from bridge.ox.facts.readings import ReadingBuilder
from bridge.ox.facts.schemas import DAY
from bridge.secret.live import Secret

BASE: Final = "https://api.snyk.io"
VERSION: Final = "2026-03-25"
BY_SEVERITY: Final = "issues_by_severity"
CRITICALS: Final = "critical_issues"
PROJECTS: Final = "projects"
WHERE: Final = "url"
OLD: Final = timedelta(days=30)
SIDE_BY_SIDE: Final = 4
LISTED: Final = 50  # critical issues that a fact names, the newest first
_TITLE: Final = 120
_NAME: Final = re.compile(r"(?P<path>[^:()]+?)(\((?P<branch>[^)]*)\))?(:.*)?")

SNYK: Final = FactSchema(
    id=RETRIEVER,
    version="1.2.0",
    title="What Snyk knows of the project",
    description="Whether the project is imported, and its open issues by severity and age.",
    facts=(
        FactDefinition("registered", FactType.BOOLEAN, "Snyk watches the project"),
        FactDefinition(
            "critical_older_than_30_days",
            FactType.INTEGER,
            "Open critical vulnerabilities that are older than 30 days",
        ),
        FactDefinition(BY_SEVERITY, FactType.OBJECT, "How many open issues of each severity"),
        FactDefinition(PROJECTS, FactType.SET, "Its projects in Snyk, as organization/id"),
        FactDefinition(WHERE, FactType.STRING, "Where Snyk shows it"),
        FactDefinition(
            BY_AGE,
            FactType.OBJECT,
            "Open issues of each severity by age: under a week, a month, a quarter, or older",
        ),
        FactDefinition(
            CRITICALS,
            FactType.OBJECT,
            "Open critical vulnerabilities by their keys in Snyk: title, and since when",
        ),
    ),
    cadence=DAY,
    entity_filter={"kind": "component"},
)
_HANGS_ON_IT: Final = ("critical_older_than_30_days", BY_SEVERITY, BY_AGE, CRITICALS)
_HAS: Final = (PROJECTS, WHERE)


@dataclass(frozen=True, slots=True)
class SnykIssue:
    """An open issue. `key` is Snyk's own, which is the same for every project that has it."""

    key: str
    title: str
    severity: str
    since: datetime


@dataclass(frozen=True, slots=True)
class SnykProject:
    """A project as Snyk has it: in which organization, and its id.

    `tags` are pairs of key and value, None where Snyk did not list them. `active` is whether Snyk
    says that it tests it. `address` is that of its repository, "" where Snyk did not say it.
    """

    org: str
    id: str
    tags: tuple[tuple[str, str], ...] | None = None
    active: bool = False
    address: str = ""


@dataclass(frozen=True, slots=True)
class SnykListing:
    """Snyk's projects by the path of the repository in GitLab; `failures` says by organization
    why it could not be listed, `slugs` how an address of Snyk's pages calls it, where it says so.
    `gitlabs` are the addresses of all GitLabs that are read, where there are several.
    """

    projects: Mapping[str, Sequence[SnykProject]]
    failures: Mapping[str, Unanswered]
    slugs: Mapping[str, str] = field(default_factory=dict)
    gitlabs: Sequence[str] = ()

    def of(
        self, path: str, page: str, others: Sequence[str]
    ) -> tuple[Sequence[SnykProject], Sequence[SnykProject]]:
        """What Snyk has of a project of GitLab, and what may be its own or another GitLab's.

        What Snyk calls a project says its path and not its GitLab. So the path counts where one
        GitLab alone has it; where `others` do (the pages of their projects) the address counts.
        What has none, or one that is no page of theirs, is nobody's. What lies in another GitLab
        is never its own, also where Fester knows no such project there.
        """
        found = [
            one
            for one in self.projects.get(path.lower(), ())
            if not elsewhere(one.address, page, self.gitlabs)
        ]
        if not others:
            return found, ()
        mine = [one for one in found if same_place(one.address, page)]
        unclear = [
            one
            for one in found
            if one not in mine and not any(same_place(one.address, other) for other in others)
        ]
        return mine, unclear


@dataclass(frozen=True, slots=True)
class ImportJob:
    """An import as Snyk tells of it: `imported` counts the files that it watches now."""

    pending: bool
    complete: bool
    imported: int


class Snyk:
    """Snyk's API as far as it is needed. Projects are imported into `org`, and read from all.

    `gitlabs` are the addresses of all GitLabs that are read, where there are several.
    """

    def __init__(
        self,
        org: str,
        token: str | Secret,
        *,
        others: Sequence[str] = (),
        gitlabs: Sequence[str] = (),
        base: str = BASE,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self.gitlabs = tuple(gitlabs)
        self.org = quote(org, safe="")
        self.orgs = tuple(dict.fromkeys(quote(each, safe="") for each in (org, *others)))
        self.api = JsonApi("Snyk", base, token, authorization="token {}", trust=trust)

    async def greet(self) -> None:
        """See that the organizations are there and the token opens them. Raises `Unanswered`."""
        for org in self.orgs:
            await self.api.get(f"/rest/orgs/{org}/projects", {"version": VERSION, "limit": "10"})

    async def whole_listing(self, *, addresses: bool) -> SnykListing:
        """As `listing`. Raises `Unanswered` when an organization could not be listed."""
        listing = await self.listing(addresses=addresses)
        for error in listing.failures.values():
            raise error
        return listing

    async def listing(self, *, addresses: bool) -> SnykListing:
        """What each organization has, as far as it can be listed.

        With the `addresses` of their repositories where paths alone do not tell them apart, and
        with several GitLabs always.
        https://docs.snyk.io/snyk-api/reference/projects
        """
        found: dict[str, list[SnykProject]] = defaultdict(list)
        failures: dict[str, Unanswered] = {}
        query = {"version": VERSION, "limit": "100"}
        if addresses or self.gitlabs:
            query["expand"] = "target"
        for org in self.orgs:
            try:
                listed = await self._all(f"/rest/orgs/{org}/projects", query)
            except Unanswered as error:
                failures[org] = error
                continue
            for row in listed:
                name = _NAME.fullmatch(str(at(row, "attributes", "name") or ""))
                if at(row, "attributes", "origin") == "gitlab" and name and row.get("id"):
                    active = at(row, "attributes", "status") == "active"
                    target = at(row, "relationships", "target", "data", "attributes", "url")
                    address = str(target or "")
                    mine = SnykProject(org, str(row["id"]), _tags(row), active, address)
                    found[name["path"].strip().lower()].append(mine)
        return SnykListing(found, failures, gitlabs=self.gitlabs)

    async def slug(self, org: str) -> str:
        """What an organization is called in addresses; "" when Snyk does not say."""
        try:
            tree = await self.api.get(f"/rest/orgs/{org}", {"version": VERSION})
        except Unanswered:
            return ""
        return str(at(tree, "data", "attributes", "slug") or "")

    async def open_issues(self, project: SnykProject) -> list[SnykIssue]:
        """A project's open issues that nobody ignores. Raises `Unanswered`."""
        query = {
            "version": VERSION,
            "limit": "100",
            "scan_item.type": "project",
            "scan_item.id": project.id,
            "status": "open",
        }
        issues = []
        for row in await self._all(f"/rest/orgs/{project.org}/issues", query):
            if at(row, "attributes", "ignored") is True:
                continue
            severity = str(at(row, "attributes", "effective_severity_level"))
            try:
                since = datetime.fromisoformat(str(at(row, "attributes", "created_at")))
            except ValueError:
                raise Unanswered("Snyk gave an issue without a date") from None
            if since.tzinfo is None:
                raise Unanswered("Snyk gave an issue whose date has no time zone")
            key = str(at(row, "attributes", "key") or row.get("id") or "")[:100]
            title = " ".join(str(at(row, "attributes", "title") or "").split())[:_TITLE]
            issues.append(SnykIssue(key, title, severity, since))
        return issues

    async def import_project(self, integration: str, project_id: int, branch: str) -> str:
        """Ask for an import; gives the address of Snyk's job. Raises `Unanswered`."""
        path = f"/v1/org/{self.org}/integrations/{quote(integration, safe='')}/import"
        target = {"target": {"id": project_id, "branch": branch}}
        return str(self.api.base.join(URL(await self.api.post(path, target))))

    async def tag(self, project: SnykProject, key: str, value: str) -> None:
        """Put one tag on a project; its others stay. Raises `Unanswered`.

        Of version 1 on purpose: REST's PATCH takes the whole list, and would take away what
        somebody else adds meanwhile. https://docs.snyk.io/snyk-api/reference/projects-v1
        """
        await self.api.command(f"{_v1(project)}/tags", {"key": key, "value": value})

    async def untag(self, project: SnykProject, key: str, value: str) -> None:
        """Take one tag off a project. Raises `Unanswered`."""
        await self.api.command(f"{_v1(project)}/tags/remove", {"key": key, "value": value})

    async def deactivate(self, project: SnykProject) -> None:
        """Stop Snyk's tests of a project; its history stays. Raises `Unanswered`.

        Of version 1, for REST has no such request. Snyk takes it of who may change a project's
        status: "Deactivate" in https://docs.snyk.io/snyk-api/reference/projects-v1, or
        https://snyk.docs.apiary.io/#reference/projects/deactivate-an-individual-project
        """
        await self.api.command(f"{_v1(project)}/deactivate", {})

    async def import_job(self, address: str) -> ImportJob:
        """What became of an import, by the address of its job. Raises `Unanswered`."""
        path = self.api.link(address)
        if path is None:
            raise Unanswered("Snyk gave no address of the import's job", 404)
        tree = await self.api.get(path)
        files = [file for log in rows(tree, "logs") for file in rows(log, "projects")]
        imported = sum(file.get("success") is True for file in files)
        status = tree.get("status")
        if status not in ("pending", "complete", "failed", "aborted"):
            raise Unanswered("Snyk gave an import a status that is not known")
        return ImportJob(status == "pending", status == "complete", imported)

    async def _all(self, path: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        tree = await self.api.get(path, query)
        found = rows(tree, "data")
        for _ in range(PAGES):
            following = at(tree, "links", "next")
            if isinstance(following, dict):
                following = following.get("href")
            link = self.api.link(following)
            if link is None:
                return found
            tree = await self.api.get(link)
            found += rows(tree, "data")
        raise Unanswered(f"Snyk's list goes on after {PAGES} pages")


def _v1(project: SnykProject) -> str:
    return f"/v1/org/{project.org}/project/{quote(project.id, safe='')}"


def _tags(row: Mapping[str, Any]) -> tuple[tuple[str, str], ...] | None:
    found = at(row, "attributes", "tags")
    if not isinstance(found, list):
        return None
    return tuple((str(at(tag, "key")), str(at(tag, "value"))) for tag in found)


class SnykCollector:
    """A `bridge.ports.FactCollector`: one listing of projects, then the issues of each."""

    def __init__(self, snyk: Snyk, clock: Callable[[], datetime]) -> None:
        self._snyk = snyk
        self._clock = clock

    @property
    def schema(self) -> FactSchema:
        """What it gives."""
        return SNYK

    async def collect(self, subjects: Sequence[Subject]) -> AsyncIterator[Reading]:
        """A reading a subject; what may be in an organization that cannot be listed is unknown."""
        addresses = any(subject.namesakes for subject in subjects)
        known = await self._snyk.listing(addresses=addresses)
        listed = [org for org in self._snyk.orgs if org not in known.failures]
        known = replace(known, slugs={org: await self._snyk.slug(org) for org in listed})
        for start in range(0, len(subjects), SIDE_BY_SIDE):
            part = subjects[start : start + SIDE_BY_SIDE]
            for reading in await asyncio.gather(*(self._read(one, known) for one in part)):
                yield reading

    async def close(self) -> None:
        """Close the connections; safe to call twice."""
        await self._snyk.api.close()

    def _notes(self, subject: Subject) -> ReadingBuilder:
        return ReadingBuilder(SNYK, subject.ref, self._clock(), str(self._snyk.api.base))

    def _url(self, project: SnykProject, slugs: Mapping[str, str]) -> str:
        """Snyk's page of a project; "" where its organization has no name in addresses."""
        slug, base = slugs.get(project.org, ""), self._snyk.api.base
        host = base.host or ""
        shown = f"app.{host.removeprefix('api.')}" if host.startswith("api.") else host
        where = base.with_host(shown).origin()
        return f"{where}/org/{quote(slug, safe='')}/project/{project.id}" if slug else ""

    async def _read(self, subject: Subject, known: SnykListing) -> Reading:
        notes = self._notes(subject)
        if subject.project is None:
            notes.not_applicable("no GitLab project", *(fact.name for fact in SNYK.facts))
            return notes.reading()
        project = subject.project
        found, unclear = known.of(project.path, project.web_url, subject.namesakes)
        missing = [f"{error} (organization {org})" for org, error in known.failures.items()]
        why = unclear_of(project.path) if unclear else "" if found else "; ".join(missing)
        if why:
            notes.unknown(why, *(fact.name for fact in SNYK.facts))
            return notes.reading()
        notes.known("registered", bool(found))
        if not found:
            notes.not_applicable("the project is not registered in Snyk", *_HAS, *_HANGS_ON_IT)
            return notes.reading()
        notes.known(PROJECTS, sorted(f"{one.org}/{one.id}" for one in found)[:SET_LIMIT])
        url = self._url(found[0], known.slugs)
        if url:
            notes.known(WHERE, url)
        else:
            notes.not_applicable("Snyk does not say where it shows the organization", WHERE)
        try:
            issues = [issue for one in found for issue in await self._snyk.open_issues(one)]
        except Unanswered as error:
            notes.unknown(str(error), *_HANGS_ON_IT)
            return notes.reading()
        limit = notes.seen_at - OLD
        critical = [issue for issue in issues if issue.severity == "critical"]
        old = sum(issue.since < limit for issue in critical)
        counts = {name: sum(issue.severity == name for issue in issues) for name in SEVERITIES}
        notes.known("critical_older_than_30_days", old)
        notes.all_known({BY_SEVERITY: counts, CRITICALS: _listed(critical)})
        notes.known(BY_AGE, _by_age(issues, notes.seen_at))
        return notes.reading()


def unclear_of(path: str) -> str:
    """Why a project of Snyk is nobody's, as a sentence part."""
    return f"several GitLabs have a project {path}, and Snyk does not say whose it watches"


def _by_age(issues: Sequence[SnykIssue], now: datetime) -> dict[str, dict[str, int]]:
    """How many of each severity are of each age."""
    counts = Counter((issue.severity, age_of(issue.since, now)) for issue in issues)
    return {name: {age: counts[name, age] for age in AGES} for name in SEVERITIES}


def _listed(critical: Sequence[SnykIssue]) -> dict[str, Any]:
    """The newest critical issues by key; of several with one key the oldest counts."""
    oldest: dict[str, SnykIssue] = {}
    for issue in sorted(critical, key=lambda each: each.since):
        oldest.setdefault(issue.key, issue)
    newest = sorted(oldest.values(), key=lambda each: (each.since, each.key), reverse=True)
    return {
        issue.key: {"title": issue.title, "since": issue.since.isoformat()}
        for issue in newest[:LISTED]
    }
