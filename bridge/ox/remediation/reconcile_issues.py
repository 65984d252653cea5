"""What people did to our issues since the last run. Pure: cases and a listing in, cases out."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta

from bridge.model.entities import Ref
from bridge.model.remediation import Action, ActionKind, Case, CaseStatus, IssueKey, KeyKind
from bridge.model.scores import Waiver, WaiverPlace
from bridge.model.tracker import Listing, SeenIssue
from bridge.ox.remediation.harmless import quoted
from bridge.ox.remediation.marker import key_hash, read_marker

WAIVER_DAYS = 90
CLOCKS_APART = timedelta(hours=1)  # GitLab's and ours


@dataclass(frozen=True, slots=True)
class SnoozePolicy:
    """How long a person's word holds, and by which label a waiver is given."""

    snooze: timedelta = timedelta(days=30)
    waive_label: str = "ox::waived"


def labelled(cases: Iterable[Case], label: str, now: datetime) -> dict[Ref, list[Waiver]]:
    """The waivers that people gave by a label, for scoring: of what their issues list."""
    found: dict[Ref, list[Waiver]] = {}
    for case in cases:
        until = case.waived_until
        if until is None or until < now or not case.key.is_issue:
            continue
        checks = case.checks if case.key.kind is KeyKind.CHECKLIST else (case.key.check,)
        reason = f"the label {label} on {case.url or 'its issue'}"
        day = until.astimezone(UTC).date()
        given = [Waiver(c, reason, day, WaiverPlace.ISSUE, person=case.waived_by) for c in checks]
        found.setdefault(case.key.entity, []).extend(given)
    return found


class IssueIndex:
    """A listing, to be looked up by number and by marker, beside the cases that are known.

    What was made unheard and has lost its marker since is known by its title, its author and when
    it was made; `label` is the one that we give.
    """

    def __init__(self, listing: Listing, cases: Collection[Case] = (), label: str = "") -> None:
        self.listing = listing
        self._label = label
        known = {(case.key.project_id, case.iid) for case in cases if case.iid}
        self._titles = Counter((c.key.project_id, c.title) for c in cases if c.unheard and c.title)
        self._bare: dict[int, list[SeenIssue]] = defaultdict(list)
        self._by_iid = {(seen.project_id, seen.iid): seen for seen in listing.issues}
        self._by_hash: dict[tuple[int, str], SeenIssue] = {}
        self._copies: dict[tuple[int, str], SeenIssue] = {}
        for seen in sorted(listing.issues, key=lambda seen: seen.iid):
            marker = read_marker(seen.description)
            ours = seen.ours or seen.orphan
            if marker is None and ours and (seen.project_id, seen.iid) not in known:
                self._bare[seen.project_id].append(seen)
            if marker is not None:  # of two with one marker the older counts
                whose = self._by_hash if seen.ours else self._copies
                whose.setdefault((seen.project_id, marker[0]), seen)

    def find(self, case: Case) -> SeenIssue | None:
        """A case's issue: by its number, else by its marker."""
        found = self._by_iid.get((case.key.project_id, case.iid)) if case.iid else None
        return found or self.marked(case.key) or self._orphaned(case) or self._wiped(case)

    def marked(self, key: IssueKey) -> SeenIssue | None:
        """The issue that carries this key's marker and that we wrote."""
        return self._by_hash.get((key.project_id, key_hash(key)))

    def _orphaned(self, case: Case) -> SeenIssue | None:
        """What we meant to make, and a user made who was deleted since, as a token's user is."""
        seen = self._copies.get((case.key.project_id, key_hash(case.key)))
        if case.status is not CaseStatus.OPENING or seen is None or not seen.orphan:
            return None
        return seen if _made_since(seen, case) else None

    def _wiped(self, case: Case) -> SeenIssue | None:
        """What we meant to make, where a person wrote all of its text anew."""
        mine = [seen for seen in self._doubtful(case) if seen.title == case.title]
        alone = self._titles[case.key.project_id, case.title] == 1
        return mine[0] if alone and len(mine) == 1 else None

    def _doubtful(self, case: Case) -> list[SeenIssue]:
        """Issues without a marker that may be the one that was made unheard."""
        if not case.unheard or not case.title:
            return []
        number = case.key.project_id
        return [
            seen
            for seen in self._bare.get(number, ())
            if _made_since(seen, case)
            and (
                seen.title == case.title
                # One with the title of another case is that one's.
                or (self._label in seen.labels and not self._titles[number, seen.title])
            )
        ]

    def claimed(self, key: IssueKey, case: Case | None = None) -> str:
        """Why it is not known whether there is an issue of this key already; "" when it is.

        `case` is what is remembered of it. A marker can be copied, so somebody else's is no issue
        of ours; but it may be that of a bot user before a token's rotation, and then another one
        would be the second.
        """
        seen = self._copies.get((key.project_id, key_hash(key)))
        if seen is None:
            bare = self._doubtful(case) if case is not None else []
            return _unclear(bare, case.title) if case is not None and bare else ""
        return (
            f"issue {seen.iid} carries its marker and was written by {quoted(seen.author or '?')}, "
            "who is not known as a bot user of ours: name that user under `remediation.bots` if it "
            "is an earlier one, or take our label off that issue"
        )


