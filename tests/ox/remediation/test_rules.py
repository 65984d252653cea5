"""The rules of remediation, one by one, without any I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from bridge.model.entities import Ref
from bridge.model.remediation import (
    CHECKLIST,
    Action,
    ActionKind,
    Case,
    CaseStatus,
    IssueKey,
    KeyKind,
)
from bridge.model.scores import CheckState, Scoreboard
from bridge.model.tracker import Listing, SeenIssue
from bridge.ox.remediation.marker import (
    digest_of,
    marked,
    read_marker,
    replaced,
    title_is_ours,
)
from bridge.ox.remediation.planning import plan
from bridge.ox.remediation.reconcile_issues import (
    IssueIndex,
    SnoozePolicy,
    labelled,
    notice,
    scrutinised,
    suspicion,
)
from bridge.ox.remediation.situation import Planned, Policy, Situation
from bridge.ox.remediation.streaks import Breaker, Streaks, observe
from tests.ox.remediation.fleets import CHECKS, board, drafts, place, result, score, service

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
F, P = CheckState.FAIL, CheckState.PASS
U, STALE = CheckState.UNKNOWN, CheckState.STALE
NA, WAIVED = CheckState.NOT_APPLICABLE, CheckState.WAIVED
OPENING = (ActionKind.OPEN, ActionKind.REOPEN)
DRAFTS = drafts()


@dataclass
class Days:
    """A fleet that is looked at once a day, and GitLab as it would be after each plan."""

    services: int = 1
    at: datetime = START
    streaks: Streaks = field(default_factory=dict)
    cases: dict[IssueKey, Case] = field(default_factory=dict)
    issues: dict[tuple[int, int], SeenIssue] = field(default_factory=dict)
    policy: Policy = field(default_factory=lambda: Policy("", True))
    options: dict[str, Any] = field(default_factory=dict)
    steady: dict[str, CheckState] = field(default_factory=lambda: dict.fromkeys(CHECKS, P))

    def day(
        self, states: Mapping[str, CheckState], *, fresh: bool = True, of: Sequence[int] = (1,)
    ) -> list[Action]:
        """One board on which `states` differ from all passing; gives what is to be done."""
        self.at += timedelta(days=1)
        seen = self.at if fresh else self.at - timedelta(days=1)
        scores = []
        for number in range(1, self.services + 1):
            said = self.steady | (dict(states) if number in of else {})
            results = [result(service(number), c, s, seen, "because") for c, s in said.items()]
            scores.append(score(service(number), results, self.at))
        return self.act(board(self.at, scores))

    def act(self, today: Scoreboard) -> list[Action]:
        observed = observe(self.streaks, today, Breaker(), rubric=CHECKS)
        self.streaks = observed.streaks
        listing = self.options.pop("listing", Listing(tuple(self.issues.values())))
        listing = scrutinised(self.cases.values(), listing)
        doubt = suspicion(listing)
        issue_index = IssueIndex(listing, self.cases.values(), "ox")
        if not doubt:
            self.cases, noticed = notice(self.cases, issue_index, SnoozePolicy(), self.at)
        else:
            noticed = []
        snoozed = [a.key for a in noticed if a.kind is ActionKind.SNOOZE]
        planned = self._plan(today, issue_index, doubt, [p.check for p in observed.pauses], snoozed)
        self.cases = dict(planned.cases)
        for action in planned.actions:
            self._done(action)
        return [*noticed, *planned.actions]

    def _plan(
        self,
        today: Scoreboard,
        issue_index: IssueIndex,
        doubt: str,
        paused: Sequence[str],
        snoozed: Sequence[IssueKey],
    ) -> Planned:
        places = {ref: place(int(ref.name.split("-")[1])) for ref in today.scores}
        return plan(
            Situation(
                today,
                CHECKS,
                places,
                self.streaks,
                self.cases,
                issue_index,
                DRAFTS.render,
                lambda _: self.policy,
                self.at,
                doubt=doubt,
                paused=paused,
                snoozed=snoozed,
                **self.options,
            )
        )

    def _done(self, action: Action) -> None:
        if not action.kind.writes or action.case is None:
            return
        key, case = action.key, action.case
        iid = case.iid or 1 + len(self.issues)
        before = self.issues.get((key.project_id, iid))
        text = action.draft.text if action.draft else before.description if before else ""
        opened = action.kind is not ActionKind.CLOSE
        self.issues[key.project_id, iid] = SeenIssue(
            key.project_id,
            iid,
            opened,
            True,
            "",
            text,
            before.labels if before else ("ox",),
            None if opened else self.at,
            not opened,
        )
        status = CaseStatus.OPENED if opened else CaseStatus.FIXED
        held = () if action.kind in OPENING else case.held
        self.cases[key] = replace(case, iid=iid, status=status, held=held)

    def person(self, iid: int, **changes: Any) -> None:
        place = (1, iid)
        self.issues[place] = replace(self.issues[place], closed_by_us=False, **changes)

    def close(self, iid: int) -> None:
        self.person(iid, opened=False, closed_at=self.at)


def kinds(actions: Sequence[Action]) -> list[str]:
    return [action.kind.value for action in actions]


def begun(services: int = 1, **options: Any) -> Days:
    """A fleet whose first two days, all passing, are over."""
    days = Days(services, options=options)
    days.day({})
    days.day({})
    return days


def test_two_fresh_fails_open_and_two_fresh_passes_close() -> None:
    days = begun()
    assert days.day({"owner": F}) == []
    opened = days.day({"owner": F})
    assert kinds(opened) == ["open"]
    assert opened[0].reason == "owner fails"
    assert days.day({"owner": F}) == []
    assert days.day({}) == []
    closed = days.day({})
    assert kinds(closed) == ["close"]
    assert closed[0].reason == "owner passes or no longer applies"


def test_the_same_evidence_seen_again_is_not_fresh() -> None:
    """Boards come more often than facts are read."""
    days = begun()
    days.day({"owner": F})
    assert days.day({"owner": F}, fresh=False) == []
    assert kinds(days.day({"owner": F})) == ["open"]


def test_two_looks_within_minutes_are_one() -> None:
    """However often is scored: a hiccup that two passes see is no failure of two days."""
    looks = [(0, P, 1), (1, F, 1), (2, F, 1), (60, F, 1), (61, F, 2), (62, P, 1), (63, F, 1)]
    streaks: Streaks = {}
    for minute, state, count in looks:
        at = START + timedelta(minutes=minute)
        scores = [score(service(1), [result(service(1), "owner", state, at)], at)]
        today, hour = board(at, scores), timedelta(hours=1)
        streaks = observe(streaks, today, Breaker(), rubric=CHECKS, settle=hour).streaks
        assert streaks[service(1)]["owner"].count == count


@pytest.mark.parametrize("state", [U, STALE])
def test_unknown_and_stale_never_act(state: CheckState) -> None:
    """Neither towards an issue nor away from one."""
    days = begun()
    days.day({"owner": F})
    assert [days.day({"owner": state}) for _ in range(5)] == [[]] * 5
    assert kinds(days.day({"owner": F})) == ["open"]
    assert [days.day({"owner": state}) for _ in range(5)] == [[]] * 5


def test_flapping_never_opens() -> None:
    days = begun()
    assert [days.day({"owner": state}) for state in (F, P, F, P, F, P)] == [[]] * 6


def test_the_first_run_is_the_baseline() -> None:
    """What fails on the first day is left alone until it has passed."""
    days = Days()
    assert [days.day({"owner": F, "ci": F}) for _ in range(4)] == [[]] * 4
    days.day({"ci": F})
    days.day({"ci": F})
    days.day({"owner": F, "ci": F})
    opened = days.day({"owner": F, "ci": F})
    assert [(a.kind.value, a.checks) for a in opened] == [("open", ("owner",))]


def test_the_baseline_can_be_asked_for() -> None:
    days = Days(options={"baseline": True})
    days.day({"owner": F})
    assert kinds(days.day({"owner": F})) == ["open"]


def test_a_new_check_has_a_baseline_of_its_own() -> None:
    """A rubric that grows does not flood anybody."""
    days = Days(steady={check: P for check in CHECKS if check != "slo"})
    days.day({})
    days.day({})
    days.steady["slo"] = F
    assert [days.day({}) for _ in range(3)] == [[]] * 3


def test_a_new_service_has_none() -> None:
    """What comes later and fails is told."""
    days = begun()
    days.services = 2
    assert days.day({"owner": F}, of=[2]) == []
    assert kinds(days.day({"owner": F}, of=[2])) == ["open"]


def test_gates_have_an_issue_each_and_the_rest_one_together() -> None:
    days = begun()
    failing = {"owner": F, "critical": F, "ci": F, "slo": F}
    days.day(failing)
    opened = days.day(failing)
    assert [(a.key.check, a.checks) for a in opened] == [
        ("owner", ("owner",)),
        ("critical", ("critical",)),
        (CHECKLIST, ("ci", "slo")),
    ]
    assert opened[2].reason == "ci and slo fail"
    assert days.day(failing) == []


def test_the_list_is_edited_only_when_it_lists_something_else() -> None:
    """Not when a number moves, and never by a comment."""
    days = begun()
    days.day({"ci": F})
    days.day({"ci": F})
    days.day({"ci": F, "slo": F})
    edited = days.day({"ci": F, "slo": F})
    assert [(a.kind.value, a.reason) for a in edited] == [("edit", "slo fails too")]
    assert days.day({"ci": F, "slo": F}) == []
    days.day({"slo": F})
    edited = days.day({"slo": F})
    assert [(a.kind.value, a.reason) for a in edited] == [("edit", "ci is done")]


def test_caps_open_gates_first_and_defer_the_rest() -> None:
    days = begun(per_run=4)
    days.services = 3
    days.day({})
    days.day({})
    failing = {"owner": F, "protected": F, "critical": F, "ci": F}
    days.day(failing, of=[1, 2, 3])
    done = days.day(failing, of=[1, 2, 3])
    opened = [action for action in done if action.kind is ActionKind.OPEN]
    assert len(opened) == 4
    assert all(action.key.kind is KeyKind.GATE for action in opened)
    put_off = "critical fails; put off: 4 issues are opened in this run already"
    assert put_off in {a.reason for a in done}
    for _ in range(5):
        done = days.day(failing, of=[1, 2, 3])
    per_service = [key.project_id for key in days.cases]
    assert [per_service.count(number) for number in (1, 2, 3)] == [3, 3, 3]
    assert {a.reason for a in done} == {"ci fails; put off: the service has 3 open issues already"}


def test_of_two_services_the_one_without_a_tier_waits_for_the_one_with_the_lowest() -> None:
    """What nobody said is important comes last; by name the first would be `svc-1`."""
    days = begun(per_run=1)
    done: list[Action] = []
    for _ in range(2):
        days.at += timedelta(days=1)
        scores = [
            replace(
                score(
                    service(number),
                    [result(service(number), c, F, days.at, "because") for c in ("owner",)],
                    days.at,
                ),
                tier=tier,
            )
            for number, tier in ((1, None), (2, 4))
        ]
        done = days.act(board(days.at, scores))
    opened = [action.key.entity for action in done if action.kind is ActionKind.OPEN]
    assert opened == [service(2)]


@pytest.mark.parametrize(
    "listing",
    [Listing(failure="503"), Listing(), Listing(doubtful={1: "403"})],
    ids=["failed", "suspiciously empty", "of this project in doubt"],
)
def test_a_listing_in_doubt_creates_nothing(listing: Listing) -> None:
    days = begun()
    days.day({"owner": F})
    days.day({"owner": F})
    days.day({"owner": F, "ci": F})
    days.options["listing"] = listing
    done = days.day({"owner": F, "ci": F})
    assert kinds(done) == ["defer"]
    assert kinds(days.day({"owner": F, "ci": F})) == ["open"]


def test_a_person_who_closes_is_listened_to() -> None:
    """Closed while failing: quiet for 30 days, and then only after pass and fail."""
    days = begun()
    days.day({"owner": F})
    days.day({"owner": F})
    days.close(1)
    noticed = days.day({"owner": F})
    assert kinds(noticed) == ["snooze"]
    assert "stays closed at least until" in noticed[0].reason
    assert [days.day({"owner": F}) for _ in range(40)] == [[]] * 40
    assert [days.day({}) for _ in range(2)] == [[]] * 2
    days.day({"owner": F})
    reopened = days.day({"owner": F})
    assert [(a.kind.value, a.reason) for a in reopened] == [
        ("reopen", "owner fails again after it had passed")
    ]


def test_a_pass_within_the_snooze_does_not_end_it() -> None:
    days = begun()
    days.day({"owner": F})
    days.day({"owner": F})
    days.close(1)
    closed = days.at
    days.day({"owner": F})
    days.day({})
    days.day({})
    reopened = [days.at for _ in range(40) if "reopen" in kinds(days.day({"owner": F}))]
    assert reopened == [closed + timedelta(days=30)]


def test_what_a_person_opened_again_stays_open() -> None:
    """Until it has failed and passed once more."""
    days = begun()
    days.day({"owner": F})
    days.day({"owner": F})
    days.day({})
    assert kinds(days.day({})) == ["close"]
    days.person(1, opened=True)
    assert kinds(days.day({})) == ["settle"]
    assert [days.day({}) for _ in range(5)] == [[]] * 5
    for state in (F, F, P):
        assert days.day({"owner": state}) == []
    assert kinds(days.day({})) == ["close"]


def test_the_waivers_label_holds_until_its_date() -> None:
    days = begun()
    days.day({"ci": F})
    days.day({"ci": F})
    days.person(1, labels=("ox", "ox::waived"), due=date(2026, 3, 12))
    noticed = days.day({"ci": F})
    assert [(a.kind.value, a.reason) for a in noticed] == [
        ("waive", "a person waived it by label until 2026-03-12")
    ]
    assert [days.day({"ci": F, "slo": F}) for _ in range(6)] == [[]] * 6
    for _ in range(4):
        done = days.day({"ci": F, "slo": F})
    assert [case.status for case in days.cases.values()] == [CaseStatus.OPENED]
    assert days.cases[IssueKey.checklist(1, service(1))].checks == ("ci", "slo"), done


def test_who_opened_and_closed_it_between_two_looks_is_listened_to() -> None:
    """It was closed because it passed, or by a person: the last word is the person's."""
    days = begun()
    for states in ({"owner": F}, {"owner": F}, {}, {}):
        done = days.day(states)
    assert kinds(done) == ["close"]
    days.at += timedelta(hours=12)
    days.close(1)
    assert kinds(days.day({"owner": F})) == ["snooze"]
    for _ in range(10):
        assert days.day({"owner": F}) == []
    days.close(1)
    again = days.at
    assert kinds(days.day({"owner": F})) == ["snooze"]
    assert days.cases[GATE].until == again + timedelta(days=30)
    assert days.day({"owner": F}) == []


