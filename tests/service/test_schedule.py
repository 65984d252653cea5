"""Passes on a schedule."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from bridge.api.live import nothing_known
from bridge.errors import StoreError
from bridge.model.memory import Horizon
from bridge.model.runs import Outcome, Report
from bridge.model.scrape import Observation
from bridge.passes.stages import Pass
from bridge.service.schedule import Audience, Audiences, Schedule, ended
from tests.fakes import NOON


async def test_a_poke_starts_the_next_pass_at_once() -> None:
    passes: list[int] = []
    once, twice = asyncio.Event(), asyncio.Event()

    async def make_pass() -> float | None:
        passes.append(1)
        (once if len(passes) == 1 else twice).set()
        return None

    schedule = Schedule(make_pass, every=3600)
    task = asyncio.create_task(schedule.run())
    await once.wait()
    schedule.poke()
    await twice.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert len(passes) == 2


@pytest.mark.parametrize("error", [StoreError("locked"), ZeroDivisionError("a fault of ours")])
async def test_a_failed_pass_does_not_end_the_schedule(error: Exception) -> None:
    ended = asyncio.Event()
    passes: list[int] = []

    async def make_pass() -> float | None:
        passes.append(1)
        if len(passes) == 1:
            raise error
        ended.set()
        return None

    task = asyncio.create_task(Schedule(make_pass, every=0).run())
    await ended.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_a_refused_pass_is_made_again_when_it_says_and_a_failed_one_soon() -> None:
    """Not at the next `every`, which is hours away."""
    answers: list[float | Exception | None] = [7.5, StoreError("x"), StoreError("x"), 1e9, None]

    async def make_pass() -> float | None:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    schedule = Schedule(make_pass, every=3600)
    assert [await schedule._once() for _ in range(5)] == [7.5, 5.0, 10.0, 3600, 3600]


async def test_a_slow_listener_hears_what_every_pass_saw() -> None:
    """What it missed is in what it hears next, the later observation of a project first."""
    heard: list[Pass] = []
    release, told = asyncio.Event(), asyncio.Event()

    async def slow(done: Pass) -> None:
        heard.append(done)
        told.set()
        await release.wait()

    def seen(kind: str, **values: str) -> Pass:
        observed = {
            int(key[1:]): Observation(int(key[1:]), NOON, {"x": v}) for key, v in values.items()
        }
        return replace(a_pass(kind), observations=observed)

    audience = Audience((slow,))
    running = asyncio.create_task(audience.run())
    audience.hear(seen("first", p1="a"))
    await told.wait()
    audience.hear(seen("second", p1="b", p2="b"))
    audience.hear(seen("third", p2="c", p3="c"))
    told.clear()
    release.set()
    await told.wait()
    await ended(running)
    found = {key: each.values["x"] for key, each in heard[1].observations.items()}
    assert found == {1: "b", 2: "c", 3: "c"}


@pytest.mark.parametrize(
    ("error", "traced"), [(RuntimeError("no facts today"), True), (StoreError("away"), False)]
)
async def test_a_listener_that_fails_or_is_slow_holds_up_nobody(
    error: Exception, traced: bool
) -> None:
    """An error is logged and the next listener hears; what came meanwhile is told once."""
    heard: list[str] = []
    release, told = asyncio.Event(), asyncio.Event()

    async def failing(done: Pass) -> None:
        raise error

    async def slow(done: Pass) -> None:
        heard.append(done.report.failure)
        told.set()
        await release.wait()

    audience = Audience([failing, slow])
    task = asyncio.create_task(audience.run())
    with capture_logs() as logs:
        audience.hear(a_pass("1"))
        await told.wait()
        audience.hear(a_pass("2"))
        audience.hear(a_pass("3"))
        told.clear()
        release.set()
        await told.wait()
    await ended(task)

    assert heard == ["1", "3"]
    assert {log["action"] for log in logs} == {"after_pass_failed"}
    # What we raise ourselves says what to do; where it was raised would hide that.
    assert {"exc_info" in log for log in logs} == {traced}
    assert traced or {log["reason"] for log in logs} == {str(error)}


async def test_audiences_do_not_wait_for_each_other() -> None:
    """Backstage is told at once of a second pass, although the first one's facts still come."""
    heard: asyncio.Queue[str] = asyncio.Queue()
    begun = asyncio.Event()

    async def slow(done: Pass) -> None:
        begun.set()
        await asyncio.Event().wait()

    async def quick(done: Pass) -> None:
        await heard.put(done.report.failure)

    audiences = Audiences([Audience([slow]), Audience([quick])])
    task = asyncio.create_task(audiences.run())
    for name in ("1", "2"):
        audiences.hear(a_pass(name))
        assert await heard.get() == name
        await begun.wait()
    await ended(task)


def a_pass(name: str) -> Pass:
    return Pass(Report(Outcome.COMPLETE, 1.0, failure=name), Horizon(), nothing_known)