def _made_since(seen: SeenIssue, case: Case) -> bool:
    made = seen.created_at
    return made is not None and made >= case.since - CLOCKS_APART


def _unclear(bare: Sequence[SeenIssue], title: str) -> str:
    one = bare[0]
    more = f" (and {len(bare) - 1} more like it)" if len(bare) > 1 else ""
    return (
        f"GitLab's answer was lost when it was made, and issue {one.iid}{more}, whose text a "
        f"person wrote anew, may be it: give the one that is it, and no other, the title "
        f"{quoted(title)}, or take our label off those that are not"
    )


def scrutinised(cases: Iterable[Case], listing: Listing) -> Listing:
    """The listing with every project in doubt of which a known issue is unaccounted for."""
    listed = {(seen.project_id, seen.iid) for seen in listing.issues} | listing.deleted
    doubtful = dict(listing.doubtful)
    for case in cases:
        number = case.key.project_id
        if case.iid and (number, case.iid) not in listed:
            doubtful.setdefault(number, f"issue {case.iid}, which the store knows, is not listed")
    return replace(listing, doubtful=doubtful)


def suspicion(listing: Listing) -> str:
    """Why a listing as a whole cannot be trusted; "" when it can. Then nothing may be written."""
    return f"listing the issues failed: {listing.failure}" if listing.failure else ""


def notice(
    cases: Mapping[IssueKey, Case], issue_index: IssueIndex, habits: SnoozePolicy, now: datetime
) -> tuple[dict[IssueKey, Case], list[Action]]:
    """The cases as GitLab has them now, and what was noticed."""
    after: dict[IssueKey, Case] = {}
    noticed: list[Action] = []
    for key, case in cases.items():
        if (key.project_id, case.iid) in issue_index.listing.deleted:
            found, kind = _deleted(case, habits, now), ActionKind.SNOOZE
        else:
            seen = issue_index.find(case)
            if seen is None:
                after[key] = case
                continue
            found, kind = _compared(case, seen, habits, now)
        after[key] = found
        if found != case:
            said = found.reason or "it was found again by its marker"
            noticed.append(Action(kind, key, "", said, found.checks, found, None, True))
    return after, noticed


def adopted(key: IssueKey, seen: SeenIssue, habits: SnoozePolicy, now: datetime) -> Case:
    """A case made from an issue of ours that the store does not know."""
    digest = (read_marker(seen.description) or ("", ""))[1]
    case = Case(key, CaseStatus.OPENED, now, seen.iid, seen.url, digest)
    return _compared(case, seen, habits, now)[0]


