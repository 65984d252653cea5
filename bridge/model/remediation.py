"""What Ox does about a deficiency: issues under one key each, and why each step is taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Literal

from bridge.model.entities import Json, Ref
from bridge.model.numbers import own_id

# How `IssueKey.check` is spelt where it is no check's id; no id is like these.
CHECKLIST = "*"
_MERGE_REQUEST = "mr:"
_REGISTRATION = "snyk:import"
_SNYK_TAGS = "snyk:tags:"
_DEACTIVATION = "snyk:deactivate:"


class KeyKind(StrEnum):
    """What a key of remediation names."""

    GATE = "gate"  # the issue about one check
    CHECKLIST = "checklist"  # the one issue that lists everything which is no gate
    MERGE_REQUEST = "merge-request"
    REGISTRATION = "registration"  # of a project with another tool
    SNYK_TAGS = "snyk-tags"  # of one of the project's projects in Snyk
    DEACTIVATION = "deactivation"  # of one of them, as the project is archived


@dataclass(frozen=True, slots=True, order=True)
class IssueKey:
    """Names one issue, merge request or registration for ever: of one project, about one entity.

    `kind` says which. `check` is a gate's check, and for the others how the store spells them.
    """

    project_id: int
    entity: Ref
    check: str

    @classmethod
    def checklist(cls, project_id: int, entity: Ref) -> IssueKey:
        """The key of the issue that lists everything which is no gate."""
        return cls(project_id, entity, CHECKLIST)

    @classmethod
    def merge_request(cls, project_id: int, what: str, entity: Ref | None = None) -> IssueKey:
        """The key of a merge request that proposes `what`, of a project when of no entity."""
        return cls(project_id, entity or _project(project_id), f"{_MERGE_REQUEST}{what}")

    @classmethod
    def registration(cls, project_id: int) -> IssueKey:
        """The key of a project's registration with Snyk."""
        return cls(project_id, _project(project_id), _REGISTRATION)

    @classmethod
    def snyk_tags(cls, project_id: int, snyk_id: str) -> IssueKey:
        """The key of the tags of one of a project's projects in Snyk."""
        return cls(project_id, _project(project_id), f"{_SNYK_TAGS}{snyk_id}")

    @classmethod
    def deactivation(cls, project_id: int, snyk_id: str) -> IssueKey:
        """The key of the deactivation of one of a project's projects in Snyk."""
        return cls(project_id, _project(project_id), f"{_DEACTIVATION}{snyk_id}")

    @property
    def kind(self) -> KeyKind:
        """What it names."""
        if self.check == CHECKLIST:
            return KeyKind.CHECKLIST
        if self.check.startswith(_MERGE_REQUEST):
            return KeyKind.MERGE_REQUEST
        if self.check.startswith(_SNYK_TAGS):
            return KeyKind.SNYK_TAGS
        if self.check.startswith(_DEACTIVATION):
            return KeyKind.DEACTIVATION
        return KeyKind.REGISTRATION if ":" in self.check else KeyKind.GATE

    @property
    def what(self) -> str:
        """The check, or what a merge request proposes; "checklist" for the list."""
        if self.kind is KeyKind.CHECKLIST:
            return "checklist"
        return self.check.removeprefix(_MERGE_REQUEST)

    def __str__(self) -> str:
        return f"{self.project_id} {self.entity} {self.check}"

    @property
    def is_issue(self) -> bool:
        """Whether it names an issue, not a merge request."""
        return self.kind in (KeyKind.GATE, KeyKind.CHECKLIST)


def _project(project_id: int) -> Ref:
    """What a key is about that is about no entity."""
    return Ref("project", "gitlab", str(project_id))


class Course(StrEnum):
    """Which way a check went when it was last looked at."""

    NEW = ""  # never known yet
    PASS = "pass"  # noqa: S105 — a verdict, not a password
    FAIL = "fail"
    GONE = "gone"  # no longer applies


@dataclass(frozen=True, slots=True)
class Streak:
    """How often in a row (up to two) fresh evidence said the same about one check.

    `evidence_at` is when the evidence that was counted last was seen: only later evidence counts.
    `baseline` marks a failure that was there when Ox first looked at the check.
    """

    course: Course = Course.NEW
    count: int = 0
    evidence_at: datetime | None = None
    baseline: bool = False

    @property
    def sure(self) -> bool:
        """Whether it was seen twice, so that it may be acted on."""
        return self.count >= 2


class CaseStatus(StrEnum):
    """How an issue of ours stands."""

    OPENING = "opening"  # the intent is recorded; whether GitLab took it is not known yet
    OPENED = "opened"
    SNOOZED = "snoozed"  # a person closed it while it failed
    WAIVED = "waived"  # a person put the waiver's label on it
    FIXED = "fixed"  # closed because it passes, or no longer applies


