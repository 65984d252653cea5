"""Page sizes, queries' prices and waiting: all without a socket."""

from __future__ import annotations

import math
from email.utils import formatdate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import ConfigurationError
from bridge.language.codeowners import PLACES
from bridge.model.scrape import in_repositories
from bridge.processors.mapping import load_mappings
from bridge.scrapers.gitlab import queries
from bridge.scrapers.gitlab.pacing import Pacing, halves
from bridge.scrapers.gitlab.throttle import Throttle
from tests.laws import examples

NOW = 1_800_000_000.0


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = NOW
        self.slept: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_the_page_grows_to_the_limit_and_halves_on_failure() -> None:
    pacing = Pacing(50, 100)
    for _ in range(4):
        pacing.succeeded(pacing.size)
    assert pacing.size == 100
    pacing.failed(100)
    assert pacing.size == 50


def test_parts_of_a_failed_page_do_not_shrink_the_page_any_further() -> None:
    """Several pages of the old size are in flight when the first one fails."""
    pacing = Pacing(100, 100)
    pacing.failed(100)
    pacing.failed(40)
    pacing.failed(25)
    assert pacing.size == 50


@settings(max_examples=examples(60))
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 100)), max_size=80))
def test_the_page_stays_within_its_bounds(events: list[tuple[bool, int]]) -> None:
    pacing = Pacing(50, 80)
    for good, asked in events:
        (pacing.succeeded if good else pacing.failed)(asked)
        assert 1 <= pacing.size <= 80


