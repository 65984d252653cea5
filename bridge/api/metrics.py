"""Prometheus metrics, made from `Live` when they are asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bridge.api.changes.metrics import receiver_metrics
from bridge.api.keys import CLOCK, HOOK_COUNTS, LIVE
from bridge.api.live import Live
from bridge.api.ox_metrics import OxMetrics
from bridge.errors import StoreError
from bridge.model.numbers import FIRST_CALLED
from bridge.model.replica_role import ReplicaRole
from bridge.model.runs import Outcome, Report
from bridge.model.work import Task

OX_METRICS: Final = web.AppKey("ox_metrics", OxMetrics)


class LiveCollector(Collector):
    """Gauges of the last pass; `now` is a POSIX time in seconds."""

    def __init__(
        self, live: Live, now: float, hooks: Counter[str], others: Sequence[Metric] = ()
    ) -> None:
        self._live, self._now, self._hooks, self._others = live, now, hooks, others

    def _work(self) -> Iterator[Metric]:
        """What this replica has done since it began, and what it cannot read."""
        live, traffic = self._live, self._live.traffic()
        passes = CounterMetricFamily(
            "fester_passes", "passes made by this replica", labels=["kind", "outcome"]
        )
        for (seen, outcome), count in sorted(live.passes.items()):
            passes.add_metric([seen.value, outcome.value], count)
        yield passes
        requests = CounterMetricFamily(
            "fester_gitlab_requests",
            "requests sent to GitLab by HTTP status, or no answer",
            labels=["outcome"],
        )
        for status, count in sorted(traffic.outcomes.items()):
            requests.add_metric([status], count)
        yield requests
        yield CounterMetricFamily(
            "fester_gitlab_waited_seconds",
            "seconds that requests were held back by GitLab's limits and between tries",
            value=traffic.waited,
        )
        if live.several:
            yield from self._sources()
        since = live.gaps
        yield GaugeMetricFamily("fester_gaps", "projects that cannot be read", len(since))
        oldest = self._now - min(since).timestamp() if since else 0.0
        yield GaugeMetricFamily("fester_oldest_gap_seconds", "age of the oldest of them", oldest)

    def _sources(self) -> Iterator[Metric]:
        """How each of several sources stands; the first is called "first"."""
        sources = {name or FIRST_CALLED: each for name, each in self._live.sources.items()}
        unread = GaugeMetricFamily(
            "fester_source_unread", "1 when the last pass over it failed", labels=["source"]
        )
        behind = GaugeMetricFamily(
            "fester_source_known_age_seconds",
            "seconds since the last pass that saw all that had changed there",
            labels=["source"],
        )
        gaps = GaugeMetricFamily(
            "fester_source_gaps", "projects of it that cannot be read", labels=["source"]
        )
        requests = CounterMetricFamily(
            "fester_source_requests",
            "requests sent to it by HTTP status, or no answer",
            labels=["source", "outcome"],
        )
        for name, each in sources.items():
            unread.add_metric([name], int(each.outcome is Outcome.FAILED))
            gaps.add_metric([name], each.gaps)
            if each.listed_at:
                known = each.listed_at.timestamp()
                behind.add_metric([name], self._now - known)
            for status, count in sorted(each.traffic().outcomes.items()):
                requests.add_metric([name, status], count)
        yield from (unread, behind, gaps, requests)

    def collect(self) -> Iterator[Metric]:
        """The metrics, each with its help text."""
        yield from self._state()
        yield from self._work()
        yield from self._others
        yield from self._ages()
        if self._live.report is not None:
            yield from _last_pass(self._live.report)
            yield from _counts(self._live.report)

    def _state(self) -> Iterator[Metric]:
        """How this replica stands."""
        live = self._live
        yield GaugeMetricFamily("fester_ready", "1 when a catalog is served", int(live.ready))
        leads = int(live.role is ReplicaRole.LEADER)
        yield GaugeMetricFamily("fester_leader", "1 when this replica makes the passes", leads)
        hooks = CounterMetricFamily("fester_webhooks", "webhooks by fate", labels=["fate"])
        for fate in ("accepted", "duplicate", "ignored", "refused", "unkept"):
            hooks.add_metric([fate], self._hooks[fate])
        yield hooks

    def _ages(self) -> Iterator[Metric]:
        """What waits, how old what is known is, what Backstage was told, and when a token ends."""
        live = self._live
        waiting = live.hints_waiting()
        yield GaugeMetricFamily("fester_hints_waiting", "hints that wait for a pass", waiting)
        if live.known_until is not None:
            yield GaugeMetricFamily(
                "fester_known_age_seconds",
                "seconds since the last pass that saw all that had changed, whatever of it could "
                "not be read",
                self._now - live.known_until.timestamp(),
            )
        if live.last_complete is not None:
            yield GaugeMetricFamily(
                "fester_last_complete_pass_age_seconds",
                "seconds since the last pass in which everything could be read",
                self._now - live.last_complete.timestamp(),
            )
        if live.refreshes:
            told = CounterMetricFamily(
                "fester_backstage_refreshes",
                "Locations that Backstage was told to refresh, and times when it did not hear",
                labels=["result"],
            )
            for result, count in sorted(live.refreshes.items()):
                told.add_metric([result], count)
            yield told
        if live.token_end is not None:
            yield GaugeMetricFamily(
                "fester_gitlab_token_expiry_timestamp_seconds",
                "when the token for GitLab ends",
                live.token_end.timestamp(),
            )


def _last_pass(report: Report) -> Iterator[Metric]:
    """What the last pass was and what it cost."""
    outcome = GaugeMetricFamily(
        "fester_last_pass_outcome", "1 for the last pass's outcome", labels=["outcome"]
    )
    outcome.add_metric([report.outcome.value], 1)
    yield outcome
    kind = GaugeMetricFamily(
        "fester_last_pass_kind", "1 for what the last pass set out to see", labels=["kind"]
    )
    kind.add_metric([report.kind.value], 1)
    yield kind
    yield GaugeMetricFamily(
        "fester_last_pass_seconds", "how long the last pass took", report.seconds
    )
    yield GaugeMetricFamily(
        "fester_last_pass_gitlab_requests",
        "requests that the last pass sent to GitLab",
        report.gitlab_requests,
    )


def _counts(report: Report) -> Iterator[Metric]:
    """What there is after the last pass."""
    problems = Counter((p.rule, p.severity.value) for p in report.problems)
    yield _family("fester_problems", "problems of the last pass", ["rule", "severity"], problems)
    yield _family("fester_entities", "entities by kind", ["kind"], _keyed(report.entities))
    yield _family(
        "fester_projects", "all known projects by state", ["state"], _keyed(report.projects)
    )
    yield _family(
        "fester_last_pass_projects",
        "projects that the last pass looked at, by state",
        ["state"],
        _keyed(report.this_pass),
    )
    yield _family("fester_manifests", "manifests by verdict", ["verdict"], _keyed(report.manifests))
    published = {
        (receipt.to, what): getattr(receipt, what)
        for receipt in report.published
        for what in ("written", "kept", "removed")
    }
    yield _family("fester_published_files", "files by fate", ["to", "fate"], published)


def _keyed(counts: Mapping[str, int]) -> dict[tuple[str, ...], int]:
    return {(key,): value for key, value in counts.items()}


def _family(
    name: str, text: str, labels: list[str], counts: Mapping[Any, int]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=labels)
    for key, count in sorted(counts.items()):
        family.add_metric(list(key), count)
    return family


async def sweep_families(live: Live) -> list[Metric]:
    """How far sweeps are that several processes read; none where the store does not answer."""
    try:
        found = await live.sweeps()
    except StoreError:
        return []
    parts = GaugeMetricFamily(
        "fester_sweep_parts", "parts of the latest shared sweep", labels=["source", "state"]
    )
    projects = GaugeMetricFamily(
        "fester_sweep_projects", "projects of the latest shared sweep", labels=["source", "state"]
    )
    labels = ["source", "task", "state"]
    tasks = GaugeMetricFamily(
        "fester_task_parts", "parts of what else of a pass was shared last", labels=labels
    )
    for each in found:
        name, reads = each.reading or FIRST_CALLED, each.task is Task.READ
        for state in ("waiting", "under_way", "done", "failed"):
            family, names = (parts, [name]) if reads else (tasks, [name, each.task.value])
            family.add_metric([*names, state], getattr(each, state))
        if reads:
            projects.add_metric([name, "listed"], each.projects)
            projects.add_metric([name, "done"], each.projects_done)
    return [each for each in (parts, projects, tasks) if each.samples]


async def expose(request: web.Request) -> web.StreamResponse:
    """`GET /metrics` in Prometheus's text format."""
    registry = CollectorRegistry()
    app = request.app
    now = app[CLOCK]()
    others = await app[OX_METRICS].families()
    others += await receiver_metrics(app[LIVE], now)
    others += await sweep_families(app[LIVE])
    registry.register(LiveCollector(app[LIVE], now.timestamp(), app[HOOK_COUNTS], others))
    return web.Response(
        body=generate_latest(registry),
        headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"},
    )
