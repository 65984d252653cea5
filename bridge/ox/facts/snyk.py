"""`snyk`: whether Snyk watches a project, and its open issues by severity and age.

What hangs on the registration is not applicable where there is none: a missing scanner fails the
registration check only. https://docs.snyk.io/snyk-api
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from bridge.model.fact_values import SET_LIMIT
from bridge.model.facts import FactDefinition, FactSchema, FactType, Reading, Subject
from bridge.model.vulnerabilities import AGES, BY_AGE, RETRIEVER, SEVERITIES, age_of
from bridge.ox.facts.json_api import Unanswered
from bridge.ox.facts.readings import ReadingBuilder
from bridge.ox.facts.schemas import DAY
from bridge.ox.facts.snyk_client import Snyk, SnykIssue, SnykListing, SnykProject

BY_SEVERITY: Final = "issues_by_severity"
CRITICALS: Final = "critical_issues"
PROJECTS: Final = "projects"
WHERE: Final = "url"
OLD: Final = timedelta(days=30)
SIDE_BY_SIDE: Final = 4
LISTED: Final = 50  # critical issues that a fact names, the newest first

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
