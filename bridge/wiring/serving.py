"""What `serve` runs: the HTTP side, this replica's passes, and what follows and watches them."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import structlog
from aiohttp import web
from yarl import URL

from bridge.api.access import Access
from bridge.api.app import app_runner, make_app
from bridge.api.feed import Feed
from bridge.api.hooks import HookFilter
from bridge.api.incident import SlackCommand
from bridge.api.interfaces import Gatekeeper
from bridge.api.live import Live
from bridge.api.parts import AppParts
from bridge.api.webhooks import HookSecrets, Webhooks
from bridge.errors import ConfigurationError
from bridge.exporters.change_receivers import ChangeReceivers
from bridge.model.numbers import FIRST
from bridge.model.problems import Problem
from bridge.model.scrape import Coverage
from bridge.passes.runner import Passes
from bridge.passes.stages import Pass, PassOptions
from bridge.ports import Scraper
from bridge.processors.validation import entity_faults
from bridge.scrapers import GitLabScraper
from bridge.service.leadership import Leadership, lease_name
from bridge.service.pulse import Pulse
from bridge.service.replica import Service
from bridge.service.schedule import Audience, Audiences, ended
from bridge.service.token_watch import TokenWatch
from bridge.settings import Settings, is_loopback, signing_key
from bridge.wiring import Wired, feed, own_url, renewed
from bridge.wiring.census import CensusTaker
from bridge.wiring.clock import utc_now
from bridge.wiring.given import gitlab_options
from bridge.wiring.neighbours import secret
from bridge.wiring.ox import initiatives_of
from bridge.wiring.receivers import change_receivers
from bridge.wiring.remediation import Book, remedied
from bridge.wiring.showing import Account, Showing, live_of, tell
from bridge.wiring.sources import each_source
from bridge.wiring.work import Crew, crew

log = structlog.get_logger()

GRACE = 6.0  # seconds that a pass has to end its publish when the process is told to stop


def access_of(settings: Settings, gatekeeper: Gatekeeper | None) -> Access:
    """Who may ask; on loopback, where nobody needs a token, only by a name that is ours."""
    public, origins = frozenset(settings.access.public), frozenset(settings.access.origins)
    names = None
    if gatekeeper is None and is_loopback(settings.host):
        names = frozenset(filter(None, (URL(settings.public_url).host,)))
    return Access(gatekeeper, public, origins, names)


@asynccontextmanager
async def serving(
    parts: Wired,
    settings: Settings,
    wish: PassOptions,
    account: Account = lambda done: None,
    notice: str = "",
) -> AsyncIterator[str]:
    """The HTTP server and this replica's passes, running; yields the base URL.

    `account` hears of every pass that is made here; every page begins with `notice`.
    """
    async with (
        remedied(parts, settings) as after_pass,
        crew(settings, parts, lambda: made.service.passes.stages) as others,
    ):
        stages = replace(parts.stages, work=others.work if others is not None else None)
        parts = replace(parts, after_pass=after_pass, stages=stages)
        made = replica_of(parts, settings, wish, account, notice)
        async with _served(parts, settings, made, others) as url:
            yield url


@asynccontextmanager
async def _served(
    parts: Wired, settings: Settings, made: Replica, others: Crew | None
) -> AsyncIterator[str]:
    service, live = made.service, made.live
    await parts.facts.load()
    await parts.scores.load()
    await service.refuse_others()
    await service.catch_up()  # serve the last pass until the first new one ends
    runner = app_runner(make_app(live, _app_parts(parts, settings, service)))
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port)
        own = own_url(settings, await started(site, runner, settings))
        # Where any port was asked for, nobody knew which one before.
        made.reached_at(settings.public_url or own)
        tokens = [watch_token(scraper, live, name) for name, (_, scraper) in parts.sources.items()]
        hands = [others.hand.run()] if others is not None else []
        follow = [parts.facts.follow(), parts.scores.follow()]
        try:
            async with _going_on([service.run(), *follow, made.receivers.run(), *tokens, *hands]):
                yield f"{own}/"
        finally:
            await service.stop()
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _going_on(work: Sequence[Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """All of it goes on meanwhile; what began first ends last."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for each in reversed(tasks):
            await ended(each)


