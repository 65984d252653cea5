"""The clock of the whole program."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """What time it is, aware."""
    return datetime.now(UTC)