def test_a_waiver_in_the_manifest_closes_with_its_reason() -> None:
    days = begun()
    days.day({"owner": F})
    days.day({"owner": F})
    closed = days.day({"owner": WAIVED})
    assert [(a.kind.value, a.reason) for a in closed] == [("close", "owner is waived (because)")]
    assert kinds(days.day({"owner": F})) == ["reopen"]  # the waiver is over, as its giver knew


def test_a_label_waives_for_the_score_and_keeps_its_issue() -> None:
    """Scored as waived until its date; the issue neither closes for it nor is edited."""
    days = begun()
    days.day({"ci": F, "slo": F, "owner": F})
    days.day({"ci": F, "slo": F, "owner": F})
    days.person(2, labels=("ox", "ox::waived"), due=date(2026, 3, 12))
    days.day({"ci": F, "slo": F, "owner": F})
    given = labelled(days.cases.values(), "ox::waived", days.at)
    assert [(w.check, w.expires, w.by) for w in given[service(1)]] == [
        ("ci", date(2026, 3, 12), "issue"),
        ("slo", date(2026, 3, 12), "issue"),
    ]
    waived = [
        replace(result(service(1), w.check, WAIVED, days.at), waiver=w) for w in given[service(1)]
    ]
    others = [result(service(1), c, P, days.at) for c in CHECKS if c not in ("ci", "slo", "owner")]
    failing = result(service(1), "owner", F, days.at)
    today = board(days.at, [score(service(1), [*others, failing, *waived], days.at)])
    assert days.act(today) == []
    assert labelled(days.cases.values(), "ox::waived", days.at + timedelta(days=30)) == {}


