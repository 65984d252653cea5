"""Ox from settings: collectors, the rubric, the steps that collect facts and score."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from pathlib import Path

from yarl import URL

from bridge.errors import ConfigurationError
from bridge.model.entities import CatalogEntity, Ref
from bridge.model.facts import FactSchema, Reading
from bridge.model.initiatives import Initiative
from bridge.model.numbers import FIRST
from bridge.model.problems import Problem
from bridge.model.scores import Waiver
from bridge.ox.facts import jsm, opsgenie
from bridge.ox.facts.by_source import BySource
from bridge.ox.facts.catalog import CatalogCollector
from bridge.ox.facts.collecting import FactService, OnChange
from bridge.ox.facts.gitlab import GitLabCollector
from bridge.ox.facts.gitlab_rest import GitLabRestCollector
from bridge.ox.facts.manifest import ManifestCollector
from bridge.ox.facts.on_call import ScheduleCollector
from bridge.ox.facts.pagerduty import PagerDuty, PagerDutyCollector
from bridge.ox.facts.schema_file import NAME as SCHEMAS_NAME
from bridge.ox.facts.schema_file import load_schemas
from bridge.ox.facts.schemas import DAY
from bridge.ox.facts.snyk import SnykCollector
from bridge.ox.facts.snyk_client import Snyk
from bridge.ox.facts.tool_annotations import changed_tools, with_tool_annotations
from bridge.ox.remediation.reconcile_issues import labelled
from bridge.ox.scores.initiatives import NAME as INITIATIVES
from bridge.ox.scores.initiatives import Initiatives, load_initiatives
from bridge.ox.scores.publishing import changed_scores, with_score_annotations
from bridge.ox.scores.rubric import LoadedRubric, load_rubric
from bridge.ox.scores.rubric_in_force import RubricFile
from bridge.ox.scores.rubric_sources import schemas_for_rubrics
from bridge.ox.scores.scorekeeping import Scorekeeper
from bridge.ports import FactCollector, Scraper
from bridge.processors.mapping import shipped_folder
from bridge.scrapers import GitLabScraper
from bridge.settings import Settings
from bridge.store import FactHistory, ScoreHistory
from bridge.store.store import SqlStore
from bridge.wiring.clock import utc_now
from bridge.wiring.extensions import extensions
from bridge.wiring.neighbours import secret, trust_of
from bridge.wiring.owners import known_owners
from bridge.wiring.sources import each_source


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
    brought = [factory().schema for factory in extensions("fester.collectors")]
    return schemas_for_rubrics([*brought, *pushed_schemas(folder)])


def collectors(
    each: Mapping[str, Settings],
    readings: Mapping[str, Scraper],
    elsewhere: Callable[[], frozenset[Ref]] = frozenset,
) -> tuple[FactCollector, ...]:
    """Ours, as far as the sources have what they ask for, and every extension's.

    `each` has the settings of every source and `readings` its scraper, by name. `elsewhere` gives
    the owners that are known besides those of the settings.
    """
    settings = each[FIRST]
    known = known_owners(settings)

    def every() -> frozenset[Ref]:
        return known | elsewhere()

    made: list[FactCollector] = [
        ManifestCollector(utc_now, every),
        CatalogCollector(utc_now, every),
    ]
    asked = {
        name: _rest(each[name], reading)
        for name, reading in readings.items()
        if isinstance(reading, GitLabScraper)
    }
    if asked:
        made += [GitLabCollector(), asked[FIRST] if len(asked) == 1 else BySource(asked)]
    made += _tools(settings)
    made += [factory() for factory in extensions("fester.collectors")]
    ids = [collector.schema.id for collector in made]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        message = f"two collectors call themselves {twice[0]!r}; uninstall one of them"
        raise ConfigurationError([Problem(message, "collector-collision")])
    return tuple(made)


def _rest(settings: Settings, reading: GitLabScraper) -> GitLabRestCollector:
    return GitLabRestCollector(
        reading.base,
        secret(settings, "token"),
        clock=utc_now,
        concurrency=settings.ox.concurrency,
        timeout=settings.ox.timeout,
        trust=trust_of(settings),
    )


def pushed_schemas(
    folder: Path | None, asked: Sequence[FactCollector] = ()
) -> tuple[FactSchema, ...]:
    """The schemas of facts that may be pushed. Raises `ConfigurationError` with every problem."""
    if folder is None:
        return ()
    return load_schemas(folder / SCHEMAS_NAME, [collector.schema.id for collector in asked])


def snyk_of(settings: Settings) -> Snyk | None:
    """Snyk, where its token is set. Raises `ConfigurationError` for a token without `snyk.org`."""
    token = secret(settings, "snyk_token")
    if token is None:
        return None
    if not settings.snyk.org:
        message = "SNYK_TOKEN is set, and `snyk.org` is not: write the organization's id"
        raise ConfigurationError([Problem(message, "setting-missing")])
    wanted = settings.snyk
    return Snyk(
        wanted.org,
        token,
        others=wanted.others,
        gitlabs=_bases(settings),
        base=wanted.url,
        trust=trust_of(settings),
    )


def _bases(settings: Settings) -> tuple[str, ...]:
    """Where each of several GitLabs lies; nothing where there is one."""
    if not settings.further:
        return ()
    each = each_source(settings).values()
    return tuple(one.gitlab.url or str(URL(one.source).origin()) for one in each)


def pagerduty_of(settings: Settings) -> PagerDuty | None:
    """PagerDuty, where its token is set."""
    token = secret(settings, "pagerduty_token")
    if token is None:
        return None
    return PagerDuty(token, base=settings.pagerduty.url, trust=trust_of(settings))


def opsgenie_of(settings: Settings) -> opsgenie.Opsgenie | None:
    """Opsgenie, where its key is set."""
    token = secret(settings, "opsgenie_token")
    if token is None:
        return None
    return opsgenie.Opsgenie(token, base=settings.opsgenie.url, trust=trust_of(settings))


def jsm_of(settings: Settings) -> jsm.Jsm | None:
    """Jira Service Management, where its token is set.

    Raises `ConfigurationError` for a token without `jsm.cloud`.
    """
    token, wanted = secret(settings, "jsm_token"), settings.jsm
    if token is None:
        return None
    if not wanted.cloud:
        message = (
            "JSM_TOKEN is set, and `jsm.cloud` is not: write the site's id, which "
            "https://SITE.atlassian.net/_edge/tenant_info shows"
        )
        raise ConfigurationError([Problem(message, "setting-missing")])
    trusted = trust_of(settings)
    return jsm.Jsm(wanted.cloud, token, user=wanted.user, base=wanted.url, trust=trusted)


def _tools(settings: Settings) -> list[FactCollector]:
    """Snyk, and the tools that know who is on call, each only where its token is set."""
    made: list[FactCollector] = []
    snyk = snyk_of(settings)
    if snyk is not None:
        made.append(SnykCollector(snyk, utc_now))
    pagerduty = pagerduty_of(settings)
    if pagerduty is not None:
        made.append(PagerDutyCollector(pagerduty, utc_now))
    older, newer = opsgenie_of(settings), jsm_of(settings)
    if older is not None:
        made.append(ScheduleCollector(older, opsgenie.OPSGENIE, opsgenie.NAMED_BY, utc_now))
    if newer is not None:
        made.append(ScheduleCollector(newer, jsm.JSM, jsm.NAMED_BY, utc_now))
    return made


def facts_of(
    settings: Settings,
    source: str,
    store: SqlStore,
    *,
    asked: Sequence[FactCollector],
    pushable: Sequence[FactSchema],
    on_change: OnChange,
) -> FactService:
    """The step that collects facts and takes pushed ones, over the same store."""
    ox = settings.ox
    history = FactHistory(ox.interval, ox.thin_after, ox.thin_to, ox.keep)
    return FactService(
        source, asked, store.facts(history), utc_now, pushable=pushable, on_change=on_change
    )


def scores_of(
    settings: Settings, source: str, store: SqlStore, expected: LoadedRubric
) -> Scorekeeper:
    """The step that scores, over the same store."""
    folder = settings.mappings
    file = RubricFile(rubric_path(folder), rubric_schemas(folder), expected)
    history = ScoreHistory(int(settings.ox.thin_after // DAY), int(settings.ox.keep // DAY))

    async def waived_by_label() -> Mapping[Ref, Sequence[Waiver]]:
        cases = await store.remediation.cases(source)
        return labelled(cases.values(), settings.remediation.waive_label, utc_now())

    return Scorekeeper(source, file, store.scores(history), utc_now, waived_by_label)


def initiatives(folder: Path | None, checks: Sequence[str]) -> tuple[Initiative, ...]:
    """The initiatives of a mappings' folder, over these checks.

    Raises `ConfigurationError` with every problem.
    """
    return load_initiatives(folder / INITIATIVES, checks) if folder is not None else ()


def initiatives_of(settings: Settings, scores: Scorekeeper) -> Initiatives:
    """The initiatives of the mappings' folder, over the scores."""
    folder = settings.mappings
    return Initiatives(folder / INITIATIVES if folder is not None else None, scores, utc_now)