@given(st.integers(0, 3000), st.integers(1, 16), st.integers(1, 100))
def test_the_last_projects_are_shared_and_no_page_is_much_larger_than_usual(
    left: int, readers: int, start: int
) -> None:
    """Laws: it ends; at most twice the pages; and all readers end in the same round."""
    pacing = Pacing(start, 100)
    pages = []
    while left > 0:
        pages.append(min(left, pacing.page(left, readers, ending=True)))
        left -= pages[-1]
    total, largest = sum(pages), min(100, start + max(1, start // 4))
    assert max(pages, default=0) <= max(start, largest)
    assert len(pages) <= math.ceil(total / max(1, start // 2))
    if total > readers * start:  # many: the last round is full, but for what does not divide
        assert len(set(pages[-readers:-1])) <= 1


def test_a_thousand_projects_make_rounds_of_the_same_size() -> None:
    pacing = Pacing(50, 100)
    assert pacing.page(100, 8) == 50
    assert pacing.page(863, 8, ending=True) == 54
    assert pacing.page(54, 8, ending=True) == 54
    pacing.failed(54)
    # 27 and a quarter: what failed is not asked again
    assert pacing.page(863, 8, ending=True) == 33


def test_the_first_pages_are_small_where_many_wait_and_a_small_gitlab_is_one_page() -> None:
    pacing = Pacing(50, 100, soon=True)
    assert pacing.page(50, 8) == 50
    assert [pacing.page(60, 8) for _ in range(6)] == [12, 12, 25, 25, 50, 50]
    pacing.succeeded(12)
    assert pacing.size == 50  # a small page says nothing of larger ones


def test_it_is_hopeless_only_after_failures_with_no_success_between() -> None:
    pacing = Pacing(50, 100, patience=3)
    pacing.failed(50)
    pacing.failed(50)
    pacing.succeeded(1)
    pacing.failed(50)
    assert not pacing.hopeless
    pacing.failed(50)
    pacing.failed(50)
    assert pacing.hopeless


@settings(max_examples=examples(30))
@given(st.lists(st.integers(), min_size=2, unique=True))
def test_halves_are_smaller_and_lose_nothing(ids: list[int]) -> None:
    first, second = halves(ids)
    assert [*first, *second] == ids
    assert 0 < len(second) <= len(first) < len(ids)


def test_the_shipped_files_fit_a_full_page_for_whomever_asks() -> None:
    files = in_repositories(load_mappings(None).files)
    assert queries.largest_page(files, limit=queries.ANONYMOUS_COMPLEXITY_LIMIT) == 100


def test_what_ox_wants_rides_on_the_same_page() -> None:
    """A token's page holds more than the usual 50, with all else that is looked for; without a
    token it is smaller."""
    mappings = load_mappings(None)
    files, usual = in_repositories(mappings.files), mappings.usual
    assert set(usual) == {"docs", "mkdocs.yml", *PLACES}
    limit, less = queries.COMPLEXITY_LIMIT, queries.ANONYMOUS_COMPLEXITY_LIMIT
    assert queries.largest_page(files, limit=limit, forks=True, with_facts=True) == 100
    assert queries.facts_fit(files, limit=limit, page=75, tip=True, usual=usual)
    assert not queries.facts_fit(files, limit=limit, page=100, tip=True, usual=usual)
    assert queries.facts_fit(files, limit=less, page=25)
    assert not queries.facts_fit(files, limit=less, page=100)
    assert not queries.facts_fit((*files, *(f"{n}.yaml" for n in range(9))), limit=limit, page=50)


def test_many_files_shrink_the_page_and_too_many_are_refused() -> None:
    files = tuple(f"{n}.yaml" for n in range(14))
    page = queries.largest_page(files, limit=queries.COMPLEXITY_LIMIT)
    assert 1 <= page < 100
    assert queries.complexity(len(files), page) <= queries.COMPLEXITY_LIMIT
    with pytest.raises(ConfigurationError, match="60 file names"):
        queries.largest_page(tuple(f"{n}.yaml" for n in range(60)), limit=queries.COMPLEXITY_LIMIT)


async def test_it_waits_for_the_reset_before_being_told_429() -> None:
    time = Time()
    throttle = Throttle(time.clock, time.sleep)
    assert await throttle.enter("rest", longest=60) == 0
    left = {"RateLimit-Remaining": "1", "RateLimit-Reset": str(int(NOW) + 30)}
    await throttle.leave("rest", 200, left)
    assert await throttle.enter("rest", longest=60) == 0
    assert await throttle.enter("rest", longest=60) == 30
    assert await throttle.enter("graphql", longest=60) == 0


async def test_requests_in_flight_count_against_what_remains() -> None:
    time = Time()
    throttle = Throttle(time.clock, time.sleep)
    for _ in range(3):
        await throttle.enter("rest", longest=60)
    left = {"RateLimit-Remaining": "2", "RateLimit-Reset": str(int(NOW) + 30)}
    await throttle.leave("rest", 200, left)
    assert await throttle.enter("rest", longest=60) == 30


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": formatdate(NOW + 9, usegmt=True)}, 9.0),
        ({"RateLimit-ResetTime": formatdate(NOW + 11, usegmt=True)}, 11.0),
        ({"Retry-After": "99999999"}, 600.0),
        ({"Retry-After": formatdate(NOW + 9999, usegmt=True)}, 120.0),
        ({"Retry-After": "soon"}, 0.0),
        ({}, 0.0),
    ],
)
async def test_a_429_is_obeyed_in_every_form_and_within_bounds(
    headers: dict[str, str], seconds: float
) -> None:
    time = Time()
    throttle = Throttle(time.clock, time.sleep)
    await throttle.enter("rest", longest=600)
    await throttle.leave("rest", 429, headers)
    assert await throttle.enter("rest", longest=600) == seconds


async def test_a_wait_longer_than_allowed_is_refused_without_waiting() -> None:
    time = Time()
    throttle = Throttle(time.clock, time.sleep)
    await throttle.enter("rest", longest=60)
    await throttle.leave("rest", 429, {"Retry-After": "100"})
    assert await throttle.enter("rest", longest=60) is None
    assert time.slept == []


async def test_backing_off_doubles_with_jitter_and_stops_growing() -> None:
    time = Time()
    throttle = Throttle(time.clock, time.sleep, rand=lambda: 1.0)
    for attempt in (0, 1, 2, 50):
        await throttle.back_off(attempt)
    assert time.slept == [0.5, 1.0, 2.0, 30.0]
