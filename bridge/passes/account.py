"""What a pass has to tell when it ends: its report, and up to when its source is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from time import perf_counter
from typing import Any, cast

import structlog

from bridge.errors import SourceError
from bridge.model.manifests import Verdict
from bridge.model.memory import Horizon, SourceState
from bridge.model.problems import Problem, Severity, with_sources
from bridge.model.runs import Outcome, Receipt, Report
from bridge.model.scrape import Coverage
from bridge.model.statements import HistoryStep
from bridge.passes.destinations import OwnDestinations
from bridge.passes.intake import Intake
from bridge.passes.interfaces import WorkSharing
from bridge.passes.ledger import Ledger
from bridge.passes.publish import Destinations
from bridge.passes.reconcile import moved
from bridge.passes.stages import PassOptions, Stages

log = structlog.get_logger()

_VERDICTS = {verdict.value: 0 for verdict in Verdict}


@dataclass(slots=True)
class Conclusion:
    """The second half of a pass: whoever makes it holds the ledger's lock."""

    stages: Stages
    wish: PassOptions
    intake: Intake
    ledger: Ledger
    destinations: Destinations
    settled: OwnDestinations
    started: datetime
    begun: float  # by `perf_counter`

    @property
    def sharing(self) -> WorkSharing | None:
        """What has others do parts of it; None of a pass that is sooner made than handed out."""
        return None if self.wish.small else self.stages.work


def failed(work: Conclusion, error: SourceError) -> Report:
    """The account of a pass whose source could not be read: nothing is published."""
    log.error("The source could not be read", action="scrape_failed", error=str(error))
    return Report(
        Outcome.FAILED,
        perf_counter() - work.begun,
        started_at=work.started.replace(microsecond=0),
        failure=str(error),
        kind=work.wish.kind,
        source=work.wish.source,
        **figures_of(work.ledger.state),
    )


@dataclass(frozen=True, slots=True)
class Published:
    """What came of publishing; `nowhere`: no destination took it."""

    receipts: Sequence[Receipt]
    refusals: Sequence[Problem]
    retry_in: float | None
    nowhere: bool


def account(
    work: Conclusion, withheld: Sequence[Problem], published: Published
) -> tuple[Report, Horizon]:
    """What the pass has to tell, and up to when its source is known now."""
    intake, refusals = work.intake, published.refusals
    empty = _empty(work.stages.scraper.name, intake)
    unreadable = work.ledger.state.figures.get("projects.unreadable")
    complete = intake.complete and not (withheld or refusals or empty or unreadable)
    horizon = _horizon(work, complete=complete)
    notes = [*work.settled.notes, *withheld, *empty, *refusals]
    report = _report(work, notes, complete=complete, receipts=published.receipts)
    if published.nowhere:
        failure = "; ".join(each.message for each in refusals)
        report = replace(report, outcome=Outcome.FAILED, failure=failure)
    return report, horizon


def history_step(work: Conclusion) -> HistoryStep:
    """What is to be kept of what changed: nothing of a first pass."""
    now, before = work.stages.clock(), work.intake.horizon
    keep = before.passes > 0 or before.listed_at is not None
    return HistoryStep(now, now - work.stages.history, keep)


def _empty(source: str, intake: Intake) -> list[Problem]:
    """The problem of a full sweep that saw no project at all."""
    if intake.seen or intake.end is None or intake.end.coverage is not Coverage.FULL:
        return []
    message = (
        f"no project was found in {source}: check the address, the filters, and which projects "
        "the token may see"
    )
    return [Problem(message, "no-projects", Severity.WARNING)]


def _horizon(work: Conclusion, *, complete: bool) -> Horizon:
    intake, now = work.intake, work.intake.now
    latest = work.ledger.state.horizon
    own = latest.of(work.wish.source)
    if intake.end is not None and not intake.lost:
        own = moved(own, intake.end, now, work.stages.scope)
    own = replace(own, complete_at=now) if complete else own
    horizon = latest.moved(work.wish.source, own, work.stages.sources)
    return replace(horizon, passes=latest.passes + 1)


def _report(
    work: Conclusion, problems: Sequence[Problem], *, complete: bool, receipts: Sequence[Receipt]
) -> Report:
    state, intake = work.ledger.state, work.intake
    nameless = sum(number in intake.unreadable for number in intake.nameless)
    told = (*work.stages.problems, *problems, *intake.reports_of())
    return Report(
        outcome=Outcome.COMPLETE if complete else Outcome.INCOMPLETE,
        seconds=perf_counter() - work.begun,
        **figures_of(state, nameless),
        gitlab_requests=intake.end.requests if intake.end else 0,
        problems=tuple(with_sources(told, work.stages.sources)),
        published=tuple(receipts),
        started_at=work.started.replace(microsecond=0),
        kind=intake.end.coverage if intake.end else work.wish.kind,
        source=work.wish.source,
        this_pass={
            "seen": _projects(intake.seen),
            "unreadable": _projects(intake.unreadable),
        },
    )


def _projects(numbers: Iterable[int]) -> int:
    """How many of them are projects; groups go by numbers below zero."""
    return sum(number > 0 for number in numbers)


def figures_of(state: SourceState, nameless: int = 0) -> dict[str, Any]:
    """The figures of a report: of all projects as they stand, whatever a pass looked at.

    `nameless` counts projects that nothing but their numbers is known of: none can be read.
    """
    projects = state.counts("projects")
    return {
        "projects": {
            "seen": projects.get("seen", 0) + nameless,
            "with_manifest": projects.get("with_manifest", 0),
            "unreadable": projects.get("unreadable", 0) + nameless,
        },
        "manifests": {**_VERDICTS, **state.counts("manifests")},
        "entities": state.counts("entities"),
    }


def log_report(report: Report) -> None:
    """Tell the log how a pass has ended."""
    counts = cast(dict[str, int], dict(report.projects))
    errors = sum(problem.severity is Severity.ERROR for problem in report.problems)
    log.info(
        "A pass has ended",
        action="pass_ended",
        kind=report.kind.value,
        outcome=report.outcome.value,
        seconds=round(report.seconds, 3),
        errors=errors,
        requests=report.gitlab_requests,
        entities=sum(report.entities.values()),
        looked_at=report.this_pass.get("seen", 0),
        **counts,
    )
