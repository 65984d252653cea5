"""What changed a score between two days."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.model.entities import Ref
from bridge.model.scores import CheckState, ScoreDay
from bridge.ox.scores.changes import score_change

API = Ref("component", "default", "api")
WEIGHTS = {"readme": 2.0, "owner": 3.0, "runbook": 5.0}


def day_of(states: dict[str, CheckState], weights: dict[str, float] = WEIGHTS) -> ScoreDay:
    known = sum(weights[check] for check, state in states.items() if state.known)
    passed = sum(weights[check] for check, state in states.items() if state.passed)
    value = 100 * passed / known if known else None
    return ScoreDay(date(2026, 1, 1), value, 1, True, "", 1, 90, "v", states, weights)


def test_a_check_that_turned_and_the_others_add_up_to_the_difference() -> None:
    before = day_of({"readme": CheckState.FAIL, "owner": CheckState.PASS})
    after = day_of({"readme": CheckState.PASS, "owner": CheckState.PASS})
    change = score_change(API, before, after)
    (one,) = change.checks
    assert (one.check, one.before, one.after) == ("readme", CheckState.FAIL, CheckState.PASS)
    assert (one.points, change.others) == (40, 0)


def test_a_check_that_became_unknown_moves_the_others() -> None:
    before = day_of({"readme": CheckState.FAIL, "owner": CheckState.PASS})
    after = day_of({"readme": CheckState.UNKNOWN, "owner": CheckState.PASS})
    change = score_change(API, before, after)
    assert [(each.check, each.points) for each in change.checks] == [("readme", 0)]
    assert change.others == pytest.approx(40)


def test_a_check_that_is_new_in_the_rubric_says_so() -> None:
    states = {"owner": CheckState.PASS}
    change = score_change(API, day_of(states), day_of({**states, "readme": CheckState.PASS}))
    assert [(each.check, each.before) for each in change.checks] == [("readme", None)]
    assert score_change(API, None, day_of(states)).checks[0].points == 100
    assert score_change(API, None, None).checks == ()


some_states = st.dictionaries(st.sampled_from(sorted(WEIGHTS)), st.sampled_from(CheckState))


@given(some_states, some_states)
def test_law_all_points_add_up_to_the_change(
    one: dict[str, CheckState], two: dict[str, CheckState]
) -> None:
    before, after = day_of(one), day_of(two)
    change = score_change(API, before, after)
    total = sum(each.points for each in change.checks) + change.others
    assert total == pytest.approx((after.value or 0) - (before.value or 0))
