"""A sweep that several processes read gives what one that reads alone gives, and loses nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from bridge.errors import SourceError, StoreConflict
from bridge.model.group_defaults import DefaultsPlace
from bridge.model.numbers import FIRST
from bridge.model.reads import ReadFile, ReadKind, Reads
from bridge.model.runs import Outcome
from bridge.model.scrape import (
    Coverage,
    FurtherReads,
    Gap,
    ManifestFile,
    Project,
    ProjectRead,
    ProjectSkipped,
    Record,
    ScrapeEnd,
    ScrapeRequest,
    Unread,
    number_of,
)
from bridge.model.statements import Taken
from bridge.model.work import Claim, Part, PartRead, Settled, SweepPlan
from bridge.passes import intake, sharing
from bridge.passes.further import further
from bridge.passes.inheritance import with_kept
from bridge.passes.sharing import read_part, taken_of
from bridge.passes.stages import PassOptions, Stages
from bridge.passes.task_sharing import CatalogHand
from bridge.service.worker import PartReader
from bridge.store import SqlStore, open_store, parts
from bridge.store.codec import pack
from bridge.store.parts import TRIES
from bridge.store.work import SharedWork
from tests.fakes import (
    ListScraper,
    WordMaker,
    WordRenderer,
    WordTranslator,
    fresh,
    project,
    writes_nothing,
)
from tests.passes.test_runner import FILES, Bench, Gitlab
from tests.passes.village import service, village

pytestmark = pytest.mark.store


@dataclass
class Listing(Gitlab):
    """A source that tells what there is, for others to read."""

    async def scrape(self, request: ScrapeRequest) -> AsyncIterator[Record]:
        async for record in super().scrape(request):
            if request.listing and not isinstance(record, Gap | ScrapeEnd):
                number = number_of(record)
                assert number is not None
                yield Unread(number, project(number).path)
            else:
                yield record


@dataclass
class Here:
    """A queue whose jobs are done in this process, as soon as they are put; `hold` forgets them."""

    do: Callable[[int, int], Awaitable[bool]] | None = None
    hands_: int = 1
    alive: bool = True  # whether anybody takes jobs
    loses: int = 0
    put_: list[tuple[str, int]] = field(default_factory=list)
    looked: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def put(self, queue: str, sweep: int, numbers: Iterable[int]) -> None:
        for number in numbers:
            self.put_.append((queue, number))
            if self.loses:
                self.loses -= 1
            else:
                self._tasks.add(asyncio.create_task(self._done(sweep, number)))

    async def _done(self, sweep: int, number: int) -> None:
        assert self.do is not None
        while await self.do(sweep, number):
            pass

    async def hands(self, queue: str) -> int:
        return self.hands_ if self.alive else 0

    async def others(self, queue: str) -> int:
        return self.hands_

    async def take_over(self, queue: str) -> int:
        self.looked += 1
        return 0

    async def known(self, sweep: int) -> dict[int, bool]:
        return {}


class Shop(Bench):
    """A leader's passes over a town, and a worker beside it with a translator of its own."""

    def __init__(self, gitlab: Gitlab, store: SqlStore) -> None:
        self.queue = Here()
        self.now_ = 0.0
        self.parts = store.parts
        self.work = SharedWork(
            *(store.parts, self.queue, str, "leader", 5), clock=self.clock, sleep=self.slept
        )
        self.others = WordTranslator()
        self.their_maker: WordMaker = WordMaker()
        self.hand = CatalogHand(store.model, store.parts)
        self.reader = PartReader(store.parts, self.read, self.write, "worker")
        self.queue.do = self.reader.do
        super().__init__(gitlab, store)

    def stages(self) -> Stages:
        return replace(super().stages(), work=self.work)

    def clock(self) -> float:
        return self.now_

    async def slept(self, seconds: float) -> None:
        self.now_ += seconds
        await asyncio.sleep(0)

    async def read(self, part: Part) -> PartRead:
        return await read_part(part, self.gitlab, self.others, self.store.model, None)

    async def write(self, claim: Claim) -> bool:
        return await self.hand.do(claim, self.their_maker, WordRenderer())


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "PART", 4)