def test_what_no_longer_applies_is_closed() -> None:
    """Twice said, as everything."""
    days = begun()
    days.day({"owner": F})
    days.day({"owner": F})
    assert days.day({"owner": NA}) == []
    assert kinds(days.day({"owner": NA})) == ["close"]


def test_a_service_that_is_gone_takes_its_issues_along() -> None:
    days = begun(2)
    days.day({"owner": F}, of=[2])
    days.day({"owner": F}, of=[2])
    days.services = 1
    assert days.day({}) == []
    closed = days.day({})
    assert [(a.kind.value, a.reason) for a in closed] == [
        ("close", "the service is no longer in the catalog")
    ]
    assert service(2) not in days.streaks


def test_half_a_catalog_missing_is_a_doubt_not_a_fact() -> None:
    days = begun(20)
    days.day({"owner": F}, of=[20])
    days.day({"owner": F}, of=[20])
    days.services = 10
    assert [days.day({}) for _ in range(4)] == [[]] * 4


def test_the_breaker_pauses_a_check_until_it_is_as_before() -> None:
    """More than a tenth of the services at once: the check broke, not the fleet."""
    days = begun(50)
    everyone = range(1, 51)
    days.day({"owner": F}, of=[3])
    days.day({"owner": F}, of=[3])
    assert [days.day({"owner": F}, of=everyone) for _ in range(5)] == [[]] * 5
    assert [days.day({"owner": F}, of=[3]) for _ in range(3)] == [[]] * 3
    days.day({"owner": F}, of=[3, 4])
    assert kinds(days.day({"owner": F}, of=[3, 4])) == ["open"]


