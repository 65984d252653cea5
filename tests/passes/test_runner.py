"""Passes in a row: what is asked for, what stays resident, and passes that overlap."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from bridge.errors import LeadLost, SourceError, StoreConflict, StoreError
from bridge.model.destinations import Fence
from bridge.model.entities import Body, Ref
from bridge.model.manifests import TranslatedManifest, Translation
from bridge.model.memory import Horizon, Memory
from bridge.model.problems import Problem
from bridge.model.runs import Artifact, Outcome, Receipt
from bridge.model.scrape import (
    Coverage,
    Gap,
    ManifestFile,
    Project,
    ProjectGone,
    Record,
    ScrapeEnd,
    ScrapeRequest,
    bytes_of,
)
from bridge.model.statements import Statement, Taken
from bridge.passes.due import gaps_to_retry, why_sweep
from bridge.passes.interfaces import Store
from bridge.passes.runner import Passes
from bridge.passes.stages import Pass, PassOptions, Stages
from tests.fakes import (
    NOON,
    RecordingExporter,
    WordMaker,
    WordRenderer,
    WordTranslator,
    project,
    read,
    words_in,
)

FILES = ("qm.yaml",)


@dataclass
class Gitlab:
    """A source in a dictionary: text by project id, None without a manifest. Reads what is there.

    `hold` keeps a sweep (or a small pass) waiting after it has read, as a slow GitLab does.
    """

    texts: dict[int, str | None]
    unreadable: set[int] = field(default_factory=set)
    changed: set[int] = field(default_factory=set)
    lost: str = ""
    hold: asyncio.Event | None = None
    holds_small: bool = False
    reading: asyncio.Event = field(default_factory=asyncio.Event)
    requests: list[ScrapeRequest] = field(default_factory=list)
    spent: int = 0  # requests, one a project
    name: str = "https://gitlab.test"

    async def scrape(self, request: ScrapeRequest) -> AsyncIterator[Record]:
        self.requests.append(request)
        full = request.since is None and not request.only
        ids = request.only or (
            sorted(self.texts) if full else (*sorted(self.changed), *request.also)
        )
        records = [self.record(number) for number in ids]
        self.reading.set()
        if self.hold is not None and bool(request.only) is self.holds_small:
            await self.hold.wait()
        size = 0
        for n, record in enumerate(records, start=1):
            self.spent += 1
            yield record
            size += bytes_of(record)
            if request.most is not None and size > request.most:
                yield ScrapeEnd(Coverage.SELECTED, requests=n, cut=True)
                return
        if self.lost and not request.only:
            yield Gap(self.lost)
        chosen = Coverage.SELECTED if request.only else Coverage.FULL if full else Coverage.CHANGES
        yield ScrapeEnd(chosen, requests=len(records))

    def record(self, number: int) -> Record:
        if number in self.unreadable:
            return Gap("403", number, project(number).path)
        if number not in self.texts:
            return ProjectGone(number, "404 by id")
        return read(number, self.texts[number])

    async def close(self) -> None:
        """Nothing is open."""


class Bench:
    def __init__(self, gitlab: Gitlab, store: Store) -> None:
        self.gitlab = gitlab
        self.store = store
        self.exporter = RecordingExporter()
        self.now = NOON
        self.translator = WordTranslator()
        self.passes = Passes(self.stages(), full_every=3600)

    def stages(self) -> Stages:
        return Stages(
            self.gitlab,
            self.translator,
            WordMaker(),
            WordRenderer(),
            [self.exporter],
            self.store,
            lambda: self.now,
            scope="as it was",
        )

    async def memory(self) -> Memory:
        return await self.store.load(self.gitlab.name)

    @property
    def published(self) -> list[str]:
        return [each.rpartition("/")[2] for each in words_in(self.exporter.published[-1])]

    async def due(self) -> Coverage:
        done = await self.passes.run(await self.passes.next_pass(PassOptions()))
        return Coverage(done.report.kind)

    async def hinted(self, *ids: int) -> Pass:
        return await self.passes.run(PassOptions(request=ScrapeRequest(FILES, only=ids)))


async def test_after_a_complete_sweep_only_what_changed_is_asked_for(store: Store) -> None:
    bench = Bench(Gitlab({1: "a", 2: "b"}), store)
    assert await bench.due() is Coverage.FULL
    bench.gitlab.texts[2], bench.gitlab.changed = "b2", {2}
    bench.now += timedelta(minutes=10)
    assert await bench.due() is Coverage.CHANGES
    assert bench.gitlab.requests[-1].since == NOON
    assert bench.published == ["a", "b2"]
    assert (await bench.memory()).horizon == Horizon(
        listed_at=NOON + timedelta(minutes=10),
        swept_at=NOON,
        scope="as it was",
        complete_at=NOON + timedelta(minutes=10),
        passes=2,
    )


async def test_a_listing_with_a_hole_moves_no_watermark(store: Store) -> None:
    bench = Bench(Gitlab({1: "a"}), store)
    await bench.due()
    bench.gitlab.lost = "page 3"
    bench.now += timedelta(minutes=10)
    await bench.due()
    assert (await bench.memory()).horizon.listed_at == NOON
    bench.gitlab.lost = ""
    await bench.due()
    assert bench.gitlab.requests[-1].since == NOON


async def test_a_pass_over_a_few_projects_moves_no_watermark(store: Store) -> None:
    bench = Bench(Gitlab({1: "a", 2: "b"}), store)
    await bench.due()
    bench.now += timedelta(minutes=1)
    await bench.hinted(2)
    assert (await bench.memory()).horizon.listed_at == NOON


@pytest.mark.parametrize(
    ("horizon", "why"),
    [
        (Horizon(), "no full sweep"),
        (Horizon(listed_at=NOON), "no full sweep"),
        (Horizon(NOON, NOON, "other"), "filters"),
        (Horizon(NOON, NOON - timedelta(minutes=61), "s"), "1 hours old"),
        (Horizon(NOON + timedelta(minutes=6), NOON, "s"), "clock"),
        (Horizon(NOON, NOON, "s"), ""),
    ],
)
def test_when_everything_must_be_read(horizon: Horizon, why: str) -> None:
    found = why_sweep(horizon, "s", NOON, 3600)
    assert (why in found) if why else not found


async def test_a_gap_heals_without_a_full_sweep_and_is_left_alone_ever_longer(store: Store) -> None:
    bench = Bench(Gitlab({1: "a", 2: "b"}, unreadable={2}), store)
    await bench.due()
    assert bench.published == ["a"]
    tried: list[int] = []
    for minute in range(1, 31):
        bench.now = NOON + timedelta(minutes=minute)
        await bench.due()
        tried += [minute] * len(bench.gitlab.requests[-1].also)
    assert tried == [1, 2, 4, 8, 16]
    bench.gitlab.unreadable = set()
    bench.now = NOON + timedelta(minutes=40)
    assert await bench.due() is Coverage.CHANGES
    assert bench.published == ["a", "b"]
    assert gaps_to_retry(await bench.passes.gaps(), bench.now + timedelta(days=1)) == ()


async def test_a_gap_elsewhere_keeps_the_pass_incomplete_and_reported(store: Store) -> None:
    bench = Bench(Gitlab({1: "a", 2: "b"}, unreadable={2}), store)
    await bench.due()
    await bench.hinted(1)
    report = await store.report(bench.gitlab.name)
    assert report is not None
    assert report.outcome is Outcome.INCOMPLETE
    assert [p.rule for p in report.problems] == ["unreadable"]
    assert "since 2026-01-01T12:00:00+00:00 (403)" in report.problems[0].message


async def test_what_was_never_readable_is_forgotten_when_it_is_gone(
    store: Store,
) -> None:
    bench = Bench(Gitlab({1: "a", 2: "b"}, unreadable={2}), store)
    await bench.due()
    bench.gitlab.unreadable, bench.gitlab.texts = set(), {1: "a"}
    await bench.hinted(2)
    assert set((await bench.memory()).projects) == {1}


async def test_all_is_loaded_once_and_again_when_somebody_else_saved(
    store: Store,
) -> None:
    bench = Bench(Gitlab({1: "a"}), store)
    await bench.due()
    first = (await bench.passes.known()).memory
    assert (await bench.passes.known()).memory is first
    other = Passes(bench.stages(), full_every=3600)
    bench.gitlab.texts[3] = "c"
    await other.run(PassOptions(request=ScrapeRequest(FILES, only=(3,))))
    await bench.hinted(1)
    assert bench.published == ["a", "c"]


async def test_who_is_overtaken_by_another_process_publishes_nothing(store: Store) -> None:
    bench = Bench(Gitlab({1: "a"}), store)
    await bench.due()
    published = len(bench.exporter.published)

    async def overtaken() -> None:
        await Passes(bench.stages()).run(PassOptions(request=ScrapeRequest(FILES, only=(1,))))

    bench.passes.stages = replace(bench.stages(), fence=overtaken)
    with pytest.raises(StoreConflict, match="publishes nothing"):
        await bench.hinted(1)
    assert len(bench.exporter.published) == published + 1
    bench.passes.stages = bench.stages()
    await bench.hinted(1)  # and goes on from there


async def test_a_sweep_that_another_process_overtook_undoes_nothing_of_it(store: Store) -> None:
    """What the other one settled was not there when the sweep read: it is no absence."""
    bench = Bench(Gitlab({1: "a"}, hold=asyncio.Event()), store)
    sweep = asyncio.create_task(bench.due())
    await bench.gitlab.reading.wait()  # it has read all there was
    other = Passes(bench.stages())
    bench.gitlab.texts[2] = "created"
    await other.run(PassOptions(request=ScrapeRequest(FILES, only=(2,))))
    await bench.hinted(1)  # a pass of our own loads what the other one saved
    published = len(bench.exporter.published)
    assert bench.gitlab.hold is not None
    bench.gitlab.hold.set()
    with pytest.raises(StoreConflict, match="publishes nothing"):
        await sweep
    assert len(bench.exporter.published) == published
    assert set((await bench.memory()).projects) == {1, 2}
    assert await bench.due() is Coverage.FULL
    assert bench.published == ["a", "created"]


async def test_a_clock_that_was_set_back_costs_one_sweep_alone(
    store: Store,
) -> None:
    bench = Bench(Gitlab({1: "a"}), store)
    bench.now += timedelta(days=30)
    await bench.due()
    bench.now = NOON
    assert await bench.due() is Coverage.FULL
    bench.now += timedelta(minutes=10)
    assert await bench.due() is Coverage.CHANGES
    assert bench.gitlab.requests[-1].since == NOON


@dataclass
class Renamed(WordTranslator):
    """Another mapping."""

    def fingerprint(self, project: Project, file: ManifestFile) -> str:
        return f"new {super().fingerprint(project, file)}"

    def translate(self, project: Project, file: ManifestFile) -> Translation:
        text = f"new-{file.text}"
        return super().translate(project, replace(file, text=text))


async def test_a_changed_mapping_reaches_what_a_push_was_just_reading(
    store: Store,
) -> None:
    """The sweep that the change asks for takes a push's word: it must be in the new mapping's."""
    bench = Bench(Gitlab({1: "a", 2: "b"}), store)
    await bench.due()
    bench.gitlab.hold, bench.gitlab.holds_small = asyncio.Event(), True
    bench.gitlab.reading.clear()
    small = asyncio.create_task(bench.hinted(1))
    await bench.gitlab.reading.wait()  # with the old mapping
    bench.passes.stages = replace(bench.stages(), translator=Renamed(), scope="changed")
    bench.gitlab.holds_small = False
    bench.gitlab.reading.clear()
    sweep = asyncio.create_task(bench.due())
    await bench.gitlab.reading.wait()
    bench.gitlab.hold.set()
    await asyncio.gather(small, sweep)
    assert bench.published == ["new-a", "new-b"]


class BreaksOff(Gitlab):
    """A sweep of it ends before its end."""

    breaks = True

    async def scrape(self, request: ScrapeRequest) -> AsyncIterator[Record]:
        async for record in super().scrape(request):
            if self.breaks and not request.only and isinstance(record, ScrapeEnd):
                raise SourceError("it broke off")
            yield record


class Loud(WordMaker):
    """Other rules: everything has another name."""

    def statements(
        self, manifest: TranslatedManifest
    ) -> tuple[Sequence[Statement], Sequence[Problem]]:
        found, problems = super().statements(manifest)
        loud = [_loud(each.body) for each in found]
        return [
            replace(each, ref=Ref.of(body), body=body)
            for each, body in zip(found, loud, strict=True)
        ], problems


def _loud(body: Body) -> Body:
    return {**body, "metadata": {"name": f"{body['metadata']['name']}-loud"}}


async def test_rules_that_change_during_a_sweep_count_for_what_it_still_takes_in(
    store: Store,
) -> None:
    """Also where it breaks off, and what it read is not looked at again."""
    gitlab = BreaksOff({n: f"w{n:03}" for n in range(1, 251)}, hold=asyncio.Event())
    bench = Bench(gitlab, store)
    sweep = asyncio.create_task(bench.due())
    await gitlab.reading.wait()  # by the old rules
    bench.passes.stages = replace(bench.stages(), maker=Loud("loud", "loud"))
    await bench.hinted(1)
    assert gitlab.hold is not None
    gitlab.hold.set()
    await sweep
    assert len((await bench.memory()).manifests) > 100
    gitlab.breaks = False
    await bench.due()
    assert bench.published == [f"w{n:03}-loud" for n in range(1, 251)]


@dataclass(frozen=True)
class Learning(WordMaker):
    """Knows by its fingerprint what all manifests describe."""

    learns: bool = True
    rules: str = ""

    def described(self, manifest: TranslatedManifest) -> Sequence[str]:
        return [each.body["metadata"]["name"] for each in manifest.translation.drafts]

    def learned(self, described: Sequence[str]) -> Learning:
        return replace(self, fingerprint=f"{self.rules}: {' '.join(sorted(described))}")


async def test_what_a_sweep_that_began_by_other_rules_learned_is_kept_by_the_next_push(
    store: Store,
) -> None:
    gitlab = Gitlab({1: "a", 2: "b"}, hold=asyncio.Event())
    bench = Bench(gitlab, store)
    bench.passes.stages = replace(bench.stages(), maker=Learning(rules="old"))
    sweep = asyncio.create_task(bench.due())
    await gitlab.reading.wait()
    bench.passes.stages = replace(bench.stages(), maker=Learning(rules="new"))
    await bench.hinted(1)
    assert gitlab.hold is not None
    gitlab.hold.set()
    await sweep
    assert (await store.model.state(gitlab.name)).rules == "new: a b"
    await bench.hinted(2)
    assert (await store.model.state(gitlab.name)).rules == "new: a b"


async def test_a_restatement_that_broke_off_leaves_no_rules_in_force(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old ones are put back: what the new ones had written must not stay."""
    gitlab = Gitlab({n: f"w{n:03}" for n in range(1, 251)})
    bench = Bench(gitlab, store)
    await bench.due()
    take = store.model.take
    taken: list[Taken] = []

    async def once(source: str, edition: int, what: Taken, lane: str) -> int:
        if taken:
            raise StoreError("the disk is full")
        taken.append(what)
        return await take(source, edition, what, lane)

    monkeypatch.setattr(store.model, "take", once)
    bench.passes.stages = replace(bench.stages(), maker=Loud("loud", "loud"))
    with pytest.raises(StoreError, match="full"):
        await bench.hinted(1)
    monkeypatch.undo()
    bench.passes.stages = bench.stages()
    await bench.hinted(1)
    assert bench.published == [f"w{n:03}" for n in range(1, 251)]


