"""The only module that knows everyone: settings in, the parts of a pass out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, TypeVar

from bridge.catalog.reader import Reader
from bridge.errors import ConfigurationError
from bridge.exporters import destination
from bridge.exporters.render import Earlier as Rendered
from bridge.exporters.render import location_of, render_catalog, shelves
from bridge.history import FactHistory, ScoreHistory, open_store
from bridge.history.store import SqlStore
from bridge.model.access import Scope
from bridge.model.entities import Catalog, Ref
from bridge.model.facts import FactBoard, FactSchema
from bridge.model.problems import Problem
from bridge.model.scores import Waiver
from bridge.ox.collecting import Collecting
from bridge.ox.gitlab import GitLabCollector
from bridge.ox.gitlab_rest import GitLabRestCollector
from bridge.ox.manifest import ManifestCollector
from bridge.ox.pagerduty import PagerDuty, PagerDutyCollector
from bridge.ox.publishing import with_score_annotations
from bridge.ox.remediation.noticing import labelled
from bridge.ox.rubric import LoadedRubric, load_rubric
from bridge.ox.rubric_file import RubricFile
from bridge.ox.rubric_sources import schemas_for_rubrics
from bridge.ox.schema_file import NAME as SCHEMAS_NAME
from bridge.ox.schema_file import load_schemas
from bridge.ox.schemas import DAY
from bridge.ox.scorekeeping import Scorekeeper
from bridge.ox.snyk import Snyk, SnykCollector
from bridge.pipeline import Guard, Listener, Pass, Stages
from bridge.ports import Exporter, FactCollector, Gatekeeper, Processor, Scraper
from bridge.processors.backstage import BackstageProcessor
from bridge.processors.mapping import Mappings, load_mappings, shipped_folder
from bridge.processors.merging import MergeRules
from bridge.processors.services_csv import ServicesCsv
from bridge.refreshing import Refresher
from bridge.scrapers import GitLabScraper, source
from bridge.scrapers.gitlab.options import GitLabOptions
from bridge.settings import Settings

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class Wired:
    """The parts of a pass, with what else commands need.

    `listeners` hear of every pass that `serve` makes, after it was published and saved. `facts`
    is one of them; what it knew before a restart is there once it was told to `load`. `scores`
    follow the facts; `afterwards` is both for who makes one pass, and asks about everybody.
    `published` gives what is published of a catalog.
    `gatekeeper` judges tokens, None when nobody has to show one; `refresher` tells Backstage what
    changed, None when it is not to be told.
    """

    stages: Stages
    mappings: Mappings
    store: SqlStore
    facts: Collecting
    scores: Scorekeeper
    published: Callable[[Catalog], Catalog]
    afterwards: Listener
    listeners: tuple[Listener, ...] = ()
    gatekeeper: Gatekeeper | None = None
    refresher: Refresher | None = None


def utc_now() -> datetime:
    """The clock of the whole program."""
    return datetime.now(UTC)


def gitlab_options(settings: Settings) -> GitLabOptions:
    """How to crawl, as the settings have it."""
    gitlab = settings.gitlab
    return GitLabOptions(
        archived=gitlab.archived,
        forks=gitlab.forks,
        membership=gitlab.membership,
        exclude=gitlab.exclude,
        topics=gitlab.topics,
        groups=tuple(group.strip("/") for group in gitlab.groups),
        branches=tuple(gitlab.branches.items()),
        concurrency=gitlab.concurrency,
        page_size=gitlab.page_size,
        timeout=gitlab.timeout,
    )


def scraper(settings: Settings) -> Scraper:
    """The scraper for `settings.source`: an extension's if one takes it, else ours."""
    for factory in _extensions("fester.scrapers"):
        made: Scraper | None = factory(settings.source)
        if made is not None:
            return made
    token = settings.token.get_secret_value() if settings.token else None
    return source(settings.source, token, options=gitlab_options(settings))