def _app_parts(parts: Wired, settings: Settings, service: Service) -> AppParts:
    return AppParts(
        clock=utc_now,
        webhooks=webhooks(settings, service),
        validate=entity_faults,
        access=access_of(settings, parts.gatekeeper),
        facts=parts.facts,
        checks=parts.scores,
        scored=parts.scores,
        remediation=Book(parts.stages.scraper.name, parts.store),
        initiatives=initiatives_of(settings, parts.scores),
        slack=SlackCommand(secret(settings, "slack_signing_secret")),
        root=URL(settings.public_url).path.rstrip("/"),
    )


async def watch_token(scraper: Scraper, live: Live, source: str = FIRST) -> None:
    """Keep `live` told when the token of a GitLab ends, as long as this runs."""

    def told(end: datetime | None) -> None:
        live.token_ends[source] = end

    if isinstance(scraper, GitLabScraper):
        await TokenWatch(scraper.token_end, told, utc_now).run()


@dataclass(frozen=True, slots=True)
class Replica:
    """What one process of `serve` is made of. Nothing of it runs yet.

    `live` shows what the passes of `service` gave; `feed` keeps the read API's index.
    """

    service: Service
    live: Live
    feed: Feed
    receivers: ChangeReceivers

    def reached_at(self, url: str) -> None:
        """Name this address as that of the published files, in what is served and in the index."""
        self.live.public_url = self.feed.reader.public_url = url


def replica_of(
    parts: Wired,
    settings: Settings,
    wish: PassOptions,
    account: Account = lambda done: None,
    notice: str = "",
) -> Replica:
    """A process's part in `serve`; `account` hears of each pass that is made here."""
    source, keeper = parts.source, feed(settings, parts.stages)
    leadership = Leadership(parts.store.lease, lease_name(source), settings.lease)
    passes = Passes(replace(parts.stages, fence=leadership.fence), settings.full_every, GRACE)
    receivers = change_receivers(settings, source, parts.store, lambda: leadership.leads)
    pulse = Pulse()
    live = live_of(parts, passes, receivers, pulse, lambda: service.hints_waiting, notice=notice)
    census = CensusTaker(parts.store.censuses, source, live)
    shown = Showing(live, parts, passes, keeper, census, account)
    told = [partial(tell, parts.refresher, live)] if parts.refresher else []
    service = Service(
        passes,
        leadership,
        parts.store.hints,
        wish,
        settings.every,
        shown.show,
        shown.made,
        shown.role,
        # Backstage waits for no facts.
        Audiences((Audience(told), Audience((shown.after_pass, *parts.listeners)))),
        refreshed=partial(renewed, settings, parts),
        pulse=pulse,
        store_answers=shown.store_answers,
    )
    return Replica(service, live, keeper, receivers)


def webhooks(settings: Settings, service: Service) -> Webhooks:
    """The doors for the hooks of every GitLab: what they hint at is kept in the store."""
    sources = each_source(settings)
    options = {name: gitlab_options(each) for name, each in sources.items()}
    suffixes = {FIRST: ""} | {each.name: f"_{each.suffix}" for each in settings.further}
    return Webhooks(
        service.accept,
        lambda source: HookFilter(
            frozenset(service.passes.stages.translator.files), options[source].branch_of
        ),
        doors={name: door(each, suffixes[name]) for name, each in sources.items()},
        further=service.further_paths,
    )


def door(settings: Settings, suffix: str) -> Callable[[], HookSecrets]:
    """What opens the door for the hooks of the GitLab of these settings, as it is now."""
    token, key = secret(settings, "webhook_token"), secret(settings, "webhook_signing_key")
    return lambda: HookSecrets(
        token=token() if token else "",
        signing_key=signing_key(key()) if key else b"",
        suffix=suffix,
    )


async def started(site: web.TCPSite, runner: web.AppRunner, settings: Settings) -> int:
    """Begin to listen; gives the port. Raises `ConfigurationError` where that cannot be."""
    try:
        await site.start()
    except OSError as error:
        message = (
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}; "
            "choose another --port, or stop what listens there"
        )
        raise ConfigurationError([Problem(message, "cannot-listen")]) from None
    return int(runner.addresses[0][1])


async def freeze_gc_after_sweep(done: Pass) -> None:
    """After a full sweep: what now stays in memory is not looked through for garbage again.

    With 10,000 services that takes a second or two, in which no request is answered, whenever
    Python thinks that it is time for it; so it is done once in hours.
    """
    if done.report.kind is Coverage.FULL:
        gc.unfreeze()
        gc.collect()
        gc.freeze()