async def test_who_lost_the_lead_publishes_nothing(store: Store) -> None:
    bench = Bench(Gitlab({1: "a"}), store)

    async def lost() -> None:
        raise LeadLost("another replica leads")

    bench.passes.stages = replace(bench.stages(), fence=lost)
    with pytest.raises(LeadLost):
        await bench.due()
    assert bench.exporter.published == []
    assert await store.passes_saved(bench.gitlab.name) == 0


async def test_a_push_does_not_wait_for_a_sweep_and_is_not_undone_by_it(store: Store) -> None:
    bench = Bench(Gitlab({1: "a", 2: "b", 3: "c"}, hold=asyncio.Event()), store)
    sweep = asyncio.create_task(bench.due())
    await bench.gitlab.reading.wait()  # it has read all three, as they were
    bench.gitlab.texts[2] = "pushed"
    del bench.gitlab.texts[3]
    await bench.hinted(2, 3)
    assert bench.published == ["pushed"]
    assert bench.gitlab.hold is not None
    bench.gitlab.hold.set()
    await sweep
    assert bench.published == ["a", "pushed"]
    assert set((await bench.memory()).projects) == {1, 2}
    assert (await bench.memory()).horizon.swept_at


async def test_a_small_pass_that_a_sweep_overtook_reads_again(store: Store) -> None:
    """Which of the two read first cannot be told, so the few projects are read anew."""
    bench = Bench(Gitlab({1: "old"}), store)
    await bench.due()
    bench.gitlab.hold, bench.gitlab.holds_small = asyncio.Event(), True
    bench.gitlab.reading.clear()
    small = asyncio.create_task(bench.hinted(1))
    await bench.gitlab.reading.wait()  # it has read "old"
    bench.gitlab.texts[1] = "new"
    await bench.passes.run(PassOptions())
    assert bench.published == ["new"]
    bench.gitlab.hold.set()
    await small
    assert bench.published == ["new"]
    assert [bool(request.only) for request in bench.gitlab.requests] == [False, True, False, True]