def test_flips_that_somebody_accepts_count() -> None:
    scores = [score(service(n), [result(service(n), "owner", P, START)], START) for n in range(20)]
    first = observe({}, board(START, scores), Breaker(), rubric=CHECKS)
    later = START + timedelta(days=1)
    scores = [score(service(n), [result(service(n), "owner", F, later)], later) for n in range(20)]
    today = board(later, scores)
    paused = observe(first.streaks, today, Breaker(), rubric=CHECKS)
    assert [str(p) for p in paused.pauses] == [
        "owner is paused: 20 of 20 services flipped at once, so the check is in doubt, not the "
        "services"
    ]
    accepted = observe(first.streaks, today, Breaker(), rubric=CHECKS, accepted=["owner"])
    assert accepted.pauses == ()
    assert {of["owner"].course.value for of in accepted.streaks.values()} == {"fail"}


@pytest.mark.parametrize(
    ("closer", "expected"), [(False, CaseStatus.SNOOZED), (None, CaseStatus.FIXED)]
)
def test_who_closed_it_is_asked_of_gitlab(closer: bool | None, expected: CaseStatus) -> None:
    """Our own intent to close, whose answer was lost, counts only where GitLab does not say."""
    days = begun()
    key = IssueKey(1, service(1), "owner")
    days.day({"owner": F})
    days.day({"owner": F})
    days.cases[key] = replace(days.cases[key], intent=ActionKind.CLOSE)
    days.issues[1, 1] = replace(days.issues[1, 1], opened=False, closed_by_us=closer)
    days.day({"owner": U})
    assert days.cases[key].status is expected


