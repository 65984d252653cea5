"""Tells Backstage what changed, so that it reads it at once and not at its next cycle.

`POST /api/catalog/refresh` with the reference of a Location makes Backstage read that Location's
target again, and every Location above it, so also the index. A shard that is new needs nothing
more: Backstage reads it as soon as it has read the index that names it.

Of an entity that two sources have Backstage shows the one that came first. When the other source
gives it up ours stays away until our shard is read once more, after Backstage's own discovery has
noticed. When that is nobody tells; so Backstage is asked again, at growing distances.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog
from yarl import URL

from bridge.exporters.render import INDEX
from bridge.model.problems import Problem, Severity
from bridge.neighbours.http_client import Answer, HttpClient, NoAnswer
from bridge.secret.live import Secret, secret_of

log = structlog.get_logger()

SIDE_BY_SIDE = 4
REQUEST_SECONDS = 5.0
TOTAL_SECONDS = 30.0
TRIES = 3
# Minutes after the end of a conflict. Discovery goes by a schedule: every 30 minutes in its guide.
AGAIN = (0, 1, 3, 7, 15, 31, 63)
_RETRIED = {429, 500, 502, 503, 504}
_LISTING = (
    "/api/catalog/entities/by-query?filter=kind=location,metadata.namespace=default"
    "&fullTextFilterFields=metadata.name&fullTextFilterTerm={prefix}-&fields=metadata.name&limit=200"
)
_LISTING_BYTES = 1_000_000


class _Unheard(Exception):
    """Backstage did not do what it was asked; the text says why."""


@dataclass(slots=True)
class Refresher:
    """Asks one Backstage. `location_of` gives the Location of an artifact's path, None if none.

    Nothing that Backstage does is an error here: what it has not heard is told with the next pass.
    """

    url: str
    token: str | Secret = field(repr=False)
    prefix: str = "fester"
    location_of: Callable[[str], str | None] = lambda path: None
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    counts: Counter[str] = field(default_factory=Counter)
    trust: ssl.SSLContext | None = field(default=None, repr=False)
    clock: Callable[[], float] = time.monotonic
    _told: dict[str, str] | None = None
    _freed: dict[str, tuple[float, int]] = field(default_factory=dict)  # since when, times told

    def due(
        self,
        files: Mapping[str, str],
        changed: Iterable[str] | None,
        freed: Collection[str] = frozenset(),
    ) -> list[str]:
        """The paths that Backstage is to read, of published files with their digests.

        `changed` is what a publish wrote, which counts as long as nothing was told before;
        None when nothing tells (then all is due). `freed` has entities of which another source's
        stood in the way until now: it is due now and a few times later.
        """
        now = self._read_by_backstage(files)
        if self._told is None:
            unheard = now.keys() if changed is None else set(changed)
            self._told = {path: digest for path, digest in now.items() if path not in unheard}
        self._freed |= {path: (self.clock(), 0) for path in freed}
        unheard = {path for path, digest in now.items() if self._told.get(path) != digest}
        return sorted(unheard | {path for path in now if self._is_due_again(path)})

    def _is_due_again(self, path: str) -> bool:
        since, times = self._freed.get(path, (0.0, len(AGAIN)))
        return times < len(AGAIN) and self.clock() >= since + 60 * AGAIN[times]

    def _told_by_now(self, since: float) -> int:
        """How many of the times are over: what was due meanwhile is told at once."""
        return sum(self.clock() >= since + 60 * minutes for minutes in AGAIN)

    def locations(self, paths: Iterable[str]) -> list[str]:
        """The Locations to refresh for these paths."""
        return [found for path in paths if (found := self.location_of(path))]

    async def tell(
        self,
        files: Mapping[str, str],
        changed: Iterable[str] | None = None,
        freed: Collection[str] = frozenset(),
    ) -> Problem | None:
        """Ask for what is due; a warning when Backstage did not hear it.

        `files` are all that are published, with their digests by path; the rest as for `due`.
        """
        due = self.due(files, changed, freed)
        if not due:
            return None
        try:
            async with asyncio.timeout(TOTAL_SECONDS):
                count = await self._refresh(self.locations(due))
        except TimeoutError:
            return self._failed(f"it took longer than {TOTAL_SECONDS:.0f} seconds")
        except _Unheard as error:
            return self._failed(str(error))
        self.counts["refreshed"] += count
        log.info("Backstage reads what changed", action="refreshed", locations=count)
        self._told = self._read_by_backstage(files)
        self._freed = {
            path: (since, times)
            for path, (since, _) in self._freed.items()
            if (times := self._told_by_now(since)) < len(AGAIN)
        }
        return None

    def _read_by_backstage(self, files: Mapping[str, str]) -> dict[str, str]:
        """What Backstage reads, and what it is now."""
        return {
            path: digest
            for path, digest in files.items()
            if path == INDEX or self.location_of(path)
        }

    def _failed(self, reason: str) -> Problem:
        self.counts["failed"] += 1
        log.warning("Backstage was not told", action="refresh_failed", reason=reason)
        return Problem(
            f"Backstage at {self.url} was not told what changed: {reason}. It reads it at its "
            "next cycle, and the next pass tells it again",
            "backstage-refresh",
            Severity.WARNING,
        )

    async def _refresh(self, locations: Sequence[str]) -> int:
        http = HttpClient(
            self.url,
            secret=secret_of(self.token),
            timeout=REQUEST_SECONDS,
            limit=_LISTING_BYTES,
            trust=self.trust,
        )
        try:
            known = await self._known_by(http, locations)
        finally:
            await http.close()
        if not known:
            raise _Unheard(
                f"it knows no Location of ours (location:default/{self.prefix}-…); register the "
                "index as `fester deploy backstage` prints"
            )
        return known

    async def _known_by(self, http: HttpClient, locations: Sequence[str]) -> int:
        """How many of these Backstage knew, or, if none, 1 when it knew any other of ours."""
        known = await self._known_among(http, locations)
        for attempt in range(TRIES):
            if known:
                break
            # Only new shards, or none left of the old: any Location of ours leads to the index.
            # A Backstage that has just read it has dropped the old ones and soon shows the new.
            if attempt:
                await self.sleep(0.5 * attempt)
            found = await self._any_location(http)
            known = await self._known_among(http, [found] if found else [])
        return known

    async def _known_among(self, http: HttpClient, locations: Sequence[str]) -> int:
        """How many of these Backstage knew, and now reads again."""
        if not locations:
            return 0
        # The first alone: a Backstage that is down or refuses is asked once and not for each.
        known = [await self._ask_for(http, locations[0])]
        turns = asyncio.Semaphore(SIDE_BY_SIDE)

        async def in_turn(location: str) -> bool:
            async with turns:
                return await self._ask_for(http, location)

        known += await asyncio.gather(*(in_turn(location) for location in locations[1:]))
        return sum(known)

    async def _ask_for(self, http: HttpClient, location: str) -> bool:
        """Whether Backstage knows this Location. Raises `_Unheard`."""
        body = {"entityRef": location}
        status = (await self._request(http, "POST", "/api/catalog/refresh", body)).status
        if status == 404:
            return False
        if status in (401, 403):
            raise _Unheard(
                f"it refuses the token ({status}): FESTER_BACKSTAGE_TOKEN must be one of its "
                "backend.auth.externalAccess, allowed for the plugin catalog"
            )
        if status // 100 != 2:
            raise _Unheard(f"it answers {status} to {location}")
        return True

    async def _any_location(self, http: HttpClient) -> str | None:
        """A Location of ours that Backstage holds."""
        answer = await self._request(http, "GET", _LISTING.format(prefix=self.prefix))
        with suppress(ValueError, LookupError, TypeError, AttributeError, RecursionError):
            if answer.status == 200:
                for item in json.loads(answer.body)["items"]:
                    name = item["metadata"]["name"]
                    if isinstance(name, str) and name.startswith(f"{self.prefix}-"):
                        return f"location:default/{name}"
        return None

    async def _request(self, http: HttpClient, method: str, path: str, body: Any = None) -> Answer:
        reason = ""
        for attempt in range(TRIES):
            if attempt:
                await self.sleep(0.5 * attempt)
            try:
                answer = await http.send(method, URL(self.url.rstrip("/") + path), body=body)
            except NoAnswer as error:
                reason = f"it cannot be reached: {error}"
                continue
            if answer.status not in _RETRIED:
                return answer
            reason = f"it answers {answer.status}"
        raise _Unheard(reason)
