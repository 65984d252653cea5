"""Receivers of changes in `/metrics`: how far behind each is, and since when one takes nothing."""

from __future__ import annotations

from datetime import datetime

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from bridge.api.live import Live
from bridge.errors import StoreError

log = structlog.get_logger()


async def receiver_metrics(live: Live, now: datetime) -> list[Metric]:
    """A value a receiver; none at all while the store is away."""
    try:
        standings = await live.receivers()
    except StoreError as error:
        log.warning("Receivers are not counted", action="uncounted", error=str(error))
        return []
    waiting = GaugeMetricFamily(
        "fester_receiver_waiting", "changes it was not told of, before filters", labels=["receiver"]
    )
    behind = GaugeMetricFamily(
        "fester_receiver_behind_seconds", "age of the oldest of them", labels=["receiver"]
    )
    failing = GaugeMetricFamily(
        "fester_receiver_failing_seconds", "since it took nothing any more", labels=["receiver"]
    )
    sent = CounterMetricFamily(
        "fester_receiver_messages",
        "messages by this replica, taken or not",
        labels=["receiver", "result"],
    )
    for each in standings:
        oldest, state = each.backlog.oldest, each.state
        since = state.failing_since if state is not None else None
        waiting.add_metric([each.name], each.backlog.count)
        behind.add_metric([each.name], (now - oldest).total_seconds() if oldest else 0.0)
        failing.add_metric([each.name], (now - since).total_seconds() if since else 0.0)
        for result, count in sorted(each.counts.items()):
            sent.add_metric([each.name, result], count)
    return [waiting, behind, failing, sent] if standings else []
