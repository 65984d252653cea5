"""When a token ends, and from when on somebody should know."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Final

# Days before the end: a month to plan, a week to act, and the last day.
WARN_DAYS: Final = 30
_SOON: Final = 7
_ADVICE: Final = "make a new one with the same scopes, and put it where GITLAB_TOKEN comes from"


def end_of(expires_at: object) -> datetime | None:
    """The moment of a token's end; None for one that never ends or does not tell.

    GitLab ends it at midnight UTC at the beginning of the day that it names:
    https://docs.gitlab.com/user/profile/personal_access_tokens/
    """
    if not isinstance(expires_at, str):
        return None
    try:
        day = date.fromisoformat(expires_at[:10])
    except ValueError:
        return None
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def warning(end: datetime | None, now: datetime) -> str:
    """What to say of a token's end; "" as long as it is far away."""
    if end is None:
        return ""
    left = (end - now).total_seconds() / 86_400
    if left <= 0:
        return f"the GitLab token expired on {end:%Y-%m-%d}: {_ADVICE}"
    if left <= 1:
        return f"the GitLab token expires within a day, on {end:%Y-%m-%d} at 00:00 UTC: {_ADVICE}"
    if left <= WARN_DAYS:
        soon = "already " if left <= _SOON else ""
        return f"the GitLab token expires {soon}in {int(left)} days, on {end:%Y-%m-%d}: {_ADVICE}"
    return ""
