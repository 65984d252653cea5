"""The only room that knows everyone: settings in, the parts of a pass out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial

from bridge.api.feed import Feed
from bridge.api.interfaces import Gatekeeper
from bridge.catalog.reader import Reader
from bridge.errors import ConfigurationError
from bridge.exporters.backstage_refresh import Refresher
from bridge.exporters.render import ShardRenderer, location_of
from bridge.model.access import Scope
from bridge.model.facts import FactBoard
from bridge.model.group_defaults import DefaultsPlace
from bridge.model.numbers import FIRST
from bridge.model.problems import Problem
from bridge.ox.after_pass import AfterPass
from bridge.ox.facts.collecting import FactService
from bridge.ox.scores.scorekeeping import Scorekeeper
from bridge.passes.merge import Guard
from bridge.passes.stages import FurtherSource, Listener, Stages, as_it_is
from bridge.ports import Processor, Scraper
from bridge.processors.mapping import Mappings
from bridge.processors.services_csv import ServicesCsv
from bridge.scrapers import GitLabScraper
from bridge.scrapers.gitlab.address import read_address
from bridge.scrapers.numbered import Numbered
from bridge.settings import Settings
from bridge.store import open_store
from bridge.store.address import CONNECTIONS
from bridge.store.store import SqlStore
from bridge.wiring.backstage_teams import BackstageTeams
from bridge.wiring.clock import utc_now
from bridge.wiring.extensions import extensions
from bridge.wiring.given import Given, given_by
from bridge.wiring.location import located_each
from bridge.wiring.mappings import maker_of, remapped, scope
from bridge.wiring.memory import spare_memory
from bridge.wiring.neighbours import secret, trust_of
from bridge.wiring.ox import (
    WithScores,
    facts_of,
    scores_of,
)


@dataclass(frozen=True, slots=True)
class Wired:
    """The parts of a pass, with what else commands need.

    `after_pass` are the steps that follow one; `facts` and `scores` are its parts, and what they
    knew before a restart is there once they were told to `load`. `listeners` hear of every pass
    that `serve` makes besides, after it was published and saved.
    `elsewhere` are the teams that Backstage has from others, asked before each pass.
    `gatekeeper` judges tokens, None when nobody has to show one; `refresher` tells Backstage what
    changed, None when it is not to be told. `sources` has the settings and the scraper of each
    source, by name, as if it were the only one.
    """

    stages: Stages
    mappings: Mappings
    store: SqlStore
    after_pass: AfterPass
    elsewhere: BackstageTeams
    listeners: tuple[Listener, ...] = ()
    gatekeeper: Gatekeeper | None = None
    refresher: Refresher | None = None
    sources: Mapping[str, tuple[Settings, Scraper]] = field(default_factory=dict)

    @property
    def facts(self) -> FactService:
        """What is known of facts."""
        return self.after_pass.facts

    @property
    def scores(self) -> Scorekeeper:
        """What is known of scores."""
        return self.after_pass.scores

    @property
    def source(self) -> str:
        """The name of what is crawled."""
        return self.stages.scraper.name


def feed(settings: Settings, stages: Stages) -> Feed:
    """What keeps the read API's index."""
    return Feed(
        stages.store.model,
        stages.scraper.name,
        stages.renderer,
        Reader(public_url=settings.public_url or own_url(settings, settings.port)),
        stages.shown,
        stages.renew is not None,
    )


def own_url(settings: Settings, port: int) -> str:
    """The address that `serve` listens on; one of IPv6 stands in brackets (RFC 3986)."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{port}"


def _nested(settings: Settings) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple(settings.gitlab.nested.items())


def _defaults(settings: Settings) -> DefaultsPlace | None:
    kept = settings.gitlab.defaults
    return DefaultsPlace(kept.project, kept.path) if kept is not None else None


def processors() -> tuple[Processor, ...]:
    """Every extension's."""
    return tuple(factory() for factory in extensions("fester.processors"))


async def renewed(settings: Settings, parts: Wired, stages: Stages) -> Stages:
    """The stages with the mapping files, and the teams from elsewhere, as they are now.

    Raises `StoreError`.
    """
    await parts.elsewhere.renew(parts.store, parts.source)
    made = await asyncio.to_thread(remapped, settings, stages, parts.elsewhere.teams)
    return replace(made, problems=(*made.problems, *parts.elsewhere.problems))


def refresher(settings: Settings) -> Refresher | None:
    """What tells Backstage of a publish, if the settings wish it."""
    token, prefix = secret(settings, "backstage_token"), settings.location_prefix
    if not settings.backstage.refresh or token is None:
        return None
    return Refresher(
        settings.backstage.url,
        token,
        prefix,
        partial(location_of, prefix=prefix),
        trust=trust_of(settings),
    )


