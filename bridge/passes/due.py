"""What is due: everything, or what changed, and which projects in a gap are tried again. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from bridge.model.memory import Horizon, KnownProject

_SOONEST, _LATEST = timedelta(minutes=1), timedelta(hours=1)
_MOST_RETRIES = 100  # projects in a gap that one pass tries again


def why_sweep(horizon: Horizon, scope: str, now: datetime, full_every: float) -> str:
    """Why everything must be read, as a sentence part; "" when what changed is enough."""
    if horizon.listed_at is None or horizon.swept_at is None:
        return "no full sweep has been complete yet"
    if horizon.scope != scope:
        return "the mappings or the filters are not those of the last full sweep"
    if now - horizon.swept_at >= timedelta(seconds=full_every):
        return f"the last one is more than {full_every / 3600:g} hours old"
    if horizon.listed_at > now + timedelta(minutes=5):
        return "the last pass lies in the future: the clock was set back"
    return ""


def gaps_to_retry(gaps: Iterable[KnownProject], now: datetime) -> tuple[int, ...]:
    """Which of the projects in a gap are to be tried again, the longest untried first, bounded.

    The longer a project has been unreadable, the longer it is left alone: twice the time at each
    try, from a minute up to an hour.
    """
    due = [
        (known.gap_tried or known.gap_since or now, known.project.id)
        for known in gaps
        if _is_due(known, now)
    ]
    return tuple(project_id for _, project_id in sorted(due)[:_MOST_RETRIES])


def _is_due(known: KnownProject, now: datetime) -> bool:
    if known.gap_tried is None:
        return True
    lasted = known.gap_tried - (known.gap_since or known.gap_tried)
    return now - known.gap_tried >= min(max(lasted, _SOONEST), _LATEST)
