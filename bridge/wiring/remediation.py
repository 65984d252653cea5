"""Remediation from settings: the tracker, the drafts, the terms; notices and weekly digests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.errors import ConfigurationError
from bridge.model.entities import Json
from bridge.model.notices import Delivery, NoticeFilter, NoticeTally
from bridge.model.numbers import FIRST, mark_of
from bridge.model.problems import Problem
from bridge.model.remediation import Case, IssueKey, RemediationRun
from bridge.ox.after_pass import AfterPass
from bridge.ox.interfaces import NoticeChannel
from bridge.ox.notices.channels import BackstageChannel, WebhookChannel
from bridge.ox.notices.notifying import Notifier
from bridge.ox.notices.quiet_hours import QuietHours
from bridge.ox.remediation.assignment import Assignment, GroupPolicy, Terms
from bridge.ox.remediation.drafts import Contact, load_drafts
from bridge.ox.remediation.posting import Digesting, Webhook
from bridge.ox.remediation.reconcile_issues import SnoozePolicy
from bridge.ox.remediation.registering import Registration
from bridge.ox.remediation.rules import RemediatedSource, Rules
from bridge.ox.remediation.running import Remediator
from bridge.ox.remediation.situation import Policy
from bridge.ox.remediation.snyk_upkeep import SnykUpkeep
from bridge.ox.remediation.streaks import Breaker
from bridge.ports import Scraper
from bridge.processors.mapping import shipped_folder
from bridge.scrapers import GitLabScraper
from bridge.service.leadership import this_process
from bridge.settings import RemediationSettings, Settings
from bridge.settings.ox import RemediationGroup, group_named
from bridge.store.store import SqlStore
from bridge.wiring import Wired
from bridge.wiring.clock import utc_now
from bridge.wiring.neighbours import secret, team_webhook, trust_of
from bridge.wiring.owners import owner_ref
from bridge.wiring.ox import initiatives_of, snyk_of

if TYPE_CHECKING:
    from bridge.ox.remediation.by_source import IssuesBySource
    from bridge.ox.remediation.gitlab import GitLabIssues

TEMPLATES = "remediation"


def assignment(parts: Wired) -> Assignment | None:
    """Remediation as the settings want it; None where there is no GitLab or no token.

    In a further source without a token nothing is written. Raises `ConfigurationError` with every
    problem of the templates.
    """
    (settings, scraper), store = parts.sources[FIRST], parts.store
    if not isinstance(scraper, GitLabScraper) or secret(settings, "token") is None:
        return None
    terms = terms_of(settings.remediation)
    rules = _rules(settings, terms)
    issues = _tracker(parts.sources)
    site = RemediatedSource(
        scraper.name,
        store.remediation,
        store.lease,
        issues,
        rules,
        this_process(),
        utc_now,
        issues,
    )
    remediator = Remediator(
        site,
        _registration(settings, store, scraper.name),
        _upkeep(settings, store, scraper.name, issues),
    )
    return Assignment(terms, remediator, issues)


def _rules(settings: Settings, terms: Terms) -> Rules:
    """Raises `ConfigurationError` with every problem of the templates."""
    wanted = settings.remediation
    return Rules(
        policy=terms.policy,
        drafts=load_drafts(
            template_folders(settings.mappings),
            contacts=terms.contacts,
            waive_label=wanted.waive_label,
            snooze_days=max(1, round(wanted.snooze / 86_400)),
        ),
        habits=SnoozePolicy(timedelta(seconds=wanted.snooze), wanted.waive_label),
        breaker=Breaker(wanted.breaker),
        label=wanted.label,
        per_run=wanted.per_run,
        settle=timedelta(seconds=wanted.settle),
    )


def _registration(settings: Settings, store: SqlStore, source: str) -> Registration | None:
    """Imports into Snyk, if the settings want them."""
    integration = settings.snyk.integration
    snyk = snyk_of(settings) if integration else None
    if snyk is None:
        return None
    return Registration(snyk, integration, store.remediation, source)


def _upkeep(
    settings: Settings, store: SqlStore, source: str, issues: GitLabIssues | IssuesBySource
) -> SnykUpkeep | None:
    """Tags and deactivations in Snyk, as far as the settings want them."""
    wanted = settings.snyk
    snyk = snyk_of(settings) if wanted.tags or wanted.propose_deactivation else None
    if snyk is None:
        return None
    return SnykUpkeep(
        snyk,
        store.remediation,
        source,
        tags={str(what): key for what, key in wanted.tags.items()},
        proposes=wanted.propose_deactivation,
        deactivates=wanted.deactivate,
        per_run=wanted.per_run,
        closed=issues.closed,
    )


def _tracker(
    sources: Mapping[str, tuple[Settings, Scraper]],
) -> GitLabIssues | IssuesBySource:
    """Where issues are made: in the GitLab of each source."""
    found = {name: _issues(*source) for name, source in sources.items()}
    trackers = {name: each for name, each in found.items() if each is not None}
    if len(sources) == 1:
        return trackers[FIRST]
    # python-gitlab takes a quarter of a second and 17 MB: for those who write to a GitLab.
    from bridge.ox.remediation.by_source import IssuesBySource  # noqa: PLC0415

    without = {
        name: f"there is no token for the source {name}" for name in found if name not in trackers
    }
    return IssuesBySource(trackers, without)


def _issues(settings: Settings, scraper: Scraper) -> GitLabIssues | None:
    """The issues of one GitLab; None without a token."""
    from bridge.ox.remediation.gitlab import GitLabIssues  # noqa: PLC0415

    token, wanted = secret(settings, "token"), settings.remediation
    if not isinstance(scraper, GitLabScraper) or token is None:
        return None
    # Of several groups there is no listing in one go: then everything that the token sees.
    one = "" if settings.gitlab.groups else scraper.name.removeprefix(scraper.base).strip("/")
    return GitLabIssues(
        scraper.base,
        token,
        label=wanted.label,
        group=one,
        bots=wanted.bots,
        trust=trust_of(settings),
    )


def terms_of(settings: RemediationSettings) -> Terms:
    """What the settings say may be done, and where."""
    return Terms(
        Policy("", settings.apply, settings.per_service, settings.per_run, settings.confidential),
        {name: _group_policy(name, group) for name, group in settings.groups.items()},
        settings.baseline,
        settings.merge_requests,
        {
            owner_ref(name): Contact(contact.assignee, contact.mention)
            for name, contact in settings.owners.items()
        },
    )


def _group_policy(written: str, group: RemediationGroup) -> GroupPolicy:
    source, path = group_named(written)
    return GroupPolicy(path, mark_of(source), **group.model_dump())


def needed(made: Assignment | None) -> Assignment:
    """The assignment; raises `ConfigurationError` when there is none."""
    if made is None:
        message = (
            "remediation needs a GitLab (--from https://gitlab.example.com) and its token in the "
            "variable GITLAB_TOKEN"
        )
        raise ConfigurationError([Problem(message, "remediation-unavailable")])
    return made


def template_folders(mappings: Path | None) -> list[Path]:
    """Where templates are looked for: the user's folder first, the shipped one last."""
    shipped = shipped_folder() / TEMPLATES
    return [mappings / TEMPLATES, shipped] if mappings is not None else [shipped]