@asynccontextmanager
async def _gatekeeper(settings: Settings) -> AsyncIterator[Gatekeeper | None]:
    """Who judges tokens while it is open; None when nobody has to show one."""
    if not settings.access.configured:
        yield None
        return
    # Signatures take a quarter of a second to import: for those who let callers in by tokens.
    from bridge.access.gate import BackstageCallers, open_gate  # noqa: PLC0415
    from bridge.access.static_tokens import StaticToken  # noqa: PLC0415

    access = settings.access
    static = [
        StaticToken(token.name, token.sha256, frozenset(map(Scope, token.scopes)))
        for token in access.tokens
    ]
    callers = BackstageCallers(
        settings.backstage.url, access.backstage_plugins, access.backstage_users, access.audiences
    )
    async with open_gate(
        static, callers if settings.backstage.url else None, utc_now, trust=trust_of(settings)
    ) as gate:
        yield gate


async def refuse_other_first(
    settings: Settings, each: Mapping[str, Settings], store: SqlStore
) -> None:
    """Raise `ConfigurationError` where the store knows the catalog by another one of the list."""
    if not settings.further:
        return
    known = await store.sources()
    name = read_address(settings.source, settings.gitlab.url).name
    others = [
        read_address(own.source, own.gitlab.url).name for key, own in each.items() if key != FIRST
    ]
    for other in others:
        if name not in known and other in known:
            message = (
                f"the store knows its catalog by {other}, and the first source in `from` is "
                f"{name}: put {other} first, so that what is known of it stays"
            )
            raise ConfigurationError([Problem(message, "first-source")])


def share_rates(readings: Iterable[Scraper], store: SqlStore) -> None:
    """Have all processes on one store keep within what GitLab allows together."""
    for read in readings:
        if store.shared and isinstance(read, GitLabScraper):
            read.share_rates(store.rates)


@asynccontextmanager
async def wired(settings: Settings, connections: int = CONNECTIONS) -> AsyncIterator[Wired]:
    """Everything open for passes; closed again at the end. Yields `Wired`.

    There are no more `connections` to a PostgreSQL than these.
    Raises `ConfigurationError` with the problems of mappings and destinations together.
    """
    spare_memory()
    each = await located_each(settings)
    settings = each[FIRST].model_copy(update={"further": settings.further})
    given = given_by(settings, each)
    store = await open_store(settings.store, connections=connections)
    try:
        share_rates(given.readings.values(), store)
        await given.elsewhere.renew(store, given.source)
        await refuse_other_first(settings, each, store)
        after_pass = _after_pass(settings, given, store)
        shown = await _shown(settings, after_pass)
        async with _gatekeeper(settings) as gate:
            yield Wired(
                _stages(settings, given, store, shown),
                given.mappings,
                store,
                after_pass,
                given.elsewhere,
                gatekeeper=gate,
                refresher=refresher(settings),
                sources={name: (each[name], read) for name, read in given.readings.items()},
            )
    finally:
        await given.close()
        await store.close()


async def _shown(settings: Settings, after_pass: AfterPass) -> WithScores:
    """What is published of entities besides what manifests say."""
    scores, facts = after_pass.scores, after_pass.facts
    shown = WithScores(settings, scores, facts)
    if settings.ox.publish:
        # Else one pass would publish the entities without what is known of them.
        await scores.load()
        await facts.load()
        shown.take()
    return shown


def _after_pass(settings: Settings, given: Given, store: SqlStore) -> AfterPass:
    scores = scores_of(settings, given.source, store, given.rubric)

    async def score(board: FactBoard) -> None:
        await scores.evaluate(board.latest)

    facts = facts_of(
        settings,
        given.source,
        store,
        asked=given.collectors,
        pushable=given.pushable,
        on_change=score,
    )
    return AfterPass(facts, scores, settings.ox.collect)


def _stages(settings: Settings, given: Given, store: SqlStore, shown: WithScores) -> Stages:
    owners = replace(given.owners, known=(*given.owners.known, *given.elsewhere.teams))
    return Stages(
        scraper=given.readings[FIRST],
        translator=given.mappings,
        maker=maker_of(settings, given.rules, owners),
        renderer=ShardRenderer(settings.location_prefix),
        exporters=given.exporters,
        store=store,
        clock=utc_now,
        lists=(ServicesCsv(),),
        processors=processors(),
        guard=Guard(settings.guard.share, settings.guard.at_least),
        scope=scope(settings, given.mappings),
        problems=(*given.mappings.notes, *given.elsewhere.problems),
        shown=shown if shown.wanted else as_it_is,
        renew=shown.renew if shown.wanted else None,
        observes=settings.ox.collect,
        nested=_nested(settings),
        defaults=_defaults(settings),
        history=timedelta(seconds=settings.history),
        further={
            name: _further(name, read, given.each[name], given.mappings)
            for name, read in given.readings.items()
            if name != FIRST
        },
    )


def _further(name: str, read: Scraper, own: Settings, mappings: Mappings) -> FurtherSource:
    return FurtherSource(Numbered(read, name), scope(own, mappings), _nested(own), _defaults(own))
