"""What a plan of remediation is made from, and what it is made of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bridge.model.entities import Ref
from bridge.model.remediation import (
    Action,
    Case,
    IssueDraft,
    IssueKey,
    IssuePlace,
    Streak,
)
from bridge.model.scores import Check, CheckResult, Scoreboard
from bridge.ox.remediation.reconcile_issues import IssueIndex, SnoozePolicy

Member = tuple[Check, CheckResult | None]


Render = Callable[[IssueKey, IssuePlace, Sequence[Member]], IssueDraft]


@dataclass(frozen=True, slots=True)
class Policy:
    """What a project's group allows; `group` is its path, "" for everything else."""

    group: str = ""
    applies: bool = False
    per_service: int = 3
    per_run: int = 20
    confidential: bool = False


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that a plan is made from.

    `doubt` says why the listing cannot be trusted ("" when it can); `paused` are checks in doubt.
    `baseline` asks to open issues also for what failed before Ox first looked. `snoozed` are
    those that a person was just seen to have closed or deleted. `closed` are projects in which
    nothing is written, by id, and why.
    """

    board: Scoreboard
    checks: Mapping[str, Check]
    places: Mapping[Ref, IssuePlace]
    streaks: Mapping[Ref, Mapping[str, Streak]]
    cases: Mapping[IssueKey, Case]
    issue_index: IssueIndex
    render: Render
    policy: Callable[[IssuePlace], Policy]
    now: datetime
    habits: SnoozePolicy = field(default_factory=SnoozePolicy)
    per_run: int = 20
    doubt: str = ""
    paused: Collection[str] = ()
    baseline: bool = False
    snoozed: Collection[IssueKey] = ()
    closed: Mapping[int, str] = field(default_factory=dict)
    promised: Collection[tuple[Ref, str]] = ()


@dataclass(frozen=True, slots=True)
class Planned:
    """The actions in the order in which they are to be taken, and the cases as they stand now."""

    actions: tuple[Action, ...]
    cases: Mapping[IssueKey, Case]
