"""What is to be done about a board: state in, actions out. Pure; nothing here reads or writes.

Every rule of "Remediation that people keep switched on" that is not about reading GitLab or
counting results is in this module.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from bridge.model.entities import Ref
from bridge.model.numbers import own_id
from bridge.model.remediation import (
    Action,
    ActionKind,
    Case,
    CaseStatus,
    Course,
    IssueDraft,
    IssueKey,
    IssuePlace,
    KeyKind,
    Streak,
)
from bridge.model.scores import CheckResult, CheckState, Score, WaiverPlace
from bridge.ox.remediation.reconcile_issues import adopted
from bridge.ox.remediation.situation import Planned, Policy, Situation
from bridge.ox.remediation.streaks import asks

FAILS = ("fails", "fail")
AGAIN = ("fails again after it had passed", "fail again after they had passed")
TOO = ("fails too", "fail too")
IS_DONE = ("is done", "are done")
OVER = ("passes or no longer applies", "pass or no longer apply")


def plan(situation: Situation) -> Planned:
    """What to do, why, and what is left for later."""
    planner = _Planner(situation)
    for ref in sorted(situation.places):
        planner.service(ref)
    planner.leftovers()
    upkeep = [_postponed(action, planner.hindrance(action.key)) for action in planner.upkeep]
    return Planned((*upkeep, *planner.within_caps()), planner.cases)


def _postponed(action: Action, doubt: str) -> Action:
    """The action itself; deferred if it writes where the listing is in doubt."""
    if not doubt or not action.kind.writes:
        return action
    return replace(action, kind=ActionKind.DEFER, reason=doubt, case=None)


class _Planner:
    """One plan in the making: upkeep of issues that exist, and wishes for new ones."""

    def __init__(self, situation: Situation) -> None:
        self.s = situation
        self.cases = dict(situation.cases)
        self.upkeep: list[Action] = []
        self.wishes: list[tuple[tuple[object, ...], Action]] = []

    def service(self, ref: Ref) -> None:
        """Everything about one service."""
        score = self.s.board.scores.get(ref)
        if score is None:
            return
        place = self.s.places[ref]
        results = {r.check: r for r in score.results if r.check in self.s.checks}
        listed = [check for check, result in results.items() if not result.gate]
        gates = [check for check, result in results.items() if result.gate]
        for check in gates:
            self._issue(IssueKey(place.project_id, ref, check), place, score, results, [check])
        self._issue(IssueKey.checklist(place.project_id, ref), place, score, results, listed)

    def leftovers(self) -> None:
        """Issues whose service, project or check is no longer what it was: nobody else will."""
        for key, case in list(self.cases.items()):
            if key.project_id in self.s.issue_index.listing.unseen and self._forgotten(key):
                del self.cases[key]  # nobody will ever ask for it again, nor could anything be done
                continue
            score = self.s.board.scores.get(key.entity)
            place = self.s.places.get(key.entity)
            moved = place is not None and place.project_id != key.project_id
            if case.unheard and (score is None or moved):
                self._drop_unmade(case)
                continue
            if case.status is not CaseStatus.OPENED or case.kept:
                continue
            if moved:
                self._close(case, f"{key.entity} now comes from {place.project if place else ''}")
            elif score is None:
                streaks = self.s.streaks.get(key.entity, {})
                if case.checks and all(_gone(streaks.get(check)) for check in case.checks):
                    self._close(case, "the service is no longer in the catalog")
            elif key.kind is KeyKind.GATE and not _is_gate(score, key.check):
                streak = self.s.streaks.get(key.entity, {}).get(key.check)
                if _gone(streak):
                    self._close(case, "the check no longer applies")
                elif _listed(score, key.check):
                    self._close(case, "it is no gate any more and stands in the checklist")

    def _forgotten(self, key: IssueKey) -> bool:
        return key.entity not in self.s.board.scores and key.entity not in self.s.streaks

    def within_caps(self) -> list[Action]:
        """The wishes, most pressing first; what is above a cap is deferred with the reason."""
        actions: list[Action] = []
        opened = Counter(
            case.key.entity
            for case in self.cases.values()
            if case.status is CaseStatus.OPENED and case.key.is_issue
        )
        ran: Counter[bool] = Counter()
        by_policy: Counter[Policy] = Counter()
        for _, action in sorted(self.wishes, key=lambda wish: wish[0]):
            place = self.s.places[action.key.entity]
            policy = self.s.policy(place)
            reason = self.hindrance(action.key)
            if not reason and action.kind is ActionKind.OPEN:
                reason = self.s.issue_index.claimed(action.key, self.cases.get(action.key))
            if not reason and opened[action.key.entity] >= policy.per_service:
                reason = f"the service has {opened[action.key.entity]} open issues already"
            if not reason and by_policy[policy] >= policy.per_run:
                reason = f"{policy.per_run} issues are opened in this run already"
            if not reason and ran[policy.applies] >= self.s.per_run:
                reason = f"{self.s.per_run} issues are opened in this run already"
            if reason:
                said = f"{action.reason}; put off: {reason}"
                actions.append(replace(action, kind=ActionKind.DEFER, reason=said, case=None))
                continue
            opened[action.key.entity] += 1
            by_policy[policy] += 1
            ran[policy.applies] += 1
            actions.append(action)
        return actions

    def hindrance(self, key: IssueKey) -> str:
        """Why nothing may be written there now."""
        return (
            self.s.doubt
            or self.s.closed.get(key.project_id, "")
            or self.s.issue_index.listing.doubt(key.project_id)
        )

    def _issue(
        self,
        key: IssueKey,
        place: IssuePlace,
        score: Score,
        results: Mapping[str, CheckResult],
        checks: Sequence[str],
    ) -> None:
        streaks = self.s.streaks.get(key.entity, {})
        failing = self._ordered(c for c in checks if self._fails(results[c], streaks.get(c)))
        case = self._known(key, place, checks)
        if case is not None:
            case = self._released(case, streaks)
        if case is not None and case.status is CaseStatus.FIXED and self._waived(case):
            return
        if case is None or case.status in (CaseStatus.FIXED, CaseStatus.OPENING):
            self._wish(key, place, score, results, failing=failing, case=case)
        elif case.status is CaseStatus.SNOOZED:
            fresh = [check for check in failing if check not in case.held]
            if case.until is None or case.until <= self.s.now:
                self._wish(key, place, score, results, failing=fresh, case=case)
        elif case.status in (CaseStatus.OPENED, CaseStatus.WAIVED):
            self._keep_true(case, place, results, failing, streaks)

    def _known(self, key: IssueKey, place: IssuePlace, checks: Sequence[str]) -> Case | None:
        """The case of a key; one that we did not know, where an issue has our marker."""
        case = self.cases.get(key) or self._adopted(key, place, checks)
        if case is not None and key in self.s.snoozed:
            # Who closed a list has seen enough of all of it.
            return replace(case, held=tuple(checks))
        return case

    def _adopted(self, key: IssueKey, place: IssuePlace, checks: Sequence[str]) -> Case | None:
        seen = self.s.issue_index.marked(key)
        if seen is None:
            return None
        case = adopted(key, seen, self.s.habits, self.s.now)
        if case.status is CaseStatus.SNOOZED:
            case = replace(case, held=tuple(checks))
        self.cases[key] = case
        self._note(ActionKind.ADOPT, case, place, "an issue with our marker is there already")
        return case

    def _ordered(self, checks: Iterable[str]) -> list[str]:
        """In the rubric's order: the same checks make the same text."""
        wanted = set(checks)
        return [check for check in self.s.checks if check in wanted]

    def _fails(self, result: CheckResult, streak: Streak | None) -> bool:
        """Whether it may lead to an issue: twice fresh, failing now, and not from before."""
        if result.state is not CheckState.FAIL or result.check in self.s.paused:
            return False
        return asks(streak, baseline=self.s.baseline)

    def _released(self, case: Case, streaks: Mapping[str, Streak]) -> Case:
        """What has passed since a person closed the issue is no longer held against it."""
        released = replace(case, held=tuple(c for c in case.held if not _passed(streaks.get(c))))
        if released != self.cases.get(case.key):
            self.cases[case.key] = released
        return released

    def _waived(self, case: Case) -> bool:
        return case.waived_until is not None and case.waived_until > self.s.now

    def _wish(
        self,
        key: IssueKey,
        place: IssuePlace,
        score: Score,
        results: Mapping[str, CheckResult],
        *,
        failing: Sequence[str],
        case: Case | None,
    ) -> None:
        if not failing:
            if case is not None and case.status is CaseStatus.OPENING:
                self._drop_unmade(case)
            return
        draft = self.s.render(key, place, [(self.s.checks[c], results[c]) for c in failing])
        again = case is not None and bool(case.iid)
        kind = ActionKind.REOPEN if again else ActionKind.OPEN
        known = case or Case(key, CaseStatus.OPENING, self.s.now)
        reason = _because(failing, *(AGAIN if again else FAILS))
        # `status` stays what it was until it is done; an intent is recorded before the write.
        wanted = replace(known, digest=draft.digest, checks=tuple(failing), reason=reason)
        gate = key.kind is KeyKind.GATE
        weight = max(results[check].weight for check in failing)
        tier = score.tier if score.tier is not None else 9
        goal = any((key.entity, check) in self.s.promised for check in failing)
        rank = (not gate, not goal, tier, -weight, str(key.entity), key.check)
        self.wishes.append((rank, self._action(kind, wanted, place, reason, draft)))

    def _drop_unmade(self, case: Case) -> None:
        """Forget what nobody wants any more, if it is known that it was never made."""
        index = self.s.issue_index
        unread = self.s.doubt or index.listing.doubt(case.key.project_id)
        if not unread and not index.claimed(case.key, case):
            del self.cases[case.key]

    def _keep_true(
        self,
        case: Case,
        place: IssuePlace,
        results: Mapping[str, CheckResult],
        failing: Sequence[str],
        streaks: Mapping[str, Streak],
    ) -> None:
        """Close what passes; change the text when it lists other checks than it should."""
        stays = [c for c in case.checks if self._stays(c, results.get(c), streaks.get(c))]
        # An adopted issue does not tell what it lists: what fails now is as good as it gets.
        listed = self._ordered({*stays, *failing})
        if case.kept:
            if failing:
                self.cases[case.key] = replace(case, kept=False)
            return
        if not listed:
            if case.checks or self._all_sure(case.key, results, streaks):
                self._close(case, self._why_closed(case, results))
            return
        if case.status is CaseStatus.WAIVED:
            return
        members = [(self.s.checks[c], results.get(c)) for c in listed]
        draft = self.s.render(case.key, place, members)
        if draft.digest != case.digest:
            added = [c for c in listed if c not in case.checks]
            gone = [c for c in case.checks if c not in listed]
            reason = _because(added, *TOO) if added else _because(gone, *IS_DONE)
            if not added and not gone:
                reason = "what it says has changed in the rubric or the templates"
            wanted = replace(case, digest=draft.digest, checks=tuple(listed))
            self.upkeep.append(self._action(ActionKind.EDIT, wanted, place, reason, draft))
        elif tuple(listed) != case.checks:
            self.cases[case.key] = replace(case, checks=tuple(listed))

    def _stays(self, check: str, result: CheckResult | None, streak: Streak | None) -> bool:
        if check not in self.s.checks:
            return False
        if result is not None and result.state is CheckState.WAIVED:
            # By a label it is this very issue that waives, so it stays.
            return result.waiver is not None and result.waiver.by is WaiverPlace.ISSUE
        if check in self.s.paused or streak is None:
            return True
        known = result is None or result.state.known or result.state is CheckState.NOT_APPLICABLE
        return not (known and streak.sure and streak.course is not Course.FAIL)

    def _all_sure(
        self, key: IssueKey, results: Mapping[str, CheckResult], streaks: Mapping[str, Streak]
    ) -> bool:
        """Whether nothing that the issue may list can be failing."""
        checks = (
            [key.check]
            if key.kind is KeyKind.GATE
            else [check for check, result in results.items() if not result.gate]
        )
        return all(
            (streak := streaks.get(check)) is not None
            and streak.sure
            and streak.course is not Course.FAIL
            for check in checks
        )

    def _why_closed(self, case: Case, results: Mapping[str, CheckResult]) -> str:
        said = [
            f"{check} is waived ({results[check].reason})"
            for check in case.checks
            if check in results and results[check].state is CheckState.WAIVED
        ]
        return "; ".join(said) or _because(case.checks, *OVER)

    def _close(self, case: Case, reason: str) -> None:
        place = self.s.places.get(case.key.entity)
        if place is None or place.project_id != case.key.project_id:
            place = IssuePlace(case.key.project_id, f"project {own_id(case.key.project_id)}", "")
        wanted = replace(
            case,
            status=CaseStatus.FIXED,
            since=self.s.now,
            checks=(),
            held=(),
            until=None,
            reason=reason,
        )
        self.upkeep.append(self._action(ActionKind.CLOSE, wanted, place, reason))

    def _note(self, kind: ActionKind, case: Case, place: IssuePlace, reason: str) -> None:
        self.upkeep.append(self._action(kind, case, place, reason))

    def _action(
        self,
        kind: ActionKind,
        case: Case,
        place: IssuePlace,
        reason: str,
        draft: IssueDraft | None = None,
    ) -> Action:
        applies = self.s.policy(place).applies
        return Action(kind, case.key, place.project, reason, case.checks, case, draft, applies)


def _passed(streak: Streak | None) -> bool:
    return streak is not None and streak.sure and streak.course is Course.PASS


def _gone(streak: Streak | None) -> bool:
    return streak is None or (streak.sure and streak.course is Course.GONE)


def _is_gate(score: Score, check: str) -> bool:
    return any(result.check == check and result.gate for result in score.results)


def _listed(score: Score, check: str) -> bool:
    return any(result.check == check for result in score.results)


def _because(checks: Sequence[str], one: str, several: str) -> str:
    """ "a, b and c fail": which checks, and what is with them."""
    shown = list(checks[:5])
    if len(checks) > 5:
        shown.append(f"{len(checks) - 5} more")
    if len(shown) < 2:
        return f"{''.join(shown)} {one}".strip()
    return f"{', '.join(shown[:-1])} and {shown[-1]} {several}"
