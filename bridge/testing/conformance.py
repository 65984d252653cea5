"""What any scraper, processor, exporter or collector must do, as functions that check it.

Each raises `Nonconformance` with what is wrong, or returns None.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from random import Random

from bridge.errors import LeadLost
from bridge.model.destinations import Mark
from bridge.model.entities import Ref
from bridge.model.fact_values import fault
from bridge.model.facts import Fact, FactSchema, Standing, Subject
from bridge.model.manifests import AggregatedManifests, TranslatedManifest
from bridge.model.runs import Artifact, Stage
from bridge.model.scrape import (
    Gap,
    ProjectGone,
    ProjectRead,
    ProjectSkipped,
    Record,
    ScrapeEnd,
    ScrapeRequest,
)
from bridge.ports import Exporter, FactCollector, Processor, Scraper

Read = Callable[[], Awaitable[Mapping[str, bytes]]]


class Nonconformance(AssertionError):
    """An implementation breaks a promise that the others rely on."""


def _must(held: bool, promise: str) -> None:
    if not held:
        raise Nonconformance(promise)


async def scraper_conforms(
    scraper: Scraper, files: Sequence[str], *, projects: Sequence[str]
) -> None:
    """Scrape everything once; `projects` are the paths of all projects that the source holds."""
    _must(isinstance(scraper, Scraper), "has `name`, `scrape` and `close`")
    _must(bool(scraper.name), "`name` is not empty: the store keys on it")
    records = [record async for record in scraper.scrape(ScrapeRequest(tuple(files)))]
    _must(bool(records), "yields at least a ScrapeEnd")
    _must(isinstance(records[-1], ScrapeEnd), "the last record is ScrapeEnd")
    ends = sum(isinstance(record, ScrapeEnd) for record in records)
    _must(ends == 1, "there is exactly one ScrapeEnd")
    ids = [i for i in map(_project_id, records) if i is not None]
    _must(len(ids) == len(set(ids)), "each project is yielded once")
    _projects_accounted_for(records, projects)
    for record in records:
        if isinstance(record, ProjectRead):
            _files_conform(record, files)
    await scraper.close()
    await scraper.close()  # twice is fine


def _project_id(record: Record) -> int | None:
    if isinstance(record, ProjectRead | ProjectSkipped):
        return record.project.id
    if isinstance(record, ProjectGone | Gap):
        return record.project_id
    return None


def _projects_accounted_for(records: Sequence[Record], projects: Sequence[str]) -> None:
    seen = {r.project.path for r in records if isinstance(r, ProjectRead | ProjectSkipped)}
    gaps = [record for record in records if isinstance(record, Gap)]
    seen |= {gap.path for gap in gaps}
    missing = sorted(set(projects) - seen)
    whole_gap = any(gap.project_id is None for gap in gaps)
    _must(not missing or whole_gap, f"no project goes missing without a gap: {missing[:5]}")


def _files_conform(record: ProjectRead, files: Sequence[str]) -> None:
    for file in record.files:
        _must(file.path in files, f"{file.path} was asked for")
        _must(bool(file.oid), f"{file.path} has a content id")
        said = file.text is not None or bool(file.refused)
        _must(said, f"{file.path} has a text, or a reason why it has none")


def processor_conforms(
    make: Callable[[], Processor], manifests: Sequence[TranslatedManifest]
) -> None:
    """Process `manifests` in several orders; the results must be equal."""
    processor = make()
    _must(isinstance(processor, Processor), "has `name` and `process`")
    _must(bool(processor.name), "`name` is not empty")
    first = processor.process(AggregatedManifests(tuple(manifests)))
    for seed in range(5):
        shuffled = list(manifests)
        Random(seed).shuffle(shuffled)  # noqa: S311 — an order, not a secret
        again = make().process(AggregatedManifests(tuple(shuffled)))
        _must(again == first, "the same manifests in another order give the same result")
    for artifact in first.artifacts:
        _path_conforms(artifact.path)
    _must(
        isinstance(make().process(AggregatedManifests()).artifacts, tuple), "takes no manifests too"
    )


def _path_conforms(path: str) -> None:
    parts = path.split("/")
    fine = all(part and part not in (".", "..") for part in parts)
    _must(fine and path.isascii(), f"{path!r} is a plain relative path")


async def exporter_conforms(make: Callable[[], Exporter], read: Read) -> None:
    """Publish, publish again, change, shrink. `read` gives what the destination holds, by path."""
    entities = Artifact("entities/0.yaml", b"a: 1\n", "application/yaml", Stage.ENTITIES)
    index = Artifact("index.yaml", b"index: [entities/0.yaml]\n", "application/yaml", Stage.INDEX)
    exporter = make()
    _must(isinstance(exporter, Exporter), "has `name`, `publish` and `close`")
    planned = await exporter.publish([entities, index], dry_run=True)
    _must(planned.written == 2, "a dry run says what would be written")
    _must(not await read(), "a dry run writes nothing")
    await _publishes(exporter, read, [index, entities], written=2)
    await _publishes(make(), read, [entities, index], written=0)
    await _publishes(make(), read, [replace(entities, body=b"a: 2\n"), index], written=1)
    other = Artifact("entities/1.yaml", b"b: 1\n", "application/yaml", Stage.ENTITIES)
    moved = replace(index, body=b"index: [entities/1.yaml]\n")
    await make().publish([other, moved])
    await make().publish([other, moved])
    held = set(await read())
    _must({"entities/1.yaml", "index.yaml"} <= held, "what the index names is there")
    _must("entities/0.yaml" not in held, "what two publishes no longer name is removed")
    await _asks_before_it_writes(make(), read, [replace(other, body=b"b: 2\n"), moved])
    await exporter.close()
    await exporter.close()


async def _asks_before_it_writes(
    exporter: Exporter, read: Read, artifacts: Sequence[Artifact]
) -> None:
    held = dict(await read())

    async def refused() -> Mark:
        raise LeadLost("another replica leads")

    try:
        await exporter.publish(artifacts, fence=refused)
    except LeadLost:
        _must(dict(await read()) == held, "what the fence stops writes nothing")
    else:
        _must(False, "asks the fence before it writes, and raises what it raises")


async def _publishes(
    exporter: Exporter, read: Read, artifacts: Sequence[Artifact], *, written: int
) -> None:
    receipt = await exporter.publish(artifacts)
    _must(receipt.written == written, f"writes {written} files, not {receipt.written}")
    _must(receipt.kept == len(artifacts) - written, "counts what was unchanged")
    held = await read()
    for artifact in artifacts:
        _must(held.get(artifact.path) == artifact.body, f"{artifact.path} arrives whole")


async def collector_conforms(collector: FactCollector, subjects: Sequence[Subject]) -> None:
    """Collect about `subjects`, each of a kind that the collector is for; then about nothing."""
    _must(isinstance(collector, FactCollector), "has `schema`, `collect` and `close`")
    schema = collector.schema
    _schema_conforms(schema)
    names = {definition.name for definition in schema.facts}
    asked = {subject.ref for subject in subjects}
    told: list[Ref] = []
    async for reading in collector.collect(subjects):
        told.append(reading.entity)
        _must(reading.entity in asked, f"{reading.entity} was asked about")
        _must(reading.retriever == schema.id, "a reading names the collector's own id")
        _must(reading.seen_at.tzinfo is not None, "a reading's moment has a time zone")
        _must(
            {fact.name for fact in reading.facts} == names,
            "a reading holds every fact of the schema, and no other: what could not be read is "
            "unknown, with the reason",
        )
        for fact in reading.facts:
            _fact_conforms(schema, fact)
    _must(len(told) == len(set(told)), "each entity is told of once")
    nothing = [reading async for reading in collector.collect([])]
    _must(not nothing, "asked about nothing, it tells nothing")
    await collector.close()
    await collector.close()


def _schema_conforms(schema: FactSchema) -> None:
    identifier = re.compile(r"[a-z][a-z0-9_]{0,59}")
    names = [definition.name for definition in schema.facts]
    _must(
        all(identifier.fullmatch(name) for name in (schema.id, *names)),
        "ids and names are identifiers, so that a rubric can name `id.fact`",
    )
    _must(bool(re.fullmatch(r"\d+\.\d+\.\d+(-[\w.-]+)?", schema.version)), "versions are semantic")
    _must(schema.cadence > 0, "a cadence is some seconds")
    _must(len(names) == len(set(names)), "each fact is described once")
    _must(all(definition.description for definition in schema.facts), "each fact is described")


def _fact_conforms(schema: FactSchema, fact: Fact) -> None:
    definition = schema.definition(fact.name)
    _must(fact.seen_at.tzinfo is not None, f"{fact.name}: its moment has a time zone")
    _must(bool(fact.source), f"{fact.name}: says where it was seen")
    if fact.standing is Standing.KNOWN:
        why = fault(definition.type, fact.value) if definition else "not in the schema"
        _must(not why, f"{fact.name}: its value is what the schema promises: {why}")
    else:
        _must(fact.value is None, f"{fact.name}: what is not known has no value")
        _must(bool(fact.reason), f"{fact.name}: what is not known says why")
