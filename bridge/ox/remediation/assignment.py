"""What work is assigned: from scores, the catalog and the projects to issues and merge requests."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from bridge.model.entities import Catalog, CatalogEntity, Ref
from bridge.model.memory import Memory
from bridge.model.numbers import mark_in
from bridge.model.remediation import IssuePlace, RemediationRun
from bridge.model.scores import CheckState, Rubric, Scoreboard
from bridge.model.suggested_owner import LikelyOwners
from bridge.model.tracker import Proposal
from bridge.ox.facts.namesakes import namesakes
from bridge.ox.remediation.closed_projects import archived_places, closed_projects
from bridge.ox.remediation.drafts import Contact
from bridge.ox.remediation.proposals import (
    codeowners_proposal,
    manifest_proposal,
    runbook_proposal,
)
from bridge.ox.remediation.rules import Task
from bridge.ox.remediation.running import Remediator
from bridge.ox.remediation.situation import Policy

if TYPE_CHECKING:
    from bridge.ox.remediation.by_source import IssuesBySource
    from bridge.ox.remediation.gitlab import GitLabIssues

# Projects without a manifest that are offered one in a run; the caps hold besides.
OFFERED: Final = 200
# Many manifests make one of these together, so that no project is the one to write into.
SHARED: Final = ("system", "domain", "group", "user")


@dataclass(frozen=True, slots=True)
class Grounds:
    """What work is assigned from: the board, its rubric, the catalog and the projects.

    `promised` is what initiatives wait for, as (service, check).
    """

    board: Scoreboard
    rubric: Rubric
    catalog: Catalog
    memory: Memory
    promised: frozenset[tuple[Ref, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class GroupPolicy:
    """What holds for a group's projects instead of what holds for all; None: the same.

    The group at `path` is one of the GitLab whose numbers have the mark `gitlab`.
    """

    path: str
    gitlab: int = 0
    apply: bool | None = None
    per_service: int | None = None
    per_run: int | None = None
    confidential: bool | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What may be done, and where. `groups` are as people name them, `contacts` by the owner's
    reference.

    `merge_requests` names the kinds that are proposed: manifest, codeowners, runbook.
    """

    overall: Policy = field(default_factory=Policy)
    groups: Mapping[str, GroupPolicy] = field(default_factory=dict)
    baseline: bool = False
    merge_requests: Collection[str] = ()
    contacts: Mapping[str, Contact] = field(default_factory=dict)

    def policy(self, place: IssuePlace, apply: bool | None = None) -> Policy:
        """What holds for a project: the longest path of a group of its GitLab that it lies under,
        else for all.

        `apply` (from the command line) replaces what holds for all; a group's own word stays.
        """
        path, gitlab = place.project.lower(), mark_in(place.project_id)
        found = [
            (len(group.path), name)
            for name, group in self.groups.items()
            if group.gitlab == gitlab and path.startswith(f"{group.path.lower()}/")
        ]
        overall = self.overall if apply is None else replace(self.overall, applies=apply)
        if not found:
            return overall
        _, name = max(found)
        group = self.groups[name]
        return Policy(
            name,
            (overall.applies if group.apply is None else group.apply) and apply is not False,
            overall.per_service if group.per_service is None else group.per_service,
            overall.per_run if group.per_run is None else group.per_run,
            overall.confidential if group.confidential is None else group.confidential,
        )


@dataclass(frozen=True, slots=True)
class Assignment:
    """Remediation of one GitLab; close it when done."""

    terms: Terms
    remediator: Remediator
    issues: GitLabIssues | IssuesBySource

    async def run(
        self,
        grounds: Grounds,
        *,
        apply: bool | None = None,
        baseline: bool = False,
        accepted: Collection[str] = (),
    ) -> RemediationRun | None:
        """Plan, and carry out what the terms (or `apply`) allow.

        None when another replica is at it. Raises `StoreError`.
        """
        places = await asyncio.to_thread(places_of, grounds.catalog, grounds.memory)
        task = Task(
            grounds.board,
            {check.id: check for check in grounds.rubric.checks},
            places,
            accepted=accepted,
            baseline=baseline or self.terms.baseline,
            proposals=list(proposals(self.terms, grounds, places)),
            closed=closed_projects(grounds.memory),
            archived=archived_places(grounds.memory),
            promised=grounds.promised,
        )
        site = self.remediator.site
        rules = replace(site.rules, policy=lambda place: self.terms.policy(place, apply))
        return await replace(self.remediator, site=replace(site, rules=rules)).run(task)

    async def close(self) -> None:
        """Close the connections; safe to call twice."""
        await self.issues.close()
        for each in (self.remediator.registration, self.remediator.upkeep):
            if each is not None:
                await each.snyk.api.close()


def places_of(catalog: Catalog, memory: Memory) -> dict[Ref, IssuePlace]:
    """Where each entity's issues go: the project of its first origin, if it is one's alone."""
    found: dict[Ref, IssuePlace] = {}
    alike = namesakes(memory)
    for entity in catalog.entities:
        if not entity.origins or entity.ref.kind in SHARED:
            continue
        origin = entity.origins[0]
        known = memory.projects.get(origin.project_id)
        found[entity.ref] = IssuePlace(
            origin.project_id,
            known.project.path if known else origin.project,
            str(entity.body["metadata"].get("title") or entity.ref.name),
            _owner(entity),
            known.project.web_url if known else "",
            known.project.default_branch if known else "",
            _named(entity, "system", "system"),
            alike.get(origin.project_id, ()),
        )
    return found


def _owner(entity: CatalogEntity) -> str:
    return _named(entity, "owner", "group")


def _named(entity: CatalogEntity, field_name: str, kind: str) -> str:
    """The reference in a field of an entity's spec; "" where there is none."""
    spec = entity.body.get("spec")
    named = spec.get(field_name) if isinstance(spec, Mapping) else None
    if not isinstance(named, str):
        return ""
    try:
        return str(Ref.parse(named, kind=kind, namespace=entity.ref.namespace))
    except ValueError:
        return ""


def proposals(
    terms: Terms, grounds: Grounds, places: Mapping[Ref, IssuePlace]
) -> Iterator[Proposal]:
    """The merge requests that the terms ask for and the scores call for."""
    wanted, board = terms.merge_requests, grounds.board
    if "manifest" in wanted:
        yield from _manifests(grounds, closed_projects(grounds.memory))
    services = Counter(places[ref].project_id for ref in board.services if ref in places)
    for ref in sorted(board.services):
        place = places.get(ref)
        if place is None or not place.default_branch:
            continue
        failing = _failing(board, ref)
        contact = terms.contacts.get(place.owner)
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


def _manifests(grounds: Grounds, closed: Collection[int]) -> Iterator[Proposal]:
    """One for each project that was read whole, has a default branch, and has no manifest."""
    memory, likely = grounds.memory, LikelyOwners(grounds.catalog.entities)
    described = {project_id for project_id, _ in memory.manifests}
    offered = 0
    for project_id, known in sorted(memory.projects.items()):
        project = known.project
        read = not (known.gap_since or known.left_out)
        bare = project_id not in described and read and project_id not in closed
        if bare and project.default_branch and offered < OFFERED:
            offered += 1
            yield manifest_proposal(project, likely)
