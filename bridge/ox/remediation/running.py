"""One run of remediation: look, plan, and carry out what is allowed; one at a time per source."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from bridge.errors import TrackerError
from bridge.model.entities import Ref
from bridge.model.remediation import (
    Action,
    ActionKind,
    ActionOutcome,
    ActionRecord,
    Case,
    IssueKey,
    IssuePlace,
    RemediationRun,
    RemediationState,
)
from bridge.model.tracker import (
    Proposal,
)
from bridge.ox.remediation.executing import Executor
from bridge.ox.remediation.marker import digest_of
from bridge.ox.remediation.planning import plan
from bridge.ox.remediation.proposals import followed, proposed
from bridge.ox.remediation.reconcile_issues import (
    IssueIndex,
    notice,
    scrutinised,
    suspicion,
)
from bridge.ox.remediation.registering import Registration
from bridge.ox.remediation.rules import LEASE_SECONDS, RemediatedSource, Task
from bridge.ox.remediation.situation import Planned, Situation
from bridge.ox.remediation.snyk_upkeep import SnykUpkeep
from bridge.ox.remediation.streaks import Observed, asks, observe

log = structlog.get_logger()

ASKED = 20  # labels whose giver is asked for in a run


@dataclass(frozen=True, slots=True)
class Remediator:
    """Remediation of one source, and of what other tools know of its projects."""

    site: RemediatedSource
    registration: Registration | None = None
    upkeep: SnykUpkeep | None = None

    async def run(self, task: Task) -> RemediationRun | None:
        """One run; None when another replica has its turn. Raises `StoreError` only."""
        # A source may be longer than a lease's name.
        lease = f"remediation:{digest_of(self.site.name)}"
        if not await self.site.leases.acquire(lease, self.site.holder, LEASE_SECONDS):
            return None
        try:
            run = await self._run(task, lease)
        finally:
            await self.site.leases.release(lease, self.site.holder)
        await self.site.store.record_run(self.site.name, _without_texts(run))
        for record in run.records:
            if record.outcome is ActionOutcome.FAILED:
                log.warning(
                    "A remediation could not be carried out",
                    action="remediation_failed",
                    key=str(record.action.key),
                    project=record.action.project,
                    kind=record.action.kind.value,
                    reason=record.detail,
                )
        return run

    async def _run(self, task: Task, lease: str) -> RemediationRun:
        before = await self.site.store.load(self.site.name)
        now = self.site.clock()
        observed = await self._observed(task, before)
        issues = {key: case for key, case in before.cases.items() if key.is_issue}
        issue_index, doubt = await self._listed(issues)
        habits = self.site.rules.habits
        cases, noticed = (issues, []) if doubt else notice(issues, issue_index, habits, now)
        cases = await self._waiving(cases)
        situation = self._situation(task, observed, cases, issue_index, now)
        snoozed = {each.key for each in noticed if each.kind is ActionKind.SNOOZE}
        situation = replace(situation, doubt=doubt, snoozed=snoozed)
        planned = await asyncio.to_thread(plan, situation)
        others = {key: case for key, case in before.cases.items() if not key.is_issue}
        taken = self._taken(planned.actions, task.places)
        proposing = await self._proposing(_called_for(task, observed), others, taken, task.closed)
        cases = {**planned.cases, **proposing.cases}
        await self.site.store.save(
            self.site.name, before, RemediationState(observed.streaks, cases)
        )
        hands = Executor(self.site, issue_index, lease, cases, task)
        records = [
            ActionRecord(_placed(action, task.places), ActionOutcome.NOTED) for action in noticed
        ]
        for action in (*planned.actions, *proposing.actions):
            records.append(await hands.carry_out(action))
        records += await self._in_tools(task, cases, hands, self.site.rules.per_run - taken[True])
        baseline = sum(s.baseline for of in observed.streaks.values() for s in of.values())
        return RemediationRun(now, tuple(records), observed.pauses, baseline, doubt, hands.stopped)

    async def _observed(self, task: Task, before: RemediationState) -> Observed:
        """How long each check has stood as it stands now."""
        # In a thread: of ten thousand services it takes seconds.
        return await asyncio.to_thread(
            observe,
            before.streaks,
            task.board,
            self.site.rules.breaker,
            rubric=task.checks,
            accepted=task.accepted,
            settle=self.site.rules.settle,
        )

    async def _listed(self, issues: Mapping[IssueKey, Case]) -> tuple[IssueIndex, str]:
        """What GitLab has of our issues, and why that is doubted, if it is."""
        known = {(key.project_id, case.iid) for key, case in issues.items() if case.iid}
        listing = await self.site.tracker.listing(known, _unheard(issues))
        listing = scrutinised(issues.values(), listing)
        return IssueIndex(listing, issues.values(), self.site.rules.label), suspicion(listing)

    def _situation(
        self,
        task: Task,
        observed: Observed,
        cases: Mapping[IssueKey, Case],
        issue_index: IssueIndex,
        now: datetime,
    ) -> Situation:
        """What a plan is made from, as far as it is not seen by looking at the listing."""
        rules = self.site.rules
        return Situation(
            board=task.board,
            checks=task.checks,
            places=task.places,
            streaks=observed.streaks,
            cases=cases,
            issue_index=issue_index,
            render=rules.drafts.render,
            policy=rules.policy,
            now=now,
            habits=rules.habits,
            per_run=rules.per_run,
            paused=[pause.check for pause in observed.pauses],
            baseline=task.baseline,
            closed=task.closed,
            promised=task.promised,
        )

    async def _in_tools(
        self, task: Task, cases: Mapping[IssueKey, Case], hands: Executor, room: int
    ) -> list[ActionRecord]:
        """Register with tools, and keep up what they know, as far as GitLab did not stop us."""
        records: list[ActionRecord] = []
        open_places = {r: p for r, p in task.places.items() if p.project_id not in task.closed}
        if self.registration is not None and not hands.stopped:
            records += await self.registration.run(
                list(open_places.values()), cases, self._applies, self.site.clock(), max(0, room)
            )
        if self.upkeep is not None and not hands.stopped:
            records += await self.upkeep.run(
                task.board,
                open_places,
                task.archived,
                cases=cases,
                applies=self._applies,
                now=self.site.clock(),
                still_ours=hands.still_ours,
            )
        return records

    def _applies(self, place: IssuePlace) -> bool:
        return self.site.rules.policy(place).applies

    async def _waiving(self, cases: Mapping[IssueKey, Case]) -> dict[IssueKey, Case]:
        """The cases with who waived them; of whom GitLab does not tell now is asked again."""
        nameless = [c for c in cases.values() if c.waived_until and not c.waived_by]
        named: dict[IssueKey, Case] = {}
        label = self.site.rules.habits.waive_label
        for case in nameless[:ASKED]:
            try:
                by = await self.site.tracker.labelled_by(case.key.project_id, case.iid, label)
            except TrackerError:
                continue  # it is a name for reviewers, and no reason to stop
            named[case.key] = replace(case, waived_by=by)
        return {**cases, **named}

    def _taken(
        self, actions: Sequence[Action], places: Mapping[Ref, IssuePlace]
    ) -> Counter[object]:
        """How many are opened in this run: in earnest or as a plan, and by group."""
        opened = [a for a in actions if a.kind in (ActionKind.OPEN, ActionKind.REOPEN)]
        taken: Counter[object] = Counter(action.applies for action in opened)
        taken.update(self.site.rules.policy(places[action.key.entity]) for action in opened)
        return taken

    async def _proposing(
        self,
        proposals: Sequence[Proposal],
        cases: Mapping[IssueKey, Case],
        taken: Counter[object],
        closed: Mapping[int, str],
    ) -> Planned:
        """Merge requests to make, within the caps; none when they cannot be listed.

        `taken` is counted up.
        """
        if self.site.requests is None or not (proposals or cases):
            return Planned((), cases)
        try:
            seen = await self.site.requests.merge_requests()
        except TrackerError as error:
            log.warning(
                "Merge requests could not be listed, so none is made",
                action="merge_requests_unlisted",
                error=str(error),
            )
            return Planned((), cases)
        now = self.site.clock()
        after = followed(cases, seen, now)
        actions = []
        for action in proposed(proposals, after, seen, now):
            if action.kind is ActionKind.ADOPT and action.case is not None:
                after[action.key] = action.case
            actions.append(self._within_caps(action, taken, closed))
        return Planned(tuple(actions), after)

    def _within_caps(
        self, action: Action, taken: Counter[object], closed: Mapping[int, str]
    ) -> Action:
        """A merge request to make now, or the reason why it is put off; `taken` is counted up."""
        rules, project_id = self.site.rules, action.key.project_id
        policy = rules.policy(IssuePlace(project_id, action.project, ""))
        allowed = replace(action, applies=policy.applies)
        if action.kind is ActionKind.ADOPT:
            return allowed
        full = taken[policy.applies] >= rules.per_run or taken[policy] >= policy.per_run
        if not full and project_id not in closed:
            taken.update((policy.applies, policy))
            return allowed
        most = min(rules.per_run, policy.per_run)
        why = closed.get(project_id, f"{most} are opened in this run already")
        said = f"{action.reason}; put off: {why}"
        return replace(allowed, kind=ActionKind.DEFER, reason=said, case=None)


def _unheard(cases: Mapping[IssueKey, Case]) -> dict[int, datetime]:
    """The projects where an issue may have been made without our hearing of it, and since when."""
    found: dict[int, datetime] = {}
    for key, case in cases.items():
        if case.unheard:
            found[key.project_id] = min(case.since, found.get(key.project_id, case.since))
    return found


def _without_texts(run: RemediationRun) -> RemediationRun:
    """The account as it is kept: what a text says stands in its issue."""
    return replace(run, records=tuple(_without_text(record) for record in run.records))


def _without_text(record: ActionRecord) -> ActionRecord:
    draft = record.action.draft
    if draft is None:
        return record
    return replace(record, action=replace(record.action, draft=replace(draft, text="")))


def _called_for(task: Task, observed: Observed) -> list[Proposal]:
    """The proposals that nothing speaks against: their checks failed as they must for an issue."""
    paused = {pause.check for pause in observed.pauses}
    return [
        each
        for each in task.proposals
        if not each.check
        or (
            each.check not in paused
            and asks(
                observed.streaks.get(each.key.entity, {}).get(each.check), baseline=task.baseline
            )
        )
    ]


def _placed(action: Action, places: Mapping[Ref, IssuePlace]) -> Action:
    place = places.get(action.key.entity)
    return replace(action, project=place.project) if place is not None else action