def test_an_intent_is_over_once_the_issue_is_seen_open() -> None:
    """Else a close that never happened would make ours what a person closes much later."""
    days = begun()
    key = IssueKey(1, service(1), "owner")
    days.day({"owner": F})
    days.day({"owner": F})
    days.cases[key] = replace(days.cases[key], intent=ActionKind.CLOSE)
    days.day({"owner": F})
    days.issues[1, 1] = replace(days.issues[1, 1], opened=False, closed_by_us=None)
    assert kinds(days.day({"owner": F})) == ["snooze"]


def test_a_waived_issue_that_passes_is_closed_once() -> None:
    """The label stays on it; it is neither closed again in each run nor opened under the label."""
    days = begun()
    days.day({"owner": F})
    days.day({"owner": F})
    days.person(1, labels=("ox", "ox::waived"))
    days.day({"owner": F})
    days.day({})
    assert kinds(days.day({})) == ["close"]
    assert [days.day({}) for _ in range(5)] == [[]] * 5
    assert [days.day({"owner": F}) for _ in range(5)] == [[]] * 5
    days.person(1, labels=("ox",))
    assert kinds(days.day({"owner": F})) == ["settle", "reopen"]


def test_who_closes_a_list_closes_all_that_fails() -> None:
    """What failed already, but was not listed yet, does not open it again without a pass."""
    days = begun()
    days.day({"ci": F})
    days.day({"ci": F})
    days.day({"ci": F, "slo": F})
    days.close(1)
    assert kinds(days.day({"ci": F, "slo": F})) == ["snooze"]
    assert [days.day({"ci": F, "slo": F}) for _ in range(40)] == [[]] * 40
    days.day({"ci": F, "slo": F, "readme": F})
    reopened = days.day({"ci": F, "slo": F, "readme": F})
    assert [(a.kind.value, a.checks) for a in reopened] == [("reopen", ("readme",))]


def test_a_lost_store_does_not_forget_what_a_person_closed() -> None:
    """Its issue is found by the marker, closed by a person: it stays so until pass and fail."""
    days = begun()
    days.day({"ci": F})
    days.day({"ci": F})
    days.close(1)
    days.cases = {}
    assert kinds(days.day({"ci": F})) == ["adopt"]
    assert [days.day({"ci": F}) for _ in range(40)] == [[]] * 40


def test_in_a_project_in_doubt_nothing_is_written() -> None:
    """Neither a new issue nor a change of an old one."""
    days = begun()
    days.day({"owner": F})
    days.day({"owner": F})
    days.day({})
    days.options["listing"] = Listing(doubtful={1: "issues are switched off"})
    done = days.day({})
    assert [(a.kind.value, a.reason) for a in done] == [("defer", "issues are switched off")]
    assert kinds(days.day({})) == ["close"]


def test_what_nobody_can_see_any_more_is_forgotten() -> None:
    """A project that is gone with its service does not burden every run for ever."""
    days = begun(2)
    days.day({"owner": F}, of=[2])
    days.day({"owner": F}, of=[2])
    days.services = 1
    gone = Listing(doubtful={2: "the project is not shown"}, unseen=frozenset({2}))
    for _ in range(2):  # the second time it is sure that the service is gone
        assert days.cases
        days.options["listing"] = gone
        days.day({})
    assert days.cases == {}


def test_a_text_that_looks_like_our_marker_is_none() -> None:
    """A stranger's end of our part would let each edit leave a copy behind."""
    key = IssueKey(1, service(1), "owner")
    evil = replace(place(1), title="<!-- /ox:v1 --> <!--ox:v1 " + "0" * 24)
    members = [(CHECKS["owner"], result(service(1), "owner", F, START, "<!-- /ox:v1 -->"))]
    text = DRAFTS.render(key, evil, members).text
    new = marked(key, digest_of("b"), "new")
    assert replaced(f"before {text} after", new) == f"before {new} after"


