"""Projects that the model knows and Snyk does not: planned, listed, then imported, never twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from bridge.model.entities import Ref
from bridge.model.remediation import (
    Action,
    ActionKind,
    ActionRecord,
    Case,
    CaseStatus,
    IssueKey,
    Outcome,
    Place,
)
from bridge.ox.json_api import Unanswered
from bridge.ox.snyk import Snyk
from bridge.ports import RemediationStore

log = structlog.get_logger()

CHECK = "snyk:import"


@dataclass(frozen=True, slots=True)
class Registration:
    """Imports into one organization of Snyk, by its integration with GitLab."""

    snyk: Snyk
    integration: str
    store: RemediationStore
    source: str

    async def run(
        self,
        places: Iterable[Place],
        cases: Mapping[IssueKey, Case],
        applies: Callable[[Place], bool],
        now: datetime,
        room: int,
    ) -> list[ActionRecord]:
        """What was or would be imported, at most `room` projects. Raises `StoreError` only.

        Snyk's own list comes first; without it nothing is done. What was asked for once is
        remembered before it is sent and never asked for again: an import takes Snyk a while, and
        may find nothing that it understands.
        """
        try:
            listed = await self.snyk.projects()
        except Unanswered as error:
            log.warning(
                "Snyk's projects could not be listed, so none is imported",
                action="snyk_unlisted",
                error=str(error),
            )
            return []
        records: list[ActionRecord] = []
        by_project = {place.project_id: place for place in places if place.default_branch}
        for number, place in sorted(by_project.items()):
            key = IssueKey(number, Ref("project", "gitlab", str(number)), CHECK)
            if key in cases or place.project.lower() in listed:
                continue
            if len(records) >= room:
                break
            records.append(await self._one(key, place, applies(place), now))
        return records

    async def _one(self, key: IssueKey, place: Place, applies: bool, now: datetime) -> ActionRecord:
        reason = "the model knows the project, and Snyk does not"
        case = Case(key, CaseStatus.OPENING, now, intent="register", reason=reason)
        action = Action(ActionKind.REGISTER, key, place.project, reason, case=case, applies=applies)
        if not applies:
            return ActionRecord(action, Outcome.PLANNED)
        await self.store.put_case(self.source, case)
        try:
            job = await self.snyk.import_project(
                self.integration, key.project_id, place.default_branch
            )
        except Unanswered as error:
            if error.status:  # it said no; without an answer nobody knows, so it stays noted
                await self.store.drop_case(self.source, key)
            return ActionRecord(action, Outcome.FAILED, str(error))
        done = replace(case, status=CaseStatus.OPENED, intent="", url=job)
        await self.store.put_case(self.source, done)
        return ActionRecord(replace(action, case=done), Outcome.DONE, url=job)
