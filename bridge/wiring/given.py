"""What settings name, understood and not yet asked: scrapers, exporters, mappings, collectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from bridge.errors import ConfigurationError
from bridge.exporters import destination
from bridge.model.facts import FactSchema
from bridge.model.numbers import FIRST
from bridge.model.problems import Problem
from bridge.ox.scores.rubric import LoadedRubric
from bridge.ports import Exporter, FactCollector, Scraper
from bridge.processors.mapping import Mappings
from bridge.processors.merging import MergeRules
from bridge.processors.teams import OwnerRules
from bridge.scrapers import source
from bridge.scrapers.gitlab.options import GitLabOptions
from bridge.settings import Settings
from bridge.wiring.backstage_teams import BackstageTeams
from bridge.wiring.clock import utc_now
from bridge.wiring.extensions import collected, extensions
from bridge.wiring.mappings import mappings_of
from bridge.wiring.neighbours import secret, trust_of
from bridge.wiring.owners import owner_rules
from bridge.wiring.ox import (
    collectors,
    pushed_schemas,
    rubric,
)


def gitlab_options(settings: Settings) -> GitLabOptions:
    """How to crawl, as the settings have it."""
    gitlab = settings.gitlab
    return GitLabOptions(
        archived=gitlab.archived,
        forks=gitlab.forks,
        people=gitlab.people,
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
    for factory in extensions("fester.scrapers"):
        made: Scraper | None = factory(settings.source)
        if made is not None:
            return made
    return source(
        settings.source,
        secret(settings, "token"),
        base=settings.gitlab.url,
        trust=trust_of(settings),
        options=gitlab_options(settings),
        variable=settings.token_variable,
    )


def exporters(settings: Settings) -> tuple[Exporter, ...]:
    """An exporter for every destination; all that are not understood are reported at once."""
    made: list[Exporter] = []
    problems: list[Problem] = []
    for text in settings.to:
        try:
            made.append(_exporter(text, settings))
        except ConfigurationError as error:
            problems.extend(error.problems)
    if problems:
        raise ConfigurationError(problems)
    return tuple(made)


def _exporter(text: str, settings: Settings) -> Exporter:
    for factory in extensions("fester.exporters"):
        made: Exporter | None = factory(text)
        if made is not None:
            return made
    return destination(text, trust=trust_of(settings))


@dataclass(frozen=True, slots=True)
class Given:
    """What the settings name, all of it understood; nothing has been asked yet.

    `each` has the settings of every source by name, `readings` its scraper.
    """

    each: Mapping[str, Settings]
    readings: Mapping[str, Scraper]
    mappings: Mappings
    rules: MergeRules
    owners: OwnerRules
    exporters: tuple[Exporter, ...]
    elsewhere: BackstageTeams
    collectors: tuple[FactCollector, ...]
    pushable: tuple[FactSchema, ...]
    rubric: LoadedRubric

    @property
    def source(self) -> str:
        """The name of the first source, by which all of them are stored."""
        return self.readings[FIRST].name

    async def close(self) -> None:
        """Release every connection."""
        for collector in self.collectors:
            await collector.close()
        for read in self.readings.values():
            await read.close()
        for exporter in self.exporters:
            await exporter.close()


def given_by(settings: Settings, each: Mapping[str, Settings]) -> Given:
    """What the settings name. Raises `ConfigurationError` with every problem of all of it."""
    problems: list[Problem] = []
    loaded = collected(problems, lambda: mappings_of(settings))
    owners = collected(problems, lambda: owner_rules(settings))
    readings = _readings(each, problems)
    writing = collected(problems, lambda: exporters(settings))
    elsewhere = BackstageTeams(settings, utc_now)
    asked = takes = expected = None
    if FIRST in readings:
        asked = collected(problems, lambda: collectors(each, readings, elsewhere.refs))
    takes = collected(problems, lambda: pushed_schemas(settings.mappings, asked or ()))
    if asked is not None and takes is not None:  # else its problems would come twice
        expected = collected(problems, lambda: rubric(settings.mappings))
    if (
        problems
        or loaded is None
        or owners is None
        or writing is None
        or asked is None
        or takes is None
        or expected is None
    ):
        raise ConfigurationError(problems)
    return Given(each, readings, *loaded, owners, writing, elsewhere, asked, takes, expected)


def _readings(each: Mapping[str, Settings], problems: list[Problem]) -> dict[str, Scraper]:
    """The scraper of every source that can have one."""
    found: dict[str, Scraper] = {}
    for name, own in each.items():
        read = collected(problems, partial(scraper, own))
        if read is not None:
            found[name] = read
    return found