@dataclass(frozen=True, slots=True)
class Case:
    """One issue, merge request or registration of ours, as it is remembered.

    `checks` are those it lists. `held` are the checks that a person closed while they failed and
    that have not passed since: they alone never open it again. `until` ends a snooze,
    `waived_until` the waiver of a label that is on it now, and `waived_by` who put it there.
    `kept` says that a person opened it again although it passes: then it is not closed. `intent`
    names a write whose outcome is not known, "" when there is none; of one that is OPENING `title`
    is what was sent, since `since`.
    """

    key: IssueKey
    status: CaseStatus
    since: datetime
    iid: int = 0
    url: str = ""
    digest: str = ""
    checks: tuple[str, ...] = ()
    held: tuple[str, ...] = ()
    until: datetime | None = None
    waived_until: datetime | None = None
    waived_by: str = ""
    kept: bool = False
    intent: ActionKind | Literal[""] = ""
    reason: str = ""
    title: str = ""

    @property
    def unheard(self) -> bool:
        """Whether it may have been made without an answer."""
        return self.status is CaseStatus.OPENING and not self.iid

    def as_json(self) -> dict[str, Json]:
        """The case as a JSON object."""
        return {
            **_key_json(self.key),
            "status": self.status.value,
            "since": self.since.isoformat(),
            "until": _iso(self.waived_until or self.until),
            "checks": list(self.checks),
            "reason": self.reason,
            "url": self.url,
        }


def _key_json(key: IssueKey) -> dict[str, Json]:
    return {
        "project_id": own_id(key.project_id),
        "entity": str(key.entity),
        "kind": key.kind.value,
        "check": key.check,
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment is not None else None


class ActionKind(StrEnum):
    """What is done, or has been noticed."""

    OPEN = "open"
    REOPEN = "reopen"
    EDIT = "edit"
    CLOSE = "close"
    DEFER = "defer"  # would be opened; a cap, a failed listing or a pause keeps it for later
    SNOOZE = "snooze"  # noticed: a person closed it
    WAIVE = "waive"  # noticed: a person put the label on it
    ADOPT = "adopt"  # noticed: an issue of ours that the store did not know
    SETTLE = "settle"  # noticed: something else about a case changed in GitLab
    MERGE_REQUEST = "merge-request"
    REGISTER = "register"  # a project with a tool that does not know it
    TAG = "tag"  # a project in Snyk
    DEACTIVATE = "deactivate"  # a project in Snyk whose repository is archived

    @property
    def writes(self) -> bool:
        """Whether GitLab, or Snyk, is changed by it."""
        return self in _WRITING


_WRITING = frozenset(
    {
        ActionKind.OPEN,
        ActionKind.REOPEN,
        ActionKind.EDIT,
        ActionKind.CLOSE,
        ActionKind.MERGE_REQUEST,
        ActionKind.REGISTER,
        ActionKind.TAG,
        ActionKind.DEACTIVATE,
    }
)


class ActionOutcome(StrEnum):
    """What became of an action."""

    PLANNED = "planned"  # not carried out: plan-only
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    NOTED = "noted"  # there was nothing to write


@dataclass(frozen=True, slots=True)
class IssueDraft:
    """An issue's texts; `digest` changes only when an edit is worth making."""

    title: str
    text: str
    digest: str


@dataclass(frozen=True, slots=True)
class Action:
    """One step with the reason for it, in a sentence part that a person can read.

    `case` is what is remembered once it is done (for a write: apart from what GitLab answers).
    """

    kind: ActionKind
    key: IssueKey
    project: str
    reason: str
    checks: tuple[str, ...] = ()
    case: Case | None = None
    draft: IssueDraft | None = field(default=None, repr=False)
    applies: bool = False  # whether the project's group has remediation switched on


@dataclass(frozen=True, slots=True)
class ActionRecord:
    """An action with what became of it."""

    action: Action
    outcome: ActionOutcome
    detail: str = ""
    url: str = ""

    def as_json(self) -> dict[str, Json]:
        """The action as a JSON object."""
        action = self.action
        draft = action.draft
        return {
            **_key_json(action.key),
            "project": action.project,
            "action": action.kind.value,
            "reason": action.reason,
            "checks": list(action.checks),
            "outcome": self.outcome.value,
            "detail": self.detail,
            "url": self.url,
            "title": draft.title if draft is not None else "",
        }


@dataclass(frozen=True, slots=True)
class Pause:
    """A check on which so many services flipped at once that the check is in doubt."""

    check: str
    flipped: int
    known: int

    def __str__(self) -> str:
        return (
            f"{self.check} is paused: {self.flipped} of {self.known} services flipped at once, so "
            "the check is in doubt, not the services"
        )


@dataclass(frozen=True, slots=True)
class RemediationRun:
    """The account of one run; `stopped` says why the rest was left ("": nothing was left)."""

    at: datetime
    records: tuple[ActionRecord, ...] = ()
    pauses: tuple[Pause, ...] = ()
    baseline: int = 0  # failures that were there before
    listing_failure: str = ""
    stopped: str = ""

    def as_json(self) -> dict[str, Json]:
        """The account with documented keys."""
        return {
            "at": self.at.isoformat(),
            "actions": [record.as_json() for record in self.records],
            "paused": [
                {"check": p.check, "flipped": p.flipped, "known": p.known, "reason": str(p)}
                for p in self.pauses
            ],
            "baseline": self.baseline,
            "listing_failure": self.listing_failure,
            "stopped": self.stopped,
        }


@dataclass(frozen=True, slots=True)
class RemediationState:
    """All that is remembered between runs."""

    streaks: Mapping[Ref, Mapping[str, Streak]] = field(default_factory=dict)
    cases: Mapping[IssueKey, Case] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IssuePlace:
    """Where an entity's issues go, and who is told: filled from the catalog and the settings."""

    project_id: int
    project: str  # full path
    title: str  # the entity's title, a stranger's text
    owner: str = ""  # the owner's reference
    web_url: str = ""
    default_branch: str = ""
    system: str = ""  # the system's reference
    namesakes: tuple[str, ...] = ()  # pages of projects of the same path in other GitLabs
