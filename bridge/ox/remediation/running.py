"""One run of remediation: look, plan, and carry out what is allowed; one at a time per source."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from bridge.errors import TrackerError, TrackerRefused, TrackerStopped, TrackerUnsure
from bridge.model.entities import Ref
from bridge.model.remediation import (
    Action,
    ActionKind,
    ActionOutcome,
    ActionRecord,
    Case,
    CaseStatus,
    IssueDraft,
    IssueKey,
    IssuePlace,
    RemediationRun,
    RemediationState,
)
from bridge.model.scores import Check, Scoreboard
from bridge.model.tracker import (
    IssueChange,
    IssueEvent,
    NewIssue,
    Proposal,
    SeenIssue,
    SeenMergeRequest,
)
from bridge.ox.interfaces import IssueTracker, MergeRequests, RemediationStore
from bridge.ox.remediation.drafts import Contact, Drafts
from bridge.ox.remediation.marker import digest_of, replaced, title_is_ours
from bridge.ox.remediation.planning import plan
from bridge.ox.remediation.proposals import followed, proposed
from bridge.ox.remediation.reconcile_issues import (
    IssueIndex,
    SnoozePolicy,
    notice,
    scrutinised,
    suspicion,
)
from bridge.ox.remediation.registering import Registration
from bridge.ox.remediation.situation import Planned, Policy, Situation
from bridge.ox.remediation.snyk_upkeep import SnykUpkeep
from bridge.ox.remediation.streaks import Breaker, Observed, asks, observe
from bridge.ports import Lease

log = structlog.get_logger()

Seen = SeenIssue | SeenMergeRequest
_MAKING = (ActionKind.OPEN, ActionKind.REOPEN, ActionKind.MERGE_REQUEST)
REFUSED = timedelta(days=7)  # until a project that refused is asked again
ASKED = 20  # labels whose giver is asked for in a run
LEASE_SECONDS = 600.0  # seconds that a lease lasts without being renewed


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say about issues."""

    policy: Callable[[IssuePlace], Policy]
    drafts: Drafts
    habits: SnoozePolicy = field(default_factory=SnoozePolicy)
    breaker: Breaker = field(default_factory=Breaker)
    label: str = "ox"
    per_run: int = 20
    settle: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Task:
    """What one run is about. `accepted` are paused checks whose flips somebody believes.

    `baseline` asks to open issues also for what failed before Ox first looked. `closed` are
    projects in which nothing is written, by id, and why. `promised` are failures, as (service,
    check), that an initiative waits for: of equals they come first, and no others are opened.
    `archived` are the projects that are known to be.
    """

    board: Scoreboard
    checks: Mapping[str, Check]
    places: Mapping[Ref, IssuePlace]
    accepted: Collection[str] = ()
    baseline: bool = False
    proposals: Sequence[Proposal] = ()
    closed: Mapping[int, str] = field(default_factory=dict)
    promised: Collection[tuple[Ref, str]] = ()
    archived: Sequence[IssuePlace] = ()