class HeldExporter(RecordingExporter):
    """An exporter that takes its time."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def publish(
        self, artifacts: Sequence[Artifact], *, dry_run: bool = False, fence: Fence | None = None
    ) -> Receipt:
        self.begun.set()
        await self.go_on.wait()
        return await super().publish(artifacts, dry_run=dry_run, fence=fence)


async def test_a_stop_in_mid_publish_waits_for_its_end(store: Store) -> None:
    bench = Bench(Gitlab({1: "a"}), store)
    exporter = HeldExporter()
    bench.passes.stages = replace(bench.stages(), exporters=[exporter])
    task = asyncio.create_task(bench.due())
    await exporter.begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    exporter.go_on.set()
    with suppress(asyncio.CancelledError):
        await task
    assert (await bench.memory()).horizon.passes == 1


async def test_a_publish_that_does_not_end_is_given_up_after_its_grace(store: Store) -> None:
    bench = Bench(Gitlab({1: "a"}), store)
    exporter = HeldExporter()
    bench.passes = Passes(replace(bench.stages(), exporters=[exporter]), grace=0)
    task = asyncio.create_task(bench.due())
    await exporter.begun.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert await store.passes_saved(bench.gitlab.name) == 0


async def test_a_stop_while_reading_ends_at_once(store: Store) -> None:
    bench = Bench(Gitlab({1: "a"}, hold=asyncio.Event()), store)
    task = asyncio.create_task(bench.due())
    await bench.gitlab.reading.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()
