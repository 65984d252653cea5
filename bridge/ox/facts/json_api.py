"""JSON over aiohttp from services that are not ours: bounded in bytes, pages, time and patience."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urljoin

import aiohttp
from yarl import URL

PAGES: Final = 200
BYTES: Final = 8_000_000
TRIES: Final = 4
LONGEST_WAIT: Final = 60.0
TIMEOUT: Final = 20.0

Sleep = Callable[[float], Awaitable[None]]
NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


class Unanswered(Exception):
    """An answer that gives nothing; the message says why, `status` is 0 without an answer."""

    def __init__(self, reason: str, status: int = 0) -> None:
        self.status = status
        super().__init__(reason)


class JsonApi:
    """One service's API. The headers, which hold the token, go to `base` and nowhere else."""

    def __init__(
        self, name: str, base: str, headers: Mapping[str, str], *, sleep: Sleep = asyncio.sleep
    ) -> None:
        self.name = name
        self.base = URL(base)
        self._headers = dict(headers)
        self._sleep = sleep
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"JsonApi({self.name!r}, {str(self.base)!r})"

    async def close(self) -> None:
        """Close the connections; safe to call twice."""
        if self._session is not None:
            await self._session.close()
            self._session = None

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
            status, headers, body = await self._once("GET", path, query, None)
            if status != 429:
                return self._read(status, body)
            await self._sleep(_wait(headers.get("Retry-After"), attempt))
        raise Unanswered(f"{self.name} asks to wait (429)", 429)

    async def post(self, path: str, body: Mapping[str, Any]) -> str:
        """Send once, never again by itself; gives the `Location`. Raises `Unanswered`."""
        status, headers, answer = await self._once("POST", path, NOTHING, body)
        if status != 201:
            self._read(status, answer)
            raise Unanswered(f"{self.name} answered {status} where 201 was expected", status)
        return headers.get("Location", "")

    async def _once(
        self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any] | None
    ) -> tuple[int, Mapping[str, str], bytes]:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=TIMEOUT)
            self._session = aiohttp.ClientSession(headers=self._headers, timeout=timeout)
        url = self.base.join(URL(path, encoded=True))
        try:
            async with self._session.request(
                method, url.update_query(query) if query else url, json=body, allow_redirects=False
            ) as answer:
                raw = await answer.content.read(BYTES + 1)
                while len(raw) <= BYTES and not answer.content.at_eof():
                    raw += await answer.content.read(BYTES + 1 - len(raw))
                return answer.status, answer.headers, raw
        except (aiohttp.ClientError, TimeoutError) as error:
            reason = f"{self.name} did not answer: {type(error).__name__}"
            raise Unanswered(reason) from error

    def _read(self, status: int, raw: bytes) -> dict[str, Any]:
        if status in (401, 403):
            raise Unanswered(f"{self.name} refuses the token ({status})", status)
        if status >= 300:
            raise Unanswered(f"{self.name} answered {status}", status)
        if len(raw) > BYTES:
            raise Unanswered(f"{self.name} answered more than {BYTES} bytes")
        try:
            tree = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise Unanswered(f"{self.name} answered no JSON") from error
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


def _wait(asked: str | None, attempt: int) -> float:
    try:
        return min(LONGEST_WAIT, max(0.0, float(asked or 2**attempt)))
    except ValueError:
        return float(2**attempt)
