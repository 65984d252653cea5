"""How long a server asks to wait, whatever way it says so."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

# Seconds that one header may ask for: a server's wrong clock must not stop us for a day.
LONGEST_PAUSE: Final = 120.0


def asked_pause(
    headers: Mapping[str, str], now: float, *, counted: float = LONGEST_PAUSE
) -> float | None:
    """The seconds that an answer asks to wait, bounded; None when it does not say.

    Seconds that are given as such need no clock: they may be as many as `counted`.

    `Retry-After` is a number or an HTTP date (RFC 9110, section 10.2.3); GitLab says
    `RateLimit-ResetTime` besides. `now` is in seconds since the epoch; `headers` must find names
    whatever their case.
    """
    for value in (headers.get("Retry-After"), headers.get("RateLimit-ResetTime")):
        if not value:
            continue
        if (seconds := whole_number(value)) is not None:
            return min(counted, seconds)
        if (moment := _http_date(value)) is not None:
            return min(LONGEST_PAUSE, max(0.0, moment - now))
    return None


def whole_number(value: str | None) -> float | None:
    """A header's number without a sign; None for anything else."""
    text = (value or "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _http_date(value: str) -> float | None:
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    # A date that names no zone is in UTC, as HTTP dates are.
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
