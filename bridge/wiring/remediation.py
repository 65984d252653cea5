"""Ox assigns the work: from settings, scores and the catalog to issues and merge requests."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.errors import ConfigurationError
from bridge.model.entities import Catalog, CatalogEntity, Json, Ref
from bridge.model.memory import Memory
from bridge.model.problems import Problem
from bridge.model.remediation import Case, IssueKey, Place, Proposal, RemediationRun
from bridge.model.scores import CheckState, Rubric, Scoreboard
from bridge.ox.remediation.closed_projects import closed_projects
from bridge.ox.remediation.drafts import Contact, load_drafts
from bridge.ox.remediation.planning import Policy
from bridge.ox.remediation.posting import Digesting, Webhook
from bridge.ox.remediation.proposals import (
    codeowners_proposal,
    manifest_proposal,
    runbook_proposal,
)
from bridge.ox.remediation.reconcile_issues import SnoozePolicy
from bridge.ox.remediation.registering import Registration
from bridge.ox.remediation.running import Remediator, Rules, Task
from bridge.ox.remediation.streaks import Breaker
from bridge.ox.scores.initiatives import promised
from bridge.passes.pipeline import Listener, Pass
from bridge.ports import Scraper
from bridge.processors.mapping import shipped_folder
from bridge.scrapers import GitLabScraper
from bridge.service.leadership import this_process
from bridge.settings import RemediationSettings, Settings
from bridge.store.store import SqlStore
from bridge.wiring import Wired
from bridge.wiring.clock import utc_now
from bridge.wiring.neighbours import secret, team_webhook, trust_of
from bridge.wiring.ox import initiatives_of, snyk_of

if TYPE_CHECKING:
    from bridge.ox.remediation.gitlab import GitLabIssues

TEMPLATES = "remediation"
# Projects without a manifest that are offered one in a run; the caps hold besides.
OFFERED = 200


@dataclass(frozen=True, slots=True)
class Known:
    """What the work is assigned from: the board, its rubric, the catalog and the projects.

    `promised` is what initiatives wait for, as (service, check).
    """

    board: Scoreboard
    rubric: Rubric
    catalog: Catalog
    memory: Memory
    promised: frozenset[tuple[Ref, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class Assignment:
    """Remediation of one GitLab; close it when done."""

    settings: RemediationSettings
    remediator: Remediator
    issues: GitLabIssues

    async def run(
        self,
        known: Known,
        *,
        apply: bool | None = None,
        baseline: bool = False,
        accepted: Collection[str] = (),
    ) -> RemediationRun | None:
        """Plan, and carry out what the settings (or `apply`) allow.

        None when another replica is at it. Raises `StoreError`.
        """
        settings = self.settings
        closed = closed_projects(known.memory)
        places = await asyncio.to_thread(places_of, known.catalog, known.memory)
        task = Task(
            known.board,
            {check.id: check for check in known.rubric.checks},
            places,
            accepted=accepted,
            baseline=baseline or settings.baseline,
            proposals=list(proposals(settings, known, places)),
            closed=closed,
            promised=known.promised,
        )
        rules = replace(
            self.remediator.rules, policy=lambda place: policy_of(settings, place, apply)
        )
        return await replace(self.remediator, rules=rules).run(task)

    async def close(self) -> None:
        """Close the connections; safe to call twice."""
        await self.issues.close()
        if self.remediator.registration is not None:
            await self.remediator.registration.snyk.api.close()


def assignment(settings: Settings, scraper: Scraper, store: SqlStore) -> Assignment | None:
    """Remediation as the settings want it; None where there is no GitLab or no token.

    Raises `ConfigurationError` with every problem of the templates.
    """
    token = secret(settings, "token")
    if not isinstance(scraper, GitLabScraper) or token is None:
        return None
    # python-gitlab takes a quarter of a second and 17 MB: for those who write to a GitLab.
    from bridge.ox.remediation.gitlab import GitLabIssues  # noqa: PLC0415

    wanted = settings.remediation
    contacts = {
        owner_ref(name): Contact(contact.assignee, contact.mention)
        for name, contact in wanted.owners.items()
    }
    days = max(1, round(wanted.snooze / 86_400))
    rules = Rules(
        policy=lambda place: policy_of(wanted, place, None),
        drafts=load_drafts(
            template_folders(settings.mappings),
            contacts=contacts,
            waive_label=wanted.waive_label,
            snooze_days=days,
        ),
        habits=SnoozePolicy(timedelta(seconds=wanted.snooze), wanted.waive_label),
        breaker=Breaker(wanted.breaker),
        label=wanted.label,
        per_run=wanted.per_run,
        settle=timedelta(seconds=wanted.settle),
    )
    # Of several groups there is no listing in one go: then everything that the token sees.
    one = "" if settings.gitlab.groups else scraper.name.removeprefix(scraper.base).strip("/")
    issues = GitLabIssues(
        scraper.base,
        token,
        label=wanted.label,
        group=one,
        bots=wanted.bots,
        trust=trust_of(settings),
    )
    snyk = snyk_of(settings) if settings.snyk.integration else None
    registration = None
    if snyk is not None:
        integration = settings.snyk.integration
        registration = Registration(snyk, integration, store.remediation, scraper.name)
    remediator = Remediator(
        scraper.name,
        store.remediation,
        store.lease,
        issues,
        rules,
        this_process(),
        utc_now,
        issues,
        registration,
    )
    return Assignment(wanted, remediator, issues)


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


def owner_ref(name: str) -> str:
    """An owner as the settings name one, as a reference."""
    try:
        return str(Ref.parse(name, kind="group"))
    except ValueError:
        return name


def policy_of(settings: RemediationSettings, place: Place, apply: bool | None) -> Policy:
    """What holds for a project: the longest group path that it lies under, else the section.

    `apply` (from the command line) replaces the section's; a group's own word stays.
    """
    path = place.project.lower()
    found = [name for name in settings.groups if path.startswith(f"{name.lower().strip('/')}/")]
    overall = settings.apply if apply is None else apply
    if not found:
        return Policy("", overall, settings.per_service, settings.per_run, settings.confidential)
    name = max(found, key=len)
    group = settings.groups[name]
    return Policy(
        name,
        (overall if group.apply is None else group.apply) and apply is not False,
        settings.per_service if group.per_service is None else group.per_service,
        settings.per_run if group.per_run is None else group.per_run,
        settings.confidential if group.confidential is None else group.confidential,
    )


def places_of(catalog: Catalog, memory: Memory) -> dict[Ref, Place]:
    """Where each entity's issues go: the project of its first origin."""
    found: dict[Ref, Place] = {}
    for entity in catalog.entities:
        if not entity.origins:
            continue
        origin = entity.origins[0]
        known = memory.projects.get(origin.project_id)
        found[entity.ref] = Place(
            origin.project_id,
            known.project.path if known else origin.project,
            str(entity.body["metadata"].get("title") or entity.ref.name),
            _owner(entity),
            known.project.web_url if known else "",
            known.project.default_branch if known else "",
        )
    return found