def _compared(
    case: Case, seen: SeenIssue, habits: SnoozePolicy, now: datetime
) -> tuple[Case, ActionKind]:
    digest = (read_marker(seen.description) or ("", case.digest))[1]
    known = replace(case, iid=seen.iid, url=seen.url or case.url, digest=digest)
    if case.status is CaseStatus.OPENING:
        known = replace(known, status=CaseStatus.OPENED, intent="", title="", since=now)
        return _compared(known, seen, habits, now)[0], ActionKind.ADOPT
    waived_until = _waiver_end(known, seen, habits, now)
    by = known.waived_by if waived_until is not None else ""
    known = replace(known, waived_until=waived_until, waived_by=by)
    waived = waived_until is not None and waived_until > now
    if waived_until is not None and waived and not _done_with(known, seen):
        return _waived(known, seen, waived_until, now), ActionKind.WAIVE
    if seen.opened:
        return _open(known, now), ActionKind.SETTLE
    return _closed(known, seen, habits, now)


def _open(case: Case, now: datetime) -> Case:
    if case.status is CaseStatus.OPENED:
        return replace(case, intent="")  # a write that was lost does not explain what comes later
    ours = case.intent in (ActionKind.REOPEN, ActionKind.CLOSE) or case.status is CaseStatus.WAIVED
    return replace(
        case,
        status=CaseStatus.OPENED,
        since=now,
        until=None,
        held=(),
        kept=not ours,
        intent="",
        reason="" if ours else "a person opened it again",
    )


def _closed(
    case: Case, seen: SeenIssue, habits: SnoozePolicy, now: datetime
) -> tuple[Case, ActionKind]:
    if case.status in (CaseStatus.FIXED, CaseStatus.SNOOZED) and not _closed_anew(case, seen):
        return replace(case, intent=""), ActionKind.SETTLE
    at = seen.closed_at or now
    if _closed_by_us(case, seen):
        return (
            replace(case, status=CaseStatus.FIXED, since=at, intent="", until=None, kept=False),
            ActionKind.SETTLE,
        )
    until = max(at + habits.snooze, case.until or at)
    said = f"a person closed it; it stays closed at least until {until:%Y-%m-%d}"
    return (
        replace(
            case,
            status=CaseStatus.SNOOZED,
            since=at,
            until=until,
            held=case.checks,
            kept=False,
            intent="",
            reason=said,
        ),
        ActionKind.SNOOZE,
    )


def _closed_by_us(case: Case, seen: SeenIssue) -> bool:
    """What GitLab says of who closed it; only where it says nothing, what we meant to do."""
    return case.intent is ActionKind.CLOSE if seen.closed_by_us is None else seen.closed_by_us


def _closed_anew(case: Case, seen: SeenIssue) -> bool:
    """Whether a person opened and closed it again, both between two looks.

    Our own close, be it by a user who is not known as ours any more, is told by its moment.
    """
    at = seen.closed_at
    return seen.closed_by_us is False and at is not None and at > case.since + CLOCKS_APART


def _done_with(case: Case, seen: SeenIssue) -> bool:
    """Whether it was closed because it passes: then a label on it waives only what may come."""
    return not seen.opened and (case.status is CaseStatus.FIXED or _closed_by_us(case, seen))


def _deleted(case: Case, habits: SnoozePolicy, now: datetime) -> Case:
    """Somebody who may delete issues did; the next one will have another number."""
    said = f"a person deleted it; none is opened before {now + habits.snooze:%Y-%m-%d}"
    return Case(
        case.key,
        CaseStatus.SNOOZED,
        now,
        checks=case.checks,
        held=case.checks,
        until=now + habits.snooze,
        reason=said,
    )


def _waiver_end(
    case: Case, seen: SeenIssue, habits: SnoozePolicy, now: datetime
) -> datetime | None:
    """Until when the label holds: the issue's due date, or a bounded time since it was noticed."""
    if habits.waive_label not in seen.labels:
        return None
    if seen.due is not None:
        return datetime.combine(seen.due, time.max, UTC)
    return case.waived_until or now + timedelta(days=WAIVER_DAYS)


def _waived(case: Case, seen: SeenIssue, until: datetime, now: datetime) -> Case:
    said = f"a person waived it by label until {until:%Y-%m-%d}"
    held = () if seen.opened else case.checks
    since = case.since if case.status is CaseStatus.WAIVED else now
    return replace(
        case,
        status=CaseStatus.WAIVED,
        since=since,
        held=held,
        kept=False,
        intent="",
        reason=said,
    )
