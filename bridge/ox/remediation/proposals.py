"""Merge requests for what a machine can write without guessing. Pure.

One branch and one merge request a service and kind, for ever: what a person closed is not made
again, and what was merged is done.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from bridge.model.entities import Ref
from bridge.model.numbers import mark_in
from bridge.model.remediation import Action, ActionKind, Case, CaseStatus, IssueKey, IssuePlace
from bridge.model.scrape import Project
from bridge.model.suggested_owner import LikelyOwners, SuggestedOwner
from bridge.model.tracker import MergeRequestState, Proposal, SeenMergeRequest
from bridge.ox.remediation.harmless import plain, quoted, titled

KINDS: Final = ("manifest", "codeowners", "runbook")
MANIFEST: Final = "qm.yaml"
CODEOWNERS: Final = "CODEOWNERS"
RUNBOOK: Final = "docs/runbook.md"
_HANDLE: Final = re.compile(r"@[\w][\w./-]*")
_FOOT: Final = (
    "\n\nFester made this once. If you close it, it is not made again; the branch is yours to "
    "change or to delete."
)


def manifest_proposal(project: Project, likely: LikelyOwners) -> Proposal:
    """A draft of `qm.yaml` from what GitLab knows of a project that has no manifest.

    The owner is a guess: whom CODEOWNERS names, if we know that team, else whom the catalog tells.
    """
    gitlab = mark_in(project.id)
    owner = likely.of(project.path, gitlab)

    def by_code_owners(handles: Sequence[str], file: str) -> str:
        return _manifest(project, likely.named(handles, file, gitlab) or owner)

    text = (
        f"{quoted(project.path)} is not in the software catalog, because it has no manifest. This "
        f"draft says what GitLab knows. Check the owner, add tier, system and links, and mark it "
        f"as ready.{_FOOT}"
    )
    return Proposal(
        IssueKey.merge_request(project.id, "manifest"),
        project.path,
        "ox/manifest",
        project.default_branch,
        MANIFEST,
        _manifest(project, owner),
        f"Draft: Describe {titled(project.name, 80)} in {MANIFEST}",
        text,
        "it has no manifest",
        by_code_owners=by_code_owners,
    )


def _manifest(project: Project, owner: SuggestedOwner | None) -> str:
    team = project.path.rpartition("/")[0].rpartition("/")[2] or project.path
    why = "The group that the project lies in; change it if the team goes by another name."
    if owner is not None:
        team, why = owner.team, f"A guess: {plain(owner.reason, 300)}."
    lines = [
        "version: 1",
        "service:",
        f"  name: {_yaml(project.name)}",
    ]
    if project.description:
        lines.append(f"  description: {_yaml(plain(project.description, 300))}")
    lines += [
        "  owner:",
        f"    # {why}",
        f"    team: {_yaml(team)}",
    ]
    if project.topics:
        lines.append(f"  tags: [{', '.join(_yaml(topic) for topic in project.topics[:20])}]")
    return "\n".join(lines) + "\n"


def codeowners_proposal(ref: Ref, place: IssuePlace, handle: str) -> Proposal | None:
    """CODEOWNERS with the team's name in GitLab; None when `handle` is no such name."""
    if not _HANDLE.fullmatch(handle):
        return None
    text = (
        f"{quoted(place.title or ref.name)} belongs to {quoted(place.owner)}, says its manifest. "
        f"With this file GitLab asks them to review what changes.{_FOOT}"
    )
    return Proposal(
        IssueKey.merge_request(place.project_id, "codeowners", ref),
        place.project,
        f"ox/codeowners-{_segment(ref.name)}",
        place.default_branch,
        CODEOWNERS,
        f"# Made from the manifest's owner by Fester.\n* {handle}\n",
        f"Draft: Name the code owners of {titled(place.title or ref.name, 80)}",
        text,
        "there is no CODEOWNERS file, and the manifest names the team",
        "codeowners",
    )


