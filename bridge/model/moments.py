"""Moments as text, for JSON and for people, and back; in between they are datetimes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

AFTER_ALL: Final = datetime.max.replace(tzinfo=UTC)  # sorts after every moment: of what is unknown


def iso(moment: datetime | None) -> str:
    """A moment as an ISO date-time with seconds, "" for none."""
    return moment.isoformat(timespec="seconds") if moment is not None else ""


def zoned_moment(value: object) -> datetime | None:
    """The moment that a text of another program names with its zone; None for anything else."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None


def moment_in(text: str) -> datetime | None:
    """The moment that a text names, aware: UTC where it names no zone. None where it names none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
