"""Projects in Snyk: their tags follow the catalog, those of archived repositories are proposed
for deactivation. Planned, bounded, and remembered before each write.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from bridge.errors import TrackerError
from bridge.model.entities import Ref
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
from bridge.model.scores import Scoreboard
from bridge.ox.facts.json_api import Unanswered
from bridge.ox.facts.snyk import unclear_of
from bridge.ox.facts.snyk_client import Snyk, SnykListing, SnykProject
from bridge.ox.interfaces import RemediationStore
from bridge.ox.remediation.closed_projects import ARCHIVED
from bridge.ox.remediation.snyk_changes import (
    SnykChange,
    deactivations,
    taggings,
    unclear,
    wanted_tags,
)

log = structlog.get_logger()

REFUSED: Final = timedelta(days=7)  # until what Snyk refused is asked for again
# Answers that concern the token, or Snyk as a whole: the rest of the run is left.
_OF_ALL: Final = (0, 401, 403, 429)
_UNDECIDED: Final = (0, *range(500, 600))  # nobody knows whether it was done


@dataclass(frozen=True, slots=True)
class SnykUpkeep:
    """The upkeep of Snyk's projects. `tags` are the keys that are ours, by owner, tier, system.

    Each kind is done or planned at most `per_run` times. `closed` asks GitLab why nothing may be
    written in a project now (`bridge.ox.interfaces.IssueTracker`).
    """

    snyk: Snyk
    store: RemediationStore
    source: str
    tags: Mapping[str, str]
    proposes: bool
    deactivates: bool
    per_run: int
    closed: Callable[[int], Awaitable[str]]

    async def run(
        self,
        board: Scoreboard,
        places: Mapping[Ref, IssuePlace],
        archived: Sequence[IssuePlace],
        *,
        cases: Mapping[IssueKey, Case],
        applies: Callable[[IssuePlace], bool],
        now: datetime,
        still_ours: Callable[[], Awaitable[bool]],
    ) -> list[ActionRecord]:
        """What was or would be changed. Raises `StoreError` only.

        In an organization that cannot be listed nothing is. `applies` is the group's word,
        `still_ours` whether this replica may still write.
        """
        concerned = [*(places.values() if self.tags else ()), *(archived if self.proposes else ())]
        listing = await self._listing(concerned)
        changes = list(self._changes(board, places, archived, listing))
        records = await self._settled(cases, listing, changes, places, now)
        hands = _SnykExecutor(self, applies, now, still_ours)
        taken: Counter[object] = Counter()
        left: dict[ActionKind, list[SnykChange]] = {}
        for change in changes:
            if _rests(cases.get(change.key), change, now):
                continue
            slot = (change.kind, hands.allowed(change))
            if taken[slot] >= self.per_run:
                left.setdefault(change.kind, []).append(change)
                continue
            taken[slot] += 1
            records.append(await hands.carry_out(change))
        records += [self._put_off(each) for each in left.values()]
        return [*records, *_left_alone(list(unclear(concerned, listing)))]

    async def _listing(self, concerned: Sequence[IssuePlace]) -> SnykListing:
        addresses = any(place.namesakes for place in concerned)
        listing = await self.snyk.listing(addresses=addresses)
        for org, error in listing.failures.items():
            log.warning(
                "Snyk's projects could not be listed, so none of them is changed",
                action="snyk_unlisted",
                organization=org,
                error=str(error),
            )
        return listing

    def _changes(
        self,
        board: Scoreboard,
        places: Mapping[Ref, IssuePlace],
        archived: Sequence[IssuePlace],
        listing: SnykListing,
    ) -> Iterator[SnykChange]:
        if self.proposes:
            yield from deactivations(archived, listing)
        if self.tags:
            yield from taggings(wanted_tags(board, places, self.tags), places, listing)

    def _put_off(self, left: Sequence[SnykChange]) -> ActionRecord:
        """One record for all of a kind that the cap leaves for later."""
        first = left[0]
        said = f"put off: {self.per_run} are changed in a run (`snyk.per_run`), {len(left)} wait"
        action = Action(ActionKind.DEFER, first.key, first.place.project, said)
        return ActionRecord(action, ActionOutcome.NOTED)

    async def _settled(
        self,
        cases: Mapping[IssueKey, Case],
        listing: SnykListing,
        changes: Sequence[SnykChange],
        places: Mapping[Ref, IssuePlace],
        now: datetime,
    ) -> list[ActionRecord]:
        """What became of earlier writes without an answer; what is over is forgotten."""
        active = {one.id: one.active for every in listing.projects.values() for one in every}
        pending = {change.key for change in changes}
        living = {place.project_id for place in places.values()}
        records = []
        for key, case in sorted(cases.items()):
            number = key.check.rpartition(":")[2]
            if key.kind not in (KeyKind.SNYK_TAGS, KeyKind.DEACTIVATION) or key in pending:
                continue
            if number not in active and listing.failures:
                continue
            undecided = key.kind is KeyKind.DEACTIVATION and case.status is CaseStatus.OPENING
            if undecided and active.get(number) is False:
                done = replace(case, status=CaseStatus.FIXED, since=now, intent="")
                await self.store.put_case(self.source, done)
                said = "Snyk does not test it any more"
                action = Action(ActionKind.SETTLE, key, case.title, said, case=done)
                records.append(ActionRecord(action, ActionOutcome.NOTED))
            elif key.kind is KeyKind.SNYK_TAGS or number not in active or key.project_id in living:
                await self.store.drop_case(self.source, key)
        return records


def _left_alone(nobodys: Sequence[tuple[IssuePlace, SnykProject]]) -> list[ActionRecord]:
    """One record for all projects of Snyk of which nobody can tell in which GitLab they are."""
    if not nobodys:
        return []
    place, project = nobodys[0]
    said = f"{unclear_of(place.project)}; {len(nobodys)} of its projects are left alone for this"
    key = IssueKey.snyk_tags(place.project_id, project.id)
    return [ActionRecord(Action(ActionKind.DEFER, key, place.project, said), ActionOutcome.NOTED)]


def _rests(case: Case | None, change: SnykChange, now: datetime) -> bool:
    """Whether it is left alone: Snyk refused it lately, or a person turned the project on again."""
    if case is None:
        return False
    if case.status is CaseStatus.FIXED:
        return change.kind is ActionKind.DEACTIVATE
    waits = case.until is not None and case.until > now
    return case.status is CaseStatus.SNOOZED and waits and case.digest == change.reason


@dataclass(slots=True)
class _SnykExecutor:
    """Carries changes out, one after the other; `stopped` says why the rest is left."""

    upkeep: SnykUpkeep
    applies: Callable[[IssuePlace], bool]
    now: datetime
    still_ours: Callable[[], Awaitable[bool]]
    stopped: str = field(default="")

    def allowed(self, change: SnykChange) -> bool:
        """Whether it may be carried out."""
        wanted = change.kind is ActionKind.TAG or self.upkeep.deactivates
        return wanted and self.applies(change.place)

    async def carry_out(self, change: SnykChange) -> ActionRecord:
        """One change; whatever goes wrong is in the record."""
        allowed, place = self.allowed(change), change.place
        case = Case(
            change.key,
            CaseStatus.OPENING,
            self.now,
            intent=change.kind,
            reason=change.reason,
            digest=change.reason,
            title=place.project,
        )
        action = Action(
            change.kind, change.key, place.project, change.reason, case=case, applies=allowed
        )
        if not allowed:
            return ActionRecord(action, ActionOutcome.PLANNED)
        if not self.stopped and not await self.still_ours():
            self.stopped = "another replica took over"
        if self.stopped:
            return ActionRecord(action, ActionOutcome.PLANNED, self.stopped)
        doubt = await self._doubt(change)
        if doubt:
            return ActionRecord(action, ActionOutcome.SKIPPED, doubt)
        await self.upkeep.store.put_case(self.upkeep.source, case)
        return await self._write(change, action, case)

    async def _doubt(self, change: SnykChange) -> str:
        """Why a project is not deactivated after all: only what is surely archived is."""
        if change.kind is not ActionKind.DEACTIVATE:
            return ""
        try:
            said = await self.upkeep.closed(change.key.project_id)
        except TrackerError as error:
            return f"whether it is archived is not known: {error}"
        return "" if said == ARCHIVED else f"it is not surely archived now ({said or 'it is open'})"

    async def _write(self, change: SnykChange, action: Action, case: Case) -> ActionRecord:
        store, source = self.upkeep.store, self.upkeep.source
        written = 0
        try:
            for request in change.requests(self.upkeep.snyk):
                await request
                written += 1
        except Unanswered as error:
            said = f"{error}; {written} of {change.steps} requests were carried out"
            await self._failed(error.status, replace(case, reason=f"Snyk refused it: {said}"))
            return ActionRecord(action, ActionOutcome.FAILED, said)
        if change.kind is ActionKind.TAG:  # Snyk's own list tells the rest
            await store.drop_case(source, change.key)
        else:
            done = replace(case, status=CaseStatus.FIXED, intent="")
            await store.put_case(source, done)
        return ActionRecord(action, ActionOutcome.DONE)

    async def _failed(self, status: int, case: Case) -> None:
        """Remember what a failure means: ask in the next run, or only in a week."""
        store, source = self.upkeep.store, self.upkeep.source
        if status in _OF_ALL:
            self.stopped = f"Snyk answered {status} before" if status else "Snyk does not answer"
        if status in _UNDECIDED:
            return  # the intent stays, and Snyk's next list decides
        if status in (401, 403, 409, 429):
            await store.drop_case(source, case.key)
            return
        refused = replace(case, status=CaseStatus.SNOOZED, intent="", until=self.now + REFUSED)
        await store.put_case(source, refused)