def exporters(settings: Settings) -> tuple[Exporter, ...]:
    """An exporter for every destination; all that are not understood are reported at once."""
    made: list[Exporter] = []
    problems: list[Problem] = []
    for text in settings.to:
        try:
            made.append(_exporter(text))
        except ConfigurationError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigurationError(problems)
    return tuple(made)


def _exporter(text: str) -> Exporter:
    for factory in _extensions("fester.exporters"):
        made: Exporter | None = factory(text)
        if made is not None:
            return made
    return destination(text)


def catalog_reader(settings: Settings) -> Reader:
    """What makes the read API's catalog, pass by pass."""
    placed = partial(shelves, prefix=settings.location_prefix, earlier=Rendered())
    return Reader(placed, settings.public_url or own_url(settings, settings.port))


def own_url(settings: Settings, port: int) -> str:
    """The address that `serve` listens on; one of IPv6 stands in brackets (RFC 3986)."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{port}"


def mappings_and_rules(folder: Path | None) -> tuple[Mappings, MergeRules]:
    """The mappings and merge rules, shipped ones overlaid by `folder`; all problems at once."""
    problems: list[Problem] = []
    mappings = collected(problems, lambda: load_mappings(folder))
    rules = collected(problems, lambda: MergeRules.load(_merge_file(folder)))
    if problems or mappings is None or rules is None:
        raise ConfigurationError(problems)
    return mappings, rules


def collected(problems: list[Problem], load: Callable[[], Made]) -> Made | None:
    """What `load` gives; None when it raises, and its problems are added to `problems`."""
    try:
        return load()
    except ConfigurationError as error:
        problems.extend(error.problems)
        return None


def _merge_file(folder: Path | None) -> Path:
    own = folder / "merge.yaml" if folder is not None else None
    return own if own is not None and own.exists() else shipped_folder() / "merge.yaml"


def rubric_path(folder: Path | None) -> Path:
    """The rubric's file: that of `folder` if there is one, else the shipped one."""
    own = folder / "rubric.yaml" if folder is not None else None
    return own if own is not None and own.exists() else shipped_folder() / "rubric.yaml"


def rubric(folder: Path | None) -> LoadedRubric:
    """The rubric in force; it may name the facts of every collector, and pushed ones.

    Raises `ConfigurationError` with every problem.
    """
    return load_rubric(rubric_path(folder), rubric_schemas(folder))


def rubric_schemas(folder: Path | None) -> tuple[FactSchema, ...]:
    """The schemas whose facts a rubric may name, whether their source is set up or not."""
    brought = [factory().schema for factory in _extensions("fester.collectors")]
    return schemas_for_rubrics([*brought, *pushed_schemas(folder)])


def processors(rules: MergeRules) -> tuple[Processor, ...]:
    """Ours, and every extension's."""
    extensions = (factory() for factory in _extensions("fester.processors"))
    return (BackstageProcessor(rules), ServicesCsv(), *extensions)


def collectors(settings: Settings, reading: Scraper) -> tuple[FactCollector, ...]:
    """Ours, as far as the source has what they ask for, and every extension's."""
    made: list[FactCollector] = [ManifestCollector(utc_now)]
    if isinstance(reading, GitLabScraper):
        token = settings.token.get_secret_value() if settings.token else None
        rest = GitLabRestCollector(
            reading.base,
            token,
            clock=utc_now,
            concurrency=settings.ox.concurrency,
            timeout=settings.ox.timeout,
        )
        made += [GitLabCollector(), rest]
    made += _tools(settings)
    made += [factory() for factory in _extensions("fester.collectors")]
    ids = [collector.schema.id for collector in made]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        message = f"two collectors call themselves {twice[0]!r}; uninstall one of them"
        raise ConfigurationError([Problem(message, "collector-collision")])
    return tuple(made)


def pushed_schemas(
    folder: Path | None, asked: Sequence[FactCollector] = ()
) -> tuple[FactSchema, ...]:
    """The schemas of facts that may be pushed. Raises `ConfigurationError` with every problem."""
    if folder is None:
        return ()
    return load_schemas(folder / SCHEMAS_NAME, [collector.schema.id for collector in asked])


