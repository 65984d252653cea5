"""Moments as people and published files have them."""

from __future__ import annotations

from datetime import datetime


def iso(moment: datetime | None) -> str:
    """ISO 8601 to the second, as 2026-12-31T23:59:59+00:00; "" for never."""
    return moment.isoformat(timespec="seconds") if moment is not None else ""