def a_town(count: int = 14) -> Listing:
    texts: dict[int, str | None] = {n: f"s{n:02}" for n in range(1, count + 1)}
    return Listing(texts | {3: None, 5: "broken", 6: "foreign"})


async def test_it_gives_what_one_that_reads_alone_gives(store: SqlStore, tmp_path: Path) -> None:
    """The same files, the same report; and the leader has translated nothing."""
    shop = Shop(a_town(), store)
    shared = await shop.passes.run(PassOptions())
    assert shop.translator.calls == []
    assert len(shop.others.calls) == 13
    assert [number for _, number in shop.queue.put_] == [0, 1, 2, 3]

    other = await open_store(fresh(tmp_path, "alone.db"))
    alone = Bench(a_town(), other)
    told = await alone.passes.run(PassOptions())
    assert shop.published == alone.published
    assert shared.digests == told.digests
    assert (shared.report.outcome, shared.report.projects) == (
        told.report.outcome,
        told.report.projects,
    )
    assert await store.model.problems(shop.gitlab.name) == await other.model.problems(
        alone.gitlab.name
    )
    await other.close()


async def test_what_did_not_change_is_not_translated_again(store: SqlStore) -> None:
    shop = Shop(a_town(), store)
    await shop.passes.run(PassOptions())
    shop.others.calls.clear()
    again = await shop.passes.run(PassOptions())
    assert (shop.others.calls, shop.translator.calls) == ([], [])
    assert again.report.outcome is Outcome.COMPLETE


async def test_what_the_list_tells_by_itself_takes_nothing_from_the_leader(
    store: SqlStore,
) -> None:
    """Projects that are left out come one by one, between parts that wait to be taken in."""

    @dataclass
    class Skipping(Listing):
        async def scrape(self, request: ScrapeRequest) -> AsyncIterator[Record]:
            async for record in super().scrape(request):
                if request.listing and isinstance(record, ScrapeEnd):
                    async with asyncio.timeout(20):
                        while len(shop.others.calls) < 11:  # noqa: ASYNC110 — nobody tells of it
                            await asyncio.sleep(0)  # until all but the last part is translated
                    for number in range(100, 120):
                        yield ProjectSkipped(project(number), "archived")
                yield record

    town = a_town()
    shop = Shop(Skipping(town.texts), store)
    done = await shop.passes.run(PassOptions())
    assert done.report.this_pass["seen"] == 14 + 20
    assert shop.translator.calls == []


async def test_where_nobody_else_is_it_reads_alone(store: SqlStore) -> None:
    shop = Shop(a_town(), store)
    shop.queue.hands_ = 0
    await shop.passes.run(PassOptions())
    assert shop.queue.put_ == []
    assert len(shop.translator.calls) == 13


