"""What a request for further files may hold, and what GitLab charges for it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sandbox.complexity import score
from bridge.sandbox.plan import QueryPlanner
from bridge.scrapers.gitlab.further_asking import about_paths, wider
from bridge.scrapers.gitlab.further_queries import (
    MIXED_PATHS,
    PATHS_AT_ONCE,
    PROJECTS_AT_ONCE,
    TEXT_AT_ONCE,
    Asked,
    Question,
    read_further,
    together,
)
from bridge.scrapers.gitlab.queries import ANONYMOUS_COMPLEXITY_LIMIT, TEXT_LIMIT


@st.composite
def questions(draw: st.DrawFn) -> Question:
    asked = draw(st.sampled_from(Asked))
    fewest, most = {Asked.BLOBS: (1, PATHS_AT_ONCE), Asked.TIPS: (0, 0)}.get(asked, (1, 1))
    paths = tuple(f"p{n}" for n in range(draw(st.integers(fewest, most))))
    ids = tuple(range(1, draw(st.integers(1, PROJECTS_AT_ONCE)) + 1))
    return Question(asked, paths, ids, draw(st.sampled_from(["", "main"])))


@given(st.lists(questions(), min_size=1, max_size=40))
def test_every_request_stays_within_what_gitlab_allows(wanted: list[Question]) -> None:
    requests = list(together(wanted, ANONYMOUS_COMPLEXITY_LIMIT))
    assert [each for part in requests for each in part] == wanted
    for part in requests:
        query, variables = read_further(part)
        assert len(query) <= TEXT_LIMIT
        charged = score(QueryPlanner().prepare(query, variables, None))
        assert charged <= sum(each.cost for each in part) <= 1.6 * charged + 10
        assert charged <= ANONYMOUS_COMPLEXITY_LIMIT


@given(st.lists(questions(), max_size=12), st.integers(0, 5))
def test_what_is_asked_in_more_requests_is_the_same(wanted: list[Question], more: int) -> None:
    requests = list(together(wanted, ANONYMOUS_COMPLEXITY_LIMIT))
    found = wider(requests, more)
    assert len(requests) <= len(found) <= len(requests) + more
    assert told(found) == told(requests)
    if len(found) < len(requests) + more:  # no request is about so many that it is worth two
        assert all(looked_at(part) < 100 for part in found)


def told(requests: list[list[Question]]) -> Counter[tuple[Asked, str, tuple[str, ...], int]]:
    questions = [each for part in requests for each in part]
    return Counter((e.asked, e.branch, e.paths, number) for e in questions for number in e.ids)


def looked_at(part: list[Question]) -> int:
    return sum(len(each.ids) for each in part if each.asked is not Asked.TIPS)


def test_last_commits_are_asked_for_in_few_requests_in_every_sweep() -> None:
    tips = [Question(Asked.TIPS, (), tuple(range(start, start + 100))) for start in (0, 100, 200)]
    assert wider([tips], 3) == [tips]
    blobs = [replace(each, asked=Asked.BLOBS, paths=("a",)) for each in tips]
    assert len(wider([blobs], 3)) == 4


@pytest.mark.parametrize("asked", Asked)
def test_the_largest_question_is_one_that_gitlab_answers_anybody(asked: Asked) -> None:
    paths = tuple(f"p{n}" for n in range(PATHS_AT_ONCE if asked is Asked.BLOBS else 1))
    largest = Question(asked, paths, tuple(range(PROJECTS_AT_ONCE)), "main")
    assert largest.cost <= ANONYMOUS_COMPLEXITY_LIMIT


@given(
    st.dictionaries(
        st.integers(1, 400),
        st.lists(st.sampled_from([f"p{n}" for n in range(90)]), unique=True, max_size=70),
        max_size=60,
    )
)
def test_every_path_of_every_project_is_asked_about_once(wanted: dict[int, list[str]]) -> None:
    branches = {number: "" if number % 3 else "main" for number in wanted}
    found = about_paths(branches, wanted)
    asked = Counter((n, path) for each in found for n in each.ids for path in each.paths)
    for number, paths in wanted.items():
        assert all(asked[number, path] == 1 for path in paths)
    for each in found:
        assert {branches[number] for number in each.ids} == {each.branch}
        assert len(each.ids) <= PROJECTS_AT_ONCE
        assert len(each.paths) <= PATHS_AT_ONCE


def test_what_few_projects_want_is_asked_together() -> None:
    wanted = {n: ["mkdocs.yml", f"api/{n}.yaml"] for n in range(100)}
    found = about_paths(dict.fromkeys(wanted, ""), wanted)
    common = [each for each in found if each.paths == ("mkdocs.yml",)]
    assert [len(each.ids) for each in common] == [100]
    assert {len(each.paths) for each in found if each not in common} == {MIXED_PATHS}
    # A question a project would cost GitLab 1,500 and take seven requests.
    assert len(list(together(found, 250))) == 2


def test_texts_of_many_bytes_come_in_several_answers() -> None:
    half = TEXT_AT_ONCE // 2
    wanted = [Question(Asked.TEXTS, (f"{n}",), (1,), size=half) for n in range(4)]
    assert [len(part) for part in together(wanted, 250)] == [2, 2]
    alone = Question(Asked.TEXTS, ("x",), (1,), size=3 * TEXT_AT_ONCE)
    assert [len(part) for part in together([alone, *wanted], 250)] == [1, 2, 2]


def test_a_question_halves_until_it_is_about_one_path_of_one_project() -> None:
    waiting, single = [Question(Asked.BLOBS, ("a", "b", "c"), (1, 2, 3))], set()
    while waiting:
        each = waiting.pop()
        if each.halves() == (each,):
            single.add((each.paths, each.ids))
        else:
            waiting += each.halves()
    assert single == {((path,), (n,)) for path in "abc" for n in (1, 2, 3)}