@dataclass(frozen=True, slots=True)
class Book:
    """What the API tells of remediation, read from the store."""

    source: str
    store: SqlStore

    async def cases(self) -> Mapping[IssueKey, Case]:
        """Every issue and merge request of ours. Raises `StoreError`."""
        return await self.store.remediation.cases(self.source)

    async def latest_run(self) -> RemediationRun | None:
        """The latest run's account. Raises `StoreError`."""
        return await self.store.remediation.latest_run(self.source)

    async def notices(self, limit: int, asked: NoticeFilter) -> list[Delivery]:
        """The newest notices that are asked for. Raises `StoreError`."""
        return await self.store.notices.latest(self.source, limit, asked)

    async def notice_tallies(self) -> list[NoticeTally]:
        """How many there are, by channel and state. Raises `StoreError`."""
        return await self.store.notices.tallies(self.source)

    async def digests(self) -> list[Json]:
        """The latest week's digests. Raises `StoreError`."""
        return await self.store.digests.latest(self.source)


def webhooks(settings: Settings) -> tuple[Webhook | None, dict[str, Webhook]]:
    """Where what is for a team goes: by team, and of all others."""
    address, trusted = secret(settings, "digest_webhook"), trust_of(settings)
    other = Webhook(address, trust=trusted) if address is not None else None
    teams = {
        owner_ref(team): Webhook(team_webhook(settings, team), trust=trusted)
        for team in settings.team_webhooks
    }
    return other, teams


def notifying(settings: Settings, source: str, store: SqlStore) -> Notifier | None:
    """What tells teams of news, where the settings ask for it and something leads to a team.

    Raises `ConfigurationError` where there is no way to anybody.
    """
    wanted = settings.notices
    if not wanted.send:
        return None
    channels = notice_channels(settings)
    return Notifier(
        source,
        store.notices,
        channels,
        utc_now,
        QuietHours.of(wanted.quiet, wanted.timezone),
        timedelta(seconds=wanted.apart),
        Breaker(settings.remediation.breaker),
    )


def notice_channels(settings: Settings) -> list[NoticeChannel]:
    """The ways to teams. Raises `ConfigurationError` where there is no way to anybody."""
    token = secret(settings, "backstage_token")
    other, teams = webhooks(settings)
    channels: list[NoticeChannel] = []
    if other is not None or teams:
        channels.append(WebhookChannel(teams, other, settings.public_url))
    if settings.notices.backstage:
        if token is None or not settings.backstage.url:
            message = "`notices.backstage` needs `backstage.url` and FESTER_BACKSTAGE_TOKEN"
            raise ConfigurationError([Problem(message, "setting-missing")])
        channels.append(
            BackstageChannel(
                settings.backstage.url, token, url=settings.public_url, trust=trust_of(settings)
            )
        )
    if not channels:
        message = (
            "`notices.send` is on, and nothing leads to a team: set FESTER_DIGEST_WEBHOOK, name "
            "teams in `remediation.webhooks`, or set `notices.backstage`"
        )
        raise ConfigurationError([Problem(message, "setting-missing")])
    return channels


def digesting(settings: Settings, source: str, store: SqlStore) -> Digesting | None:
    """The weekly digests, where the settings ask for them."""
    if not settings.remediation.digest:
        return None
    other, teams = webhooks(settings)
    return Digesting(source, store.scores(), store.digests, other, utc_now, teams)


@asynccontextmanager
async def remedied(parts: Wired, settings: Settings) -> AsyncIterator[AfterPass]:
    """What follows a pass, with remediation and the digests as far as the settings want them.

    Raises `ConfigurationError` with the problems of the templates.
    """
    made = assignment(parts)
    try:
        telling = notifying(settings, parts.source, parts.store)
    except ConfigurationError:
        if made is not None:
            await made.close()
        raise
    goals = initiatives_of(settings, parts.scores)
    try:
        yield replace(
            parts.after_pass,
            remediation=made if settings.remediation.plan else None,
            digests=digesting(settings, parts.source, parts.store),
            notices=telling,
            goals=goals,
        )
    finally:
        if made is not None:
            await made.close()
        if telling is not None:
            await telling.close()