def _owner(entity: CatalogEntity) -> str:
    spec = entity.body.get("spec")
    owner = spec.get("owner") if isinstance(spec, Mapping) else None
    if not isinstance(owner, str):
        return ""
    try:
        return str(Ref.parse(owner, kind="group", namespace=entity.ref.namespace))
    except ValueError:
        return ""


def proposals(
    settings: RemediationSettings, known: Known, places: Mapping[Ref, Place]
) -> Iterator[Proposal]:
    """The merge requests that the settings ask for and the facts call for."""
    wanted = settings.merge_requests
    if "manifest" in wanted:
        yield from _manifests(known.memory, closed_projects(known.memory))
    contacts = {owner_ref(name): contact for name, contact in settings.owners.items()}
    services = Counter(places[ref].project_id for ref in known.board.scores if ref in places)
    for ref in sorted(known.board.scores):
        place = places.get(ref)
        if place is None or not place.default_branch:
            continue
        failing = _failing(known.board, ref)
        contact = contacts.get(place.owner)
        alone = services[place.project_id] == 1
        # Who owns which part of a shared repository is nothing that can be told from outside.
        codeowners = "codeowners" in wanted and "codeowners" in failing and alone
        if codeowners and contact is not None:
            made = codeowners_proposal(ref, place, contact.mention)
            if made is not None:
                yield made
        if "runbook" in wanted and "runbook" in failing:
            yield runbook_proposal(ref, place, alone=alone)


def _failing(board: Scoreboard, ref: Ref) -> set[str]:
    results = board.scores[ref].results
    return {result.check for result in results if result.state is CheckState.FAIL}


def _manifests(memory: Memory, closed: Collection[int]) -> Iterator[Proposal]:
    """One for each project that was read whole, has a default branch, and has no manifest."""
    described = {project_id for project_id, _ in memory.manifests}
    offered = 0
    for project_id, known in sorted(memory.projects.items()):
        project = known.project
        read = not (known.gap_since or known.left_out)
        bare = project_id not in described and read and project_id not in closed
        if bare and project.default_branch and offered < OFFERED:
            offered += 1
            yield manifest_proposal(project)


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

    async def digests(self) -> list[Json]:
        """The latest week's digests. Raises `StoreError`."""
        return await self.store.digests.latest(self.source)


def digesting(settings: Settings, source: str, store: SqlStore) -> Digesting | None:
    """The weekly digests, where the settings ask for them."""
    if not settings.remediation.digest:
        return None
    address, trusted = secret(settings, "digest_webhook"), trust_of(settings)
    webhook = Webhook(address, trust=trusted) if address is not None else None
    teams = {
        owner_ref(team): Webhook(team_webhook(settings, team), trust=trusted)
        for team in settings.team_webhooks
    }
    return Digesting(source, store.scores(), store.digests, webhook, utc_now, teams)


@asynccontextmanager
async def assigning(parts: Wired, settings: Settings) -> AsyncIterator[Listener | None]:
    """The step after scoring: remediation, then the digests; None where there is neither.

    Raises `ConfigurationError` with the problems of the templates.
    """
    source = parts.stages.scraper.name
    made = assignment(settings, parts.stages.scraper, parts.store)
    weekly = digesting(settings, source, parts.store)
    goals = initiatives_of(settings, parts.scores)
    wanted = made if settings.remediation.plan else None

    async def assign(done: Pass) -> None:
        board = parts.scores.board
        if board is None:
            return
        progress = await goals.progress()
        if wanted is not None:
            rubric = parts.scores.rubric
            known = await done.known()
            waited = promised(progress)
            await wanted.run(Known(board, rubric, known.catalog, known.memory, waited))
        if weekly is not None:
            await weekly.run(board, parts.facts.board.latest, progress)

    try:
        yield assign if wanted is not None or weekly is not None else None
    finally:
        if made is not None:
            await made.close()