@pytest.mark.real
async def test_who_reads_for_others_knows_what_manifests_inherit(tmp_path: Path) -> None:
    """The defaults for groups are those that the leader has read, also when they change."""
    place = DefaultsPlace("platform/defaults", "qm.defaults.yaml")
    text = "version: 1\nmappings: {qm-v1: {shop/**: {tags: [%s]}}}\n"
    async with village(tmp_path, defaults=place) as it:
        kept = it.world.add_project(place.project, files={place.path: text % "first"})
        it.world.add_project("shop/cart", files={"qm.yaml": service("cart")})
        store, queue, stages = cast(SqlStore, it.store), Here(), it.passes.stages
        made: list[str] = []
        theirs = stages

        async def read(part: Part) -> PartRead:
            nonlocal theirs
            translator = await with_kept(theirs, store, part.source)
            theirs = replace(theirs, translator=translator)
            more = further(part.source, store.model.reads, translator, ())
            found = await read_part(part, stages.scraper, translator, store.model, more)
            made.extend(found.translations)
            return found

        queue.do = PartReader(store.parts, read, writes_nothing, "worker").do
        work = SharedWork(store.parts, queue, str, "leader", 5, clock=lambda: 0.0)
        it.passes.stages = replace(stages, work=work)
        for name in ("first", "second"):
            it.world.commit_file(kept.id, place.path, text % name)
            done = await it.sweep()
            assert done.report.outcome is Outcome.COMPLETE
            assert it.entities()["Component:cart"]["metadata"]["tags"] == [name]
            told = json.loads(await store.group_defaults.load(stages.scraper.name) or "")
            assert told[FIRST]["due"] == []  # else the next pass would read all of them again
        it.passes.stages = replace(it.passes.stages, defaults=None)
        assert (await it.sweep()).report.outcome is Outcome.COMPLETE
        assert "tags" not in it.entities()["Component:cart"]["metadata"]
        assert len(queue.put_) == len(made) == 3
        _, files = (await store.model.marks(stages.scraper.name, [2]))[2]
        assert files["qm.yaml"] == made[2]  # so the leader took it, and made none of its own


async def test_a_push_is_read_at_once_and_by_the_leader(store: SqlStore) -> None:
    """It waits for no job: one question is sooner asked than handed on."""
    shop = Shop(a_town(), store)
    await shop.passes.run(PassOptions())
    put = len(shop.queue.put_)
    shop.gitlab.texts[1] = "renamed"
    await shop.hinted(1)
    assert "renamed" in shop.published
    assert len(shop.queue.put_) == put


async def test_a_part_that_nobody_can_read_is_a_gap_and_removes_nothing(store: SqlStore) -> None:
    """What was known of its projects stays, and the reason is one that a person can read."""
    shop = Shop(a_town(), store)
    await shop.passes.run(PassOptions())
    before = shop.published

    async def refuses(part: Part) -> PartRead:
        if part.number == 1:
            raise SourceError("GitLab answered 500 to this machine")
        return await shop.read(part)

    shop.reader.read = refuses
    for number in (5, 6, 7, 8):
        del shop.gitlab.texts[number]
        shop.gitlab.texts[number] = "changed"
    shop.gitlab.texts = dict(sorted(shop.gitlab.texts.items()))
    del shop.gitlab.texts[14]
    done = await shop.passes.run(PassOptions())
    assert done.report.outcome is Outcome.INCOMPLETE
    assert dict.fromkeys(done.observations, shop.gitlab.name) == dict.fromkeys(
        (5, 6, 7, 8), shop.gitlab.name
    )
    assert shop.published == [each for each in before if each != "s14"]
    assert shop.reader.counts["failed"] == TRIES
    problems = await store.model.problems(shop.gitlab.name)
    assert any("GitLab answered 500 to this machine" in each.message for each in problems)
    (progress,) = await store.parts.progress(shop.gitlab.name)
    assert (progress.failed, progress.left, progress.listed) == (1, 0, True)
    assert progress.failures == ("GitLab answered 500 to this machine",)


async def test_a_project_of_which_nothing_was_told_is_a_gap(store: SqlStore) -> None:
    shop = Shop(a_town(), store)
    await shop.passes.run(PassOptions())
    before = shop.published

    async def forgets(part: Part) -> PartRead:
        read = await shop.read(part)
        return replace(read, records=read.records[1:])

    shop.reader.read = forgets
    done = await shop.passes.run(PassOptions())
    assert set(done.observations) == {1, 5, 9, 13}
    assert shop.published == before


async def test_what_comes_of_projects_that_were_not_asked_for_is_not_taken(
    store: SqlStore,
) -> None:
    shop = Shop(a_town(), store)

    async def more(part: Part) -> PartRead:
        read = await shop.read(part)
        extra = shop.gitlab.record(99)
        return replace(read, records=(*read.records, extra))

    shop.reader.read = more
    done = await shop.passes.run(PassOptions())
    assert done.report.projects["seen"] == 14


