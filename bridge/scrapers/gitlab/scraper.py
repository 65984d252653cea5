"""`GitLabScraper`: enumerates and reads side by side, and yields records as they come."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextvars import copy_context
from dataclasses import replace
from datetime import UTC, datetime

from bridge.model.rates import Rates
from bridge.model.reads import ReadFile
from bridge.model.scrape import Coverage, Record, ScrapeEnd, ScrapeRequest, Traffic, bytes_of
from bridge.model.token_expiry import end_of
from bridge.scrapers.gitlab.address import read_address
from bridge.scrapers.gitlab.client import TALLY, GitLabClient, Tally
from bridge.scrapers.gitlab.crawl import Crawl
from bridge.scrapers.gitlab.dialect import Dialect
from bridge.scrapers.gitlab.inspection import own_token
from bridge.scrapers.gitlab.one_file import look
from bridge.scrapers.gitlab.options import GitLabOptions
from bridge.scrapers.gitlab.throttle import Clock, Sleep, Throttle
from bridge.scrapers.gitlab.trouble import Trouble
from bridge.secret.live import Secret

Progress = Callable[[int, int], None]


class GitLabScraper:
    """Reads the projects of a GitLab, or of some of its groups with all subgroups.

    `url` is `https://host` or `https://host/group/subgroup`: then that is one of the groups, beside
    those that `options` name. `base` is GitLab's own address where it lies under a path.
    `variable` is where the token would come from, for messages.
    `on_progress` hears how many projects were seen and how many of them are done. `clock` (seconds
    since the epoch) and `sleep` can be replaced. Raises `ConfigurationError` for a URL or token
    that cannot be one.
    """

    def __init__(
        self,
        url: str,
        token: str | Secret | None = None,
        *,
        base: str = "",
        trust: ssl.SSLContext | None = None,
        options: GitLabOptions | None = None,
        variable: str = "GITLAB_TOKEN",
        on_progress: Progress = lambda seen, read: None,
        clock: Clock = time.time,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        address = read_address(url, base)
        group = address.group
        self.base = address.base
        self._name = address.name
        self._options = options or GitLabOptions()
        if group:
            groups = tuple(dict.fromkeys((group, *self._options.groups)))
            self._options = replace(self._options, groups=groups)
        self._dialect = Dialect()
        self._on_progress = on_progress
        self._clock = clock
        self._client = GitLabClient(
            address.base,
            token,
            self._options,
            Throttle(clock, sleep),
            trust=trust,
            variable=variable,
        )

    def __repr__(self) -> str:
        return f"GitLabScraper({self._name!r})"

    @property
    def name(self) -> str:
        """The URL, group included."""
        return self._name

    @property
    def traffic(self) -> Traffic:
        """What all crawls have asked of GitLab so far."""
        return self._client.traffic

    def share_rates(self, rates: Rates) -> None:
        """Keep within what GitLab allows together with all that count their requests there."""
        self._client.share(rates)

    async def token_end(self) -> datetime | None:
        """When the token expires; None when it does not, or GitLab does not tell (now)."""
        if self._client.anonymous:
            return None
        try:
            own = await own_token(self._client)
        except Trouble:
            return None
        return end_of(own.get("expires_at")) if own is not None else None

    async def look(self, project: str, path: str) -> tuple[int, ReadFile]:
        """A `bridge.ports.Browsing`, on the branch that the project's files are read from."""
        return await look(self._client, project, path, self._options.branch_of(project))

    async def close(self) -> None:
        """Close the connections; safe to call twice."""
        await self._client.close()

    async def scrape(self, request: ScrapeRequest) -> AsyncIterator[Record]:
        """Yield a record a project as they come, and `ScrapeEnd` as the last one.

        Raises `SourceRefused` when GitLab refuses the token, `SourceError` when not even the
        first page can be had, `ConfigurationError` when too many file names are wanted.
        """
        tally = Tally(urgent=bool(request.only) and not request.part)
        crawl = Crawl(
            self._client,
            self._options,
            request,
            dialect=self._dialect,
            anonymous=self._client.anonymous,
            on_progress=self._on_progress,
            now=lambda: datetime.fromtimestamp(self._clock(), UTC),
        )
        context = copy_context()
        context.run(TALLY.set, tally)
        work = asyncio.create_task(crawl.run(), context=context)
        given, cut = 0, False
        try:
            while not cut and (record := await crawl.records.get()) is not None:
                yield record
                given += bytes_of(record)
                cut = request.most is not None and given > request.most
            if not cut:
                await work
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        yield ScrapeEnd(_coverage(request), tally.requests, tally.began, cut)


def _coverage(request: ScrapeRequest) -> Coverage:
    if request.only:
        return Coverage.SELECTED
    return Coverage.FULL if request.since is None else Coverage.CHANGES