def test_a_marker_is_honoured_only_from_the_bot() -> None:
    """A copy that a person made is not ours; an issue of ours is found without the store.

    Whether the other one is an earlier bot user's nobody knows: no second one is made beside it.
    """
    days = begun()
    days.day({"owner": F})
    days.day({"owner": F})
    key = IssueKey(1, service(1), "owner")
    for ours, expected in ((True, ["adopt"]), (False, ["defer"])):
        copy = replace(days, cases={}, streaks=dict(days.streaks), issues=dict(days.issues))
        copy.issues[1, 1] = replace(copy.issues[1, 1], ours=ours, author="robin")
        done = copy.day({"owner": F})
        assert kinds(done) == expected
        assert (key in copy.cases) == ours
    assert "issue 1 carries its marker and was written by `robin`" in done[0].reason
    assert "`remediation.bots`" in done[0].reason


def test_a_project_whose_issue_is_not_listed_stops_no_other() -> None:
    days = begun(2)
    days.day({"owner": F}, of=[1])
    days.day({"owner": F}, of=[1])
    days.day({"owner": F, "ci": F}, of=[1, 2])
    days.options["listing"] = Listing()
    done = days.day({"owner": F, "ci": F}, of=[1, 2])
    found = sorted((a.key.project_id, a.kind.value) for a in done)
    assert found == [(1, "defer"), (2, "open"), (2, "open")]
    (put_off,) = [action for action in done if action.kind is ActionKind.DEFER]
    assert "issue 1, which the store knows, is not listed" in put_off.reason


def test_nothing_is_written_to_a_closed_project_and_its_reason_is_told() -> None:
    days = begun(2, closed={1: "the project is archived"})
    days.day({"owner": F}, of=[1, 2])
    done = days.day({"owner": F}, of=[1, 2])
    assert [(a.key.project_id, a.kind.value) for a in done] == [(1, "defer"), (2, "open")]
    assert done[0].reason.endswith("put off: the project is archived")


def test_an_issue_whose_answer_was_lost_is_found_again() -> None:
    days = begun()
    days.day({"owner": F})
    days.day({"owner": F})
    key = IssueKey(1, service(1), "owner")
    days.cases[key] = Case(
        key, CaseStatus.OPENING, days.at, checks=("owner",), intent=ActionKind.OPEN
    )
    assert kinds(days.day({"owner": F})) == ["adopt"]
    assert (days.cases[key].iid, days.cases[key].status) == (1, CaseStatus.OPENED)


@pytest.mark.parametrize(
    ("orphan", "hours", "expected"),
    [(True, 0, "adopt"), (True, -48, "defer"), (False, 0, "defer")],
    ids=["ours", "from before", "a person's"],
)
def test_an_issue_made_unheard_by_a_user_who_was_deleted_is_ours(
    orphan: bool, hours: int, expected: str
) -> None:
    """A revoked token's user goes with it; what was meant to be made then is known by its time."""
    days = begun()
    days.day({"owner": F})
    days.day({"owner": F})
    key = IssueKey(1, service(1), "owner")
    days.cases[key] = Case(
        key, CaseStatus.OPENING, days.at, checks=("owner",), intent=ActionKind.OPEN
    )
    at = days.at + timedelta(hours=hours)
    theirs = replace(days.issues[1, 1], ours=False, author="ghost", orphan=orphan, created_at=at)
    days.issues[1, 1] = theirs
    assert kinds(days.day({"owner": F})) == [expected]


GATE = IssueKey(1, service(1), "owner")


def unheard(issues: Mapping[int, str], **wiped: Any) -> Days:
    """The answer to the making was lost, and a person wrote anew the texts of these issues."""
    days = begun()
    days.day({"owner": F})
    days.day({"owner": F})
    made = days.issues.pop((1, 1))
    (_, digest) = read_marker(made.description) or ("", "")
    case = Case(
        GATE, CaseStatus.OPENING, days.at, checks=("owner",), digest=digest, intent=ActionKind.OPEN
    )
    days.cases[GATE] = replace(case, title="Has owner")
    at = days.at + timedelta(minutes=1)
    for iid, title in issues.items():
        one = replace(made, iid=iid, title=title, description="Mine now.", created_at=at)
        days.issues[1, iid] = replace(one, **wiped)
    return days


