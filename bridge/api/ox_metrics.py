"""Ox in `/metrics`: collectors, facts, scores and remediation, counted anew when they change."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from bridge.api.interfaces import FactBook, Scores
from bridge.api.remediation import RemediationBook
from bridge.errors import StoreError
from bridge.model.collector_health import CollectorHealth, collectors_health
from bridge.model.facts import FactBoard
from bridge.model.notices import DeliveryState, NoticeTally
from bridge.model.remediation import ActionKind, ActionOutcome, ActionRecord, Case, RemediationRun
from bridge.model.scores import ORGANIZATION, RollupKind, Scoreboard

log = structlog.get_logger()

FRESH: Final = 60.0  # seconds that what the store tells is good for
_FATES: Final = {
    ActionOutcome.PLANNED: "planned",
    ActionOutcome.DONE: "written",
    ActionOutcome.FAILED: "refused",
    ActionOutcome.SKIPPED: "refused",
}


@dataclass(slots=True)
class OxMetrics:
    """Counts over ten thousand services take a part of a second: once a board, beside the loop."""

    facts: FactBook
    scored: Scores
    book: RemediationBook
    clock: Callable[[], datetime]
    _facts: tuple[FactBoard | None, Mapping[str, CollectorHealth]] = (None, {})
    _scores: tuple[Scoreboard | None, list[Metric]] = (None, [])
    _remedies: tuple[datetime | None, list[Metric]] = (None, [])
    _counting: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def families(self) -> list[Metric]:
        """Every metric of Ox. A store that is away only leaves remediation as it was last told."""
        async with self._counting:
            found = [*await self._of_facts(), *await self._of_scores()]
            return [*found, *await self._of_remediation()]

    async def _of_facts(self) -> list[Metric]:
        board = self.facts.board
        if self._facts[0] is not board:
            self._facts = (board, await asyncio.to_thread(collectors_health, board))
        return [*_collector_ages(self._facts[1], self.clock()), *self._of_rounds()]

    def _of_rounds(self) -> list[Metric]:
        now = self.clock()
        age = _gauge("collector_round_age_seconds", "since its last round here ended", "collector")
        waiting = _gauge("collector_waiting", "entities left for its next round", "collector")
        failed = _gauge("collector_failed", "entities that its last round failed for", "collector")
        for name, done in sorted(self.facts.rounds.items()):
            age.add_metric([name], (now - done.ended).total_seconds())
            waiting.add_metric([name], done.waiting)
            failed.add_metric([name], done.failed)
        return [age, waiting, failed]

    async def _of_scores(self) -> list[Metric]:
        board = self.scored.board
        if board is None:
            return []
        if self._scores[0] is not board:
            self._scores = (board, await asyncio.to_thread(_scores, board))
        age = (self.clock() - board.at).total_seconds()
        flips = CounterMetricFamily(
            "fester_ox_check_flips",
            "services that went to pass or to fail on a check, counted by this replica",
            labels=["check", "to"],
        )
        for (check, to), count in sorted(self.scored.flips.items()):
            flips.add_metric([check, to], count)
        scored_at = GaugeMetricFamily("fester_ox_scores_age_seconds", "since the last scoring", age)
        return [scored_at, *self._scores[1], flips]

    async def _of_remediation(self) -> list[Metric]:
        now, (asked, known) = self.clock(), self._remedies
        if asked is None or not 0 <= (now - asked).total_seconds() < FRESH:
            try:
                run, cases = await self.book.latest_run(), await self.book.cases()
                told = await self.book.notice_tallies()
            except StoreError as error:
                log.warning("Remediation is not counted", action="uncounted", error=str(error))
            else:
                known = [*_remediation(run, cases.values(), now), *_notices(told, now)]
            self._remedies = (now, known)
        return known


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"fester_ox_{name}", text, labels=labels)


def _counted(
    name: str, text: str, labels: tuple[str, ...], counts: Mapping[Any, float]
) -> GaugeMetricFamily:
    family = _gauge(name, text, *labels)
    for key, value in sorted(counts.items()):
        family.add_metric([key] if isinstance(key, str) else list(key), value)
    return family


def _collector_ages(known: Mapping[str, CollectorHealth], now: datetime) -> list[Metric]:
    newest = {k: (now - h.newest).total_seconds() for k, h in known.items() if h.newest}
    cadences = {name: health.schema.cadence for name, health in known.items()}
    facts = {
        (name, *kind): count for name, each in known.items() for kind, count in each.facts.items()
    }
    labels = ("collector", "standing", "cause")
    return [
        _counted("facts", "latest facts, and why some are not known", labels, facts),
        _counted("facts_age_seconds", "age of its newest reading", ("collector",), newest),
        _counted("collector_cadence_seconds", "how often it is to ask", ("collector",), cadences),
    ]


def _scores(board: Scoreboard) -> list[Metric]:
    levels, gates = Counter[str](), Counter[str]()
    for score in board.services.values():
        levels[score.level or "insufficient data"] += 1
        gates.update(score.gates_failed)
    found: list[Metric] = [
        _counted("services", "services by the level of their score", ("level",), levels),
        _counted("gates_failed", "services that fail a gate", ("check",), gates),
    ]
    whole = board.rollup(RollupKind.ORGANIZATION, ORGANIZATION)
    if whole is not None:
        numbers = {"coverage_ratio": whole.coverage, "below_target": whole.below_target}
        numbers |= {"score": whole.value} if whole.value is not None else {}
        found += [
            GaugeMetricFamily(f"fester_ox_{name}", "of all services", value)
            for name, value in numbers.items()
        ]
    return found


def _remediation(run: RemediationRun | None, cases: Iterable[Case], now: datetime) -> list[Metric]:
    statuses = Counter(case.status.value for case in cases)
    issues = _counted("remediations", "issues and merge requests of ours", ("status",), statuses)
    if run is None:
        return [issues]
    fates = Counter((record.action.kind.value, _fate(record)) for record in run.records)
    numbers = {
        "remediation_age_seconds": (now - run.at).total_seconds(),
        "remediation_paused_checks": len(run.pauses),
        "remediation_unlisted": bool(run.listing_failure),
        "remediation_stopped": bool(run.stopped),
    }
    labels = ("kind", "fate")
    return [
        issues,
        _counted("remediation_actions", "what the last run did or left", labels, fates),
        *(
            GaugeMetricFamily(f"fester_ox_{name}", "of the last run", n)
            for name, n in numbers.items()
        ),
    ]


def _notices(told: Iterable[NoticeTally], now: datetime) -> list[Metric]:
    """Notices by channel and state; how often one was refused, and since when one waits."""
    every = list(told)
    states = {(each.channel, each.state.value): each.count for each in every}
    refused: Counter[str] = Counter()
    for each in every:
        refused[each.channel] += each.tries
    waiting = {
        each.channel: (now - each.oldest).total_seconds()
        for each in every
        if each.state is DeliveryState.WAITING
    }
    return [
        _counted("notices", "of the last 90 days, by state", ("channel", "state"), states),
        _counted("notices_refused", "times that a receiver refused one", ("channel",), refused),
        _counted("notices_waiting_seconds", "since the oldest waits", ("channel",), waiting),
    ]


def _fate(record: ActionRecord) -> str:
    if record.action.kind is ActionKind.DEFER:
        return "put off"
    return _FATES.get(record.outcome, "noticed")
