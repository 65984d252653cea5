"""What a run of remediation is about, by which rules, and whose deficiencies it remedies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bridge.model.entities import Ref
from bridge.model.remediation import (
    IssuePlace,
)
from bridge.model.scores import Check, Scoreboard
from bridge.model.tracker import (
    Proposal,
)
from bridge.ox.interfaces import IssueTracker, MergeRequests, RemediationStore
from bridge.ox.remediation.drafts import Drafts
from bridge.ox.remediation.reconcile_issues import (
    SnoozePolicy,
)
from bridge.ox.remediation.situation import Policy
from bridge.ox.remediation.streaks import Breaker
from bridge.ports import Lease

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
class RemediatedSource:
    """One source where deficiencies are remedied: its tracker, what is remembered, the rules.

    `holder` names this process among the replicas. Without `requests` none are made.
    """

    name: str
    store: RemediationStore
    leases: Lease
    tracker: IssueTracker
    rules: Rules
    holder: str
    clock: Callable[[], datetime]
    requests: MergeRequests | None = None
