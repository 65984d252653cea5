"""What pages work out of a whole catalog or board, once for as long as that one is served."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

from aiohttp import web
from cachetools import LRUCache

_MOST: Final = 64

Value = TypeVar("Value")


class Memo:
    """Values made of one state (an index, a board); all go when another state is asked about."""

    def __init__(self) -> None:
        self._state: object = None
        self._values: LRUCache[Hashable, asyncio.Future[Any]] = LRUCache(_MOST)

    async def get(self, state: object, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of a key, made in a thread where it is not known; who comes meanwhile waits.

        Raises what `make` raises, which is then tried again by the next one.
        """
        if self._state is not state:
            self._values.clear()
            self._state = state
        found = self._values.get(key)
        if found is None or (found.done() and (found.cancelled() or found.exception())):
            found = self._values[key] = asyncio.ensure_future(asyncio.to_thread(make))
        value: Value = await asyncio.shield(found)
        return value


OF_INDEX: web.AppKey[Memo] = web.AppKey("of_index")
OF_BOARD: web.AppKey[Memo] = web.AppKey("of_board")
OF_REPORT: web.AppKey[Memo] = web.AppKey("of_report")
OF_FACTS: web.AppKey[Memo] = web.AppKey("of_facts")
