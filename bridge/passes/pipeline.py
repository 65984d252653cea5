"""One pass: scrape → translate → merge what changed → render, publish, remember it. Ports only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from bridge.errors import SourceError
from bridge.model.destinations import Fence, Mark
from bridge.model.entities import Ref
from bridge.model.manifests import AggregatedManifests, TranslatedManifest, Translation, Verdict
from bridge.model.memory import Horizon, ManifestKey, Memory
from bridge.model.numbers import FIRST, LANE, lane_of
from bridge.model.problems import Problem
from bridge.model.runs import Artifact, Processed, Report, Step
from bridge.model.scrape import Coverage, Project, Record, ScrapeRequest
from bridge.model.statements import Changes, Concluded, Statement, Taken, about_manifest
from bridge.model.todo import Todo
from bridge.passes.account import Conclusion, Published, account, history_step, log_report
from bridge.passes.further import further
from bridge.passes.intake import BATCH, Intake, difference
from bridge.passes.ledger import Ledger
from bridge.passes.makers import EntityMaker
from bridge.passes.merge import Merging
from bridge.passes.publish import (
    RETRY_SECONDS,
    Rendered,
    drop_definitions,
    files_of,
    listed,
    render,
)
from bridge.passes.reconcile import translated_manifests
from bridge.passes.render_sharing import SharedRendering
from bridge.passes.sharing import Prepared, Sharing
from bridge.passes.spool import Spool
from bridge.passes.stages import PassOptions, Renewal, Stages, as_it_is
from bridge.passes.task_sharing import share_checking, share_merging


async def restate(stages: Stages, ledger: Ledger, epoch: int) -> None:
    """Work out anew what all manifests say, where other rules made what the store has of it.

    A store of an older Fester gets what it lacks in the same way. Raises `StoreError`.
    """
    model, source = ledger.model, ledger.source
    if ledger.state.rules == stages.maker.fingerprint:
        ledger.maker = stages.maker
        return
    ledger.maker = None
    await ledger.write(epoch, lambda edition: model.begin_restating(source, edition))
    found = [part async for part in model.project_ids(source)]
    for part in found:
        for start in range(0, len(part), BATCH):
            known = await model.known(source, part[start : start + BATCH])
            taken = await asyncio.to_thread(difference, Memory(), known, stages.maker, whole=True)
            await ledger.write(
                epoch,
                lambda edition, taken=taken: model.take(source, edition, taken, Todo.MERGE),  # type: ignore[misc]
            )
    # Noted now, not when all is merged: a sweep of hours that breaks off begins with no such thing.
    rules = stages.maker.fingerprint
    await ledger.write(epoch, lambda edition: model.begin_merging(source, edition, rules, ()))
    ledger.maker = stages.maker


async def taught(maker: EntityMaker, ledger: Ledger) -> EntityMaker:
    """The maker, knowing what all manifests describe. Raises `StoreError`.

    All of them are looked through once by a process, and where another one wrote; then those of
    projects that changed. Whoever asks holds the ledger's lock.
    """
    found = ledger.described
    if found is None:
        parts = [part async for part in ledger.model.project_ids(ledger.source)]
        found = await _described(maker, ledger, [n for part in parts for n in part])
    elif changed := ledger.undescribed:
        fresh = await _described(maker, ledger, sorted(changed))
        found = {n: each for n, each in found.items() if n not in changed} | fresh
    ledger.described = found
    ledger.undescribed.clear()
    return maker.learned([each for number in sorted(found) for each in found[number]])


async def _described(
    maker: EntityMaker, ledger: Ledger, numbers: Sequence[int]
) -> dict[int, list[Any]]:
    described: dict[int, list[Any]] = {}
    for start in range(0, len(numbers), BATCH):
        known = await ledger.model.known(ledger.source, numbers[start : start + BATCH])
        for manifest in translated_manifests(known):
            if told := maker.described(manifest):
                described.setdefault(manifest.project.id, []).extend(told)
    return described


async def scrape(stages: Stages, wish: PassOptions, intake: Intake) -> None:
    """Read what is wished for, and take it in part by part.

    Raises `SourceError` when nothing at all can be read, or the scrape broke off.
    """
    request = wish.request or ScrapeRequest(stages.translator.files)
    ledger = intake.ledger
    more = further(ledger.source, ledger.model.reads, stages.translator, stages.nested)
    request = replace(request, further=more)
    seen = 0
    async with aclosing(await _records(stages, wish, request, intake)) as records:  # type: ignore[type-var]
        async for record in records:
            await intake.take(record)
            seen += 1
            wish.progress(Step.PROJECT, seen)
    if intake.end is None:
        raise SourceError(
            f"{stages.scraper.name}: the scrape broke off before its end; nothing is changed. "
            "Run again; if it stays, the scraper has a fault (its last record must be ScrapeEnd)"
        )
    await intake.settle_unseen()


async def _records(
    stages: Stages, wish: PassOptions, request: ScrapeRequest, intake: Intake
) -> AsyncIterator[Record]:
    """What is read: by this process, or of a full sweep by all that have a hand free."""
    work = stages.work
    if work is None or wish.kind is not Coverage.FULL or not await work.others(wish.source):
        return stages.scraper.scrape(request)
    prepared = Prepared(intake.translator)
    intake.prepared = prepared
    ledger, epoch, more = intake.ledger, intake.epoch, request.further
    sharing = Sharing(stages.scraper, work, ledger, epoch, wish.source, prepared, more)
    return sharing.records(request)


async def conclude(work: Conclusion) -> tuple[Report, Changes, Horizon, float | None]:
    """Merge, publish and save what was taken in.

    Raises `LeadLost` or `StoreConflict` before anything is published when another process has
    taken over, `StoreError` when the pass cannot be saved.
    """
    wish, ledger, intake = work.wish, work.ledger, work.intake
    wish.progress(Step.PROCESS, 0)
    await _still_ours(work)
    before, long = ledger.state.edition, not wish.small
    # Another pass may have begun meanwhile, by other rules; and may have broken off at that.
    work.stages = replace(work.stages, maker=ledger.maker or work.stages.maker)
    if ledger.maker is None:
        await restate(work.stages, ledger, intake.epoch)
    if long and work.stages.maker.learns:
        work.stages = replace(work.stages, maker=await taught(work.stages.maker, ledger))
        await restate(work.stages, ledger, intake.epoch)
    stages = work.stages
    extra = await _extensions(work) if long and ledger.listed != before else None
    merging, withheld = await _merge(work)
    with Spool() as spool:
        rendered = await _rendered(work, extra, spool)
        wish.progress(Step.PUBLISH, 0)
        published = await _publish(work, rendered, spool)
        await ledger.refresh()
        if not withheld:
            await intake.forget_strangers()
        report, horizon = account(work, withheld, published)
        wish.progress(Step.REMEMBER, 0)
        done = Concluded(
            report,
            horizon,
            () if published.nowhere else rendered.put,
            () if published.nowhere else rendered.gone,
            published.nowhere,
            history_step(work),
        )
        await ledger.write(
            intake.epoch, lambda edition: ledger.model.conclude(ledger.source, edition, done)
        )
    ledger.state = replace(ledger.state, horizon=horizon)
    if not published.nowhere:
        ledger.published = rendered.files
        ledger.listed = ledger.state.edition if long or before == ledger.listed else -1
    log_report(report)
    freed = await files_of(ledger, stages.maker, stages.renderer, intake.freed)
    return report, replace(_changes(merging, intake), freed=freed), horizon, published.retry_in


async def _rendered(work: Conclusion, extra: Sequence[Artifact] | None, spool: Spool) -> Rendered:
    """The files that changed; with `extra`, those of extensions, the lists of all are made, too."""
    ledger, stages = work.ledger, work.stages
    others, sharing = None, work.sharing
    # What is shown besides is known to who leads alone.
    if sharing is not None and stages.shown is as_it_is:
        others = SharedRendering(ledger, work.intake.epoch, sharing, work.wish.source)
    rendered = await render(ledger, stages.renderer, stages.shown, spool, others)
    if extra is not None:
        for artifact in await listed(ledger, stages.lists, spool):
            rendered.add(artifact, spool)
        await drop_definitions(ledger, rendered)
        _add_extras(rendered, extra, spool)
    return rendered


async def _publish(work: Conclusion, rendered: Rendered, spool: Spool) -> Published:
    """Publish at every destination that is ours, if this process still may. Raises `LeadLost`."""
    intake, unsettled = work.intake, work.settled.unsettled
    if not work.wish.dry_run:
        await _still_ours(work)
    receipts, refusals, retry_in = await work.destinations.publish(
        [each for each in work.stages.exporters if each.name not in unsettled],
        work.ledger,
        rendered,
        spool,
        whole=intake.end is not None and intake.end.coverage is Coverage.FULL,
        fence=None if work.wish.dry_run else _fence(work),
    )
    refusals += [Problem(f"{name}: {why}", "publish-failed") for name, why in unsettled.items()]
    if unsettled:
        retry_in = min(retry_in or RETRY_SECONDS, RETRY_SECONDS)
    nowhere = bool(work.stages.exporters) and not receipts
    return Published(receipts, refusals, retry_in, nowhere)


async def _merge(work: Conclusion) -> tuple[Merging, list[Problem]]:
    """Merge what changed; gives what that changed, and the problem of removals withheld."""
    stages, wish, ledger, epoch = work.stages, work.wish, work.ledger, work.intake.epoch
    model, source, rules = ledger.model, ledger.source, work.stages.maker.fingerprint
    long, before = not wish.small, ledger.state
    noted = await model.lanes(source) if long else frozenset(Todo)
    lanes = _lanes(work, noted) if long else ()
    await ledger.write(epoch, lambda edition: model.begin_merging(source, edition, rules, lanes))
    count = sum(before.counts("entities").values())
    merging = Merging(ledger, stages.maker, stages.renderer, epoch, count)
    withheld: list[Problem] = []
    if noted or ledger.state.edition != before.edition:  # else nothing is left to do in any stage
        sharing = work.sharing
        if sharing is not None:
            await share_merging(merging, sharing, wish.source)
        await merging.merge()
        await merging.derive()
        withheld = await merging.remove(stages.guard, accepted=wish.accept_removals)
        await merging.derive()  # what went may have been what something was made of
        if sharing is not None:
            await share_checking(merging, sharing, wish.source)
        await merging.check()
    if stages.renew is not None and long:
        await _renew(stages.renew, work)
    return merging, withheld


async def _renew(renew: Renewal, work: Conclusion) -> None:
    """Have rendered what is published otherwise now, although the same is said of it."""
    ledger, renderer = work.ledger, work.stages.renderer

    async def note(refs: Collection[Ref] | None) -> None:
        places = None if refs is None else {renderer.place(ref) for ref in refs}
        if places is None or places:
            await ledger.write(
                work.intake.epoch,
                lambda edition: ledger.model.note_places(ledger.source, edition, places),
            )

    await renew((ledger, ledger.epoch), note)


def _lanes(work: Conclusion, noted: Collection[str]) -> Collection[str]:
    """Those of the lanes in which something is noted that this pass is to merge: its own scrape's.

    What a source left that is none any more is merged with the first one's.
    """
    own = lane_of(work.wish.source)
    mine = [own] if own in noted else []
    if work.wish.source != FIRST:
        return mine
    standing = {lane_of(name) for name in work.stages.sources}
    left = {each for each in noted if each.startswith(LANE) and each not in standing}
    return [*mine, *sorted(left)]


def _changes(merging: Merging, intake: Intake) -> Changes:
    if merging.put is None:
        return Changes(everything=True)
    return Changes(frozenset(merging.put), frozenset(merging.removed), frozenset(intake.changed))


async def _still_ours(work: Conclusion) -> None:
    """Raise unless this process may publish, on top of what was saved last."""
    await work.stages.fence()
    epoch = work.ledger.epoch
    await work.ledger.refresh()
    if work.ledger.epoch != epoch:
        await work.ledger.write(epoch, _nothing)  # which raises


def _fence(work: Conclusion) -> Fence:
    """Draws the mark of a publish that is about to write, if this process still may."""

    async def draw() -> Mark:
        await _still_ours(work)
        passes = work.ledger.state.horizon.passes
        return await work.stages.store.next_mark(work.ledger.source, passes)

    return draw


async def _nothing(edition: int) -> int:
    return edition


async def _extensions(work: Conclusion) -> list[Artifact]:
    """What extensions make of all manifests: files, and entities that count as said by nobody.

    An extension's entity stands where no manifest speaks of the same one.
    """
    stages, ledger = work.stages, work.ledger
    if not stages.processors:
        return []
    memory = await stages.store.load(ledger.source)
    manifests = AggregatedManifests(translated_manifests(memory))
    files: dict[str, Artifact] = {}
    for processor in stages.processors:
        result = await asyncio.to_thread(processor.process, manifests)
        problems = list(result.problems)
        for artifact in result.artifacts:
            if artifact.path in files or any(artifact.path == e.path for e in stages.lists):
                problems.append(
                    Problem(
                        f"{artifact.path} is made by two processors; the one of "
                        f"{processor.name!r} is left out. Give one of them another path",
                        "artifact-collision",
                    )
                )
            else:
                files[artifact.path] = artifact
        await _take(work, _taken_of(processor.name, result, problems))
    return list(files.values())


async def _take(work: Conclusion, taken: Taken) -> None:
    ledger = work.ledger
    await ledger.write(
        work.intake.epoch,
        lambda edition: ledger.model.take(ledger.source, edition, taken, Todo.MERGE),
    )


def _taken_of(name: str, result: Processed, problems: Sequence[Problem]) -> Taken:
    key: ManifestKey = (0, f"processor:{name}")
    manifest = TranslatedManifest(
        Project(0, ""), key[1], "", Translation(Verdict.VALID, "", key[1])
    )
    entities = result.catalog.entities if result.catalog is not None else ()
    said = [Statement(each.ref, each.body, manifest, n) for n, each in enumerate(entities)]
    return Taken(statements={key: said}, problems={about_manifest(*key): problems})


def _add_extras(rendered: Rendered, files: Sequence[Artifact], spool: Spool) -> None:
    """Take in the files of extensions."""
    for artifact in files:
        rendered.add(artifact, spool)