def snyk_of(settings: Settings) -> Snyk | None:
    """Snyk, where its token is set. Raises `ConfigurationError` for a token without `snyk.org`."""
    if settings.snyk_token is None:
        return None
    if not settings.snyk.org:
        message = "SNYK_TOKEN is set, and `snyk.org` is not: write the organization's id"
        raise ConfigurationError([Problem(message, "setting-missing")])
    token = settings.snyk_token.get_secret_value()
    return Snyk(settings.snyk.org, token, base=settings.snyk.url)


def _tools(settings: Settings) -> list[FactCollector]:
    """Snyk and PagerDuty, each only where its token is set."""
    made: list[FactCollector] = []
    snyk = snyk_of(settings)
    if snyk is not None:
        made.append(SnykCollector(snyk, utc_now))
    if settings.pagerduty_token is not None:
        token = settings.pagerduty_token.get_secret_value()
        made.append(PagerDutyCollector(PagerDuty(token, base=settings.pagerduty.url), utc_now))
    return made


def facts_of(
    settings: Settings,
    stages: Stages,
    store: SqlStore,
    asked: Sequence[FactCollector],
    takes: Sequence[FactSchema],
) -> Collecting:
    """The step that collects facts and takes pushed ones, over the same store."""
    ox = settings.ox
    history = FactHistory(ox.interval, ox.thin_after, ox.thin_to, ox.keep)
    return Collecting(stages.scraper.name, asked, store.facts(history), utc_now, takes=takes)


