"""JSON over aiohttp from services that are not ours: bounded in bytes, pages, time and patience."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from time import time
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urljoin

from yarl import URL

from bridge.errors import FesterError
from bridge.neighbours.http_client import MEGABYTE, Answer, HttpClient, NoAnswer, NotJson
from bridge.neighbours.waiting import asked_pause
from bridge.secret.live import Secret, secret_of

PAGES: Final = 200
BYTES: Final = 8 * MEGABYTE
TRIES: Final = 4
LONGEST_WAIT: Final = 60.0
TIMEOUT: Final = 20.0

Sleep = Callable[[float], Awaitable[None]]
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class Unanswered(FesterError):
    """An answer that gives nothing; the message says why, `status` is 0 without an answer."""

    def __init__(self, reason: str, status: int = 0) -> None:
        self.status = status
        super().__init__(reason)


class JsonApi:
    """One service's API. The headers, which hold the token, go to `base` and nowhere else."""

    def __init__(
        self,
        name: str,
        base: str,
        token: str | Secret,
        *,
        authorization: str,
        user: str = "",
        headers: Mapping[str, str] = NOTHING,
        trust: ssl.SSLContext | None = None,
        sleep: Sleep = asyncio.sleep,
        clock: Callable[[], float] = time,
    ) -> None:
        self.name = name
        self.base = URL(base)
        self._sleep = sleep
        self._clock = clock
        self._http = HttpClient(
            base,
            secret=secret_of(token),
            authorization=authorization,
            user=user,
            headers=headers,
            timeout=TIMEOUT,
            limit=BYTES,
            trust=trust,
        )

    def __repr__(self) -> str:
        return f"JsonApi({self.name!r}, {str(self.base)!r})"

    async def close(self) -> None:
        """Close the connections; safe to call twice."""
        await self._http.close()

    def link(self, found: object) -> str | None:
        """A link to the next page as a path of this service; None when there is none.

        Raises `Unanswered` for one that leads elsewhere: the token must not follow it.
        """
        if not isinstance(found, str) or not found:
            return None
        target = URL(urljoin(str(self.base), found))
        if target.origin() != self.base.origin():
            raise Unanswered(f"{self.name} names a next page on another host")
        return target.raw_path_qs

    async def get(self, path: str, query: Mapping[str, str] = NOTHING) -> dict[str, Any]:
        """A JSON object. Waits as long as a 429 asks, within bounds. Raises `Unanswered`."""
        for attempt in range(TRIES):
            answer = await self._once("GET", path, query, None)
            if answer.status != 429:
                return self._read(answer)
            asked = asked_pause(answer.headers, self._clock())
            await self._sleep(float(2**attempt) if asked is None else min(LONGEST_WAIT, asked))
        raise Unanswered(f"{self.name} asks to wait (429)", 429)

    async def post(self, path: str, body: Mapping[str, Any]) -> str:
        """Send once, never again by itself; gives the `Location`. Raises `Unanswered`."""
        answer = await self._once("POST", path, NOTHING, body)
        if answer.status != 201:
            self._read(answer)
            raise Unanswered(
                f"{self.name} answered {answer.status} where 201 was expected", answer.status
            )
        return str(answer.headers.get("Location", ""))

    async def command(self, path: str, body: Mapping[str, Any]) -> None:
        """Send once, never again by itself; any 2xx will do. Raises `Unanswered`."""
        answer = await self._once("POST", path, NOTHING, body)
        if answer.status >= 300:
            self._read(answer)

    async def _once(
        self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any] | None
    ) -> Answer:
        url = self.base.join(URL(path, encoded=True))
        try:
            return await self._http.send(
                method, url.update_query(query) if query else url, body=body
            )
        except NoAnswer as error:
            raise Unanswered(f"{self.name} did not answer: {error}") from None

    def _read(self, answer: Answer) -> dict[str, Any]:
        status = answer.status
        if status in (401, 403):
            raise Unanswered(f"{self.name} refuses the token ({status})", status)
        if status >= 300:
            raise Unanswered(f"{self.name} answered {status}", status)
        try:
            tree = answer.json()
        except NotJson:
            raise Unanswered(f"{self.name} answered no JSON") from None
        if not isinstance(tree, dict):
            raise Unanswered(f"{self.name} answered no JSON object")
        return tree


def rows(tree: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The objects of a list in an answer; whatever else is in it is left out."""
    found = tree.get(key)
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def at(tree: Any, *keys: str) -> Any:
    """What lies under these keys, None where one is missing."""
    for key in keys:
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree
