"""Hints on their way to a pass."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from bridge.errors import SourceError
from bridge.model.hints import SOMETHING, Hint, hinted_groups, hinted_projects
from bridge.service.hint_queue import HintQueue
from bridge.service.schedule import ended

A, B = Hint(1), Hint(2)


class Clock:
    """Sleeps that take no time and are remembered."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


async def answered(
    hint_queue: HintQueue,
    act: Callable[[frozenset[Hint]], Awaitable[frozenset[Hint]]],
    done: asyncio.Event,
) -> None:
    """Answer until `act` has said that it is done."""
    task = asyncio.create_task(hint_queue.answer(act))
    async with asyncio.timeout(10):
        await done.wait()
    await ended(task)


async def test_many_hints_become_one_pass() -> None:
    done = asyncio.Event()
    clock, seen = Clock(), list[frozenset[Hint]]()
    hint_queue = HintQueue(settle=0.2, sleep=clock.sleep)

    async def act(hints: frozenset[Hint]) -> frozenset[Hint]:
        seen.append(hints)
        done.set()
        return frozenset()

    hint_queue.put([A])
    hint_queue.put([A, B])
    await answered(hint_queue, act, done)
    assert seen == [{A, B}]
    assert clock.slept == [0.2]


async def test_a_hint_that_comes_while_a_pass_runs_gets_the_next_one() -> None:
    done = asyncio.Event()
    seen: list[frozenset[Hint]] = []
    hint_queue = HintQueue(settle=0)

    async def act(hints: frozenset[Hint]) -> frozenset[Hint]:
        seen.append(hints)
        if len(seen) == 1:
            hint_queue.put([A])  # the same project once more: it changed after it was read
        else:
            done.set()
        return frozenset()

    hint_queue.put([A])
    await answered(hint_queue, act, done)
    assert seen == [{A}, {A}]


async def test_what_failed_is_tried_again_ever_more_rarely_and_not_for_ever() -> None:
    clock, seen = Clock(), list[frozenset[Hint]]()
    hint_queue, done = HintQueue(settle=0, sleep=clock.sleep), asyncio.Event()

    async def act(hints: frozenset[Hint]) -> frozenset[Hint]:
        seen.append(hints)
        if hints == {B}:
            done.set()
            return frozenset()
        if len(seen) == 7:
            hint_queue.put([B])
        if len(seen) == 1:
            raise SourceError("GitLab is down")
        return hints

    hint_queue.put([A])
    await answered(hint_queue, act, done)
    assert seen == [{A}] * 7 + [{B}]
    assert [pause for pause in clock.slept if pause] == [5, 10, 20, 40, 80, 160]


async def test_what_failed_holds_up_nothing_else() -> None:
    seen, done, never = list[frozenset[Hint]](), asyncio.Event(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        await (never.wait() if seconds else asyncio.sleep(0))

    async def act(hints: frozenset[Hint]) -> frozenset[Hint]:
        seen.append(hints)
        if hints == {A}:
            hint_queue.put([B])
            return hints
        done.set()
        return frozenset()

    hint_queue = HintQueue(settle=0, sleep=sleep)
    hint_queue.put([A])
    await answered(hint_queue, act, done)
    assert seen == [{A}, {B}]
    assert hint_queue.take() == {A}  # left for whoever takes over


async def test_hints_of_a_pass_that_is_stopped_stay() -> None:
    begun = asyncio.Event()
    hint_queue = HintQueue(settle=0)

    async def act(hints: frozenset[Hint]) -> frozenset[Hint]:
        begun.set()
        await asyncio.Event().wait()
        return frozenset()

    hint_queue.put([A])
    task = asyncio.create_task(hint_queue.answer(act))
    await begun.wait()
    await ended(task)
    assert hint_queue.take() == {A}


def test_too_many_hints_become_the_question_what_changed() -> None:
    hint_queue = HintQueue()
    hint_queue.put(Hint(number) for number in range(1, 20_002))
    assert hint_queue.take() == {SOMETHING}


def test_a_group_means_its_projects_as_they_are_known() -> None:
    hints = frozenset({Hint(group="a/old"), Hint(group="a/new"), Hint(9), SOMETHING})
    assert hinted_groups(hints) == {"a/old", "a/new"}
    assert hinted_projects(hints, frozenset({1, 3})) == {1, 3, 9}


async def test_what_is_not_tried_again_is_over_and_nothing_else() -> None:
    over, done, clock = list[frozenset[Hint]](), asyncio.Event(), Clock()
    queue = HintQueue(settle=0, sleep=clock.sleep)

    async def act(hints: frozenset[Hint]) -> frozenset[Hint]:
        return hints & {A}  # B is followed at once, A never

    async def heard(hints: frozenset[Hint]) -> None:
        over.append(hints)
        if A in hints:
            done.set()

    queue.put([A, B])
    task = asyncio.create_task(queue.answer(act, heard))
    await done.wait()
    await ended(task)
    assert over == [{B}, *[frozenset()] * 5, {A}]