def scores_of(
    settings: Settings, stages: Stages, store: SqlStore, expected: LoadedRubric
) -> Scorekeeper:
    """The step that scores, over the same store."""
    folder = settings.mappings
    file = RubricFile(rubric_path(folder), rubric_schemas(folder), expected)
    history = ScoreHistory(int(settings.ox.thin_after // DAY), int(settings.ox.keep // DAY))
    return Scorekeeper(stages.scraper.name, file, store.scores(history), utc_now)


def published_of(settings: Settings, scores: Scorekeeper) -> Callable[[Catalog], Catalog]:
    """What is published of a catalog: with scores where that is wished for.

    The same catalog gives the same again, although there are newer scores by then: the files of a
    pass and the API that serves it must not differ.
    """
    last = (Catalog(), Catalog())

    def published(catalog: Catalog) -> Catalog:
        nonlocal last
        if not settings.ox.publish:
            return catalog
        known, made = last
        if known is not catalog:
            made = with_score_annotations(catalog, scores.board, settings.public_url)
            last = (catalog, made)
        return made

    return published


def _extensions(group: str) -> Iterator[Callable[..., Any]]:
    """The factories that other packages register, in the order of their names."""
    for entry in sorted(entry_points(group=group), key=lambda entry: entry.name):
        try:
            yield entry.load()
        except Exception as error:
            problem = Problem(
                f"the extension {entry.name!r} ({entry.value}) cannot be loaded: "
                f"{type(error).__name__}: {error}; mend or uninstall its package",
                "extension-broken",
            )
            raise ConfigurationError([problem]) from error


def scope(settings: Settings, mappings: Mappings) -> str:
    """Names what a full sweep asks for: the filters, and the mappings down to their text."""
    chosen = settings.gitlab.model_dump(exclude={"concurrency", "page_size", "timeout"})
    digests = sorted((mapping.id, mapping.digest, mapping.files) for mapping in mappings.all)
    text = json.dumps([settings.source, chosen, mappings.files, digests], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def remapped(settings: Settings, stages: Stages) -> Stages:
    """The stages with the mapping files as they are now; reads them, so it blocks.

    Broken files never replace good ones: the stages then keep theirs and say so in every report.
    """
    try:
        mappings, rules = mappings_and_rules(settings.mappings)
    except ConfigurationError as error:
        kept = Problem(
            f"the mapping files in {settings.mappings} cannot be used as they are now, so the ones "
            "that were loaded before stay in use; mend what is listed with this",
            "mappings-kept",
        )
        return replace(stages, problems=(kept, *error.problems))
    found = scope(settings, mappings)
    same_rules = any(
        isinstance(each, BackstageProcessor) and each.rules == rules for each in stages.processors
    )
    if found == stages.scope and same_rules:
        return replace(stages, problems=())
    return replace(
        stages,
        translator=mappings,
        processors=stages.processors if same_rules else processors(rules),
        scope=found,
        problems=(),
    )


def refresher(settings: Settings) -> Refresher | None:
    """What tells Backstage of a publish, if the settings wish it."""
    token, prefix = settings.backstage_token, settings.location_prefix
    if not settings.backstage.refresh or token is None:
        return None
    return Refresher(
        settings.backstage.url,
        token.get_secret_value(),
        prefix,
        partial(location_of, prefix=prefix),
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
    async with open_gate(static, callers if settings.backstage.url else None, utc_now) as gate:
        yield gate


@asynccontextmanager
async def wired(settings: Settings) -> AsyncIterator[Wired]:
    """Everything open for passes; closed again at the end. Yields `Wired`.

    Raises `ConfigurationError` with the problems of mappings and destinations together.
    """
    problems: list[Problem] = []
    loaded = collected(problems, lambda: mappings_and_rules(settings.mappings))
    reading = collected(problems, lambda: scraper(settings))
    writing = collected(problems, lambda: exporters(settings))
    asked = collected(problems, lambda: collectors(settings, reading)) if reading else None
    takes = collected(problems, lambda: pushed_schemas(settings.mappings, asked or ()))
    whole = asked is not None and takes is not None  # else its problems would come twice
    expected = collected(problems, lambda: rubric(settings.mappings)) if whole else None
    if loaded is None or reading is None or writing is None or asked is None or expected is None:
        raise ConfigurationError(problems)
    mappings, rules = loaded
    processing = processors(rules)
    store = await open_store(settings.store)
    stages = Stages(
        scraper=reading,
        translator=mappings,
        processors=processing,
        exporters=writing,
        store=store,
        render=partial(render_catalog, prefix=settings.location_prefix, earlier=Rendered()),
        clock=utc_now,
        guard=Guard(settings.guard.share, settings.guard.at_least),
        scope=scope(settings, mappings),
    )
    facts = facts_of(settings, stages, store, asked, takes or ())

    scores = scores_of(settings, stages, store, expected)
    published = published_of(settings, scores)
    render = stages.render
    stages = replace(stages, render=lambda catalog: render(published(catalog)))

    async def score(board: FactBoard) -> None:
        await scores.evaluate(board.latest)

    async def collect(done: Pass, *, whole: bool = False) -> None:
        scores.catalog = done.record.catalog
        await facts.after_pass(done.record.catalog, done.memory, done.observations, whole=whole)

    async def score_only(done: Pass) -> None:
        scores.catalog = done.record.catalog
        await scores.evaluate(facts.board.latest)

    async def waived_by_label() -> Mapping[Ref, Sequence[Waiver]]:
        cases = await store.remediation.cases(stages.scraper.name)
        return labelled(cases.values(), settings.remediation.waive_label, utc_now())

    scores.given = waived_by_label
    facts.heard = score
    listeners: tuple[Listener, ...] = (collect if settings.ox.collect else score_only,)
    afterwards = partial(collect, whole=True) if settings.ox.collect else score_only
    try:
        if settings.ox.publish:
            await scores.load()  # else one pass would publish the entities without their scores
        async with _gatekeeper(settings) as gate:
            yield Wired(
                *(stages, mappings, store, facts, scores, published, afterwards, listeners),
                *(gate, refresher(settings)),
            )
    finally:
        for collector in asked:
            await collector.close()
        await reading.close()
        for exporter in writing:
            await exporter.close()
        await store.close()