@dataclass(frozen=True, slots=True)
class Remediator:
    """Remediation of one source. `holder` names this process among the replicas."""

    source: str
    store: RemediationStore
    leases: Lease
    tracker: IssueTracker
    rules: Rules
    holder: str
    clock: Callable[[], datetime]
    requests: MergeRequests | None = None
    registration: Registration | None = None
    upkeep: SnykUpkeep | None = None

    async def run(self, task: Task) -> RemediationRun | None:
        """One run; None when another replica has its turn. Raises `StoreError` only."""
        # A source may be longer than a lease's name.
        lease = f"remediation:{digest_of(self.source)}"
        if not await self.leases.acquire(lease, self.holder, LEASE_SECONDS):
            return None
        try:
            run = await self._run(task, lease)
        finally:
            await self.leases.release(lease, self.holder)
        await self.store.record_run(self.source, _without_texts(run))
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
        before = await self.store.load(self.source)
        now = self.clock()
        observed = await self._observed(task, before)
        issues = {key: case for key, case in before.cases.items() if key.is_issue}
        issue_index, doubt = await self._listed(issues)
        habits = self.rules.habits
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
        await self.store.save(self.source, before, RemediationState(observed.streaks, cases))
        hands = _Executor(self, issue_index, lease, cases, task)
        records = [
            ActionRecord(_placed(action, task.places), ActionOutcome.NOTED) for action in noticed
        ]
        for action in (*planned.actions, *proposing.actions):
            records.append(await hands.carry_out(action))
        records += await self._in_tools(task, cases, hands, self.rules.per_run - taken[True])
        baseline = sum(s.baseline for of in observed.streaks.values() for s in of.values())
        return RemediationRun(now, tuple(records), observed.pauses, baseline, doubt, hands.stopped)

    async def _observed(self, task: Task, before: RemediationState) -> Observed:
        """How long each check has stood as it stands now."""
        # In a thread: of ten thousand services it takes seconds.
        return await asyncio.to_thread(
            observe,
            before.streaks,
            task.board,
            self.rules.breaker,
            rubric=task.checks,
            accepted=task.accepted,
            settle=self.rules.settle,
        )

    async def _listed(self, issues: Mapping[IssueKey, Case]) -> tuple[IssueIndex, str]:
        """What GitLab has of our issues, and why that is doubted, if it is."""
        known = {(key.project_id, case.iid) for key, case in issues.items() if case.iid}
        listing = await self.tracker.listing(known, _unheard(issues))
        listing = scrutinised(issues.values(), listing)
        return IssueIndex(listing, issues.values(), self.rules.label), suspicion(listing)

    def _situation(
        self,
        task: Task,
        observed: Observed,
        cases: Mapping[IssueKey, Case],
        issue_index: IssueIndex,
        now: datetime,
    ) -> Situation:
        """What a plan is made from, as far as it is not seen by looking at the listing."""
        rules = self.rules
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
        self, task: Task, cases: Mapping[IssueKey, Case], hands: _Executor, room: int
    ) -> list[ActionRecord]:
        """Register with tools, and keep up what they know, as far as GitLab did not stop us."""
        records: list[ActionRecord] = []
        open_places = {r: p for r, p in task.places.items() if p.project_id not in task.closed}
        if self.registration is not None and not hands.stopped:
            records += await self.registration.run(
                list(open_places.values()), cases, self._applies, self.clock(), max(0, room)
            )
        if self.upkeep is not None and not hands.stopped:
            records += await self.upkeep.run(
                task.board,
                open_places,
                task.archived,
                cases=cases,
                applies=self._applies,
                now=self.clock(),
                still_ours=hands.still_ours,
            )
        return records

    def _applies(self, place: IssuePlace) -> bool:
        return self.rules.policy(place).applies

    async def _waiving(self, cases: Mapping[IssueKey, Case]) -> dict[IssueKey, Case]:
        """The cases with who waived them; of whom GitLab does not tell now is asked again."""
        nameless = [c for c in cases.values() if c.waived_until and not c.waived_by]
        named: dict[IssueKey, Case] = {}
        label = self.rules.habits.waive_label
        for case in nameless[:ASKED]:
            try:
                by = await self.tracker.labelled_by(case.key.project_id, case.iid, label)
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
        taken.update(self.rules.policy(places[action.key.entity]) for action in opened)
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
        if self.requests is None or not (proposals or cases):
            return Planned((), cases)
        try:
            seen = await self.requests.merge_requests()
        except TrackerError as error:
            log.warning(
                "Merge requests could not be listed, so none is made",
                action="merge_requests_unlisted",
                error=str(error),
            )
            return Planned((), cases)
        now = self.clock()
        after = followed(cases, seen, now)
        actions = []
        for action in proposed(proposals, after, seen, now):
            policy = self.rules.policy(IssuePlace(action.key.project_id, action.project, ""))
            allowed = replace(action, applies=policy.applies)
            most = min(self.rules.per_run, policy.per_run)
            full = taken[policy.applies] >= self.rules.per_run or taken[policy] >= policy.per_run
            if action.kind is ActionKind.ADOPT and action.case is not None:
                after[action.key] = action.case
            elif full or action.key.project_id in closed:
                why = closed.get(action.key.project_id, f"{most} are opened in this run already")
                said = f"{action.reason}; put off: {why}"
                allowed = replace(allowed, kind=ActionKind.DEFER, reason=said, case=None)
            else:
                taken.update((policy.applies, policy))
            actions.append(allowed)
        return Planned(tuple(actions), after)


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