def runbook_proposal(ref: Ref, place: IssuePlace, *, alone: bool = True) -> Proposal:
    """A runbook's skeleton: questions that only the team can answer.

    In a project of several services (not `alone`) its file is named after the service.
    """
    file = RUNBOOK if alone else f"docs/runbook-{_segment(ref.name)}.md"
    name = plain(place.title or ref.name, 80).replace("`", "'")
    content = (
        f"# When `{name}` is down\n\n"
        "## How do I see that it is down?\n\n"
        "<!-- Dashboards, alerts, the page that users see. -->\n\n"
        "## What depends on it?\n\n"
        "<!-- Who notices first, and who should be told. -->\n\n"
        "## What do I try first?\n\n"
        "<!-- Restart, roll back, switch off: with the commands. -->\n\n"
        "## Whom do I call?\n\n"
        "<!-- The escalation, beyond the one who is on call. -->\n"
    )
    text = (
        f"{quoted(place.title or ref.name)} has no runbook. This is a skeleton with the questions "
        f"that people ask at night; answer them, and link the file under `service.docs` with "
        f"`kind: runbook`.{_FOOT}"
    )
    return Proposal(
        IssueKey.merge_request(place.project_id, "runbook", ref),
        place.project,
        f"ox/runbook-{_segment(ref.name)}",
        place.default_branch,
        file,
        content,
        f"Draft: A runbook for {titled(place.title or ref.name, 80)}",
        text,
        "there is no runbook",
        "runbook",
    )


def followed(
    cases: Mapping[IssueKey, Case], seen: Iterable[SeenMergeRequest], now: datetime
) -> dict[IssueKey, Case]:
    """The merge requests' cases as GitLab has them now."""
    by_number = {(each.project_id, each.iid): each for each in seen}
    after: dict[IssueKey, Case] = {}
    for key, case in cases.items():
        found = by_number.get((key.project_id, case.iid))
        after[key] = case if found is None else _now(case, found, now)
    return after


def proposed(
    proposals: Sequence[Proposal],
    cases: Mapping[IssueKey, Case],
    seen: Iterable[SeenMergeRequest],
    now: datetime,
) -> list[Action]:
    """Those that were never made; what is there under the branch's name is only noted."""
    by_branch = {(each.project_id, each.branch): each for each in seen}
    actions: list[Action] = []
    for proposal in proposals:
        case = cases.get(proposal.key)
        if case is not None and not _again(case, now):
            continue
        fresh = Case(proposal.key, CaseStatus.OPENING, now, reason=proposal.reason)
        found = by_branch.get((proposal.key.project_id, proposal.branch))
        kind, reason = ActionKind.MERGE_REQUEST, proposal.reason
        if found is not None:
            fresh = _now(replace(fresh, iid=found.iid, url=found.url), found, now)
            kind, reason = ActionKind.ADOPT, "a merge request from our branch is there already"
        actions.append(Action(kind, proposal.key, proposal.project, reason, (), fresh))
    return actions


def _again(case: Case, now: datetime) -> bool:
    """Whether it was never made: its answer was lost, or GitLab refused it a while ago."""
    refused = case.status is CaseStatus.SNOOZED and not case.iid
    later = case.until is not None and case.until <= now
    return case.status is CaseStatus.OPENING or (refused and later)


def _now(case: Case, seen: SeenMergeRequest, now: datetime) -> Case:
    status, reason = {
        MergeRequestState.MERGED: (CaseStatus.FIXED, "it was merged"),
        MergeRequestState.CLOSED: (CaseStatus.SNOOZED, "a person closed it; it is not made again"),
    }.get(seen.state, (CaseStatus.OPENED, case.reason))
    if status is case.status:
        return case
    return replace(case, status=status, since=now, intent="", reason=reason, url=seen.url)


def _segment(name: str) -> str:
    return re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")[:60] or "service"


def _yaml(text: str) -> str:
    """Text as YAML that can mean nothing else: a JSON string is one in YAML, too."""
    return json.dumps(plain(text, 300))