async def test_whose_mapping_files_are_others_translates_for_nobody(store: SqlStore) -> None:
    """What it made has other names: the leader makes it anew from the texts."""

    class Other(WordTranslator):
        def fingerprint(self, project: object, file: object) -> str:
            return "other"

    shop = Shop(a_town(), store)
    shop.others = Other()
    await shop.passes.run(PassOptions())
    assert len(shop.translator.calls) == 13
    assert "s01" in shop.published


async def test_a_job_that_was_lost_is_put_again(store: SqlStore) -> None:
    shop = Shop(a_town(), store)
    shop.queue.loses = 2
    done = await shop.passes.run(PassOptions())
    assert done.report.outcome is Outcome.COMPLETE
    assert sorted(number for _, number in shop.queue.put_) == [0, 0, 1, 1, 2, 3]
    assert shop.queue.looked >= 1


async def test_when_nobody_takes_jobs_any_more_the_leader_reads_on(store: SqlStore) -> None:
    """A token or mapping files changed: hands take jobs of another queue. Nothing is a gap."""
    shop = Shop(a_town(), store)
    shop.queue.loses, shop.queue.alive = 99, False
    async with asyncio.timeout(20):
        done = await shop.passes.run(PassOptions())
    assert (done.report.outcome, len(shop.translator.calls)) == (Outcome.COMPLETE, 13)
    assert shop.others.calls == []
    (progress,) = await store.parts.progress(shop.gitlab.name)
    assert (progress.done, progress.left) == (4, 0)


async def test_what_the_leader_reads_on_and_cannot_read_is_a_gap(store: SqlStore) -> None:
    class Refusing(Listing):
        async def scrape(self, request: ScrapeRequest) -> AsyncIterator[Record]:
            if 5 in request.only:
                raise SourceError("GitLab answered 500")
            async for record in super().scrape(request):
                yield record

    shop = Shop(Refusing(a_town().texts), store)
    shop.queue.loses, shop.queue.alive = 99, False
    async with asyncio.timeout(20):
        done = await shop.passes.run(PassOptions())
    assert done.report.outcome is Outcome.INCOMPLETE
    assert set(done.observations) == {5, 6, 7, 8}
    assert "s01" in shop.published