class WithScores:
    """What is published of an entity: with its score and what tools know, where that is wished for.

    `facts` are those that annotations are made of. Between two `renew` the same scores stand,
    although there are newer ones by then: what is rendered after a push must not bring the scores
    of its neighbours with it.
    """

    def __init__(self, settings: Settings, scores: Scorekeeper, facts: FactService) -> None:
        self.wanted = settings.ox.publish
        self._url, self._scores, self._facts = settings.public_url, scores, facts
        self._board = scores.board
        self._readings: Mapping[Ref, Mapping[str, Reading]] = {}
        self._files: object = None  # those that show what is taken

    def take(self) -> None:
        """Take the scores and facts as they are now."""
        self._board = self._scores.board
        self._readings = self._facts.board.latest

    async def renew(
        self, files: object, note: Callable[[Collection[Ref] | None], Awaitable[None]]
    ) -> None:
        """Take them after those were noted of which `files` show something else; None: all."""
        board = self._scores.board
        readings = self._facts.board.latest
        changed = None
        if files == self._files:
            changed = changed_scores(self._board, board) | changed_tools(self._readings, readings)
        self._files = None
        await note(changed)
        self._board, self._readings, self._files = board, readings, files

    def __call__(self, entity: CatalogEntity) -> CatalogEntity:
        """What is published of an entity."""
        if not self.wanted:
            return entity
        known = with_tool_annotations(entity, self._readings.get(entity.ref, {}))
        return with_score_annotations(known, self._board, self._url)
