"""One pass: scrape → translate → aggregate → validate → publish → remember. Knows ports only."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime
from time import perf_counter
from typing import TypeAlias, cast

import structlog

from bridge.errors import PublishError, SourceError, StoreConflict
from bridge.model.destinations import Fence, Mark
from bridge.model.entities import Catalog
from bridge.model.manifests import AggregatedManifests, TranslatedManifest
from bridge.model.memory import Memory, PassRecord
from bridge.model.problems import Problem, Severity
from bridge.model.runs import Artifact, Outcome, Processed, Receipt, Report
from bridge.model.scrape import Coverage, Observation, ScrapeRequest
from bridge.passes.adoption import as_manifests
from bridge.passes.reconcile import (
    Reconciliation,
    gap_problems,
    manifest_problems,
    translated_manifests,
    verdicts,
)
from bridge.ports import Exporter, Processor, Scraper, Store, Translator

log = structlog.get_logger()

_TWICE = "catalog-info-beside"
_RETRY_SECONDS = 60.0  # until a destination is tried again that refused and did not say when


@dataclass(frozen=True, slots=True)
class Guard:
    """When removals look like a failure rather than a change.

    A pass that would remove at least `at_least` entities and more than `share` of the catalog
    withholds the removals.
    """

    share: float = 0.2
    at_least: int = 10

    def holds(self, removed: int, total: int) -> bool:
        """Whether to withhold `removed` of `total` entities."""
        return removed >= self.at_least and removed > self.share * total


async def no_fence() -> None:
    """The fence of who is alone: it may always publish."""


@dataclass(frozen=True, slots=True)
class Stages:
    """Everything that a pass is made of."""

    scraper: Scraper
    translator: Translator
    processors: Sequence[Processor]
    exporters: Sequence[Exporter]
    store: Store
    render: Callable[[Catalog], tuple[Artifact, ...]]
    clock: Callable[[], datetime]
    guard: Guard = field(default_factory=Guard)
    scope: str = ""  # a fingerprint of what a full sweep asks for: another one calls for a sweep
    fence: Callable[[], Awaitable[None]] = no_fence  # raises `LeadLost` when another one leads
    problems: tuple[Problem, ...] = ()  # of Fester's own files: they go into every report


@dataclass(frozen=True, slots=True)
class PassOptions:
    """How one pass is to go.

    `take_over` makes destinations ours that are another's.
    `request` None asks for everything. `progress` hears (stage, done): "project" with the number
    of projects read so far, then "process", "publish", "remember".
    """

    dry_run: bool = False
    accept_removals: bool = False
    take_over: bool = False
    request: ScrapeRequest | None = None
    progress: Callable[[str, int], None] = lambda stage, done: None


@dataclass(frozen=True, slots=True)
class Pass:
    """What a pass gave: its record, every artifact (changed or not), and what is known now.

    `observations` are of the projects that this pass looked at, by id, unreadable ones included.
    `retry_in` is after how many seconds a destination that refused may take it; None: none did.
    """

    record: PassRecord
    artifacts: tuple[Artifact, ...] = ()
    memory: Memory = field(default_factory=Memory)
    observations: Mapping[int, Observation] = field(default_factory=dict)
    retry_in: float | None = None

    def after(self, missed: Pass) -> Pass:
        """This pass, for a listener that did not hear of `missed`, the one before it."""
        return replace(self, observations={**missed.observations, **self.observations})


# Hears of a pass after it was published and saved; only where passes are made (the leader).
Listener: TypeAlias = Callable[[Pass], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Known:
    """What a pass builds on: all that is known of a source, and the last saved pass.

    `notes` go into the next report. `unsettled` are destinations of which it is not known yet
    whose they are, with the reason: nothing is published there.
    """

    memory: Memory = field(default_factory=Memory)
    record: PassRecord | None = None
    notes: tuple[Problem, ...] = ()
    unsettled: Mapping[str, str] = field(default_factory=dict)

    @property
    def catalog(self) -> Catalog:
        """The catalog that was published last."""
        return self.record.catalog if self.record else Catalog()


@dataclass(frozen=True, slots=True)
class Scraped:
    """What a scrape gave: what would be known if nothing else happened meanwhile."""

    recollection: Reconciliation
    memory: Memory
    started: datetime
    begun: float  # by `perf_counter`


async def run_pass(stages: Stages, wish: PassOptions | None = None) -> Pass:
    """Make one pass and return what it gave.

    A source that cannot be read at all, or destinations that all refuse, give `Outcome.FAILED`
    with the reason in `report.failure`; what was published before still stands.
    Raises `StoreError` when memory cannot be loaded: without it nothing is safe to remove; and
    `StoreConflict` when somebody else saved a pass meanwhile.
    """
    wish = wish or PassOptions()
    known = await load(stages)
    scraped = await scrape(stages, wish, known)
    return scraped if isinstance(scraped, Pass) else await conclude(stages, wish, known, scraped)


async def load(stages: Stages) -> Known:
    """What the store has of the source. Raises `StoreError`."""
    source = stages.scraper.name
    memory = await stages.store.load(source)
    record = await stages.store.latest(source)
    if await stages.store.passes_saved(source) != memory.horizon.passes:
        return await load(stages)  # a pass was saved between the two: they must belong together
    return Known(memory, record)


async def scrape(stages: Stages, wish: PassOptions, known: Known) -> Scraped | Pass:
    """Read what is wished for; a failed pass when the source cannot be read at all."""
    started, begun = stages.clock(), perf_counter()
    try:
        recollection, memory = await _scrape(stages, wish, known.memory, started)
    except SourceError as error:
        log.error("The source could not be read", action="scrape_failed", error=str(error))
        return failed_pass(known, str(error), started, perf_counter() - begun, _kind(wish.request))
    return Scraped(recollection, memory, started, begun)


def failed_pass(
    known: Known, failure: str, started: datetime, seconds: float = 0.0, kind: str = "full"
) -> Pass:
    """A pass that published nothing and changed nothing: what is known stays as it was."""
    report = Report(
        Outcome.FAILED,
        seconds,
        projects=_fleet(known.memory),
        manifests=verdicts(known.memory),
        entities=known.catalog.counts(),
        started_at=_iso(started),
        failure=failure,
        kind=kind,
    )
    return Pass(PassRecord(report, known.catalog), memory=known.memory)


async def conclude(stages: Stages, wish: PassOptions, known: Known, scraped: Scraped) -> Pass:
    """Process, publish and save what was scraped, on top of what is `known` by now.

    Raises `LeadLost` or `StoreConflict` before anything is published when another process has
    taken over, `StoreError` when the pass cannot be saved.
    """
    recollection, after = scraped.recollection, scraped.memory
    wish.progress("process", 0)
    processed = await asyncio.to_thread(_process, stages.processors, after)
    catalog, withheld = _withhold(
        stages.guard, known.catalog, processed.catalog, wish.accept_removals
    )
    artifacts = await _artifacts(stages, after, processed, catalog)
    wish.progress("publish", 0)
    if not wish.dry_run:
        await _still_ours(stages, known)
    receipts, refusals, retry_in = await _publish(stages, known, artifacts, dry_run=wish.dry_run)
    failed = bool(stages.exporters) and not receipts
    empty = _empty(stages.scraper.name, recollection)
    gaps = gap_problems(after)
    complete = recollection.complete and not (gaps or withheld or refusals or empty)
    if complete:
        horizon = replace(after.horizon, complete_at=_iso(scraped.started))
        after = replace(after, horizon=horizon)
    report = Report(
        outcome=Outcome.FAILED if failed else Outcome.COMPLETE if complete else Outcome.INCOMPLETE,
        seconds=perf_counter() - scraped.begun,
        projects=_fleet(after, recollection.unreadable),
        manifests=verdicts(after),
        entities=catalog.counts(),
        gitlab_requests=recollection.end.requests if recollection.end else 0,
        problems=(
            *stages.problems,
            *known.notes,
            *withheld,
            *empty,
            *refusals,
            *gaps,
            *recollection.problems,
            *manifest_problems(after),
            *_told_twice(after, recollection.observations, known.record),
            *processed.problems,
        ),
        published=tuple(receipts),
        started_at=_iso(scraped.started),
        failure="; ".join(p.message for p in refusals) if failed else "",
        kind=recollection.end.coverage.value if recollection.end else "",
        this_pass={
            "seen": len(recollection.seen),
            "unreadable": len(recollection.unreadable),
        },
    )
    record = PassRecord(report, known.catalog if failed else catalog)
    if not wish.dry_run:
        wish.progress("remember", 0)
        await stages.store.save(stages.scraper.name, known.memory, after, record)
    _log_report(report)
    seen = _observations(recollection, scraped.started)
    return Pass(record, artifacts, after, seen, retry_in)


async def _artifacts(
    stages: Stages, memory: Memory, processed: Processed, catalog: Catalog
) -> tuple[Artifact, ...]:
    """Every file of a catalog. What it holds that no manifest speaks of any more is in all."""
    made = processed.catalog.entities if processed.catalog else ()
    present = {entity.ref for entity in made}
    withheld = [entity for entity in catalog.entities if entity.ref not in present]
    if withheld:
        more = as_manifests(withheld)
        processed = await asyncio.to_thread(_process, stages.processors, memory, more)
    rendered = await asyncio.to_thread(stages.render, catalog)
    return (*rendered, *processed.artifacts)


def _empty(source: str, recollection: Reconciliation) -> list[Problem]:
    """The problem of a full sweep that saw no project at all."""
    end = recollection.end
    if recollection.seen or end is None or end.coverage is not Coverage.FULL:
        return []
    message = (
        f"no project was found in {source}: check the address, the filters, and which projects "
        "the token may see"
    )
    return [Problem(message, "no-projects", Severity.WARNING)]


def _told_twice(
    memory: Memory, observed: Mapping[int, Observation], before: PassRecord | None
) -> list[Problem]:
    """Projects with a manifest of ours and one that Backstage's own discovery reads.

    Of a project that this pass did not look at stands what was told of it before.
    """
    earlier = before.report.problems if before is not None else ()
    told = {each.project for each in earlier if each.rule == _TWICE}
    found: dict[str, str] = {}
    for project_id, file in sorted(memory.manifests):
        known = memory.projects.get(project_id)
        path = known.project.path if known is not None else ""
        seen = observed.get(project_id)
        if path and (seen.values.get("catalog_info") is True if seen else path in told):
            found.setdefault(path, file)
    message = (
        "there is a catalog-info.yaml beside this manifest: if Backstage's discovery reads it, "
        "too, the entity that came first stands and the other is a conflict; keep one of the two"
    )
    return [
        Problem(message, _TWICE, Severity.INFO, project=path, file=file)
        for path, file in found.items()
    ]


def _fleet(memory: Memory, unreadable: Collection[int] = ()) -> dict[str, int]:
    """The figures of all projects as they stand, whatever a pass looked at.

    `unreadable` may hold projects that only their numbers are known of. Archived projects that are
    left out do not count: a full sweep may not list them, and a listing of what changed does.
    """
    gaps = {number for number, known in memory.projects.items() if known.gap_since}
    seen = {
        number
        for number, known in memory.projects.items()
        if not (known.left_out and known.project.archived)
    }
    return {
        "seen": len(seen.union(unreadable)),
        "with_manifest": len({project_id for project_id, _ in memory.manifests}),
        "unreadable": len(gaps.union(unreadable)),
    }


def _observations(recollection: Reconciliation, now: datetime) -> dict[int, Observation]:
    """What was seen of every project that was looked at; of an unreadable one, why."""
    unreadable = {
        project_id: Observation(project_id, now, unreadable=recollection.reasons[project_id])
        for project_id in recollection.unreadable
    }
    return {**recollection.observations, **unreadable}


async def _still_ours(stages: Stages, known: Known) -> None:
    """Raise unless this process may publish, on top of the last pass that was saved."""
    await stages.fence()
    if await stages.store.passes_saved(stages.scraper.name) != known.memory.horizon.passes:
        raise overtaken_by_another(stages.scraper.name)


def overtaken_by_another(source: str) -> StoreConflict:
    """The error of a pass that another process saved one before."""
    return StoreConflict(
        f"another Fester saved a pass of {source} meanwhile; this one publishes nothing, and the "
        "next one goes on from there"
    )


async def restored_pass(stages: Stages, known: Known) -> Pass | None:
    """The pass that `known` was saved by, with its artifacts; None when there was none."""
    if known.record is None or not known.record.catalog.entities:
        return None
    processed = await asyncio.to_thread(_process, stages.processors, known.memory)
    artifacts = await _artifacts(stages, known.memory, processed, known.record.catalog)
    return Pass(known.record, artifacts, known.memory)


async def _scrape(
    stages: Stages, wish: PassOptions, before: Memory, started: datetime
) -> tuple[Reconciliation, Memory]:
    recollection = Reconciliation(before, stages.translator, _iso(started), stages.scope)
    request = wish.request or ScrapeRequest(stages.translator.files)
    async with aclosing(stages.scraper.scrape(request)) as records:  # type: ignore[type-var]
        async for record in records:
            recollection.take(record)
            wish.progress("project", len(recollection.seen))
    if recollection.end is None:
        raise SourceError(
            f"{stages.scraper.name}: the scrape broke off before its end; nothing is changed. "
            "Run again; if it stays, the scraper has a fault (its last record must be ScrapeEnd)"
        )
    return recollection, recollection.finish()


def _process(
    processors: Sequence[Processor], memory: Memory, more: Sequence[TranslatedManifest] = ()
) -> Processed:
    """All processors' work as one: artifacts side by side, one catalog, problems in order."""
    manifests = AggregatedManifests((*translated_manifests(memory), *more))
    results = [processor.process(manifests) for processor in processors]
    catalogs = [result.catalog for result in results if result.catalog is not None]
    merged: dict[str, Artifact] = {}
    problems = [problem for result in results for problem in result.problems]
    for processor, result in zip(processors, results, strict=True):
        for artifact in result.artifacts:
            if artifact.path in merged:
                problems.append(
                    Problem(
                        f"{artifact.path} is made by two processors; the one of "
                        f"{processor.name!r} is left out. Give one of them another path",
                        "artifact-collision",
                    )
                )
                continue
            merged[artifact.path] = artifact
    entities = {entity.ref: entity for catalog in reversed(catalogs) for entity in catalog.entities}
    catalog = Catalog(tuple(sorted(entities.values(), key=lambda entity: str(entity.ref))))
    return Processed(tuple(merged.values()), catalog, tuple(problems))


