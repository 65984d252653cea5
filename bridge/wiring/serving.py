"""What `serve` runs: the HTTP side, this replica's passes, and what follows and watches them."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TypeAlias

import structlog
from aiohttp import web
from yarl import URL

from bridge.answers.fields import MOST_SAID
from bridge.answers.lately import Lately, lately
from bridge.api.access import Access
from bridge.api.app import app_runner, make_app
from bridge.api.feed import Feed
from bridge.api.hooks import HookFilter
from bridge.api.incident import SlackCommand
from bridge.api.interfaces import Gatekeeper
from bridge.api.live import Live, SourceHealth
from bridge.api.parts import AppParts
from bridge.api.webhooks import HookSecrets, Webhooks
from bridge.errors import ConfigurationError, StoreError
from bridge.exporters.backstage_refresh import Refresher
from bridge.model.memory import Memory
from bridge.model.numbers import FIRST
from bridge.model.problems import Problem
from bridge.model.replica_role import ReplicaRole
from bridge.model.runs import Outcome
from bridge.model.scrape import Coverage, Traffic
from bridge.model.statements import Statement
from bridge.ox.after_pass import tried
from bridge.passes.interfaces import ModelStore
from bridge.passes.pipeline import Pass, PassOptions, Stages
from bridge.passes.runner import Passes
from bridge.ports import Measured, Scraper
from bridge.processors.validation import entity_faults
from bridge.scrapers import GitLabScraper
from bridge.service.leadership import Leadership, lease_name
from bridge.service.replica import Service
from bridge.service.schedule import Audience, Audiences, ended
from bridge.service.token_watch import TokenWatch
from bridge.settings import Settings, is_loopback, signing_key
from bridge.wiring import Wired, feed, gitlab_options, own_url, renewed
from bridge.wiring.census import CensusTaker
from bridge.wiring.clock import utc_now
from bridge.wiring.neighbours import secret
from bridge.wiring.ox import initiatives_of
from bridge.wiring.receivers import change_receivers
from bridge.wiring.remediation import Book, remedied
from bridge.wiring.schemas import schema_names, schema_of
from bridge.wiring.sources import each_source
from bridge.wiring.work import Crew, crew

log = structlog.get_logger()

GRACE = 6.0  # seconds that a pass has to end its publish when the process is told to stop

Account: TypeAlias = Callable[[Pass], None]


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
    live = Live(
        schemas={
            **{
                f"{name}.json": schema_of(name, parts.mappings.all).encode()
                for name in schema_names()
            },
            **{m.schema_path.name: m.schema_path.read_bytes() for m in parts.mappings.all},
        },
        source=parts.stages.scraper.name,
        notice=notice,
    )
    async with remedied(parts, settings) as after_pass, crew(settings, parts) as others:
        stages = replace(parts.stages, work=others.work if others is not None else None)
        parts = replace(parts, after_pass=after_pass, stages=stages)
        async with _served(parts, settings, wish, live, account, others=others) as url:
            yield url


@asynccontextmanager
async def _served(
    parts: Wired,
    settings: Settings,
    wish: PassOptions,
    live: Live,
    account: Account,
    *,
    others: Crew | None,
) -> AsyncIterator[str]:
    keeper = feed(settings, parts.stages)
    service = a_service(parts, settings, wish, live, account, keeper=keeper)
    live.hints_waiting = lambda: service.hints_waiting
    told = change_receivers(settings, live.source, parts.store, lambda: service.leadership.leads)
    live.receivers, live.news = told.standings, told.poke
    hooks = webhooks(settings, service)
    await parts.facts.load()
    await parts.scores.load()
    await service.refuse_others()
    await service.catch_up()  # serve the last pass until the first new one ends
    app = make_app(
        live,
        AppParts(
            clock=utc_now,
            webhooks=hooks,
            validate=entity_faults,
            access=access_of(settings, parts.gatekeeper),
            facts=parts.facts,
            checks=parts.scores,
            scored=parts.scores,
            remediation=Book(parts.stages.scraper.name, parts.store),
            initiatives=initiatives_of(settings, parts.scores),
            slack=SlackCommand(secret(settings, "slack_signing_secret")),
            root=URL(settings.public_url).path.rstrip("/"),
        ),
    )
    runner = app_runner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port)
        port = await started(site, runner, settings)
        own = own_url(settings, port)
        live.public_url = keeper.reader.public_url = settings.public_url or own
        work = asyncio.create_task(service.run())
        facts = asyncio.create_task(parts.facts.follow())
        following = asyncio.create_task(parts.scores.follow())
        telling = asyncio.create_task(told.run())
        watching = [
            asyncio.create_task(watch_token(scraper, live, name))
            for name, (_, scraper) in parts.sources.items()
        ]
        if others is not None:
            others.current = lambda: service.passes.stages
            watching.append(asyncio.create_task(others.hand.run()))
        try:
            yield f"{own}/"
        finally:
            for each in watching:
                await ended(each)
            await ended(telling)
            await ended(following)
            await ended(facts)
            await ended(work)
            await service.stop()
    finally:
        await runner.cleanup()


async def watch_token(scraper: Scraper, live: Live, source: str = FIRST) -> None:
    """Keep `live` told when the token of a GitLab ends, as long as this runs."""

    def told(end: datetime | None) -> None:
        live.token_ends[source] = end

    if isinstance(scraper, GitLabScraper):
        await TokenWatch(scraper.token_end, told, utc_now).run()


def a_service(
    parts: Wired,
    settings: Settings,
    wish: PassOptions,
    live: Live,
    account: Account = lambda done: None,
    *,
    keeper: Feed | None = None,
) -> Service:
    """The passes of one replica, shown in `live`; `account` hears of each that is made here.

    `keeper` keeps the read API's index; one that the settings describe if there is none.
    """
    kept = keeper or feed(settings, parts.stages)
    source = parts.stages.scraper.name
    leadership = Leadership(parts.store.lease, lease_name(source), settings.lease)

    passes = Passes(replace(parts.stages, fence=leadership.fence), settings.full_every, GRACE)

    live.sources = {
        name: SourceHealth(stages.scraper.name, traffic_of(stages.scraper))
        for name in parts.stages.sources
        for stages in (parts.stages.reading(name),)
    }

    # What a pass changed that broke off, here or in another process, was told to nobody.
    untold = True

    async def show(done: Pass) -> None:
        nonlocal untold
        failed = done.report.outcome is Outcome.FAILED
        changes = replace(done.changes, everything=True) if untold else done.changes
        untold = True
        # The API serves what the files hold, scores and all.
        index = live.index if failed else await kept.index(done.files, changes)
        untold = failed
        live.take(
            (await passes.with_problems(done)).report,
            files=done.files,
            index=index,
            horizon=done.horizon,
            gaps=await passes.gaps(),
            now=utc_now(),
        )
        await remember_lately(live)
        live.news()

    taker = CensusTaker(parts.store.censuses, source, live)

    def counted(done: Pass) -> None:
        live.passes[done.report.kind, done.report.outcome] += 1
        taker.hear(done.report)
        account(done)

    live.known = passes.known
    live.changes = partial(parts.store.entity_changes.find, source)
    live.said = partial(said_of, parts.store.model, source)
    live.censuses = partial(parts.store.censuses.since, source)
    live.last_census = partial(parts.store.censuses.last, source)
    live.fetch = partial(parts.store.model.file, source)
    live.sweeps = partial(parts.store.parts.progress, source)

    def role(now: ReplicaRole) -> None:
        nonlocal untold
        untold = untold or now is not live.role
        live.role = now
        live.news()  # who leads now tells receivers
        if now is not ReplicaRole.LEADER:
            parts.scores.take_catalog(None)  # who leads now scores what is newer

    def store_answers(answers: bool) -> None:
        live.store_away_since = None if answers else live.store_away_since or utc_now()

    async def after_pass(done: Pass) -> None:
        await tried(taker.count)
        if live.lately is not None and live.lately.missed:
            await remember_lately(live)
        known = await done.known()
        await parts.after_pass.run(known.catalog, known.memory, done.observations)

    told = [partial(tell, parts.refresher, live)] if parts.refresher else []
    listeners = (after_pass, *parts.listeners)

    async def refreshed(stages: Stages) -> Stages:
        return await renewed(settings, parts, stages)

    service = Service(
        passes,
        leadership,
        parts.store.hints,
        wish,
        settings.every,
        show,
        counted,
        role,
        Audiences((Audience(told), Audience(listeners))),  # Backstage waits for no facts
        refreshed=refreshed,
        store_answers=store_answers,
    )
    live.hanging = service.pulse.hanging
    return service


async def remember_lately(live: Live) -> None:
    """Have at hand what changed within a day; what the store does not tell now comes later.

    Until it does, answers say that it is missing: an old state is not the present.
    """
    try:
        live.lately = await lately(live.changes, utc_now(), live.lately)
    except StoreError as error:
        live.lately = replace(live.lately or Lately(), missed=True)
        log.warning("What changed is not at hand", action="changes_unread", error=str(error))


async def said_of(model: ModelStore, source: str, ref: str) -> tuple[Sequence[Statement], Memory]:
    """What manifests say of an entity, and those manifests. Raises `StoreError`."""
    stored = (await model.entities(source, [ref])).get(ref)
    origins = stored.entity.origins if stored is not None else ()
    heard = {(each.project_id, each.file) for each in origins}  # others lost their claim
    everything = (await model.speaking_of(source, [ref])).get(ref, [])
    theirs = (e for e in everything if (e.manifest.project.id, e.manifest.file) in heard)
    said = list(islice(theirs, MOST_SAID))
    projects = {each.manifest.project.id for each in said}
    return said, await model.known(source, projects)


async def tell(refresher: Refresher, live: Live, done: Pass) -> None:
    """Tell Backstage what a pass changed; what it does not hear is a warning beside that pass."""
    live.refreshes = refresher.counts
    # What this process was the first to tell, an earlier one may have written and not told.
    problem = await refresher.tell(done.digests, freed=done.changes.freed)
    if problem is not None:
        live.note(problem)


def traffic_of(scraper: Scraper) -> Callable[[], Traffic]:
    """Tells what a scraper asked of its GitLab until now."""
    return lambda: scraper.traffic if isinstance(scraper, Measured) else Traffic()


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
