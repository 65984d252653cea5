"""The demo's past is made up, is the same each time, and ends in what is."""

from __future__ import annotations

from datetime import timedelta

from bridge.model.census import Census
from bridge.model.entity_changes import ChangeKind
from bridge.model.runs import Outcome
from bridge.sandbox.past import DAYS, STEP, earlier_censuses, earlier_changes, earlier_facts
from tests.answers.fleet import FLEET
from tests.fakes import NOON
from tests.ox.rubrics import reading, service

NAMES = [f"service-{number}" for number in range(60)]
TODAY = Census(
    NOON,
    Outcome.INCOMPLETE,
    problems={"error": 2, "warning": 4},
    by_rule={"owner": {"warning": 4}, "manifest-invalid": {"error": 2}},
    by_team={"": {"error": 2}, "group:default/red": {"warning": 4}},
)


def known() -> dict[object, object]:
    facts = {"readme": True, "protected": False, "approvals": 2}
    return {each.ref: reading(each, facts, at=NOON) for each in map(service, NAMES)}


def test_facts_become_what_they_are_and_the_same_each_time() -> None:
    latest = known()
    days = list(earlier_facts(latest, NOON))  # type: ignore[arg-type]
    assert days == list(earlier_facts(latest, NOON))  # type: ignore[arg-type]
    assert [at for at, _ in days] == [NOON - timedelta(days=n) for n in range(DAYS, 0, -STEP)]

    def having(at: int, name: str) -> int:
        readings = (each["repo"] for each in days[at][1].values())
        return sum(bool(reading.values()[name]) for reading in readings)

    assert having(0, "readme") < having(-1, "readme") <= len(NAMES)
    assert having(0, "readme") > 0
    assert having(0, "protected") < len(NAMES) // 4  # what is not so was seldom so
    at, readings = days[0]
    one = next(iter(readings.values()))["repo"]
    assert {fact.seen_at for fact in one.facts} == {at} == {one.seen_at}
    assert one.values()["approvals"] == 2


def test_each_days_problems_are_counted_alike_by_kind_and_by_team() -> None:
    made = earlier_censuses(TODAY)
    assert [each.at.date() for each in made] == [
        (NOON - timedelta(days=n)).date() for n in range(DAYS, 0, -1)
    ]
    for each in made:
        for counts in (each.by_rule, each.by_team):
            assert sum(sum(found.values()) for found in counts.values()) == each.count()
    totals = [each.count() or 0 for each in made]
    assert max(totals) > sum(TODAY.problems.values())
    assert len(set(totals)) > 3


def test_changes_are_of_what_there_is_and_end_in_what_it_is() -> None:
    made = earlier_changes(FLEET, NOON)
    assert made == earlier_changes(FLEET, NOON)
    assert [each.at for each in made] == sorted(each.at for each in made)
    assert NOON - timedelta(days=DAYS) <= made[0].at < made[-1].at < NOON
    there = {each.ref: each.body for each in FLEET}
    for each in made:
        if each.kind is ChangeKind.REMOVED:
            assert each.ref not in there
            continue
        (field,) = each.fields
        part, key = field.path.split(".")
        value = there[each.ref][part][key]
        assert field.after == (", ".join(value) if isinstance(value, list) else value)


def test_where_nothing_is_nothing_is_made_up_of_it() -> None:
    assert {each.kind for each in earlier_changes((), NOON)} == {ChangeKind.REMOVED}
    assert all(each.count() == 0 for each in earlier_censuses(Census(NOON, Outcome.COMPLETE)))
    assert all(not latest for _, latest in earlier_facts({}, NOON))
