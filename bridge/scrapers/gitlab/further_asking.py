"""Puts questions about further files to GitLab: in few requests, and in smaller ones if need be."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from bridge.scrapers.gitlab.client import GitLabClient
from bridge.scrapers.gitlab.further_queries import (
    MIXED_PATHS,
    PATHS_AT_ONCE,
    PROJECTS_AT_ONCE,
    TEXT_AT_ONCE,
    TEXTS_AT_ONCE,
    Asked,
    Question,
    alias,
    read_further,
    together,
)
from bridge.scrapers.gitlab.pacing import PATIENCE
from bridge.scrapers.gitlab.pages import repositories
from bridge.scrapers.gitlab.trouble import Cause, Trouble

SPARE: Final = 10  # requests of a crawl that make it quicker and not cheaper
_WIDER: Final = 3  # of these at once
_WORTH: Final = 50  # projects that are worth a request
# Requests that are made smaller at the same time: of more, each failing but once, `PATIENCE` would
# end before any of them was asked again for less.
_SIDE_BY_SIDE: Final = 8
_COMMON: Final = 5  # projects that want a path, from which on they are asked about by themselves

Answers: TypeAlias = dict[tuple[Question, int], Any]  # a question, a project's id → its repository


class Asking:
    """Asks for one crawl. `limit` is what a request may cost.

    `spare` requests may be sent besides those that are needed: what is asked of hundreds of
    repositories in one takes GitLab as long as all of them in a row.
    """

    def __init__(self, client: GitLabClient, limit: int, spare: int = 0) -> None:
        self._client = client
        self._limit = limit
        self._spare = spare
        self._failures = 0
        self._turns = asyncio.Semaphore(_SIDE_BY_SIDE)

    async def ask(
        self, questions: Sequence[Question]
    ) -> tuple[Answers, dict[tuple[Question, int], str]]:
        """The answers; and of those that cannot be had, why."""
        answers: Answers = {}
        failed: dict[tuple[Question, int], str] = {}
        parts = list(together(questions, self._limit))
        more = wider(parts, min(self._spare, _WIDER))
        self._spare -= len(more) - len(parts)
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(self._ask(part)) for part in more]
        for each in asked:
            answers |= each.result()[0]
            failed |= each.result()[1]
        return answers, failed

    async def _ask(self, part: list[Question]) -> tuple[Answers, dict[tuple[Question, int], str]]:
        """As `ask`, of one request, and of smaller ones in its place where it fails."""
        answers: Answers = {}
        failed: dict[tuple[Question, int], str] = {}
        waiting = [part]
        async with self._turns:
            while waiting:
                part = waiting.pop()
                try:
                    answers |= await self._ask_once(part, patient=len(part) == 1)
                    self._failures = 0
                except Trouble as trouble:
                    # What is asked ahead may be too much for a GitLab that can do all else.
                    self._failures += not all(each.ahead for each in part)
                    if smaller := _smaller(part) if self._failures < PATIENCE else []:
                        waiting += smaller
                    else:
                        failed |= {(each, n): trouble.reason for each in part for n in each.ids}
        return answers, failed

    async def _ask_once(self, part: Sequence[Question], *, patient: bool) -> Answers:
        query, variables = read_further(part)
        answer = await self._client.graphql(query, variables, patient=patient)
        found = repositories(answer, [alias(n) for n in range(len(part))])
        answers: Answers = {}
        for question, there in zip(part, found, strict=True):
            missing = [number for number in question.ids if there.get(number) is None]
            if missing and len(question.ids) + len(part) > 2:
                raise Trouble(Cause.BROKEN, "GitLab leaves projects out of its answer")
            if missing:
                raise Trouble(Cause.NOT_THERE, "GitLab leaves it out of its answer")
            answers |= {(question, number): there[number] for number in question.ids}
        return answers


def wider(parts: Sequence[list[Question]], more: int) -> list[list[Question]]:
    """Some requests as at most so many more, the largest ones halved."""
    found = list(parts)
    for _ in range(more):
        largest = max(found, key=_projects, default=[])
        if _projects(largest) < 2 * _WORTH:
            break
        found.remove(largest)
        found += _smaller(largest)
    return found


def _projects(part: Sequence[Question]) -> int:
    """How many there are to look at; last commits are asked for in every sweep, so in few."""
    return sum(len(each.ids) for each in part if each.asked is not Asked.TIPS)


def _smaller(part: list[Question]) -> list[list[Question]]:
    """A request that failed as smaller ones; none where it is as small as can be."""
    if len(part) > 1:
        middle = len(part) // 2
        return [part[:middle], part[middle:]]
    halves = part[0].halves()
    return [] if halves == (part[0],) else [[each] for each in halves]


def about_paths(branches: Mapping[int, str], wanted: Mapping[int, Sequence[str]]) -> list[Question]:
    """What is at some paths of each project, as questions; `branches` are the projects'.

    A path that many want is asked of all of them at once. The others are put together, too: each
    project is then asked about paths of its neighbours, which costs less than a question of its
    own.
    """
    common = Counter((branches[number], p) for number, paths in wanted.items() for p in paths)
    many: dict[tuple[str, str], list[int]] = {}
    own: dict[str, list[tuple[int, list[str]]]] = {}
    for number, paths in wanted.items():
        branch = branches[number]
        rare = [path for path in paths if common[branch, path] < _COMMON]
        for path in paths:
            if common[branch, path] >= _COMMON:
                many.setdefault((branch, path), []).append(number)
        if rare:
            own.setdefault(branch, []).append((number, rare))
    # The same projects mostly want the same paths.
    by_projects: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for (branch, path), ids in many.items():
        by_projects.setdefault((branch, tuple(sorted(ids))), []).append(path)
    groups = [
        (branch, some, paths)
        for (branch, all_), paths in sorted(by_projects.items())
        for some in id_parts(all_)
    ]
    groups += [(branch, *each) for branch, rows in sorted(own.items()) for each in _mixed(rows)]
    return [
        Question(Asked.BLOBS, tuple(paths[start : start + PATHS_AT_ONCE]), ids_, branch)
        for branch, ids_, paths in groups
        for start in range(0, len(paths), PATHS_AT_ONCE)
    ]


def _mixed(rows: Iterable[tuple[int, list[str]]]) -> Iterator[tuple[tuple[int, ...], list[str]]]:
    """Projects with few paths of their own together, each group with all its paths."""
    ids: list[int] = []
    paths: dict[str, None] = {}
    for number, theirs in rows:
        if ids and (len(paths.keys() | theirs) > MIXED_PATHS or len(ids) >= PROJECTS_AT_ONCE):
            yield tuple(ids), list(paths)
            ids, paths = [], {}
        ids.append(number)
        paths |= dict.fromkeys(theirs)
    if ids:
        yield tuple(ids), list(paths)


def id_parts(ids: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Projects in parts that one question may be about."""
    for start in range(0, len(ids), PROJECTS_AT_ONCE):
        yield tuple(ids[start : start + PROJECTS_AT_ONCE])


def about_texts(
    wanted: Mapping[tuple[str, str], Sequence[tuple[int, int]]],
) -> list[Question]:
    """Questions about texts: for each branch and path the projects, each with its bytes."""
    return [
        Question(
            Asked.TEXTS,
            (path,),
            tuple(number for number, _ in part),
            branch,
            size=sum(size for _, size in part),
        )
        for (branch, path), each in sorted(wanted.items())
        for part in text_parts(each)
    ]


def text_parts(each: Sequence[tuple[int, int]]) -> Iterator[Sequence[tuple[int, int]]]:
    """(project, bytes) in parts whose texts may come in one answer."""
    part: list[tuple[int, int]] = []
    for pair in each:
        full = sum(size for _, size in part) + pair[1] > TEXT_AT_ONCE
        if part and (full or len(part) >= TEXTS_AT_ONCE):
            yield part
            part = []
        part.append(pair)
    if part:
        yield part
