"""What a service asks the store, and for how long it waits."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from bridge.errors import StoreError

_Found = TypeVar("_Found")


async def in_time(work: Coroutine[Any, Any, _Found], seconds: float, what: str) -> _Found:
    """What `work` gives. Raises `StoreError` that begins with `what` when it takes longer.

    Work that is given up ends by itself and changes nothing: SQLite goes on waiting for a lock
    that nobody wants any more, and lets go of it then.
    """
    task = asyncio.ensure_future(work)
    task.add_done_callback(_heard)
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if not done:
            raise StoreError(f"{what} within {seconds:g} seconds")
        return task.result()
    finally:
        task.cancel()


def _heard(task: asyncio.Future[Any]) -> None:
    """Nobody asks any more what came of work that was given up."""
    if not task.cancelled():
        task.exception()