@pytest.mark.parametrize(
    ("issues", "wiped", "expected"),
    [
        ({1: "Has owner"}, {}, "adopt"),
        ({1: "Has owner"}, {"ours": False, "orphan": True, "labels": ()}, "adopt"),
        ({1: "Has owner", 2: "Else"}, {}, "adopt"),
        ({1: "Has owner", 2: "Has owner"}, {}, "defer"),
        ({1: "Mine"}, {}, "defer"),
        ({1: "Mine"}, {"labels": ()}, "open"),
        ({1: "Has owner"}, {"ours": False}, "open"),
        ({1: "Has owner"}, {"created_at": START - timedelta(days=9)}, "open"),
    ],
    ids=[
        "its title",
        "its title alone",
        "one of two",
        "two",
        "its label",
        "nothing",
        "a person's",
        "from before",
    ],
)
def test_what_was_made_unheard_and_written_anew_is_known_or_asked_about(
    issues: dict[int, str], wiped: dict[str, Any], expected: str
) -> None:
    days = unheard(issues, **wiped)
    (done,) = days.day({"owner": F})
    assert done.kind.value == expected
    if expected == "defer":
        assert "give the one that is it, and no other, the title `Has owner`" in done.reason
        assert days.cases[GATE].status is CaseStatus.OPENING
    if expected == "adopt":
        assert (days.cases[GATE].iid, days.cases[GATE].title) == (1, "")


def test_two_that_were_made_unheard_do_not_take_each_others_issue() -> None:
    days = unheard({1: "Has owner", 2: "Has protected"})
    other = IssueKey(1, service(1), "protected")
    days.cases[other] = replace(
        days.cases[GATE], key=other, checks=("protected",), title="Has protected"
    )
    found = kinds(days.day({"owner": F, "protected": F}))
    assert found[:2] == ["adopt", "adopt"]
    assert "open" not in found
    assert [days.cases[key].iid for key in (GATE, other)] == [1, 2]


def test_what_may_be_there_is_not_forgotten_when_it_passes() -> None:
    """Its issue would stay open for ever; and a failed list tells nothing."""
    days = unheard({1: "Mine"})
    assert days.day({}) == []
    days.options["listing"] = Listing(failure="down")
    assert days.day({}) == []
    assert days.cases[GATE].status is CaseStatus.OPENING
    days.issues[1, 1] = replace(days.issues[1, 1], title="Has owner")
    assert kinds(days.day({})) == ["adopt", "close"]


def test_of_a_service_that_is_gone_nothing_is_waited_for() -> None:
    days = unheard({})
    days.act(board(days.at + timedelta(days=1), []))
    assert GATE not in days.cases


def test_an_intent_that_came_to_nothing_is_taken_up_again_or_forgotten() -> None:
    for state, expected in ((F, ["open"]), (P, [])):
        days = begun()
        key = IssueKey(1, service(1), "owner")
        days.day({"owner": state})
        days.cases[key] = Case(
            key, CaseStatus.OPENING, days.at, checks=("owner",), intent=ActionKind.OPEN
        )
        assert kinds(days.day({"owner": state})) == expected
        assert (key in days.cases) == (state is F)


def test_a_deleted_issue_is_a_persons_word_too() -> None:
    days = begun()
    days.day({"owner": F})
    days.day({"owner": F})
    days.issues.clear()
    days.options["listing"] = Listing(deleted=frozenset({(1, 1)}))
    assert kinds(days.day({"owner": F})) == ["snooze"]
    assert [days.day({"owner": F}) for _ in range(35)] == [[]] * 35


def test_peoples_words_around_ours_stay() -> None:
    key = IssueKey(1, service(1), "owner")
    old, new = marked(key, digest_of("a"), "old"), marked(key, digest_of("b"), "new")
    assert replaced(f"mine\n{old}\nmine too", new) == f"mine\n{new}\nmine too"
    assert replaced("all mine", new) is None
    assert read_marker(new) != read_marker(old)


LIST = """\
Some things are missing.

- [ ] **A README** (Docs): write one
  - `a.readme` was `false`
- [ ] **A runbook** (Docs)
- [ ] **A dashboard** (Ops)

The list follows what Fester sees."""
FEWER = LIST.replace("- [ ] **A runbook** (Docs)\n", "").replace("`false`", "`null`")


def between(text: str, **options: bool) -> str:
    """What becomes of the list, changed by a person to `text`, when the runbook is there."""
    key = IssueKey.checklist(1, service(1))
    before = marked(key, digest_of("a"), LIST, "title")
    assert LIST in before
    after = replaced(before.replace(LIST, text), marked(key, digest_of("b"), FEWER), **options)
    assert after is not None
    return "\n".join(after.split("\n")[1:-1])


