"""What is worked out of a whole catalog is worked out once for each."""

from __future__ import annotations

import asyncio
import threading

import pytest

from bridge.api.memo import Memo


async def test_a_value_is_made_once_for_a_state_and_anew_for_the_next() -> None:
    memo, made = Memo(), []
    first, second = object(), object()

    def make() -> int:
        made.append(threading.current_thread())
        return len(made)

    assert await memo.get(first, "a", make) == 1
    assert await memo.get(first, "a", make) == 1
    assert await memo.get(first, "b", make) == 2
    assert await memo.get(second, "a", make) == 3
    assert await memo.get(first, "a", make) == 4  # nothing of an older one is held
    assert threading.main_thread() not in made


async def test_who_comes_meanwhile_waits_and_who_leaves_stops_nobody() -> None:
    memo, made, go = Memo(), [], threading.Event()

    def make() -> str:
        go.wait(60)
        made.append(1)
        return "done"

    state = object()
    several = [asyncio.create_task(memo.get(state, "k", make)) for _ in range(3)]
    await asyncio.sleep(0)
    several[0].cancel()
    go.set()
    assert await asyncio.gather(*several[1:]) == ["done", "done"]
    assert made == [1]


async def test_what_failed_is_tried_again() -> None:
    memo, state = Memo(), object()

    def fail() -> str:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await memo.get(state, "k", fail)
    assert await memo.get(state, "k", lambda: "yes") == "yes"