async def test_a_part_that_is_too_much_for_one_is_cut(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest is a part more; in the end all is there, and no project was a gap."""
    monkeypatch.setattr(sharing, "BYTES", 5)  # of texts of three characters: two are too much
    shop = Shop(a_town(), store)
    done = await shop.passes.run(PassOptions())
    assert (done.report.outcome, done.report.projects["seen"]) == (Outcome.COMPLETE, 14)
    assert len(shop.queue.put_) > 4
    assert len(shop.others.calls) == 13
    assert done.report.gitlab_requests == shop.gitlab.spent
    (progress,) = await store.parts.progress(shop.gitlab.name)
    assert (progress.left, progress.projects, progress.projects_done) == (0, 14, 14)


async def test_heavy_records_do_not_wait_for_a_hundred(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever takes records in holds no more text than of one part."""
    taken: list[int] = []
    take = store.model.take

    async def counted(source: str, edition: int, found: Taken, lane: str) -> int:
        taken.append(len(found.projects))
        return await take(source, edition, found, lane)

    monkeypatch.setattr(store.model, "take", counted)
    monkeypatch.setattr(intake, "BATCH_BYTES", 5)
    done = await Bench(a_town(), store).passes.run(PassOptions())
    assert done.report.projects["seen"] == 14
    assert (
        max(taken) <= 3
    )  # of texts of three characters two are as much as may be, and one has none


async def test_a_cut_part_of_which_nothing_was_told_is_no_part_for_ever(store: SqlStore) -> None:
    shop = Shop(a_town(), store)

    async def nothing(part: Part) -> PartRead:
        return PartRead(cut=True)

    shop.reader.read = nothing
    async with asyncio.timeout(20):
        done = await shop.passes.run(PassOptions())
    assert len(shop.queue.put_) == 4
    assert set(done.observations) == set(range(1, 15))


async def test_who_looked_for_other_files_than_we_would_is_not_believed(store: SqlStore) -> None:
    """Its record is a gap, with a reason that names what to mend; others count."""
    here = cast(FurtherReads, Wanting("here"))
    records = [leaving_texts(n) for n in (1, 2)]
    told = [replace(records[0], reads_key="here"), replace(records[1], reads_key="elsewhere")]
    part = Part("town", "", 1, 0, FILES, ((1, "group/p1"), (2, "group/p2")))
    first, second = taken_of(part, Settled(0, PartRead(told)), here).records
    assert first == told[0]
    assert isinstance(second, Gap)
    assert (second.project_id, "defaults for groups" in second.reason) == (2, True)


async def test_a_push_during_a_shared_sweep_is_not_undone(store: SqlStore) -> None:
    shop = Shop(a_town(), store)
    held, reading = asyncio.Event(), asyncio.Event()

    async def slow(part: Part) -> PartRead:
        read = await shop.read(part)
        reading.set()
        await held.wait()
        return read

    shop.reader.read = slow
    sweep = asyncio.create_task(shop.passes.run(PassOptions()))
    await reading.wait()
    shop.gitlab.texts[1] = "pushed"
    await shop.hinted(1)
    held.set()
    await sweep
    assert "pushed" in shop.published
    assert "s01" not in shop.published


async def test_when_the_list_breaks_off_nothing_more_is_read_of_the_sweep(
    store: SqlStore,
) -> None:
    class Broken(Listing):
        async def scrape(self, request: ScrapeRequest) -> AsyncIterator[Record]:
            async for record in super().scrape(request):
                if request.listing and isinstance(record, ScrapeEnd):
                    raise SourceError("GitLab is gone")
                yield record

    shop = Shop(Broken(a_town().texts), store)
    done = await shop.passes.run(PassOptions())
    assert (done.report.outcome, done.report.failure) == (Outcome.FAILED, "GitLab is gone")
    assert await store.parts.progress(shop.gitlab.name) == []


async def test_who_was_overtaken_can_begin_no_sweep(store: SqlStore) -> None:
    shop = Shop(a_town(), store)
    await shop.passes.run(PassOptions())
    with pytest.raises(StoreConflict):
        await store.parts.begin(shop.gitlab.name, 1, SweepPlan("", told=FILES))


async def begun(store: SqlStore) -> int:
    """A sweep with one part."""
    edition = (await store.model.state("town")).edition
    sweep, _ = await store.parts.begin("town", edition, SweepPlan("", told=FILES))
    await store.parts.put(Part("town", "", sweep, 0, FILES, ((1, "group/p1"), (2, "group/p2"))))
    return sweep


async def test_what_comes_of_one_that_was_taken_for_dead_is_refused(store: SqlStore) -> None:
    """It was paused, another one began its part: only that one's rows count."""
    sweep = await begun(store)
    first = await store.parts.claim(sweep, 0, "first")
    second = await store.parts.claim(sweep, 0, "second")
    assert first is not None
    assert second is not None
    assert not await store.parts.finish(first, PartRead((Gap("old", 1),)))
    assert not await store.parts.fail(first, "it was paused")
    assert await store.parts.finish(second, PartRead((Gap("new", 1),)))
    assert not await store.parts.finish(first, PartRead((Gap("old", 1),)))
    (settled,) = await store.parts.settled(sweep)
    assert settled.read is not None
    assert settled.read.records == (Gap("new", 1),)
    assert await store.parts.settled(sweep) == []
    assert await store.parts.claim(sweep, 0, "third") is None


async def test_what_cannot_be_understood_of_a_part_is_a_gap(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep goes on, and the reason names the part."""
    sweep = await begun(store)
    claim = await store.parts.claim(sweep, 0, "first")
    assert claim is not None
    monkeypatch.setattr(parts, "encode_part", lambda read: pack("nonsense"))
    assert await store.parts.finish(claim, PartRead())
    (settled,) = await store.parts.settled(sweep)
    assert settled.read is None
    assert "part 0 of a sweep" in settled.reason


async def test_what_comes_of_a_sweep_that_was_begun_anew_is_refused(store: SqlStore) -> None:
    old = await begun(store)
    claim = await store.parts.claim(old, 0, "first")
    assert claim is not None
    await begun(store)
    assert not await store.parts.finish(claim, PartRead())
    with pytest.raises(StoreConflict):
        await store.parts.settled(old)
    with pytest.raises(StoreConflict):
        await store.parts.put(replace(claim.part, number=1))


async def test_a_part_that_ends_whoever_reads_it_is_given_up(store: SqlStore) -> None:
    sweep = await begun(store)
    for _ in range(TRIES):
        assert await store.parts.claim(sweep, 0, "mortal") is not None
    assert await store.parts.claim(sweep, 0, "careful") is None
    (settled,) = await store.parts.settled(sweep)
    assert settled.read is None
    assert "none came to an end" in settled.reason


async def test_of_what_failed_some_reasons_are_told_each_cut_short(store: SqlStore) -> None:
    sweep = await begun(store)
    for number in range(1, 9):
        await store.parts.put(Part("town", "", sweep, number, FILES, ((number, "group/p"),)))
        claim = await store.parts.claim(sweep, number, "worker")
        assert claim is not None
        await store.parts.fail(claim, f"{number} " + "x" * 100_000)
    (told,) = await store.parts.progress("town")
    assert [each[0] for each in told.failures] == ["4", "5", "6", "7", "8"]
    assert {len(each) for each in told.failures} == {500}


@dataclass
class Wanting:
    """Wants something of every project, by this key."""

    name: str

    def key(self, project: Project, files: Sequence[ManifestFile]) -> str:
        assert all(not file.folder for file in files)
        return self.name


def leaving_texts(number: int) -> ProjectRead:
    """A project as it is read whose further file lies in the store."""
    oid = f"{number:040}"
    file = ReadFile("a.yaml", ReadKind.FILE, oid, 5, kept=True)
    reads = Reads({"a.yaml": file})
    manifest = ManifestFile("qm.yaml", oid, 5, f"s{number}", reads=reads)
    return ProjectRead(project(number), (manifest,), tip="t", reads=reads, reads_key="k")


async def test_texts_are_loaded_of_what_is_new_alone_and_at_once(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing of what is known as it is; of the others by one question."""
    town = [leaving_texts(number) for number in range(1, 5)]
    scraper = ListScraper([*town, ScrapeEnd(Coverage.SELECTED, 1)])
    translator = WordTranslator()
    part = Part("town", "", 1, 0, FILES, tuple((n, f"group/p{n}") for n in range(1, 5)))
    asked: list[list[int]] = []

    async def texts(source: str, ids: Sequence[int]) -> dict[str, str]:
        asked.append(list(ids))
        return {f"{number:040}": "text" for number in ids}

    async def marks(source: str, ids: Sequence[int]) -> dict[int, tuple[str, dict[str, str]]]:
        known = {each.project.id: each for each in town[:2]}
        return {
            n: ("", {"qm.yaml": translator.fingerprint(each.project, each.files[0])})
            for n, each in known.items()
        }

    monkeypatch.setattr(store.model.reads, "texts_of", texts)
    monkeypatch.setattr(store.model, "marks", marks)
    read = await read_part(part, scraper, translator, store.model, None)
    assert asked == [[3, 4]]
    assert translator.calls == ["s3", "s4"]
    found = {number_of(each): each for each in read.records}
    assert found[1] == town[0]
    assert found[3] != town[2]
