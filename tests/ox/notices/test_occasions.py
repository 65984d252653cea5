"""What is news, and what is none."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from bridge.model.initiatives import Initiative, OpenService, Progress
from bridge.model.notices import NoticeKind, NoticeMemory
from bridge.ox.notices.occasions import Sightings, occasions
from bridge.ox.notices.quiet_hours import QuietHours
from tests.ox.notices.sightings import (
    BREAKER,
    CHECK,
    DAY,
    NOW,
    TEAM,
    F,
    P,
    U,
    W,
    counted,
    seen,
    snyk,
)
from tests.ox.remediation.fleets import service


def told(*looks: Sightings, every: timedelta = DAY) -> list[list[tuple[str, str]]]:
    """The kind and entity of what is news at each look, one a day."""
    memory: NoticeMemory | None = None
    found = []
    for day, look in enumerate(looks):
        made = occasions(memory, look, NOW + day * every, BREAKER)
        memory = made.memory
        found.append([(n.kind.value, n.entity) for n in made.notices])
        assert all(n.team == TEAM for n in made.notices)
        again = occasions(memory, look, NOW + day * every, BREAKER)
        assert (again.notices, again.memory) == ((), memory), "the same look twice is one"
    return found


def gates(*states: str) -> list[list[tuple[str, str]]]:
    """The same of one service whose gate stands so from day to day."""
    letters = {"p": P, "f": F, "u": U}
    looks = [seen(NOW + day * DAY, {1: letters[s]}) for day, s in enumerate(states)]
    return told(*looks)


BROKE = [("gate", str(service(1)))]


@pytest.mark.parametrize(
    ("days", "on"),
    [
        ("pff", [2]),
        ("fffff", []),  # it never passed: known, not news
        ("pf", []),  # one look may be wrong
        ("pfpfp", []),
        ("puuff", [4]),
        ("pfuf", [3]),
        ("pffffff", [2]),
        ("pffpff", [2]),  # it flaps: told a day ago
        ("pffpppppppff", [2, 11]),  # it held for a week
    ],
)
def test_a_gate_that_broke_is_told_once(days: str, on: list[int]) -> None:
    found = gates(*days)
    assert [day for day, each in enumerate(found) if each] == on
    assert all(each in ([], BROKE) for each in found)


def test_what_a_notice_of_a_gate_says() -> None:
    memory = None
    for day, state in enumerate((P, F, F)):
        found = occasions(memory, seen(NOW + day * DAY, {1: state}), NOW + day * DAY, BREAKER)
        memory = found.memory
    (notice,) = found.notices
    assert notice.text == (
        f"{service(1)}: a gate broke: {CHECK.title} (it says so). What to do: {CHECK.how_to_fix}"
    )
    assert notice.link == f"/scores/entity/{service(1)}"


def test_a_check_that_fails_everywhere_is_not_told() -> None:
    """It broke, and not the fleet: nobody is told, and the gates are as they were afterwards."""
    everybody = range(1, 21)
    days = [dict.fromkeys(everybody, state) for state in (P, F, F, P, P)]
    days += [{**days[0], 7: F}, {**days[0], 7: F}]
    found = told(*(seen(NOW + day * DAY, states) for day, states in enumerate(days)))
    assert found == [[], [], [], [], [], [], [("gate", str(service(7)))]]
    held = occasions(
        occasions(None, seen(NOW, days[0]), NOW, BREAKER).memory,
        seen(NOW + DAY, days[1]),
        NOW + DAY,
        BREAKER,
    )
    assert held.doubtful == (CHECK.id,)


def test_a_critical_vulnerability_is_told_when_it_is_new_and_once_more_when_it_is_late() -> None:
    def look(day: int, **issues: datetime) -> Sightings:
        at = NOW + day * DAY
        return seen(at, {1: P}, facts=snyk(at, 1, **issues))

    old, fresh = NOW - 90 * DAY, NOW + DAY
    looks = [look(0, OLD=old)]
    looks += [look(day, OLD=old, NEW=fresh) for day in range(1, 40)]
    looks[20] = seen(NOW + 20 * DAY, {1: P})  # Snyk does not answer
    looks[22] = look(22, OLD=old)  # or leaves it out
    found = told(*looks)
    assert {day: each for day, each in enumerate(found) if each} == {
        1: [("vulnerability", str(service(1)))],
        31: [("overdue", str(service(1)))],
    }


def test_one_that_is_late_when_it_is_first_seen_is_told_once() -> None:
    looks = [seen(NOW, {1: P}, facts=snyk(NOW, 1))]
    looks += [
        seen(NOW + day * DAY, {1: P}, facts=snyk(NOW, 1, LATE=NOW - 60 * DAY)) for day in (1, 2)
    ]
    assert told(*looks) == [[], [("vulnerability", str(service(1)))], []]


def test_what_a_tool_knows_when_it_first_answers_about_a_service_is_old() -> None:
    """A service that is new, or a tool that is: what lies there for years is no news."""
    at, old, new = NOW, NOW - 90 * DAY, [("vulnerability", str(service(2)))]
    other = snyk(at, 1, OTHER=old)
    looks = [
        seen(at, {1: P}, facts=other),
        seen(at, {1: P, 2: P}, facts=other),
        seen(at, {1: P, 2: P}, facts={**other, **snyk(at, 2, OLD=old, OLDER=old)}),
        seen(at, {1: P, 2: P}, facts={**other, **snyk(at, 2, OLD=old, OLDER=old, NEW=NOW)}),
    ]
    assert told(*looks) == [[], [], [], new]
    counts = [
        seen(at, {1: P}, facts=counted(at, 1, 0)),
        seen(at, {1: P, 2: P}, facts=counted(at, 1, 0)),
        seen(at, {1: P, 2: P}, facts={**counted(at, 1, 0), **counted(at, 2, 5)}),
        seen(at, {1: P, 2: P}, facts={**counted(at, 1, 0), **counted(at, 2, 6)}),
    ]
    assert told(*counts) == [[], [], [], new]


def test_of_gitlabs_criticals_more_are_news_and_fewer_for_an_hour_none() -> None:
    def look(hour: int, count: int) -> Sightings:
        at = NOW + timedelta(hours=hour)
        return seen(at, {1: P}, facts=counted(at, 1, count))

    counts = [2, 3, 2, 3, *[2] * 30, 3]
    found = told(
        *(look(hour, count) for hour, count in enumerate(counts)), every=timedelta(hours=1)
    )
    new = [("vulnerability", str(service(1)))]
    assert {hour: each for hour, each in enumerate(found) if each} == {1: new, 34: new}


def test_a_waiver_that_ends_within_a_week_is_told_once_and_an_extended_one_again() -> None:
    ends = (NOW + 10 * DAY).date()
    looks = [seen(NOW + day * DAY, {1: W}, expires=ends) for day in range(7)]
    looks += [seen(NOW + 7 * DAY, {1: W}, expires=ends + 4 * DAY)]
    found = told(*looks)
    about = [("waiver", str(service(1)))]
    assert {day: each for day, each in enumerate(found) if each} == {3: about, 7: about}


def test_an_initiative_that_is_due_within_a_week_is_told_to_each_team_it_waits_for() -> None:
    today = NOW.date()
    goal = Initiative("readmes", "READMEs", TEAM, ("readme",), today, today + timedelta(days=9))

    def look(day: int, *waits: int) -> Sightings:
        left = tuple(OpenService(service(n), ("readme",), ()) for n in waits)
        on = today + timedelta(days=day)
        made = seen(NOW + day * DAY, dict.fromkeys(range(1, 9), P))
        return replace(made, initiatives=[Progress(goal, on, on, 8, left)])

    found = told(*(look(day, 1, 2, 99) for day in range(5)))
    assert {day: each for day, each in enumerate(found) if each} == {2: [("initiative", "")]}
    (notice,) = occasions(NoticeMemory(), look(8, *range(1, 9)), NOW + 8 * DAY, BREAKER).notices
    assert notice.text.startswith(f"READMEs is due on {goal.due}; open: {service(1)}, ")
    assert notice.text.endswith(" and 3 more")
    assert (notice.kind, notice.link) == (NoticeKind.INITIATIVE, "/initiatives/readmes")
    done = occasions(NoticeMemory(), look(8), NOW + 8 * DAY, BREAKER)
    assert done.notices == ()


@pytest.mark.parametrize(
    ("span", "zone", "quiet", "loud"),
    [
        ("20:00-07:00", "UTC", ("2026-03-01T20:00Z", "2026-03-01T06:59Z"), "2026-03-01T07:00Z"),
        ("12:00-13:00", "UTC", ("2026-03-01T12:30Z",), "2026-03-01T13:00Z"),
        ("20:00-07:00", "Europe/Berlin", ("2026-07-01T18:00Z",), "2026-07-01T05:00Z"),
    ],
)
def test_quiet_hours(span: str, zone: str, quiet: tuple[str, ...], loud: str) -> None:
    hours = QuietHours.of(span, zone)
    assert hours is not None
    assert all(hours.hold(datetime.fromisoformat(moment)) for moment in quiet)
    assert not hours.hold(datetime.fromisoformat(loud))
    assert QuietHours.of("", zone) is None
