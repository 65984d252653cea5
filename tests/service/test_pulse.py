"""Which parts hang."""

from __future__ import annotations

from bridge.service.pulse import Pulse


def test_a_part_hangs_when_it_is_overdue_and_not_when_it_rests() -> None:
    now = 0.0
    pulse = Pulse(lambda: now)
    pulse.beat("pass", 10)
    pulse.beat("follow", 5)
    assert pulse.hanging() == {}
    now = 7.0
    assert pulse.hanging() == {"follow": 2.0}
    pulse.beat("follow", 5)
    now = 11.0
    assert pulse.hanging() == {"pass": 1.0}
    pulse.rest("pass")
    assert pulse.hanging() == {}