class _Executor:
    """Carries actions out: the intent is remembered before each write, the outcome after it."""

    def __init__(
        self,
        remediator: Remediator,
        issue_index: IssueIndex,
        lease: str,
        cases: Mapping[IssueKey, Case],
        task: Task,
    ) -> None:
        self.r = remediator
        self.issue_index = issue_index
        self.lease = lease
        self.cases = cases
        self.places = task.places
        self.proposals = {proposal.key: proposal for proposal in task.proposals}
        self.closed = dict(task.closed)
        self.stopped = ""

    async def carry_out(self, action: Action) -> ActionRecord:
        """One action; whatever goes wrong with it is in the record and stops no other."""
        if not action.kind.writes or action.case is None:
            return ActionRecord(
                action, ActionOutcome.NOTED, url=action.case.url if action.case else ""
            )
        if not action.applies:
            return ActionRecord(action, ActionOutcome.PLANNED, url=action.case.url)
        if not self.stopped and not await self.still_ours():
            self.stopped = "another replica took over"
        if self.stopped:
            return ActionRecord(action, ActionOutcome.PLANNED, self.stopped, action.case.url)
        try:
            closed = await self._closed(action.key.project_id)
        except TrackerError as error:
            self.stopped = str(error) if isinstance(error, TrackerStopped) else ""
            return ActionRecord(action, ActionOutcome.FAILED, str(error), action.case.url)
        if closed:
            return await self._left(action, action.case, closed)
        return await self._write(action, action.case)

    async def still_ours(self) -> bool:
        """Whether it is this replica's turn still; renews the lease."""
        return await self.r.leases.renew(self.lease, self.r.holder, LEASE_SECONDS)

    async def _closed(self, project_id: int) -> str:
        """Why nothing may be written in a project, as GitLab says right now."""
        if project_id not in self.closed:
            self.closed[project_id] = await self.r.tracker.closed(project_id)
        return self.closed[project_id]

    async def _left(self, action: Action, wanted: Case, reason: str) -> ActionRecord:
        """Nothing was written. What was to be made is asked again later, not in each run."""
        if action.kind in (ActionKind.OPEN, ActionKind.MERGE_REQUEST):
            left = _refused(wanted, reason, self.r.clock())
            await self.r.store.put_case(self.r.source, left)
        return ActionRecord(action, ActionOutcome.SKIPPED, reason, wanted.url)

    async def _write(self, action: Action, wanted: Case) -> ActionRecord:
        store, source, now = self.r.store, self.r.source, self.r.clock()
        before = self.cases.get(action.key)
        intended = replace(before or wanted, intent=action.kind)
        if action.kind in _MAKING:
            # The texts and checks of what is being made, so that it can be taken up by its marker.
            intended = replace(intended, checks=wanted.checks, digest=wanted.digest)
        if action.kind is ActionKind.OPEN and action.draft is not None:
            first = intended.since if intended.status is CaseStatus.OPENING else now
            opening = CaseStatus.OPENING
            title = action.draft.title
            intended = replace(intended, status=opening, since=first, title=title)
        await store.put_case(source, intended)
        try:
            seen, detail = await self._request(action, wanted)
        except TrackerUnsure as error:
            return ActionRecord(action, ActionOutcome.FAILED, f"{error}", wanted.url)
        except TrackerRefused as error:
            if action.kind not in (ActionKind.OPEN, ActionKind.MERGE_REQUEST):
                await store.put_case(source, before or wanted)
                return ActionRecord(action, ActionOutcome.FAILED, str(error), wanted.url)
            # Asked again later, not in each run: it would eat up the cap of those who can.
            await store.put_case(source, _refused(wanted, str(error), now))
            return ActionRecord(action, ActionOutcome.SKIPPED, str(error))
        except TrackerStopped as error:
            self.stopped = str(error)
            if before is not None:
                await store.put_case(source, before)
            else:
                await store.drop_case(source, action.key)
            return ActionRecord(action, ActionOutcome.FAILED, str(error), wanted.url)
        done = _done(action.kind, wanted, seen, now)
        await store.put_case(source, done)
        return ActionRecord(replace(action, case=done), ActionOutcome.DONE, detail, done.url)

    async def _request(self, action: Action, wanted: Case) -> tuple[Seen | None, str]:
        """The one request to GitLab, and what there is to say about it."""
        project_id, draft = action.key.project_id, action.draft
        if action.kind is ActionKind.MERGE_REQUEST and self.r.requests is not None:
            proposal = self.proposals[action.key]
            return await self.r.requests.propose(proposal, (self.r.rules.label,)), ""
        if action.kind is ActionKind.OPEN and draft is not None:
            return await self.r.tracker.open(self._new(action, draft)), ""
        if action.kind is ActionKind.CLOSE:
            change = IssueChange(project_id, wanted.iid, event=IssueEvent.CLOSE)
            return await self.r.tracker.change(change), ""
        assert draft is not None
        seen = self.issue_index.find(wanted)
        event = IssueEvent.REOPEN if action.kind is ActionKind.REOPEN else None
        text = title = None
        if seen is not None:
            text = replaced(seen.description, draft.text, ticks=event is None)
            ours = text is not None and title_is_ours(seen.description, seen.title)
            title = draft.title if ours else None
        if text is None and event is None:
            return seen, "a person rewrote the description, so it is left as it is"
        change = IssueChange(project_id, wanted.iid, title, text, event)
        return await self.r.tracker.change(change), ""

    def _new(self, action: Action, draft: IssueDraft) -> NewIssue:
        rules, place = self.r.rules, self.places[action.key.entity]
        contact = rules.drafts.contacts.get(place.owner, Contact())
        return NewIssue(
            action.key.project_id,
            draft.title,
            draft.text,
            (rules.label,),
            contact.assignee,
            rules.policy(place).confidential,
        )


def _refused(wanted: Case, said: str, now: datetime) -> Case:
    reason = f"it could not be made: {said}"
    return Case(wanted.key, CaseStatus.SNOOZED, now, until=now + REFUSED, reason=reason)


def _done(kind: ActionKind, wanted: Case, seen: Seen | None, now: datetime) -> Case:
    """What is remembered after a write that GitLab confirmed."""
    iid, url = (seen.iid, seen.url or wanted.url) if seen is not None else (wanted.iid, wanted.url)
    done = replace(wanted, iid=iid, url=url, intent="", title="")
    if kind in _MAKING:
        return replace(done, status=CaseStatus.OPENED, since=now, held=(), until=None, kept=False)
    return done