def _withhold(
    guard: Guard, published: Catalog, catalog: Catalog | None, accepted: bool
) -> tuple[Catalog, list[Problem]]:
    """The catalog to publish, with too many removals undone, and the problem that says so."""
    catalog = catalog or Catalog()
    present = {entity.ref for entity in catalog.entities}
    removed = [entity for entity in published.entities if entity.ref not in present]
    emptied = bool(removed) and not catalog.entities
    if accepted or not (emptied or guard.holds(len(removed), len(published.entities))):
        return catalog, []
    kept = sorted((*catalog.entities, *removed), key=lambda entity: str(entity.ref))
    some = ", ".join(str(entity.ref) for entity in removed[:5])
    problem = Problem(
        f"{len(removed)} of {len(published.entities)} entities would be removed (such as {some}); "
        f"that is more than {guard.share:.0%}, so they are kept. If they really are gone, "
        "run once with --accept-removals",
        "removals-withheld",
    )
    return replace(catalog, entities=tuple(kept)), [problem]


async def _publish(
    stages: Stages, known: Known, artifacts: Sequence[Artifact], *, dry_run: bool
) -> tuple[list[Receipt], list[Problem], float | None]:
    """Publish everywhere, side by side; one destination's failure does not hold up another.

    Gives receipts, refusals, and after how many seconds the first refused one may be free.
    """
    exporters = [each for each in stages.exporters if each.name not in known.unsettled]
    fence = None if dry_run else _fence(stages, known)
    results = await asyncio.gather(
        *(exporter.publish(artifacts, dry_run=dry_run, fence=fence) for exporter in exporters),
        return_exceptions=True,
    )
    receipts: list[Receipt] = []
    refusals = dict(known.unsettled)
    waits = [_RETRY_SECONDS] if refusals else []
    for exporter, result in zip(exporters, results, strict=True):
        if isinstance(result, PublishError):
            refusals[exporter.name] = str(result)
            waits.append(getattr(result, "free_in", 0.0) or _RETRY_SECONDS)
        elif isinstance(result, BaseException):
            raise result
        else:
            receipts.append(result)
    problems = [Problem(f"{name}: {why}", "publish-failed") for name, why in refusals.items()]
    return receipts, problems, min(waits, default=None)


def _fence(stages: Stages, known: Known) -> Fence:
    """What a destination asks when it is about to be written to."""

    async def draw() -> Mark:
        await stages.fence()
        return await stages.store.next_mark(stages.scraper.name, known.memory.horizon.passes)

    return draw


def _log_report(report: Report) -> None:
    counts = cast(dict[str, int], dict(report.projects))
    errors = sum(problem.severity is Severity.ERROR for problem in report.problems)
    log.info(
        "A pass has ended",
        action="pass_ended",
        kind=report.kind,
        outcome=report.outcome.value,
        seconds=round(report.seconds, 3),
        errors=errors,
        requests=report.gitlab_requests,
        entities=sum(report.entities.values()),
        looked_at=report.this_pass.get("seen", 0),
        **counts,
    )


def _kind(request: ScrapeRequest | None) -> str:
    """What a request sets out to see."""
    if request is None or (request.since is None and not request.only):
        return Coverage.FULL.value
    return Coverage.SELECTED.value if request.only else Coverage.CHANGES.value


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