@pytest.mark.parametrize(
    ("done", "expected"),
    [
        (LIST, FEWER),
        (
            LIST.replace("[ ] **A R", "[x] **A R").replace("[ ] **A run", "[x] **A run"),
            FEWER.replace("[ ] **A R", "[x] **A R"),
        ),
        (
            LIST.replace("(Ops)", "(Ops)\n- [x] ask Kim\n\nKim says no.\n\nOr later."),
            FEWER.replace("(Ops)", "(Ops)\n- [x] ask Kim\n\nKim says no.\n\nOr later."),
        ),
        (
            LIST.replace("A runbook** (Docs)", "A runbook** (Docs)\n  in the wiki"),
            f"{FEWER}\n\n  in the wiki",
        ),
        (
            LIST.replace("[ ] **A dashboard** (Ops)", "[x] **A dashboard** (Ops), by Kim"),
            FEWER.replace("[ ] **A dashboard** (Ops)", "[x] **A dashboard** (Ops), by Kim"),
        ),
        ("First of all:\n" + LIST, "First of all:\n" + FEWER),
        (LIST.replace("\n", "\r\n"), FEWER),
    ],
    ids=["nothing", "ticks", "text", "text of a line that goes", "a line", "the top", "crlf"],
)
def test_peoples_work_in_our_part_stays(done: str, expected: str) -> None:
    """Ticks on lines that stay, lines of their own, and what they added to ours."""
    assert between(done) == expected


def test_a_list_that_is_opened_again_has_no_ticks() -> None:
    ticked = LIST.replace("- [ ] **A", "- [x] **A")
    assert between(ticked, ticks=False) == FEWER


def test_an_issue_of_an_earlier_version_keeps_its_ticks() -> None:
    """It does not tell which lines are ours, so other lines are taken for ours as before."""
    key = IssueKey.checklist(1, service(1))
    first, *lines = marked(key, digest_of("a"), LIST).split("\n")
    old = "\n".join([first, *lines[:-1], "<!-- /ox:v1 -->"]).replace("[ ] **A R", "[X] **A R")
    new = replaced(old, marked(key, digest_of("b"), FEWER))
    assert new is not None
    assert "\n- [x] **A README**" in new
    assert new.count("dashboard") == 1
    assert title_is_ours(old, "whatever it is")


def test_what_people_wrote_is_no_command_when_we_send_it() -> None:
    """A fence that is gone must not turn its text into quick actions with our rights."""
    sent = between("```\n/close\n```\n" + LIST)
    assert "\n/close" not in sent
    key = IssueKey.checklist(1, service(1))
    ours = marked(key, digest_of("a"), LIST)
    around = replaced(f" /label ~x\n/usr/bin/env\n{ours}\n/close", ours)
    assert around is not None
    assert not [line for line in around.split("\n") if line.lstrip().startswith(("/close", "/l"))]
    assert "\n/usr/bin/env\n" in around


def test_a_title_that_a_person_changed_is_theirs() -> None:
    text = marked(IssueKey.checklist(1, service(1)), digest_of("a"), LIST, "Ours")
    assert title_is_ours(text, "Ours")
    assert not title_is_ours(text, "Ours, urgent")


def test_an_entitys_name_never_reaches_the_marker() -> None:
    key = IssueKey(1, Ref("component", "default", "--> <script>"), "owner")
    assert marked(key, digest_of("a"), "x").count("-->") == 2


def test_what_an_initiative_waits_for_comes_first_and_opens_no_more() -> None:
    """Of two services that fail alike the cap leaves room for one."""

    def opened(**options: Any) -> list[str]:
        days = Days(services=3, options={"per_run": 1, "baseline": True, **options})
        found: list[Action] = []
        for _ in range(2):
            found = days.day({"owner": F}, of=(1, 3))
        return [a.key.entity.name for a in found if a.kind in OPENING]

    assert opened() == ["service-1"]
    assert opened(promised={(service(3), "owner")}) == ["service-3"]
    assert opened(promised={(service(2), "owner"), (service(3), "ci")}) == ["service-1"]


@pytest.mark.parametrize(
    ("key", "kind", "spelt", "what"),
    [
        (IssueKey(1, service(1), "owner"), KeyKind.GATE, "owner", "owner"),
        (IssueKey.checklist(1, service(1)), KeyKind.CHECKLIST, "*", "checklist"),
        (
            IssueKey.merge_request(1, "runbook", service(1)),
            "merge-request",
            "mr:runbook",
            "runbook",
        ),
        (IssueKey.registration(1), KeyKind.REGISTRATION, "snyk:import", "snyk:import"),
        (IssueKey.snyk_tags(1, "s"), KeyKind.SNYK_TAGS, "snyk:tags:s", "snyk:tags:s"),
        (IssueKey.deactivation(1, "s"), "deactivation", "snyk:deactivate:s", "snyk:deactivate:s"),
    ],
)
def test_a_key_says_what_it_names_and_is_spelt_as_stores_have_it(
    key: IssueKey, kind: KeyKind, spelt: str, what: str
) -> None:
    assert key.kind == kind
    assert key.check == spelt
    assert key.what == what
    assert key.is_issue == (kind in ("gate", "checklist"))
    assert str(IssueKey.merge_request(7, "manifest")) == "7 project:gitlab/7 mr:manifest"
