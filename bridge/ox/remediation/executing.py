"""Carries out what is planned: the intent is remembered before each write, the outcome after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from bridge.errors import TrackerError, TrackerRefused, TrackerStopped, TrackerUnsure
from bridge.model.remediation import (
    Action,
    ActionKind,
    ActionOutcome,
    ActionRecord,
    Case,
    CaseStatus,
    IssueDraft,
    IssueKey,
)
from bridge.model.tracker import (
    IssueChange,
    IssueEvent,
    NewIssue,
    SeenIssue,
    SeenMergeRequest,
)
from bridge.ox.remediation.drafts import Contact
from bridge.ox.remediation.marker import replaced, title_is_ours
from bridge.ox.remediation.reconcile_issues import (
    IssueIndex,
)
from bridge.ox.remediation.rules import LEASE_SECONDS, RemediatedSource, Task

Seen = SeenIssue | SeenMergeRequest


_MAKING = (ActionKind.OPEN, ActionKind.REOPEN, ActionKind.MERGE_REQUEST)


REFUSED = timedelta(days=7)  # until a project that refused is asked again


class Executor:
    """Carries actions out: the intent is remembered before each write, the outcome after it."""

    def __init__(
        self,
        site: RemediatedSource,
        issue_index: IssueIndex,
        lease: str,
        cases: Mapping[IssueKey, Case],
        task: Task,
    ) -> None:
        self.site = site
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
        return await self.site.leases.renew(self.lease, self.site.holder, LEASE_SECONDS)

    async def _closed(self, project_id: int) -> str:
        """Why nothing may be written in a project, as GitLab says right now."""
        if project_id not in self.closed:
            self.closed[project_id] = await self.site.tracker.closed(project_id)
        return self.closed[project_id]

    async def _left(self, action: Action, wanted: Case, reason: str) -> ActionRecord:
        """Nothing was written. What was to be made is asked again later, not in each run."""
        if action.kind in (ActionKind.OPEN, ActionKind.MERGE_REQUEST):
            left = _refused(wanted, reason, self.site.clock())
            await self.site.store.put_case(self.site.name, left)
        return ActionRecord(action, ActionOutcome.SKIPPED, reason, wanted.url)

    async def _write(self, action: Action, wanted: Case) -> ActionRecord:
        store, source, now = self.site.store, self.site.name, self.site.clock()
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
        if action.kind is ActionKind.MERGE_REQUEST and self.site.requests is not None:
            proposal = self.proposals[action.key]
            return await self.site.requests.propose(proposal, (self.site.rules.label,)), ""
        if action.kind is ActionKind.OPEN and draft is not None:
            return await self.site.tracker.open(self._new(action, draft)), ""
        if action.kind is ActionKind.CLOSE:
            change = IssueChange(project_id, wanted.iid, event=IssueEvent.CLOSE)
            return await self.site.tracker.change(change), ""
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
        return await self.site.tracker.change(change), ""

    def _new(self, action: Action, draft: IssueDraft) -> NewIssue:
        rules, place = self.site.rules, self.places[action.key.entity]
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
