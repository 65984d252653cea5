"""What changed a score between two days: which checks, and how many points each."""

from __future__ import annotations

from collections import Counter

from bridge.model.entities import Ref
from bridge.model.scores import CheckChange, CheckState, Scoreboard, ScoreChange, ScoreDay


def score_change(entity: Ref, before: ScoreDay | None, after: ScoreDay | None) -> ScoreChange:
    """The checks whose state or weight is another one, those that did most first.

    A check's share of a score is its weight, if it passes, in a hundredth of what is known. The
    changes of all shares add up to the score's: of `checks`, and of the `others`.
    """
    one, two = _shares(before), _shares(after)
    changes: list[CheckChange] = []
    others = 0.0
    for check in sorted(one.keys() | two.keys()):
        points = two.get(check, 0.0) - one.get(check, 0.0)
        was, is_ = (day.states.get(check) if day else None for day in (before, after))
        weighs = [day.weights.get(check) if day else None for day in (before, after)]
        if was is is_ and weighs[0] == weighs[1]:
            others += points
        else:
            changes.append(CheckChange(check, was, is_, points))
    changes.sort(key=lambda change: (-abs(change.points), change.check))
    return ScoreChange(entity, before, after, tuple(changes), others)


def flips(before: Scoreboard, after: Scoreboard) -> Counter[tuple[str, str]]:
    """How many entities went from passing to failing and back, as (check, "fail" or "pass").

    What became known or unknown meanwhile is no flip.
    """
    found: Counter[tuple[str, str]] = Counter()
    for ref, score in after.scores.items():
        old = before.scores.get(ref)
        if old is None or old.results is score.results:
            continue
        passed = {each.check: each.state.passed for each in old.results if each.state.known}
        for result in score.results:
            was = passed.get(result.check)
            if was is not None and result.state.known and result.state.passed != was:
                to = CheckState.FAIL if was else CheckState.PASS
                found[result.check, to.value] += 1
    return found


def _shares(day: ScoreDay | None) -> dict[str, float]:
    if day is None:
        return {}
    known = sum(day.weights[check] for check, state in day.states.items() if state.known)
    return {
        check: 100 * day.weights[check] / known if state.passed else 0.0
        for check, state in day.states.items()
    }
