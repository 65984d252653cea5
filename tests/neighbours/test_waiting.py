"""How long a server asks to wait."""

from __future__ import annotations

import pytest

from bridge.neighbours.waiting import LONGEST_PAUSE, asked_pause

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": " 0 "}, 0.0),
        ({"Retry-After": "Fri, 15 Jan 2027 08:00:30 GMT"}, 30.0),
        ({"Retry-After": "Fri, 15 Jan 2027 08:00:30 -0000"}, 30.0),
        ({"Retry-After": "Fri, 15 Jan 2027 07:00:00 GMT"}, 0.0),
        ({"Retry-After": "9" * 12}, LONGEST_PAUSE),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"RateLimit-ResetTime": "Fri, 15 Jan 2027 08:00:10 GMT"}, 10.0),
        ({"Retry-After": "soon", "RateLimit-ResetTime": "4"}, 4.0),
    ],
)
def test_a_number_or_a_date_is_understood_and_bounded(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert asked_pause(headers, NOW) == seconds
