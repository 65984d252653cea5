"""Projects that the model knows and Snyk does not: planned, listed, then imported, never twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from bridge.model.numbers import mark_in
from bridge.model.remediation import (
    Action,
    ActionKind,
    ActionOutcome,
    ActionRecord,
    Case,
    CaseStatus,
    IssueKey,
    IssuePlace,
    KeyKind,
)
from bridge.ox.facts.json_api import Unanswered
from bridge.ox.facts.snyk_client import Snyk, SnykListing
from bridge.ox.interfaces import RemediationStore

log = structlog.get_logger()

POLLED = 20  # imports that are asked after in one run


@dataclass(frozen=True, slots=True)
class Registration:
    """Imports into one organization of Snyk, by its integration with GitLab."""

    snyk: Snyk
    integration: str
    store: RemediationStore
    source: str

    async def run(
        self,
        places: Iterable[IssuePlace],
        cases: Mapping[IssueKey, Case],
        applies: Callable[[IssuePlace], bool],
        now: datetime,
        room: int,
    ) -> list[ActionRecord]:
        """What was or would be imported, at most `room` projects. Raises `StoreError` only.

        Snyk's own list comes first; without it nothing is done. What was asked for once is
        remembered before it is sent and never asked for again: an import takes Snyk a while, and
        may find nothing that it understands.
        """
        by_project = _importable(places)
        addresses = any(place.namesakes for place in by_project.values())
        try:
            listed = await self.snyk.whole_listing(addresses=addresses)
        except Unanswered as error:
            log.warning(
                "Snyk's projects could not be listed, so none is imported",
                action="snyk_unlisted",
                error=str(error),
            )
            return []
        records = await self._followed(cases, listed, by_project, now)
        most = room + len(records)
        for number, place in sorted(by_project.items()):
            key = IssueKey.registration(number)
            if key in cases or any(listed.of(place.project, place.web_url, place.namesakes)):
                continue
            if len(records) >= most:
                break
            records.append(await self._one(key, place, applies(place), now))
        return records

    async def _followed(
        self,
        cases: Mapping[IssueKey, Case],
        listed: SnykListing,
        places: Mapping[int, IssuePlace],
        now: datetime,
    ) -> list[ActionRecord]:
        """What became of imports that were asked for: from Snyk's list, else from its job."""
        records: list[ActionRecord] = []
        waiting = [case for key, case in sorted(cases.items()) if key.kind is KeyKind.REGISTRATION]
        asked = 0
        for case in waiting:
            place = places.get(case.key.project_id)
            project = place.project if place is not None else ""
            if case.status not in (CaseStatus.OPENED, CaseStatus.OPENING):
                continue
            if place and listed.of(place.project, place.web_url, place.namesakes)[0]:
                status, said = CaseStatus.FIXED, "Snyk watches it now"
            elif case.url and asked < POLLED:
                asked += 1
                status, said = await self._job(case)
            else:
                continue
            if status is case.status:
                continue
            known = replace(case, status=status, since=now, intent="", reason=said)
            await self.store.put_case(self.source, known)
            action = Action(ActionKind.SETTLE, case.key, project, said, (), known, None, True)
            records.append(ActionRecord(action, ActionOutcome.NOTED, url=case.url))
        return records

    async def _job(self, case: Case) -> tuple[CaseStatus, str]:
        """How an import's job stands; the case's own status while that is not known."""
        try:
            job = await self.snyk.import_job(case.url)
        except Unanswered as error:
            if error.status == 404:
                return CaseStatus.SNOOZED, "Snyk does not know the import any more"
            return case.status, ""
        if job.pending:
            return case.status, ""
        if job.imported:
            return CaseStatus.FIXED, f"Snyk watches {job.imported} files of it"
        said = "Snyk found nothing in it to watch" if job.complete else "Snyk's import failed"
        return CaseStatus.SNOOZED, f"{said}; it is not asked for again"

    async def _one(
        self, key: IssueKey, place: IssuePlace, applies: bool, now: datetime
    ) -> ActionRecord:
        reason = "the model knows the project, and Snyk does not"
        case = Case(key, CaseStatus.OPENING, now, intent=ActionKind.REGISTER, reason=reason)
        action = Action(ActionKind.REGISTER, key, place.project, reason, case=case, applies=applies)
        if not applies:
            return ActionRecord(action, ActionOutcome.PLANNED)
        await self.store.put_case(self.source, case)
        try:
            job = await self.snyk.import_project(
                self.integration, key.project_id, place.default_branch
            )
        except Unanswered as error:
            if error.status:  # it said no; without an answer nobody knows, so it stays noted
                await self.store.drop_case(self.source, key)
            return ActionRecord(action, ActionOutcome.FAILED, str(error))
        done = replace(case, status=CaseStatus.OPENED, intent="", url=job)
        await self.store.put_case(self.source, done)
        return ActionRecord(replace(action, case=done), ActionOutcome.DONE, url=job)


def _importable(places: Iterable[IssuePlace]) -> dict[int, IssuePlace]:
    """By project; Snyk's integration is one with one GitLab: the first source."""
    return {
        place.project_id: place
        for place in places
        if place.default_branch and not mark_in(place.project_id)
    }
